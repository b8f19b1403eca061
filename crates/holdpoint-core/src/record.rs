//! The state's records: what the rows hold.
//!
//! Records are written by [`crate::judge()`] only. They are read with [`crate::query`], and
//! [`crate::check()`] says what must hold between them.

mod context;
mod keys;
mod permit;

pub use context::{
    ApprovalRecord, ApprovalState, OfferRecord, PendingRecord, QueueRecord, SessionClosed,
    SessionRecord, WaiterRecord,
};
pub use keys::{DisputeRecord, EpochRecord, KeyRevocationRecord, SignerRecord};
pub use permit::{
    Completion, Contradiction, Held, PermitRecord, PermitState, PermitStep, Redemption,
    ReleaseRecord, StatementRef,
};

use holdpoint_receipt::statement::Body;
use holdpoint_receipt::{
    Caller, ClusterId, ClusterTime, Digest, Fence, Name, NodeId, PermitId, PolicyVersion, Reason,
    Salt, Statement,
};

use crate::command::{ActivationMode, BoundClaim, Retention};

/// The group ([`crate::key::Kind::Group`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// The identity of this cluster history.
    pub cluster: ClusterId,
    /// The epoch of its fences.
    pub epoch: u64,
    /// The voters, sorted.
    pub voters: Vec<NodeId>,
    /// The feature level that command kinds are held to.
    pub feature_level: u32,
    /// Nodes that have announced themselves.
    pub nodes: u64,
    /// How many nodes must sign a head; none for a majority of the voters.
    pub signers_required: Option<u32>,
    /// Whether this is a development cluster.
    pub is_dev: bool,
}

/// Cluster time ([`crate::key::Kind::Clock`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// The time, which never goes back.
    pub now: ClusterTime,
    /// The term of the entry that said so, which is the last one.
    pub term: u64,
}

/// A node ([`crate::key::Kind::Node`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// The random identity of its data directory.
    pub incarnation: [u8; 16],
    /// The public key that signs its heads as a log, now.
    pub log_key: [u8; 32],
    /// The public key that co-signs heads, now.
    pub cosign_key: [u8; 32],
    /// The highest feature level that it can apply.
    pub feature_level_max: u32,
    /// The version of its policy evaluator.
    pub evaluator_version: u32,
    /// When it first announced itself.
    pub announced_at: ClusterTime,
    /// Whether it signs no more.
    pub retired: bool,
}

/// The counters of a namespace ([`crate::key::Kind::Namespace`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// The last fence given out.
    pub fence: Fence,
    /// The policy in force.
    pub active: Option<ActivePolicy>,
    /// Whether an operator has frozen it.
    pub frozen: bool,
    /// Surfaces that an operator has frozen, sorted.
    pub frozen_surfaces: Vec<Name>,
    /// Bundles that are registered.
    pub bundles: u64,
    /// The activation that waits for live permits to end.
    pub drain: Option<Drain>,
    /// Bundles that are evaluated beside the active one, sorted.
    pub shadows: Vec<Digest>,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// The last ticket given out.
    pub ticket: u64,
    /// Attempts that wait for bounds.
    pub waiters: u64,
    /// Requests that are listed for approval.
    pub pending: u64,
    /// Bytes of those requests and of what is to be approved for them.
    pub pending_bytes: u64,
    /// Outcomes that contradicted a recorded one, or came after a release.
    pub conflicts: u64,
    /// How far retention has come.
    pub swept: Swept,
    /// Epochs of its log, at most [`crate::limits::EPOCHS_MAX`].
    pub epochs: u64,
    /// The first tree size of the newest epoch; none before there is one.
    pub newest_epoch: Option<u64>,
    /// Decisions that nodes have disputed.
    pub disputes: u64,
}

/// An activation that waits for live permits to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The bundle to put in force.
    pub digest: Digest,
    /// The version that must be active then.
    pub expected: PolicyVersion,
    /// The version of the evaluator that loaded the bundle.
    pub evaluator_version: u32,
    /// Whether permits that are not redeemed are revoked.
    pub mode: ActivationMode,
    /// The surfaces on which nothing is granted, sorted.
    pub surfaces: Vec<Name>,
    /// Who activates it.
    pub principal: Caller,
    /// Since when.
    pub since: ClusterTime,
    /// Where its statement stands.
    pub leaf: u64,
    /// How far the pass over the permits on its surfaces has come.
    pub mark: Option<DrainMark>,
}

/// The last permit that a drain has met: surfaces in their order, and on each the permits in the
/// order of their fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainMark {
    /// The surface.
    pub surface: Name,
    /// The permit's fence.
    pub fence: Fence,
}

/// How far retention has come. What lies before is gone, but for what was still needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The last permit that was looked at.
    pub fence: Fence,
    /// The first leaf whose disclosure is still kept.
    pub disclosures: u64,
    /// The first leaf whose statement is still kept.
    pub statements: u64,
}

/// The policy in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivePolicy {
    /// The number of its activation.
    pub version: PolicyVersion,
    /// The digest of the bundle.
    pub digest: Digest,
}

/// A policy bundle ([`crate::key::Kind::Bundle`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleRecord {
    /// The bundle, in the encoding of the policy crate.
    pub bundle: Vec<u8>,
    /// When it was registered.
    pub put_at: ClusterTime,
    /// Who registered it.
    pub put_by: Caller,
}

/// An activation ([`crate::key::Kind::Activation`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRecord {
    /// The bundle.
    pub digest: Digest,
    /// When it was put in force.
    pub activated_at: ClusterTime,
    /// Who put it in force.
    pub activated_by: Caller,
    /// The evaluator that loaded it.
    pub evaluator_version: u32,
    /// Where its statement stands: the first of its decisions follows.
    pub leaf: u64,
    /// The last fence given out before it.
    pub fence: Fence,
}

/// What the log of statements says of a bundle ([`crate::key::Kind::BundleUse`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleUseRecord {
    /// From this leaf on, no statement names it; one before may. An activation is in force, and so
    /// may be named, until the next begins.
    pub named_before: u64,
}

/// An attempt ([`crate::key::Kind::Attempt`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The digest of the request.
    pub request_digest: Digest,
    /// The attempt's end.
    pub not_after: ClusterTime,
    /// What was decided.
    pub decided: Decided,
    /// Ids of the deciding policies, sorted.
    pub policies: Vec<String>,
    /// The policy in force when it was decided.
    pub policy: ActivePolicy,
    /// When it was decided.
    pub decided_at: ClusterTime,
    /// Where the statement of the decision stands.
    pub leaf: u64,
}

/// A recorded decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// A permit was granted.
    Permit(PermitId),
    /// The gate decided against.
    Deny(Denial),
}

/// Why the gate decided against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub reason: Reason,
    /// Codes of the deciding policies, sorted.
    pub codes: Vec<String>,
    /// The bounds that were refused, in the order of their names; empty if policy decided.
    pub refused: Vec<RefusedBound>,
    /// When a new attempt can first succeed, where that is known.
    pub retry_at: Option<ClusterTime>,
}

/// A bound that could not be claimed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBound {
    /// The claim.
    pub claim: BoundClaim,
    /// [`Reason::BoundHeld`], [`Reason::BoundExhausted`] or [`Reason::AlreadyCommitted`].
    pub reason: Reason,
    /// The fence of the permit in the way, where there is one: a capacity or a budget is used up by
    /// many, and an older ticket stands before everybody.
    pub fence: Option<Fence>,
    /// When the claim can first succeed, where that is known. A redeemed permit holds until it is
    /// completed.
    pub until: Option<ClusterTime>,
}

/// A committed effect ([`crate::key::Kind::Tombstone`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TombstoneRecord {
    /// The permit whose effect it is.
    pub permit: PermitId,
    /// Its fence.
    pub fence: Fence,
    /// When it was committed.
    pub committed_at: ClusterTime,
    /// From when on it no longer counts; none for ever.
    pub kept_until: Option<ClusterTime>,
}

impl TombstoneRecord {
    /// Whether the effect still counts.
    #[must_use]
    pub fn counts_at(&self, now: ClusterTime) -> bool {
        self.kept_until.is_none_or(|until| now < until)
    }
}

/// How much of a capacity or of one window of a budget is used ([`crate::key::Kind::Usage`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageRecord {
    /// The amounts of the permits that hold it.
    pub live: u64,
    /// The amounts of committed permits; always zero for a capacity.
    pub committed: u64,
}

/// What the tombstones of one `once` bound rest on ([`crate::key::Kind::Once`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceRecord {
    /// The template that their keys were rendered by. It cannot change while there are any.
    pub template: String,
    /// How many there are.
    pub tombstones: u64,
}

/// The namespace's log of statements ([`crate::key::Kind::Tree`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeRecord {
    /// Leaves.
    pub size: u64,
    /// The roots of its complete subtrees, the largest first.
    pub frontier: Vec<Digest>,
}

/// A statement ([`crate::key::Kind::Leaf`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRecord {
    /// Its canonical bytes.
    pub statement: Vec<u8>,
    /// When it was made.
    pub issued_at: ClusterTime,
    /// The permit that it is about.
    pub permit: Option<PermitId>,
    /// Until when an approval may rest on it, if it is one.
    pub counts_until: Option<ClusterTime>,
}

impl LeafRecord {
    /// The row of `statement`, whose canonical bytes are `bytes`. What retention asks for each statement
    /// stands beside it, so that none is parsed to be taken away.
    pub(crate) fn of(statement: &Statement, bytes: Vec<u8>) -> Self {
        let counts_until = if let Body::Approved(approved) = &statement.body {
            Some(approved.expires_at.unwrap_or(ClusterTime::MAX))
        } else {
            None
        };
        Self {
            statement: bytes,
            issued_at: statement.issued_at,
            permit: statement.body.permit_id(),
            counts_until,
        }
    }
}

/// What a statement only commits to ([`crate::key::Kind::Disclosure`]).
///
/// Kept apart from the statement, so that it can be erased while the proof stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureRecord {
    /// The salt of the commitments.
    pub salt: Salt,
    /// The canonical request and the facts of its evaluation; none for the later steps of a permit.
    pub request: Option<Vec<u8>>,
    /// The encoded evaluation.
    pub evaluation: Option<Vec<u8>>,
    /// The leaf of the statement that it was erased; then there is nothing else, and the salt is zero.
    pub erased: Option<u64>,
}

impl DisclosureRecord {
    /// What a statement discloses besides its salt: nothing.
    #[must_use]
    pub const fn of_salt(salt: Salt) -> Self {
        Self {
            salt,
            request: None,
            evaluation: None,
            erased: None,
        }
    }

    /// What is left where the statement at `leaf` says that it was erased.
    #[must_use]
    pub const fn erased_by(leaf: u64) -> Self {
        Self {
            salt: Salt::from_bytes([0; 32]),
            request: None,
            evaluation: None,
            erased: Some(leaf),
        }
    }
}
