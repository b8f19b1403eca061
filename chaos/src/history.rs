//! What clients were answered.
//!
//! Positions are leaves of the namespace's log of statements, taken from receipts that verified:
//! they order what happened without any clock.

use std::fmt;

/// A permit's life as the clients' receipts tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The bounded operation that it held.
    pub operation: String,
    /// Its id.
    pub permit: String,
    /// Its fence.
    pub fence: u64,
    /// Leaf of the decision.
    pub decided_leaf: u64,
    /// From when on it was live, cluster time in milliseconds.
    pub issued_at_ms: u64,
    /// First instant at which it was not, unless redeemed before.
    pub expires_at_ms: u64,
    /// Leaves of its redemptions: one, if the gate keeps its promise; none if it was not redeemed.
    pub redeemed_leaves: Vec<u64>,
    /// Leaf that ended it: of a completion or a revocation. None if no client was told of one.
    pub ended_leaf: Option<u64>,
}

/// One answer to one submission of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The attempt: caller and idempotency key.
    pub attempt: String,
    /// The statement of the decision, byte for byte.
    pub statement: Vec<u8>,
}

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The history can be explained.
    Holds,
    /// It cannot, and this is the shortest part of it that shows so.
    Broken(String),
    /// The history has too little in it to say anything.
    Unknown(String),
}

impl Verdict {
    /// Whether the promise is shown to hold. Not knowing is not holding.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Broken(why) => write!(f, "broken: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}
