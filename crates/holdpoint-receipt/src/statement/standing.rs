//! What statements say about the gate itself, and not about one permit.

use super::{DrainMode, KeysChange, StatementText};
use crate::digest::Digest;
use crate::names::{ClusterTime, Name, NodeId, PermitId, PolicyVersion, TreeSize};

/// A policy version came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatement {
    /// The version.
    pub policy_version: PolicyVersion,
    /// Its bundle.
    pub policy_digest: Digest,
    /// The evaluator and its version.
    pub evaluator: StatementText,
    /// Commitment to the principal that activated it.
    pub caller_commitment: Digest,
}

/// A set of signing keys came into force, or keys were marked as compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysStatement {
    /// SHA-256 of the canonical key set as of this leaf.
    pub keys_digest: Digest,
    /// How many nodes must sign a head of the newest epoch.
    pub signers_needed: u32,
    /// The first tree size whose head the newest epoch signs.
    pub tree_size_from: TreeSize,
    /// Why.
    pub change: KeysChange,
    /// The node whose keys changed, where it is one.
    pub node: Option<NodeId>,
    /// Commitment to the principal that asked for it; none if the gate did it by itself.
    pub caller_commitment: Option<Digest>,
}

/// What was stored of a request beyond its statements was erased: parameters, names and salts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedStatement {
    /// The permit; none if the request was denied.
    pub permit_id: Option<PermitId>,
    /// The request that can no longer be shown.
    pub request_digest: Digest,
    /// Commitment to the principal that erased it.
    pub caller_commitment: Digest,
    /// Commitment to the reason that was given, if one was.
    pub reason_commitment: Option<Digest>,
    /// Receipt hash of the permit's previous statement, or of the denial.
    pub previous: Digest,
}

/// A principal approved what a quorum binds, or took that back.
///
/// The kind of statement says which; the two differ in the last two members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalStatement {
    /// The kind of effect.
    pub surface: Name,
    /// The quorum that the approval counts for.
    pub quorum: Name,
    /// Digest of exactly those fields that the quorum binds.
    pub subject_digest: Digest,
    /// Commitment to the approver, or to who took the approval back.
    pub caller_commitment: Digest,
    /// The policy version in force.
    pub policy_version: PolicyVersion,
    /// Its bundle.
    pub policy_digest: Digest,
    /// The first moment at which the approval no longer counts. Some for an approval, none where it
    /// is taken back.
    pub expires_at: Option<ClusterTime>,
    /// Receipt hash of the approval that is taken back. Some there, none for an approval.
    pub previous: Option<Digest>,
}

/// A session was closed: none of its steps is decided or redeemed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStatement {
    /// Commitment to the session.
    pub session_commitment: Digest,
    /// Commitment to the principal that closed it.
    pub caller_commitment: Digest,
}

/// Grants were stopped, or go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenStatement {
    /// The surface; none for the whole namespace.
    pub surface: Option<Name>,
    /// Whether grants were stopped.
    pub frozen: bool,
    /// Commitment to the principal that did it.
    pub caller_commitment: Digest,
    /// The leaf of the decision that a node disputes, where that is why.
    pub disputed_leaf: Option<u64>,
}

/// A change of policy began to drain permits, or was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainStatement {
    /// The bundle that is to come into force.
    pub policy_digest: Digest,
    /// How permits in its way are met.
    pub mode: DrainMode,
    /// Commitment to the principal that did it.
    pub caller_commitment: Digest,
}
