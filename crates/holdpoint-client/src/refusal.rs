//! Why an attempt got no permit.

mod denied;
mod silence;

#[cfg(test)]
mod tests;

use std::fmt;

use holdpoint_receipt::{ClusterTime, IdempotencyKey, Reason};

pub use denied::{Denied, RefusedBound};
pub use silence::{Silence, SilenceCause, WaitingPlace};

pub(crate) use denied::DeniedParts;
pub(crate) use silence::Unanswered;

/// Why an attempt got no permit. Nothing may be executed on either.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The gate decided against. A retry with the same key finds the same; a new attempt takes a new
    /// key.
    #[error(transparent)]
    Denied(Denied),
    /// There is no decision, or none that this client can believe.
    #[error(transparent)]
    Silence(Silence),
}

impl Refusal {
    /// The reason, from the one registry.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Denied(denied) => denied.reason(),
            Self::Silence(silence) => silence.reason(),
        }
    }

    /// The attempt; absent if the operation was never fit to be asked for.
    #[must_use]
    pub const fn attempt(&self) -> Option<&AttemptName> {
        match self {
            Self::Denied(denied) => Some(denied.attempt()),
            Self::Silence(silence) => silence.attempt(),
        }
    }
}

/// What must be repeated, both of it, to ask for the same attempt again from anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptName {
    /// The idempotency key.
    pub key: IdempotencyKey,
    /// The time after which nothing is decided under it.
    pub not_after: ClusterTime,
}

impl fmt::Display for AttemptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}` until {}", self.key, self.not_after)
    }
}
