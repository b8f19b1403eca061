//! What is done about decisions that were made: disputing them, and erasing what they disclosed.

use holdpoint_receipt::{Caller, Digest, Name, NodeId, PermitId, Salt};

/// Says that a node evaluates a decision otherwise than it was recorded. Its surface is frozen, and
/// its permit revoked if nobody has redeemed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The namespace.
    pub namespace: Name,
    /// The decision's leaf.
    pub leaf: u64,
    /// The voter that disputes it.
    pub node: NodeId,
    /// The version of its evaluator, which must be the decision's.
    pub evaluator_version: u32,
    /// For the statements.
    pub salt: Salt,
}

/// Erases what was stored of a request beyond its statements. Only an operator may, and not while it
/// is still needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erase {
    /// The namespace.
    pub namespace: Name,
    /// Whose.
    pub decision: DecisionName,
    /// Who says so.
    pub principal: Caller,
    /// Commitment to the reason, made under `salt`, where one is given.
    pub reason_commitment: Option<Digest>,
    /// For the statement.
    pub salt: Salt,
}

/// What a decision is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionName {
    /// Its permit.
    Permit(PermitId),
    /// The leaf of its statement, or of a later one of its permit.
    Leaf(u64),
}
