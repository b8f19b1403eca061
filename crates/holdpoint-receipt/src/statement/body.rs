//! What each kind of statement says.

use super::{
    ApprovalStatement, BoundCommitments, DrainStatement, ErasedStatement, FrozenStatement,
    KeysStatement, Kind, Outcome, PolicyStatement, SessionStatement, StatementText,
};
use crate::digest::Digest;
use crate::names::{ClusterTime, Fence, Name, PermitId, PolicyVersion};
use crate::reason::{Decision, Reason};

/// What is stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A request was decided.
    Decision(Box<DecisionStatement>),
    /// A permit was redeemed: the commit point.
    Redeemed {
        /// The permit and who redeemed it.
        step: PermitStep,
        /// Commitment to the redemption id.
        redemption_commitment: Digest,
        /// When the permit is in doubt if no outcome is known.
        complete_by: ClusterTime,
    },
    /// A redeemed permit was completed.
    Completed {
        /// The permit and who completed it.
        step: PermitStep,
        /// How it ended.
        outcome: Outcome,
        /// SHA-256 of the evidence, if there is any.
        evidence_digest: Option<Digest>,
        /// Commitment to the reason that an operator gave, if one did.
        reason_commitment: Option<Digest>,
    },
    /// A completion contradicts the recorded outcome, which stays.
    Conflict {
        /// The permit and who contradicted.
        step: PermitStep,
        /// The outcome that was refused.
        outcome: Outcome,
        /// SHA-256 of its evidence, if there is any.
        evidence_digest: Option<Digest>,
        /// Commitment to the reason that an operator gave, if one did.
        reason_commitment: Option<Digest>,
    },
    /// A permit was revoked.
    Revoked(PermitStep),
    /// A permit was superseded.
    Superseded(PermitStep),
    /// A permit in doubt was released.
    Released {
        /// The permit and who released it; nobody where its surface did.
        step: PermitStep,
        /// Commitment to the reason that an operator gave, if one did.
        reason_commitment: Option<Digest>,
    },
    /// A policy version came into force.
    Policy(PolicyStatement),
    /// A key set came into force.
    Keys(KeysStatement),
    /// A principal approved what a quorum binds.
    Approved(ApprovalStatement),
    /// An approval was taken back.
    ApprovalRevoked(ApprovalStatement),
    /// A session was closed.
    SessionClosed(SessionStatement),
    /// Grants were stopped, or go on.
    Frozen(FrozenStatement),
    /// A change of policy began to drain permits, or was given up.
    Drain(DrainStatement),
    /// What a request said was erased.
    Erased(ErasedStatement),
}

/// A PERMIT or a DENY, and everything it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionStatement {
    /// What was decided.
    pub verdict: Verdict,
    /// The kind of effect.
    pub surface: Name,
    /// What is to be done.
    pub action: Name,
    /// The request that the decision is about.
    pub request_digest: Digest,
    /// Commitment to the caller.
    pub caller_commitment: Digest,
    /// Commitment to the actor, if one was named.
    pub actor_commitment: Option<Digest>,
    /// Commitment to the session, if the request belongs to one.
    pub session_commitment: Option<Digest>,
    /// Commitment to the idempotency key.
    pub idempotency_key_commitment: Digest,
    /// When the attempt ended.
    pub not_after: ClusterTime,
    /// The policy version that decided.
    pub policy_version: PolicyVersion,
    /// Its bundle.
    pub policy_digest: Digest,
    /// The evaluator and its version.
    pub evaluator: StatementText,
    /// Digest of every fact that the verdict rests on, with its version.
    pub inputs_digest: Digest,
    /// What [`approvals_digest`](super::approvals_digest) makes of the approvals that the permit
    /// used, if it used any.
    pub approvals_digest: Option<Digest>,
    /// Commitments to the keys of the claimed bounds.
    pub bounds: BoundCommitments,
    /// The codes of the deciding policies, sorted, with a comma between.
    pub policy_codes: Option<StatementText>,
    /// The ids of the deciding policies, sorted, with a comma between.
    pub policy_ids: Option<StatementText>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// PERMIT, with the reason `GRANTED`.
    Permit(Grant),
    /// DENY.
    Deny {
        /// Why; a reason of [`crate::Scope::Deny`].
        reason: Reason,
        /// When a new attempt can first succeed, where that is known.
        retry_at: Option<ClusterTime>,
    },
}

impl Verdict {
    /// What is granted; none for a DENY.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Permit(grant) => Some(grant),
            Self::Deny { .. } => None,
        }
    }

    /// The decision.
    #[must_use]
    pub const fn decision(&self) -> Decision {
        match self {
            Self::Permit(_) => Decision::Permit,
            Self::Deny { .. } => Decision::Deny,
        }
    }

    /// The reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Permit(_) => Reason::Granted,
            Self::Deny { reason, .. } => *reason,
        }
    }
}

/// What a permit grants, from the statement's `issued_at` until `expires_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The permit.
    pub permit_id: PermitId,
    /// Its fence.
    pub fence: Fence,
    /// The first moment at which it is no longer live, unless redeemed.
    pub expires_at: ClusterTime,
}

/// A later step of a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitStep {
    /// The permit.
    pub permit_id: PermitId,
    /// Its fence.
    pub fence: Fence,
    /// The kind of effect.
    pub surface: Name,
    /// What is to be done.
    pub action: Name,
    /// The request that it was granted for.
    pub request_digest: Digest,
    /// Commitment to the principal that took the step; none if the gate took it itself.
    pub caller_commitment: Option<Digest>,
    /// The policy version in force at the step.
    pub policy_version: PolicyVersion,
    /// Receipt hash of the previous statement of this permit.
    pub previous: Digest,
}

impl Body {
    /// What the statement is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Decision(_) => Kind::Decision,
            Self::Redeemed { .. } => Kind::Redeemed,
            Self::Completed { .. } => Kind::Completed,
            Self::Conflict { .. } => Kind::Conflict,
            Self::Revoked(_) => Kind::Revoked,
            Self::Superseded(_) => Kind::Superseded,
            Self::Released { .. } => Kind::Released,
            Self::Policy(_) => Kind::Policy,
            Self::Keys(_) => Kind::Keys,
            Self::Approved(_) => Kind::Approved,
            Self::ApprovalRevoked(_) => Kind::ApprovalRevoked,
            Self::SessionClosed(_) => Kind::SessionClosed,
            Self::Frozen(_) => Kind::Frozen,
            Self::Drain(_) => Kind::Drain,
            Self::Erased(_) => Kind::Erased,
        }
    }

    /// The decision, if it is one.
    #[must_use]
    pub const fn decision(&self) -> Option<&DecisionStatement> {
        if let Self::Decision(decision) = self {
            Some(decision)
        } else {
            None
        }
    }

    /// What every later step of a permit says, if it is one.
    #[must_use]
    pub const fn step(&self) -> Option<&PermitStep> {
        match self {
            Self::Redeemed { step, .. }
            | Self::Completed { step, .. }
            | Self::Conflict { step, .. }
            | Self::Released { step, .. }
            | Self::Revoked(step)
            | Self::Superseded(step) => Some(step),
            Self::Decision(_)
            | Self::Policy(_)
            | Self::Keys(_)
            | Self::Approved(_)
            | Self::ApprovalRevoked(_)
            | Self::SessionClosed(_)
            | Self::Frozen(_)
            | Self::Drain(_)
            | Self::Erased(_) => None,
        }
    }

    /// The permit, if the statement is about one.
    #[must_use]
    pub fn permit_id(&self) -> Option<PermitId> {
        match self {
            Self::Decision(decision) => match &decision.verdict {
                Verdict::Permit(grant) => Some(grant.permit_id),
                Verdict::Deny { .. } => None,
            },
            Self::Redeemed { step, .. }
            | Self::Completed { step, .. }
            | Self::Conflict { step, .. }
            | Self::Released { step, .. }
            | Self::Revoked(step)
            | Self::Superseded(step) => Some(step.permit_id),
            Self::Erased(erased) => erased.permit_id,
            Self::Policy(_)
            | Self::Keys(_)
            | Self::Approved(_)
            | Self::ApprovalRevoked(_)
            | Self::SessionClosed(_)
            | Self::Frozen(_)
            | Self::Drain(_) => None,
        }
    }
}
