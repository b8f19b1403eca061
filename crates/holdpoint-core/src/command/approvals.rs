//! Approvals: what a quorum binds, who approves it, and what waits for it.

use holdpoint_receipt::{Caller, Digest, Name, Salt};

use crate::record::ActivePolicy;

/// An approval that a verdict uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApprovalFact {
    /// Which one.
    pub name: ApprovalName,
    /// Where its statement stands, which tells it from an earlier one of the same name.
    pub leaf: u64,
    /// Whether a permit that uses it spends it.
    pub spends: bool,
}

/// What an approval is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApprovalName {
    /// The quorum that it counts for.
    pub quorum: Name,
    /// The digest of exactly those fields that the quorum binds.
    pub subject: Digest,
    /// Who approves.
    pub approver: Caller,
}

/// Approves what a quorum binds.
///
/// The leader has checked the approver against the quorum of `policy`; which approvals count for a
/// request is evaluated again with every verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approve {
    /// The namespace.
    pub namespace: Name,
    /// What is approved, and by whom.
    pub name: ApprovalName,
    /// The surface of the subject.
    pub surface: Name,
    /// The policy that was shown to the approver. It must be in force.
    pub policy: ActivePolicy,
    /// How long the approval counts, at most [`crate::limits::APPROVAL_FOR_MS_MAX`].
    pub counts_for_ms: u64,
    /// For the statement.
    pub salt: Salt,
}

/// Takes an approval back that nothing has spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeApproval {
    /// The namespace.
    pub namespace: Name,
    /// The approval.
    pub name: ApprovalName,
    /// Who takes it back.
    pub principal: Caller,
    /// Whether that is an operator, who may take anybody's back.
    pub operator: bool,
    /// For the statement.
    pub salt: Salt,
}

/// Lists a request whose approvals are missing, so that approvers find it. It decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskApproval {
    /// The namespace.
    pub namespace: Name,
    /// The canonical bytes of the request.
    pub request: Vec<u8>,
    /// Their digest. Computed again by `judge`.
    pub request_digest: Digest,
    /// Who asks.
    pub caller: Caller,
    /// The policy under which the approvals are missing. It must be in force.
    pub policy: ActivePolicy,
    /// What is missing, sorted by quorum, none twice; at most
    /// [`crate::limits::QUORUMS_MAX`].
    pub missing: Vec<MissingApproval>,
}

/// A quorum that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingApproval {
    /// The quorum.
    pub quorum: Name,
    /// The canonical bytes of what it binds, at most
    /// [`crate::limits::SUBJECT_BYTES_MAX`].
    pub subject: Vec<u8>,
    /// Their digest: what is approved.
    pub digest: Digest,
    /// How many approvals it needs.
    pub needed: u32,
}
