//! A permit: where it stands in its life, and what it holds.

use holdpoint_receipt::{
    Actor, Caller, ClusterTime, Digest, Fence, IdempotencyKey, Name, PermitId, RedemptionId,
    SessionId, StepId,
};

use super::ActivePolicy;
use crate::command::{ApprovalName, BoundClaim, CompletionResult};
use crate::outline::BoundKind;

/// Where a permit stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PermitState {
    /// Granted, not yet redeemed.
    Issued,
    /// Redeemed: the executor may act, once.
    Redeemed,
    /// The effect happened.
    Committed,
    /// The effect did not happen.
    Aborted,
    /// Its time passed before it was redeemed.
    Expired,
    /// Taken back before it was redeemed.
    Revoked,
    /// Its attempt was decided again under a later policy version.
    Superseded,
    /// It was in doubt, and its bounds were given up.
    Released,
}

impl PermitState {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        Self::Issued,
        Self::Redeemed,
        Self::Committed,
        Self::Aborted,
        Self::Expired,
        Self::Revoked,
        Self::Superseded,
        Self::Released,
    ];

    /// Whether a permit in this state holds its bounds.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Issued | Self::Redeemed => true,
            Self::Committed
            | Self::Aborted
            | Self::Expired
            | Self::Revoked
            | Self::Superseded
            | Self::Released => false,
        }
    }

    /// The state in `UPPER_SNAKE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "ISSUED",
            Self::Redeemed => "REDEEMED",
            Self::Committed => "COMMITTED",
            Self::Aborted => "ABORTED",
            Self::Expired => "EXPIRED",
            Self::Revoked => "REVOKED",
            Self::Superseded => "SUPERSEDED",
            Self::Released => "RELEASED",
        }
    }
}

/// A permit ([`crate::key::Kind::Permit`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitRecord {
    /// Its identifier.
    pub id: PermitId,
    /// Its fence.
    pub fence: Fence,
    /// Who asked.
    pub caller: Caller,
    /// The attempt.
    pub idempotency_key: IdempotencyKey,
    /// On whose behalf.
    pub actor: Option<Actor>,
    /// The surface.
    pub surface: Name,
    /// The action.
    pub action: Name,
    /// The session.
    pub session: Option<SessionId>,
    /// The place in the session.
    pub step: Option<StepId>,
    /// Permits that must be committed.
    pub prerequisites: Vec<PermitId>,
    /// The digest of the request that it permits.
    pub request_digest: Digest,
    /// The policy that permits it.
    pub policy: ActivePolicy,
    /// The evaluator that said so.
    pub evaluator_version: u32,
    /// When it was granted.
    pub issued_at: ClusterTime,
    /// The first instant at which it can no longer be redeemed.
    pub expires_at: ClusterTime,
    /// The bounded operations that it claimed.
    pub claims: Vec<BoundClaim>,
    /// Which of them it holds.
    // INVARIANT: all while it is live.
    pub held: Held,
    /// On a surface whose executors need not redeem: until when its bounds stay held, whatever ends
    /// it but an outcome. None on all others.
    pub held_until: Option<ClusterTime>,
    /// The approvals that it has spent, sorted.
    pub approvals: Vec<ApprovalName>,
    /// Where it stands, as far as the log says: see [`PermitRecord::state_at`].
    pub state: PermitState,
    /// How it was redeemed.
    // INVARIANT: set in the states redeemed and released, and in committed and aborted unless the
    // permit was used offline; in no other.
    pub redemption: Option<Redemption>,
    /// How it ended.
    // INVARIANT: set in the states committed and aborted, and where an outcome came too late to
    // change a state: released, and ended otherwise but usable offline.
    pub completion: Option<Completion>,
    /// How it was released.
    // INVARIANT: set in the state released and in no other.
    pub release: Option<ReleaseRecord>,
    /// How often an outcome contradicted the recorded one, or came where none could count.
    pub conflicts: u32,
    /// Those of them that are stated, oldest first; at most
    /// [`crate::limits::CONFLICTS_STATED_MAX`], no two alike.
    pub contradictions: Vec<Contradiction>,
    /// From when on retention counts: it holds nothing more, and nobody waits for its outcome.
    // INVARIANT: never set while it is live, holds a bound or is in doubt.
    pub ended_at: Option<ClusterTime>,
    /// Its statements, oldest first: the decision, then each later step.
    pub statements: Vec<StatementRef>,
    /// The receipt hash of the newest of them, which the next one names.
    pub receipt: Digest,
}

impl PermitRecord {
    /// Where it stands at `now`: an issued permit is expired from `expires_at` on, whether or not
    /// an entry has let it go yet.
    #[must_use]
    pub fn state_at(&self, now: ClusterTime) -> PermitState {
        if self.state == PermitState::Issued && now >= self.expires_at {
            PermitState::Expired
        } else {
            self.state
        }
    }

    /// Whether nobody knows if its effect happened: redeemed and past its time without an outcome, or
    /// expired where executors need not redeem.
    #[must_use]
    pub fn in_doubt_at(&self, now: ClusterTime) -> bool {
        let due = self
            .redemption
            .as_ref()
            .map(|redemption| redemption.complete_by);
        match self.state_at(now) {
            PermitState::Redeemed => due.is_some_and(|due| now >= due),
            // Somebody may have acted on it who never redeemed.
            PermitState::Expired => self.held_until.is_some() && self.completion.is_none(),
            PermitState::Issued
            | PermitState::Committed
            | PermitState::Aborted
            | PermitState::Revoked
            | PermitState::Superseded
            | PermitState::Released => false,
        }
    }

    /// Whether an executor may act, or have acted, on it without redeeming it.
    #[must_use]
    pub const fn is_offline(&self) -> bool {
        self.held_until.is_some()
    }

    /// Whether the approvals that it has spent come back when it is superseded. Not where somebody may
    /// have acted on it without redeeming it: one yes would stand for two effects.
    #[must_use]
    pub const fn gives_approvals_back(&self) -> bool {
        !self.is_offline()
    }

    /// Which of its claims it holds at `now`, whether or not an entry has let the others go yet.
    #[must_use]
    pub fn held_at(&self, now: ClusterTime) -> Held {
        let has_passed = |at: Option<ClusterTime>| at.is_none_or(|at| now >= at);
        match (self.held, self.state) {
            (Held::Nothing, _) => Held::Nothing,
            (held, PermitState::Redeemed) => held,
            (held, PermitState::Issued | PermitState::Expired) => {
                if now < self.expires_at || !has_passed(self.held_until) {
                    held
                } else if self.is_offline() && self.has_consumables() {
                    Held::Consumable
                } else {
                    Held::Nothing
                }
            }
            (held, PermitState::Revoked | PermitState::Superseded) => {
                if has_passed(self.held_until) {
                    Held::Nothing
                } else {
                    held
                }
            }
            (_, PermitState::Committed | PermitState::Aborted | PermitState::Released) => {
                Held::Nothing
            }
        }
    }

    /// Whether it claims what an effect consumes.
    #[must_use]
    pub fn has_consumables(&self) -> bool {
        self.claims.iter().any(|claim| claim.kind.is_consumed())
    }

    /// When it lets a claim of `kind` go if nothing but time passes; none if only an outcome or a
    /// release makes it.
    #[must_use]
    pub fn lets_go_at(&self, kind: BoundKind) -> Option<ClusterTime> {
        match (self.state, self.held_until) {
            (PermitState::Issued, None) => Some(self.expires_at),
            // Nobody will ever know what an executor did that only verified it.
            (PermitState::Issued | PermitState::Expired, Some(_)) if kind.is_consumed() => None,
            (
                PermitState::Issued
                | PermitState::Expired
                | PermitState::Revoked
                | PermitState::Superseded,
                until,
            ) => until,
            (
                PermitState::Redeemed
                | PermitState::Committed
                | PermitState::Aborted
                | PermitState::Released,
                _,
            ) => None,
        }
    }

    /// The leaf of its statement of `step`.
    #[must_use]
    pub fn leaf_of(&self, step: PermitStep) -> Option<u64> {
        let found = self
            .statements
            .iter()
            .find(|statement| statement.step == step);
        found.map(|statement| statement.leaf)
    }
}

/// A statement about a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRef {
    /// What it says.
    pub step: PermitStep,
    /// Where it stands in the namespace's log.
    pub leaf: u64,
}

/// What a statement says about a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PermitStep {
    /// It was granted.
    Decision,
    /// It was redeemed.
    Redeemed,
    /// It was completed.
    Completed,
    /// It was completed again, otherwise.
    Conflict,
    /// It was taken back.
    Revoked,
    /// It was replaced under a later policy version.
    Superseded,
    /// Its bounds were given up.
    Released,
    /// What it was asked for was erased.
    Erased,
}

/// Which of its claims a permit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// All of them.
    All,
    /// What an effect consumes, `once` and budgets: it may have happened.
    Consumable,
    /// None; a committed effect has left its tombstones and charges.
    Nothing,
}

impl Held {
    /// Whether a claim of `kind` is held.
    #[must_use]
    pub const fn holds(self, kind: BoundKind) -> bool {
        match self {
            Self::All => true,
            Self::Consumable => kind.is_consumed(),
            Self::Nothing => false,
        }
    }
}

/// How a permit was redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// The executor process.
    pub id: RedemptionId,
    /// Its principal.
    pub principal: Caller,
    /// When.
    pub redeemed_at: ClusterTime,
    /// From when on it is in doubt without an outcome.
    pub complete_by: ClusterTime,
    /// From when on a sweep releases its bounds if it is still in doubt; none never does.
    pub release_at: Option<ClusterTime>,
}

/// How a permit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What was said.
    pub result: CompletionResult,
    /// Who said so.
    pub principal: Caller,
    /// Whether that was an operator.
    pub operator: bool,
    /// Why an operator said so.
    pub reason: Option<String>,
    /// When.
    pub completed_at: ClusterTime,
}

/// How the bounds of a permit in doubt were given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// The operator who said so; none if its surface did.
    pub principal: Option<Caller>,
    /// Why the operator said so.
    pub reason: Option<String>,
    /// When.
    pub released_at: ClusterTime,
}

/// An outcome that contradicts what is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What was said.
    pub result: CompletionResult,
    /// Who said so.
    pub principal: Caller,
    /// Where its statement stands.
    pub leaf: u64,
}
