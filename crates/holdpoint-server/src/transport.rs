//! The client listener: one port for every service, and for the public log.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_proto::v1::{
    DESCRIPTORS, approvals_server::ApprovalsServer, cluster_server::ClusterServer,
    gate_server::GateServer, history_server::HistoryServer, keys_server::KeysServer,
    policy_server::PolicyServer,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use crate::api::{
    ApprovalsService, ClusterService, GateService, HistoryService, KeysService, PolicyService,
};
use crate::gate::Gate;
use crate::http::{self, Published};
use crate::limits::{
    CONNECTIONS_MAX, GATE_MESSAGE_BYTES_MAX, POLICY_MESSAGE_BYTES_MAX, STREAMS_PER_CONNECTION_MAX,
};
use crate::listener::{connections, sort};
use crate::stop::Stop;

/// How often a silent connection is asked whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long it may take to answer that.
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(10);

/// Connections of HTTP/2 that were told apart and are not served yet.
const SORTED_MAX: usize = 16;

/// Why the client listener stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors of the protocol do not decode: a fault of the build.
    #[error("the protocol's own description cannot be served")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the client listener failed")]
    Transport(#[source] tonic::transport::Error),
}

/// Serves every service on `listener` until `stopped`, then finishes the calls in flight; once `cut`
/// says so, whatever is still open is closed.
pub(crate) async fn serve(
    listener: TcpListener,
    gate: Arc<Gate>,
    stopped: Stop,
    cut: Stop,
) -> Result<(), ServeError> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    let gate_service = GateServer::new(GateService::new(Arc::clone(&gate)))
        .max_decoding_message_size(GATE_MESSAGE_BYTES_MAX);
    let policy_service = PolicyServer::new(PolicyService::new(Arc::clone(&gate)))
        .max_decoding_message_size(POLICY_MESSAGE_BYTES_MAX);
    let approvals_service = ApprovalsServer::new(ApprovalsService::new(Arc::clone(&gate)))
        .max_decoding_message_size(GATE_MESSAGE_BYTES_MAX);
    let history_service = HistoryServer::new(HistoryService::new(Arc::clone(&gate)))
        .max_decoding_message_size(GATE_MESSAGE_BYTES_MAX);
    let (sorted, incoming) = mpsc::channel(SORTED_MAX);
    let published = Published::new(Arc::clone(&gate));
    let http1 = {
        let stopped = stopped.clone();
        move |connection| http::serve(connection, published.clone(), stopped.clone())
    };
    let connections = connections(listener, CONNECTIONS_MAX, cut);
    let sorting = sort(connections, sorted, http1, stopped.clone());
    let mut until = stopped;
    let serving = Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WAIT))
        .add_service(health)
        .add_service(reflection)
        .add_service(gate_service)
        .add_service(policy_service)
        .add_service(approvals_service)
        .add_service(history_service)
        .add_service(ClusterServer::new(ClusterService::new(Arc::clone(&gate))))
        .add_service(KeysServer::new(KeysService::new(Arc::clone(&gate))))
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async move {
            until.stopped().await;
        });
    let both = async { tokio::join!(serving, sorting).0 };
    tokio::select! {
        served = both => served.map_err(ServeError::Transport),
        never = report_health(&reporter, &gate) => match never {},
    }
}

/// How often health follows the node.
const HEALTH_PERIOD: Duration = Duration::from_millis(250);

/// Keeps `grpc.health.v1` true, for ever.
///
/// The gate's service is SERVING while this node itself can decide. The process as a whole (the empty
/// name) is SERVING while this node can decide or knows who can.
async fn report_health(reporter: &HealthReporter, gate: &Gate) -> std::convert::Infallible {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let status = |is: bool| if is { Serving } else { NotServing };
    let mut ticks = tokio::time::interval(HEALTH_PERIOD);
    loop {
        ticks.tick().await;
        let standing = gate.standing();
        reporter
            .set_service_status("", status(standing.takes_part))
            .await;
        let name = <GateServer<GateService> as tonic::server::NamedService>::NAME;
        reporter
            .set_service_status(name, status(standing.can_decide))
            .await;
    }
}
