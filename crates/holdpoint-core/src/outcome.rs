//! What a command meant: the answer to whoever proposed it.
//!
//! Refusals are outcomes. An outcome is made by [`crate::judge()`] and is the same on every node.

use holdpoint_receipt::{ClusterTime, Digest, Fence, Name, PermitId, PolicyVersion, Reason};

use crate::command::{ApprovalName, AttemptName};
use crate::record::{
    ActivePolicy, ApprovalRecord, Denial, PermitRecord, PermitState, RefusedBound,
};
use crate::rejection::Rejection;

/// What a command meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The cluster exists now.
    Bootstrapped,
    /// Cluster time is `now`; it may have been there before.
    TimeStepped {
        /// Cluster time.
        now: ClusterTime,
    },
    /// The node is known.
    Announced,
    /// The feature level is `level`.
    FeatureLevelRaised {
        /// The level.
        level: u32,
    },
    /// The answer to [`crate::command::PutPolicy`].
    PolicyPut(PutOutcome),
    /// The answer to [`crate::command::ActivatePolicy`].
    Activated(ActivateOutcome),
    /// The answer to [`crate::command::Authorize`].
    Authorized(AuthorizeOutcome),
    /// The answer to [`crate::command::Redeem`].
    Redeemed(Box<StepOutcome>),
    /// The answer to [`crate::command::Complete`].
    Completed(Box<StepOutcome>),
    /// The answer to [`crate::command::Revoke`].
    Revoked(Box<StepOutcome>),
    /// The answer to [`crate::command::Release`].
    Released(Box<StepOutcome>),
    /// The answer to [`crate::command::Approve`].
    Approved(ApprovalOutcome),
    /// The answer to [`crate::command::RevokeApproval`].
    ApprovalRevoked(ApprovalOutcome),
    /// The answer to a command that changes a setting or a list of the namespace:
    /// [`crate::command::AskApproval`], [`crate::command::CloseSession`],
    /// [`crate::command::Freeze`], [`crate::command::LeaveQueue`],
    /// [`crate::command::CancelDrain`], [`crate::command::SetShadow`],
    /// [`crate::command::DeletePolicy`], [`crate::command::SetRetention`], [`crate::command::Dispute`]
    /// (its statement freezes the surface), [`crate::command::Erase`].
    Changed(ChangeOutcome),
    /// The answer to [`crate::command::Sweep`].
    Swept(SweepOutcome),
    /// The answer to [`crate::command::RotateKeys`], [`crate::command::RetireKeys`],
    /// [`crate::command::RevokeKeys`], [`crate::command::RequireSigners`] and
    /// [`crate::command::RecordHandover`].
    Keys(KeysOutcome),
    /// The command decodes but makes no sense here. Nothing changed.
    Rejected(Rejection),
}

/// What became of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is registered.
    Put {
        /// Its digest.
        digest: Digest,
        /// Whether it was registered before.
        replay: bool,
    },
    /// It is not.
    Refused {
        /// Why.
        reason: Reason,
    },
}

/// What became of an activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivateOutcome {
    /// The bundle is in force.
    Activated {
        /// The number of the activation.
        version: PolicyVersion,
        /// The bundle.
        digest: Digest,
        /// Its statement.
        statement: Statement,
    },
    /// It waits for live permits to end, and takes effect then.
    Draining {
        /// The bundle.
        digest: Digest,
        /// The surfaces on which nothing is granted until then.
        surfaces: Vec<Name>,
        /// The statement that it waits; none once it is no longer kept.
        statement: Option<Statement>,
        /// Whether it waited before.
        replay: bool,
    },
    /// Nothing changed.
    Refused {
        /// Why.
        reason: Reason,
        /// What is in force.
        active: Option<ActivePolicy>,
        /// The surface that stands in the way, where one does.
        surface: Option<Name>,
    },
}

/// A statement and where it stands in the namespace's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its canonical bytes, the same on every node and every retry.
    pub bytes: Vec<u8>,
    /// Its leaf.
    pub leaf: u64,
}

/// A permit as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitView {
    /// What is recorded.
    pub record: PermitRecord,
    /// Where it stands at `as_of`.
    pub state: PermitState,
    /// Whether it is in doubt at `as_of`.
    pub in_doubt: bool,
    /// Cluster time of the state that was read.
    pub as_of: ClusterTime,
}

impl PermitView {
    /// The permit at `now`.
    #[must_use]
    pub fn at(record: PermitRecord, now: ClusterTime) -> Self {
        Self {
            state: record.state_at(now),
            in_doubt: record.in_doubt_at(now),
            as_of: now,
            record,
        }
    }

    /// The fence.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.record.fence
    }

    /// From when on it is in doubt without an outcome; none before it is redeemed.
    #[must_use]
    pub fn complete_by(&self) -> Option<ClusterTime> {
        let redemption = self.record.redemption.as_ref();
        redemption.map(|redemption| redemption.complete_by)
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeOutcome {
    /// There is a decision.
    Decided(Box<Decision>),
    /// There is none yet: the attempt waits for its bounds.
    Waiting(Box<Waiting>),
    /// There is none, and this submission makes none.
    Silent {
        /// Why.
        reason: Reason,
    },
    /// Nothing changed: the attempt must be evaluated (again) on what `current` says. With a
    /// bounded number of repetitions, `reason` is the answer.
    NotCurrent {
        /// [`Reason::PolicyMoved`] or [`Reason::FactsMoved`].
        reason: Reason,
        /// What holds now.
        current: Current,
    },
}

/// An attempt that waits, and has no offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in every queue that it stands in.
    pub ticket: u64,
    /// Since when.
    pub since: ClusterTime,
    /// Until when.
    pub wait_until: ClusterTime,
    /// What could not be claimed.
    pub refused: Vec<RefusedBound>,
    /// Cluster time.
    pub now: ClusterTime,
}

/// What an evaluation must rest on to be current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Cluster time.
    pub now: ClusterTime,
    /// The policy in force.
    pub policy: ActivePolicy,
    /// The facts of the state.
    pub facts: crate::command::Facts,
}

/// A recorded decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Decided,
    /// Ids of the deciding policies, sorted.
    pub policies: Vec<String>,
    /// The policy under which it was decided.
    pub policy: ActivePolicy,
    /// Whether it was recorded before.
    pub replay: bool,
    /// Its statement.
    pub statement: Statement,
    /// The attempt's end.
    pub not_after: ClusterTime,
    /// The digest of the request.
    pub request_digest: Digest,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// A permit was granted; this is how it stands now.
    Permit(Box<PermitView>),
    /// The gate decided against.
    Deny(Denial),
}

/// What became of a later step of a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The step was taken.
    Done {
        /// The permit as it stands now.
        permit: PermitView,
        /// The statement of the step.
        statement: Statement,
        /// Whether it was taken before.
        replay: bool,
    },
    /// It was not.
    Refused {
        /// Why.
        reason: Reason,
        /// The permit as it stands now; none if it is not known, or not to this principal.
        permit: Option<PermitView>,
        /// The statement of a conflict, where one is recorded.
        conflict: Option<Statement>,
    },
}

/// What became of an approval.
#[expect(
    clippy::large_enum_variant,
    reason = "approvals are rare, and an outcome lives for one answer"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// It is as asked.
    Done {
        /// Which one.
        name: ApprovalName,
        /// How it stands now.
        approval: ApprovalRecord,
        /// The statement that says so; none once it is no longer kept.
        statement: Option<Statement>,
        /// Whether it was so before.
        replay: bool,
    },
    /// It is not.
    Refused {
        /// Why; [`Reason::PolicyMoved`] if another policy is in force than was shown.
        reason: Reason,
        /// The policy in force.
        active: Option<ActivePolicy>,
    },
}

/// What became of a change of a setting or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It is as asked.
    Done {
        /// The statement, where the change has one.
        statement: Option<Statement>,
        /// Whether it was so before.
        replay: bool,
    },
    /// Nothing changed.
    Refused {
        /// Why.
        reason: Reason,
    },
}

/// What became of a change of signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysOutcome {
    /// It is as asked.
    Done {
        /// The statement in each namespace's log that the change is stated in; none where it was so
        /// before, or where nobody signs otherwise.
        statements: Vec<(Name, Statement)>,
        /// Whether it was so before.
        replay: bool,
    },
    /// Nothing changed.
    Refused {
        /// Why; a reason of [`holdpoint_receipt::Scope::KeysRefusal`].
        reason: Reason,
    },
}

/// What one step of a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepOutcome {
    /// Rows that were looked at and are done with.
    pub rows: u64,
    /// Permits whose bounds were released.
    pub released: Vec<PermitId>,
    /// The policy that a drain has put in force.
    pub activated: Option<ActivePolicy>,
    /// Whether nothing else is due.
    pub is_done: bool,
}

/// A place at the head of its queues: what the attempt wants is kept for it for a short time.
///
/// It stands beside the outcomes of an entry, for the server that holds the attempt's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The namespace.
    pub namespace: Name,
    /// The attempt.
    pub attempt: AttemptName,
    /// Its ticket.
    pub ticket: u64,
    /// Until when.
    pub until: ClusterTime,
}
