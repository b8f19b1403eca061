//! What receipts tell of permits, turns and policies: the input of the checkers that look at the log.
//!
//! Positions are leaves of the namespace's log of statements, taken from receipts that verified:
//! they order what happened without any clock. Nothing here knows of an answer that was lost.

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

/// What a permit charges to a capacity or a budget, as the clients' receipts tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The bounded operation.
    pub operation: String,
    /// The permit.
    pub permit: String,
    /// What it charges.
    pub amount: u64,
    /// Leaf of the decision.
    pub decided_leaf: u64,
    /// From when on it was live, cluster time in milliseconds.
    pub issued_at_ms: u64,
    /// First instant at which it was not, unless redeemed before.
    pub expires_at_ms: u64,
    /// Leaf of its redemption.
    pub redeemed_leaf: Option<u64>,
    /// What ended it, if a client was told.
    pub end: Option<End>,
}

/// How a permit ended, other than by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Leaf that says so.
    pub leaf: u64,
    /// Whether the effect happened. Otherwise it was aborted or revoked.
    pub is_committed: bool,
}

/// A request that was denied because its amount did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The bounded operation.
    pub operation: String,
    /// What was to be charged.
    pub amount: u64,
    /// Leaf of the decision.
    pub leaf: u64,
    /// Cluster time of the decision in milliseconds.
    pub at_ms: u64,
}

/// The turn of one who waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The bounded operation.
    pub operation: String,
    /// Who waited.
    pub waiter: String,
    /// The place in the queue, as the waiters came: the lower, the earlier.
    pub ticket: u64,
    /// Leaf of the grant.
    pub decided_leaf: u64,
}

/// A statement of the log, as far as it is about versions of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Where it stands.
    pub leaf: u64,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// What it says.
    pub what: What,
}

/// What a statement says of versions of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A bundle was put in force.
    Activated {
        /// The policy version.
        version: u64,
        /// Digest of the bundle.
        digest: [u8; 32],
    },
    /// Something was decided.
    Decided {
        /// The policy version that the decision names.
        version: u64,
        /// The bundle that it names.
        digest: [u8; 32],
        /// The surface.
        surface: String,
        /// Whether a permit was granted.
        is_permit: bool,
    },
    /// An activation began to wait for live permits to end.
    DrainBegan,
    /// It was called off.
    DrainCancelled,
    /// Anything else.
    Other,
}

/// One answer to one submission of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The attempt: caller and idempotency key.
    pub attempt: String,
    /// The statement of the decision, byte for byte.
    pub statement: Vec<u8>,
}
