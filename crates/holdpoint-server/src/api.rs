//! The services of `proto/holdpoint/v1`: from the wire to our words and back.
//!
//! A malformed call ends here with `INVALID_ARGUMENT` and has touched nothing. A well-formed one
//! always gets an answer of its service's own type; error statuses never stand for a decision.

/// Does a call that may be refused: authenticate, parse, admit, do, and put a refusal into the answer's
/// own field.
macro_rules! answer {
    ($self:ident, $request:ident, $lane:expr, $response:ident, $parse:expr, $act:ident) => {{
        let (caller, _call) = $crate::api::caller::authenticate(&$request)?;
        let call = $request.into_inner();
        let wait =
            $crate::api::wait(call.deadline_ms).map_err(|error| $crate::api::invalid(&error))?;
        let parsed = ($parse)(call).map_err(|error: Malformed| $crate::api::invalid(&error))?;
        let answer = match $self.gate.admit($lane, wait) {
            Ok(admitted) => $self.gate.$act(caller, parsed, &admitted).await,
            Err(refused) => Err(refused),
        };
        Ok(tonic::Response::new(answer.unwrap_or_else(|refused| {
            holdpoint_proto::v1::$response {
                refusal: Some(refused.into_refusal()),
                ..holdpoint_proto::v1::$response::default()
            }
        })))
    }};
}

mod approvals;
mod authorize_stream;
mod caller;
mod cluster;
mod gate;
mod gate_calls;
mod history;
mod keys;
mod log_calls;
mod policy;
mod story_calls;

use std::time::Duration;

use holdpoint_core::limits::PAGE_MAX;
use holdpoint_proto::convert::Malformed;
use tonic::Status;

pub(crate) use approvals::{ApprovalsService, ApproveCall, PendingCall, TakeBackCall};
pub(crate) use cluster::{ClusterService, FreezeCall, MemberChange, MembersCall};
pub(crate) use gate::GateService;
pub(crate) use gate_calls::{OperationCall, PermitsCall, PermitsFilter, SessionCall};
pub(crate) use history::{DecisionName, DecisionsCall, HistoryService, WatchCall};
pub(crate) use keys::{KeysService, RevokeCall, RotateCall};
pub(crate) use log_calls::{ConsistencyCall, InclusionCall, LeafCall};
pub(crate) use policy::{ActivateCall, PolicyService, PutCall};
pub(crate) use story_calls::{ChainCall, DiscloseCall, EraseCall};

/// The status of a call that cannot be understood.
fn invalid(malformed: &Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

/// The wait that a call names.
fn wait(deadline_ms: u32) -> Result<Duration, Malformed> {
    crate::admit::wait(deadline_ms).map_err(|error| Malformed::new("deadline_ms", error))
}

/// How many rows of a page a call asks for: a hundred unless it says.
fn page_size(given: u32) -> Result<usize, Malformed> {
    const PAGE_DEFAULT: usize = 100;
    // u32 fits usize on every target that exists.
    let size = usize::try_from(given).unwrap_or(usize::MAX);
    match size {
        0 => Ok(PAGE_DEFAULT),
        1..=PAGE_MAX => Ok(size),
        _ => Err(Malformed::new(
            "page_size",
            format_args!("`{given}` is more than {PAGE_MAX}, the largest page"),
        )),
    }
}

/// The page after which a call asks for the next; none for the first.
fn page<const N: usize>(bytes: &[u8]) -> Result<Option<[u8; N]>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let exact = bytes.try_into().map(Some);
    exact.map_err(|_| Malformed::new("page", "is not the `next_page` of an earlier answer"))
}

/// Bytes of rows after which a page ends: well below what clients accept as one message.
pub(crate) const PAGE_BYTES_MAX: usize = 1024 * 1024;
