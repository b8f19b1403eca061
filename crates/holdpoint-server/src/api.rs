//! The services of `proto/holdpoint/v1`: from the wire to our words and back.
//!
//! A malformed call ends here with `INVALID_ARGUMENT` and has touched nothing. A well-formed one
//! always gets an answer of its service's own type; error statuses never stand for a decision.

mod authorize_stream;
mod caller;
mod cluster;
mod gate;
mod policy;

use std::time::Duration;

use holdpoint_proto::convert::Malformed;
use tonic::Status;

pub(crate) use cluster::{ClusterService, KeysService};
pub(crate) use gate::{GateService, OperationCall};
pub(crate) use policy::{ActivateCall, PolicyService, PutCall};

/// The status of a call that cannot be understood.
fn invalid(malformed: &Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

/// The wait that a call names.
fn wait(deadline_ms: u32) -> Result<Duration, Malformed> {
    crate::admit::wait(deadline_ms).map_err(|error| Malformed::new("deadline_ms", error))
}
