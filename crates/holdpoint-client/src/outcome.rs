//! How the effect of a redeemed permit ended.

use std::fmt;

use holdpoint_receipt::Digest;

/// How the effect of a redeemed permit ended, as its executor reports it.
///
/// There is no variant for "I do not know": whoever does not know leaves the permit in doubt
/// ([`crate::Permit::leave_in_doubt`]), where an operator resolves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The effect happened.
    Committed {
        /// Digest of what shows it, kept in the receipt.
        evidence: Option<Digest>,
    },
    /// The effect certainly did not happen.
    Aborted,
}

/// The error of an effect that certainly did not happen.
///
/// An effect returns it only where it knows: refused before anything was sent, rolled back, never
/// started. A time-out is no such case. Then `redeemed.complete(result.into())` says the right thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the effect certainly did not happen")]
pub struct NothingHappened;

impl<T> From<Result<T, NothingHappened>> for Outcome {
    fn from(result: Result<T, NothingHappened>) -> Self {
        match result {
            Ok(_) => Self::Committed { evidence: None },
            Err(NothingHappened) => Self::Aborted,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Committed { .. } => "committed",
            Self::Aborted => "aborted",
        })
    }
}
