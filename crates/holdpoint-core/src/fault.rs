//! Why an entry could not be applied at all.
//!
//! A fault is never a meaning of a command: the node that meets one stops.

use crate::codec::CodecError;
use crate::key::StateKey;
use crate::position::LogPosition;

/// Why an entry could not be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError<E> {
    /// The state could not be read.
    #[error("the state cannot be read")]
    View(#[source] E),
    /// A record of our own is not what it must be. It was damaged, or this build has a fault.
    #[error("the record `{key}` is corrupt: {corruption}")]
    Corrupt {
        /// The record.
        key: StateKey,
        /// What is wrong with it.
        corruption: Corruption,
    },
    /// The log is longer than statements can say.
    #[error("the log position {0:?} is beyond what a statement can say")]
    Position(LogPosition),
}

/// What is wrong with a record of our own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Its bytes do not decode, or a value does not encode.
    #[error("{0}")]
    Codec(#[source] CodecError),
    /// Another record says that it exists, and it does not.
    #[error("another record names it, and it is not there")]
    Missing,
    /// It contradicts another record.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl<E> ApplyError<E> {
    /// The record under `key` contradicts another.
    pub(crate) fn contradiction(key: StateKey, what: &'static str) -> Self {
        let corruption = Corruption::Contradiction(what);
        Self::Corrupt { key, corruption }
    }
}
