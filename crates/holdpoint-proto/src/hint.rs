//! The leader hint in the trailer of a gRPC error status.

use prost::Message as _;
use tonic::Status;
use tonic::metadata::MetadataValue;

use crate::v1::LeaderHint;

/// Name of the trailer.
pub const LEADER_TRAILER: &str = "holdpoint-leader-bin";

/// Puts `hint` into the trailers of `status`.
#[must_use]
pub fn with_leader_hint(mut status: Status, hint: &LeaderHint) -> Status {
    let value = MetadataValue::from_bytes(&hint.encode_to_vec());
    status.metadata_mut().insert_bin(LEADER_TRAILER, value);
    status
}

/// The hint that `status` carries; none if it carries none, or one that cannot be read.
#[must_use]
pub fn leader_hint(status: &Status) -> Option<LeaderHint> {
    let bytes = status.metadata().get_bin(LEADER_TRAILER)?.to_bytes().ok()?;
    LeaderHint::decode(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hint_comes_back_from_the_status_that_carries_it() {
        let hint = LeaderHint {
            leader: None,
            nodes: Vec::new(),
            term: 7,
        };
        let status = with_leader_hint(Status::unavailable("not leader"), &hint);
        assert_eq!(leader_hint(&status), Some(hint));
        assert_eq!(leader_hint(&Status::unavailable("not leader")), None);
    }
}
