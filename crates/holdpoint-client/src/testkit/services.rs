//! The services of a testbed, behind the traits that the protocol's generator makes.

mod approvals;
mod authorize;
mod cluster;
mod gate;
mod reads;

use std::sync::Arc;

use holdpoint_proto::convert::Malformed;
use holdpoint_proto::v1;
use tonic::Status;
use tonic::server::NamedService;
use tonic::service::Routes;

use super::bed::Bed;

type GateServer = v1::gate_server::GateServer<Service>;
type ApprovalsServer = v1::approvals_server::ApprovalsServer<Service>;
type ClusterServer = v1::cluster_server::ClusterServer<Service>;
type KeysServer = v1::keys_server::KeysServer<Service>;

/// Serves a testbed.
#[derive(Clone, Debug)]
pub(super) struct Service {
    bed: Arc<Bed>,
}

/// Every service of `bed`.
pub(super) fn routes(bed: &Arc<Bed>) -> Routes {
    let bed = Arc::clone(bed);
    let service = Service { bed };
    Routes::new(GateServer::new(service.clone()))
        .add_service(ApprovalsServer::new(service.clone()))
        .add_service(ClusterServer::new(service.clone()))
        .add_service(KeysServer::new(service))
}

/// Whether there is a service for calls to this path.
pub(super) fn serves(path: &str) -> bool {
    let service = path.split('/').nth(1).unwrap_or_default();
    let served = [
        GateServer::NAME,
        ApprovalsServer::NAME,
        ClusterServer::NAME,
        KeysServer::NAME,
    ];
    served.contains(&service)
}

/// The answer to a call that a testbed does not have. Final, so that nobody asks again.
pub(super) fn unserved() -> Status {
    Status::invalid_argument(
        "a testbed does not answer this call; bundles are changed with `Testbed::activate`",
    )
}

/// The status of a call that cannot be understood.
fn invalid(malformed: &Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

/// The status of a call with a field that does not fit.
fn unfit(field: &'static str, problem: impl std::fmt::Display) -> Status {
    invalid(&Malformed::new(field, problem))
}
