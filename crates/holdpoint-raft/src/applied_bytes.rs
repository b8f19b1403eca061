//! What the state keeps beside the index of the last applied entry, and its bytes.
//!
//! ```text
//! term (8) | removed (2) | per removed: node (8) | incarnation (16) | membership with its position
//! all numbers big endian, the removed in order
//! ```

use std::io;

use bytes::{Buf, BufMut};
use holdpoint_storage::{Applied, Incarnation};

use crate::member;
use crate::membership::Former;
use crate::types::{LogId, StoredMembership, log_id, term_of};

const INCARNATION_BYTES: usize = 16;

/// How far a state is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppliedState {
    /// The last entry; none before the first.
    pub(crate) last: Option<LogId>,
    /// The membership that holds there.
    pub(crate) membership: StoredMembership,
    /// Who was a member before, and is none any more.
    pub(crate) former: Former,
}

/// The bytes of it, with the index.
pub(crate) fn encode_applied(
    id: &LogId,
    membership: &StoredMembership,
    former: &Former,
) -> Applied {
    let mut bytes = Vec::new();
    bytes.put_u64(term_of(id));
    // As many ids as a group ever had: the membership itself has no more members.
    bytes.put_u16(u16::try_from(former.len()).unwrap_or(u16::MAX));
    for (node, incarnation) in former.iter().take(usize::from(u16::MAX)) {
        bytes.put_u64(*node);
        bytes.put_slice(incarnation.as_bytes());
    }
    bytes.extend_from_slice(&member::encode_stored(membership));
    Applied {
        index: id.index,
        bytes,
    }
}

/// The inverse. Nothing beside the index means that nothing is applied.
pub(crate) fn decode_applied(applied: &Applied) -> io::Result<AppliedState> {
    let mut bytes = applied.bytes.as_slice();
    if bytes.is_empty() {
        return Ok(AppliedState::default());
    }
    let term = bytes.try_get_u64().map_err(invalid)?;
    let mut former = Former::new();
    for _ in 0..bytes.try_get_u16().map_err(invalid)? {
        let node = bytes.try_get_u64().map_err(invalid)?;
        let (incarnation, rest) = bytes
            .split_first_chunk::<INCARNATION_BYTES>()
            .ok_or_else(|| invalid("the members that were removed are cut short"))?;
        former.insert(node, Incarnation::from_bytes(*incarnation));
        bytes = rest;
    }
    let membership = member::decode_stored(bytes).map_err(invalid)?;
    Ok(AppliedState {
        last: Some(log_id(term, applied.index)),
        membership,
        former,
    })
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beside_the_index_are_these_and_decode_to_what_was_encoded() {
        let former = Former::from([(2, Incarnation::from_bytes([7; 16]))]);
        let membership = StoredMembership::default();
        let applied = encode_applied(&log_id(3, 9), &membership, &former);
        let mut golden = vec![0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        golden.extend([7; 16]);
        golden.extend(member::encode_stored(&membership));
        assert_eq!((applied.index, &applied.bytes), (9, &golden));
        let expected = AppliedState {
            last: Some(log_id(3, 9)),
            membership,
            former,
        };
        assert_eq!(decode_applied(&applied).unwrap(), expected);
        assert_eq!(
            decode_applied(&Applied::default()).unwrap(),
            AppliedState::default()
        );
        for end in 1..golden.len() {
            let bytes = golden.get(..end).unwrap().to_vec();
            assert!(
                decode_applied(&Applied { index: 9, bytes }).is_err(),
                "cut at {end}"
            );
        }
    }
}
