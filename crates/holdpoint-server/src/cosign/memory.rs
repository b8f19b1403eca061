//! What this node remembers of heads, in its log database.
//!
//! ```text
//! signed-head/…   version 1 (1) | size (8, big endian) | root (32)     durable before a signature leaves
//! proven-head/…   the signed note, as text                             written when there is time
//! ```
//!
//! It belongs to this node alone: no snapshot carries it.

use bytes::Bytes;
use holdpoint_core::GroupId;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, Name, sha256};
use holdpoint_storage::{LogStore, StoreError, wait};

use super::heads::Head;

const VERSION: u8 = 1;
const RECORD_BYTES: usize = 1 + 8 + 32;

/// Why the last signed head is not known or not remembered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemoryError {
    /// The store has stopped.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record is not one that this program writes.
    #[error("the record of the last signed head of `{0}` is damaged; nothing is signed")]
    Damaged(Name),
}

/// The name of the record of a namespace: names of records are shorter than names of namespaces.
fn record_name(kind: &str, namespace: &Name) -> String {
    let digest = sha256(namespace.as_str().as_bytes()).to_string();
    format!("{kind}/{}", digest.get(..40).unwrap_or_default())
}

const SIGNED: &str = "signed-head";
const PROVEN: &str = "proven-head";

/// The last signed head of `namespace`; none before the first.
pub(crate) fn read(
    log: &impl LogStore,
    group: GroupId,
    namespace: &Name,
) -> Result<Option<Head>, MemoryError> {
    let Some(bytes) = log.local(group, &record_name(SIGNED, namespace))? else {
        return Ok(None);
    };
    decode(&bytes)
        .map(Some)
        .ok_or_else(|| MemoryError::Damaged(namespace.clone()))
}

/// Makes `head` the last signed one of `namespace`, durably. Blocks until the disk has it.
pub(crate) fn write(
    log: &impl LogStore,
    group: GroupId,
    namespace: &Name,
    head: Head,
) -> Result<(), MemoryError> {
    let value = encode(head);
    wait(|done| log.put_local(group, &record_name(SIGNED, namespace), value, done))?;
    Ok(())
}

/// The last proven head of `namespace` that this node remembers; none if there is none that it can read:
/// then it learns one from the others.
pub(crate) fn read_proven(
    log: &impl LogStore,
    group: GroupId,
    namespace: &Name,
) -> Result<Option<Note>, StoreError> {
    let bytes = log.local(group, &record_name(PROVEN, namespace))?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Remembers a proven head. Nothing waits for it: who loses it learns it again.
pub(crate) fn write_proven(log: &impl LogStore, group: GroupId, namespace: &Name, note: &Note) {
    let value = Bytes::from(note.to_string());
    let name = record_name(PROVEN, namespace);
    log.put_local(group, &name, value, Box::new(|_| ()));
}

fn encode(head: Head) -> Bytes {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.push(VERSION);
    bytes.extend(head.size.to_be_bytes());
    bytes.extend(head.root.as_bytes());
    assert_eq!(bytes.len(), RECORD_BYTES, "the record has one length");
    bytes.into()
}

fn decode(bytes: &[u8]) -> Option<Head> {
    let (version, rest) = bytes.split_first()?;
    let (size, root) = rest.split_first_chunk::<8>()?;
    let root: [u8; 32] = root.try_into().ok()?;
    (*version == VERSION).then(|| Head {
        size: u64::from_be_bytes(*size),
        root: Digest::from_bytes(root),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_reads_back_and_no_other_bytes_do() {
        let head = Head {
            size: 90,
            root: sha256(b"root"),
        };
        let bytes = encode(head);
        assert_eq!(decode(&bytes), Some(head));
        assert_eq!(
            bytes.get(..9),
            Some([1, 0, 0, 0, 0, 0, 0, 0, 90].as_slice())
        );
        assert_eq!(decode(&bytes[1..]), None);
        assert_eq!(decode(&[bytes.as_ref(), &[0]].concat()), None);
        assert_eq!(decode(&[[2].as_slice(), &bytes[1..]].concat()), None);
    }

    #[test]
    fn record_of_the_longest_namespace_has_a_name_that_fits() {
        let longest = Name::new("n".repeat(64)).unwrap();
        assert!(
            record_name(SIGNED, &longest).len() <= holdpoint_storage::log::LOCAL_NAME_BYTES_MAX
        );
    }
}
