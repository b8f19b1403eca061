//! The payload of a log entry and its bytes, the same on the wire and on the disk.
//!
//! ```text
//! payload = kind (1) | body       kind 0: blank, no body · 1: encoded commands · 2: membership
//! record  = term (8, big endian) | payload
//! ```
//!
//! Commands are encoded once, by the leader that proposes them, and decoded at most once per node:
//! the entry is shared from the network over the log to the state machine.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use holdpoint_core::Entry;
use holdpoint_core::codec::{self, CodecError};

use crate::member::{self, MembershipError};
use crate::types::{LogEntry, Payload, log_id, term_of};

const BLANK: u8 = 0;
const COMMANDS: u8 = 1;
const MEMBERSHIP: u8 = 2;
const TERM_BYTES: usize = 8;

/// Why bytes are not a payload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    /// No kind, or one that this build does not know.
    #[error("an entry of an unknown kind")]
    Kind,
    /// A record too short for its term.
    #[error("a record of the log is cut short")]
    Short,
    /// The commands do not decode.
    #[error("the commands of an entry do not decode: {0}")]
    Commands(#[source] CodecError),
    /// The membership does not decode.
    #[error(transparent)]
    Membership(#[from] MembershipError),
}

/// The commands of one log entry, with their bytes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Proposal(Arc<Inner>);

struct Inner {
    /// Kind and body.
    payload: Bytes,
    entry: OnceLock<Entry>,
}

impl Proposal {
    /// Encodes `entry`.
    pub(crate) fn encode(entry: Entry) -> Result<Self, CodecError> {
        let body = codec::encode_entry(&entry)?;
        let mut payload = BytesMut::with_capacity(body.len().saturating_add(1));
        payload.put_u8(COMMANDS);
        payload.put_slice(&body);
        Ok(Self(Arc::new(Inner {
            payload: payload.freeze(),
            entry: OnceLock::from(entry),
        })))
    }

    /// The entry, decoded at the first call.
    pub(crate) fn entry(&self) -> Result<&Entry, PayloadError> {
        if let Some(entry) = self.0.entry.get() {
            return Ok(entry);
        }
        let body = self.0.payload.get(1..).unwrap_or_default();
        let entry = codec::decode_entry(body).map_err(PayloadError::Commands)?;
        Ok(self.0.entry.get_or_init(|| entry))
    }

    fn from_payload(payload: Bytes) -> Self {
        Self(Arc::new(Inner {
            payload,
            entry: OnceLock::new(),
        }))
    }

    /// Its length on the wire and on the disk.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.0.payload.len()
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.payload.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The bytes of a payload.
pub(crate) fn encode_payload(payload: &Payload) -> Bytes {
    match payload {
        Payload::Blank => Bytes::from_static(&[BLANK]),
        Payload::Normal(proposal) => proposal.0.payload.clone(),
        Payload::Membership(membership) => {
            let body = member::encode(membership);
            let mut bytes = BytesMut::with_capacity(body.len().saturating_add(1));
            bytes.put_u8(MEMBERSHIP);
            bytes.put_slice(&body);
            bytes.freeze()
        }
    }
}

/// The payload that `bytes` are. Commands are not decoded yet.
pub(crate) fn decode_payload(bytes: Bytes) -> Result<Payload, PayloadError> {
    match bytes.split_first() {
        Some((&BLANK, [])) => Ok(Payload::Blank),
        Some((&COMMANDS, _)) => Ok(Payload::Normal(Proposal::from_payload(bytes))),
        Some((&MEMBERSHIP, body)) => Ok(Payload::Membership(member::decode(body)?)),
        _ => Err(PayloadError::Kind),
    }
}

/// The record that the log keeps of an entry.
pub(crate) fn encode_record(entry: &LogEntry) -> Bytes {
    let payload = encode_payload(&entry.payload);
    let mut record = BytesMut::with_capacity(payload.len().saturating_add(TERM_BYTES));
    record.put_u64(term_of(&entry.log_id));
    record.put_slice(&payload);
    record.freeze()
}

/// The entry that a record of the log is.
pub(crate) fn decode_record(index: u64, mut record: Bytes) -> Result<LogEntry, PayloadError> {
    let (term, _) = record
        .split_first_chunk::<TERM_BYTES>()
        .ok_or(PayloadError::Short)?;
    let term = u64::from_be_bytes(*term);
    let payload = record.split_off(TERM_BYTES);
    Ok(LogEntry {
        log_id: log_id(term, index),
        payload: decode_payload(payload)?,
    })
}

#[cfg(test)]
mod tests {
    use holdpoint_core::GroupId;
    use holdpoint_receipt::ClusterTime;

    use super::*;

    fn entry() -> Entry {
        Entry {
            group: GroupId::FIRST,
            time: ClusterTime::default(),
            commands: Vec::new(),
        }
    }

    #[test]
    fn a_record_decodes_to_the_entry_that_was_encoded() {
        let proposal = Proposal::encode(entry()).unwrap();
        for payload in [Payload::Blank, Payload::Normal(proposal)] {
            let before = LogEntry {
                log_id: log_id(3, 9),
                payload,
            };
            let after = decode_record(9, encode_record(&before)).unwrap();
            assert_eq!(after.log_id, before.log_id);
            assert_eq!(
                encode_payload(&after.payload),
                encode_payload(&before.payload)
            );
            if let Payload::Normal(proposal) = after.payload {
                assert_eq!(*proposal.entry().unwrap(), entry());
            }
        }
    }

    #[test]
    fn bytes_of_an_unknown_kind_are_refused() {
        for bytes in [&b""[..], b"\x03", b"\x00\x00"] {
            assert!(decode_payload(Bytes::copy_from_slice(bytes)).is_err());
        }
        assert!(matches!(
            decode_record(0, Bytes::from_static(b"short")),
            Err(PayloadError::Short)
        ));
    }
}
