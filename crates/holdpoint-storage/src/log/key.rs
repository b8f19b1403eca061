//! Keys of the log database.
//!
//! ```text
//! group (4, big endian) | kind (1) | entry: index (8, big endian) · local: name · others: nothing
//! ```
//!
//! So a group's records are one range, and its entries are in order.

use holdpoint_core::GroupId;

pub(crate) const GROUP_BYTES: usize = 4;
pub(crate) const ENTRY_KEY_BYTES: usize = GROUP_BYTES + 1 + 8;
const _: () = assert!(ENTRY_KEY_BYTES == 13);

const VOTE: u8 = 1;
const COMMITTED: u8 = 2;
const PURGED: u8 = 3;
const LOCAL: u8 = 4;
const ENTRY: u8 = 5;

/// A key, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogKey {
    Vote,
    Committed,
    Purged,
    Local(String),
    Entry(u64),
}

impl LogKey {
    pub(crate) fn encode(&self, group: GroupId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENTRY_KEY_BYTES);
        bytes.extend(group.0.to_be_bytes());
        match self {
            Self::Vote => bytes.push(VOTE),
            Self::Committed => bytes.push(COMMITTED),
            Self::Purged => bytes.push(PURGED),
            Self::Local(name) => {
                bytes.push(LOCAL);
                bytes.extend(name.as_bytes());
            }
            Self::Entry(index) => {
                bytes.push(ENTRY);
                bytes.extend(index.to_be_bytes());
            }
        }
        bytes
    }

    /// `None` for a key that this version does not write.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(GroupId, Self)> {
        let (group, rest) = bytes.split_first_chunk::<GROUP_BYTES>()?;
        let (kind, rest) = rest.split_first()?;
        let key = match (*kind, rest) {
            (VOTE, []) => Self::Vote,
            (COMMITTED, []) => Self::Committed,
            (PURGED, []) => Self::Purged,
            (LOCAL, name) => Self::Local(String::from_utf8(name.to_vec()).ok()?),
            (ENTRY, index) => Self::Entry(u64::from_be_bytes(index.try_into().ok()?)),
            _ => return None,
        };
        Some((GroupId(u32::from_be_bytes(*group)), key))
    }
}

/// The smallest key after every entry of `group`.
pub(crate) fn after_entries(group: GroupId) -> Vec<u8> {
    let mut bytes = group.0.to_be_bytes().to_vec();
    bytes.push(ENTRY + 1);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_decodes_to_what_was_encoded_and_entries_sort_by_group_and_index() {
        let keys = [
            (GroupId(0), LogKey::Vote),
            (GroupId(0), LogKey::Committed),
            (GroupId(0), LogKey::Purged),
            (GroupId(0), LogKey::Local("head/default".to_owned())),
            (GroupId(0), LogKey::Entry(0)),
            (GroupId(0), LogKey::Entry(255)),
            (GroupId(0), LogKey::Entry(256)),
            (GroupId(0), LogKey::Entry(u64::MAX)),
            (GroupId(1), LogKey::Vote),
        ];
        let encoded: Vec<_> = keys.iter().map(|(group, key)| key.encode(*group)).collect();
        assert!(encoded.is_sorted());
        assert!(encoded[7] < after_entries(GroupId(0)) && after_entries(GroupId(0)) < encoded[8]);
        for (key, bytes) in keys.into_iter().zip(encoded) {
            assert_eq!(LogKey::decode(&bytes), Some(key));
        }
        assert_eq!(LogKey::decode(&[0, 0, 0, 0, 9]), None);
        assert_eq!(LogKey::decode(&[0, 0, 0, 0, ENTRY, 1]), None);
    }

    #[test]
    fn the_bytes_of_a_key_are_these() {
        let entry = LogKey::Entry(0x0102).encode(GroupId(3));
        assert_eq!(entry, [0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 1, 2]);
    }
}
