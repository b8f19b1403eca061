//! What can be asked of the state machine, before it is in the log.
//!
//! A command carries everything that its meaning rests on: times, salts and facts come with it,
//! because [`crate::judge()`] has no clock, no randomness and no policy engine.

mod approvals;
mod keys;
mod past;
mod settings;

pub use approvals::{
    ApprovalFact, ApprovalName, Approve, AskApproval, MissingApproval, RevokeApproval,
};
pub use keys::{RecordHandover, RequireSigners, RetireKeys, RevokeKeys, RotateKeys};
pub use past::{DecisionName, Dispute, Erase};
pub use settings::{
    AttemptName, CancelDrain, CloseSession, DeletePolicy, Freeze, LeaveQueue, Retention,
    SetRetention, SetShadow, Sweep, Ticket,
};

use holdpoint_receipt::{
    Actor, BoundKey, Caller, ClusterId, ClusterTime, Digest, Fence, IdempotencyKey, Name, NodeId,
    PermitId, PolicyVersion, Reason, RedemptionId, Salt, SessionId, StepId,
};

use crate::outline::{BoundKind, PolicyOutline};
use crate::record::PermitState;

/// Everything that can stand in the log. New meaning is a new variant, never a changed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Starts the cluster.
    Bootstrap(Bootstrap),
    /// Moves cluster time by a step that one entry may not make.
    StepTime(StepTime),
    /// Says what a node is and can do.
    AnnounceNode(AnnounceNode),
    /// Lets newer command kinds in.
    RaiseFeatureLevel(RaiseFeatureLevel),
    /// Registers a policy bundle.
    PutPolicy(PutPolicy),
    /// Puts a registered bundle in force.
    ActivatePolicy(ActivatePolicy),
    /// Asks for a decision.
    Authorize(Box<Authorize>),
    /// Turns an issued permit into a redeemed one.
    Redeem(Redeem),
    /// Says how a redeemed permit ended.
    Complete(Complete),
    /// Takes an issued permit back.
    Revoke(Revoke),
    /// Gives up the bounds of a permit in doubt.
    Release(Release),
    /// Approves what a quorum binds.
    Approve(Approve),
    /// Takes an approval back that nothing has spent.
    RevokeApproval(RevokeApproval),
    /// Lists a request whose approvals are missing.
    AskApproval(Box<AskApproval>),
    /// Refuses what is still to come in a session.
    CloseSession(CloseSession),
    /// Stops grants of a namespace or a surface, or lets them go on.
    Freeze(Freeze),
    /// Takes attempts out of the queues of their bounds.
    LeaveQueue(LeaveQueue),
    /// Gives up a pending activation.
    CancelDrain(CancelDrain),
    /// Says which bundles are evaluated beside the active one.
    SetShadow(SetShadow),
    /// Takes a bundle away that nothing names.
    DeletePolicy(DeletePolicy),
    /// Says how long what has ended is kept.
    SetRetention(SetRetention),
    /// One bounded step of everything that only time brings about.
    Sweep(Sweep),
    /// Gives a node fresh keys to sign with.
    RotateKeys(RotateKeys),
    /// Takes a voter out of those that sign.
    RetireKeys(RetireKeys),
    /// Marks keys as compromised.
    RevokeKeys(RevokeKeys),
    /// Says how many nodes must sign a head.
    RequireSigners(RequireSigners),
    /// Keeps the head that hands a log over to other signers.
    RecordHandover(RecordHandover),
    /// Says that a node evaluates a decision otherwise.
    Dispute(Dispute),
    /// Erases what was stored of a request beyond its statements.
    Erase(Erase),
}

impl Command {
    /// The feature level from which nodes can apply this kind of command.
    #[must_use]
    pub const fn feature_level(&self) -> u32 {
        match self {
            Self::Bootstrap(_)
            | Self::StepTime(_)
            | Self::AnnounceNode(_)
            | Self::RaiseFeatureLevel(_)
            | Self::PutPolicy(_)
            | Self::ActivatePolicy(_)
            | Self::Authorize(_)
            | Self::Redeem(_)
            | Self::Complete(_)
            | Self::Revoke(_)
            | Self::LeaveQueue(_)
            | Self::Approve(_)
            | Self::RevokeApproval(_)
            | Self::AskApproval(_)
            | Self::CloseSession(_)
            | Self::Freeze(_)
            | Self::CancelDrain(_)
            | Self::SetShadow(_)
            | Self::DeletePolicy(_)
            | Self::Release(_)
            | Self::SetRetention(_)
            | Self::Sweep(_)
            | Self::RotateKeys(_)
            | Self::RetireKeys(_)
            | Self::RevokeKeys(_)
            | Self::RequireSigners(_)
            | Self::RecordHandover(_)
            | Self::Dispute(_)
            | Self::Erase(_) => 1,
        }
    }

    /// The namespace that the command is about; none if it is about the group.
    #[must_use]
    pub const fn namespace(&self) -> Option<&Name> {
        match self {
            Self::PutPolicy(command) => Some(&command.namespace),
            Self::ActivatePolicy(command) => Some(&command.namespace),
            Self::Authorize(command) => Some(&command.namespace),
            Self::Redeem(command) => Some(&command.namespace),
            Self::Complete(command) => Some(&command.namespace),
            Self::Revoke(command) => Some(&command.namespace),
            Self::Release(command) => Some(&command.namespace),
            Self::Approve(command) => Some(&command.namespace),
            Self::RevokeApproval(command) => Some(&command.namespace),
            Self::AskApproval(command) => Some(&command.namespace),
            Self::CloseSession(command) => Some(&command.namespace),
            Self::Freeze(command) => Some(&command.namespace),
            Self::LeaveQueue(command) => Some(&command.namespace),
            Self::CancelDrain(command) => Some(&command.namespace),
            Self::SetShadow(command) => Some(&command.namespace),
            Self::DeletePolicy(command) => Some(&command.namespace),
            Self::SetRetention(command) => Some(&command.namespace),
            Self::Sweep(command) => Some(&command.namespace),
            Self::RecordHandover(command) => Some(&command.namespace),
            Self::Dispute(command) => Some(&command.namespace),
            Self::Erase(command) => Some(&command.namespace),
            Self::Bootstrap(_)
            | Self::StepTime(_)
            | Self::AnnounceNode(_)
            | Self::RaiseFeatureLevel(_)
            | Self::RotateKeys(_)
            | Self::RetireKeys(_)
            | Self::RevokeKeys(_)
            | Self::RequireSigners(_) => None,
        }
    }
}

/// The namespace that exists from the start.
pub const NAMESPACE_FIRST: &str = "default";

/// The first command of a cluster: creates the group and the namespace `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The identity of this cluster history.
    pub cluster: ClusterId,
    /// The epoch of its fences; 0 unless it was restored from another history.
    pub epoch: u64,
    /// The voters, at most [`crate::limits::VOTERS_MAX`].
    pub voters: Vec<NodeId>,
    /// Whether this is a development cluster, which every statement then says.
    pub is_dev: bool,
}

/// The wall clocks of a majority of voters.
///
/// Their lower median becomes cluster time if it is ahead of it: one wrong clock moves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// Voters and their wall clocks, no voter twice.
    pub clocks: Vec<(NodeId, ClusterTime)>,
}

/// What a node says of itself when it starts. A voter that does so for the first time joins those that
/// sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceNode {
    /// The node.
    pub node: NodeId,
    /// The random identity of its data directory.
    pub incarnation: [u8; 16],
    /// The public key that signs its heads as a log.
    pub log_key: [u8; 32],
    /// The public key that co-signs heads.
    pub cosign_key: [u8; 32],
    /// The highest feature level that it can apply.
    pub feature_level_max: u32,
    /// The version of its policy evaluator.
    pub evaluator_version: u32,
}

/// Raises the feature level. Refused until every voter has announced that it can apply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaiseFeatureLevel {
    /// The level to raise to.
    pub to: u32,
}

/// Registers a bundle. Repeating it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutPolicy {
    /// The namespace.
    pub namespace: Name,
    /// The digest of the bundle, computed by whoever loaded it.
    pub digest: Digest,
    /// The bundle, in the encoding of the policy crate.
    pub bundle: Vec<u8>,
    /// What `judge` must know of it.
    pub outline: PolicyOutline,
    /// Who puts it.
    pub principal: Caller,
}

/// Puts a registered bundle in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivatePolicy {
    /// The namespace.
    pub namespace: Name,
    /// The bundle.
    pub digest: Digest,
    /// The version that must be active for this to take effect; 0 for none.
    pub expected: PolicyVersion,
    /// The version of the evaluator that loaded the bundle.
    pub evaluator_version: u32,
    /// What becomes of live permits that stand in the way.
    pub mode: ActivationMode,
    /// Who activates it.
    pub principal: Caller,
    /// For the statement.
    pub salt: Salt,
}

/// What an activation does when live permits hold bounds that it changes or removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationMode {
    /// It is refused.
    #[default]
    Refuse,
    /// Nothing is granted on those surfaces until none is left; then it takes effect.
    Drain,
    /// As [`ActivationMode::Drain`], and permits that are not redeemed are revoked.
    Revoke,
}

/// Asks for a decision on one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize {
    /// The namespace.
    pub namespace: Name,
    /// The authenticated principal that asks.
    pub caller: Caller,
    /// Names the attempt.
    pub idempotency_key: IdempotencyKey,
    /// From here on nothing is decided any more. A retry repeats it.
    pub not_after: ClusterTime,
    /// Until when it waits for bounds that are held; at most `not_after`. None does not wait. An
    /// attempt that waits already keeps the end with which it began to.
    pub wait_until: Option<ClusterTime>,
    /// The canonical bytes of the request.
    pub request: Vec<u8>,
    /// Their digest. Computed again by `judge`.
    pub request_digest: Digest,
    /// The surface that the request names.
    pub surface: Name,
    /// The action that it names.
    pub action: Name,
    /// On whose behalf.
    pub actor: Option<Actor>,
    /// The session that it belongs to.
    pub session: Option<SessionId>,
    /// Its place in the session.
    pub step: Option<StepId>,
    /// Permits that must be committed.
    pub prerequisites: Vec<PermitId>,
    /// The verdict and what it rests on. Without one the command only looks for a recorded
    /// decision, which a retry finds even if the request can no longer be evaluated.
    pub evaluation: Option<Evaluation>,
    /// For the statement.
    pub salt: Salt,
}

/// A verdict with every fact that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The activation under which the request was evaluated.
    pub policy_version: PolicyVersion,
    /// The digest of that bundle.
    pub policy_digest: Digest,
    /// The version of the evaluator.
    pub evaluator_version: u32,
    /// `now` for the policy, in cluster time.
    pub evaluated_at: ClusterTime,
    /// The facts of the state.
    pub facts: Facts,
    /// What policy said.
    pub verdict: Verdict,
    /// One claim for every bound of the surface, sorted by name. A denial may leave all of them out.
    pub claims: Vec<BoundClaim>,
}

/// The facts of the state that a verdict rests on. `judge` compares each with the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the namespace or the surface is frozen.
    pub frozen: bool,
    /// Whether the surface drains its permits for an activation.
    pub draining: bool,
    /// Whether the session of the request is closed.
    pub session_closed: bool,
    /// The approvals that the verdict uses, sorted, none twice.
    pub approvals: Vec<ApprovalFact>,
    /// The prerequisites, in the order of the request, in the state in which they were seen; none
    /// for a permit that is not known.
    pub prerequisites: Vec<Option<PermitState>>,
    /// The issued permit of this attempt that granting under a later policy version replaces.
    pub supersedes: Option<PermitId>,
}

/// What policy said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It permits.
    Permit {
        /// Ids of the deciding policies, sorted.
        policies: Vec<String>,
    },
    /// It forbids, or nothing permits.
    Deny {
        /// [`Reason::Policy`] or [`Reason::NotPermitted`].
        reason: Reason,
        /// Codes of the deciding policies, sorted.
        codes: Vec<String>,
        /// Ids of the deciding policies, sorted.
        policies: Vec<String>,
    },
}

/// A claim on one bounded operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundClaim {
    /// The bound.
    pub name: Name,
    /// Its kind.
    pub kind: BoundKind,
    /// The rendered key.
    pub key: BoundKey,
    /// What is charged: the summed parameter of a budget, which may be zero; 1 for all others.
    pub amount: u64,
}

/// Redeems a permit: the commit point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeem {
    /// The namespace.
    pub namespace: Name,
    /// The permit.
    pub permit: PermitId,
    /// The authenticated principal that is about to act.
    pub principal: Caller,
    /// The fence, as the executor knows it.
    pub fence: Fence,
    /// The digest of what the executor is about to do.
    pub request_digest: Digest,
    /// Names the executor process. The same again is a retry.
    pub redemption_id: RedemptionId,
    /// For the statement.
    pub salt: Salt,
}

/// Says how the effect of a redeemed permit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    /// The namespace.
    pub namespace: Name,
    /// The permit.
    pub permit: PermitId,
    /// Who says so.
    pub principal: Caller,
    /// Whether that is an operator, who may settle anybody's permit.
    pub operator: bool,
    /// How it ended.
    pub result: CompletionResult,
    /// Why an operator says so, at most [`crate::limits::WORD_BYTES_MAX`] bytes.
    pub reason: Option<String>,
    /// For the statement.
    pub salt: Salt,
}

/// How the effect of a permit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionResult {
    /// It happened.
    Committed {
        /// Digest of what shows that it did.
        evidence: Option<Digest>,
    },
    /// It did not happen.
    Aborted,
}

/// Takes an issued permit back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoke {
    /// The namespace.
    pub namespace: Name,
    /// The permit.
    pub permit: PermitId,
    /// Who takes it back.
    pub principal: Caller,
    /// Whether that is an operator, who may revoke anybody's permit.
    pub operator: bool,
    /// For the statement.
    pub salt: Salt,
}

/// Gives up the bounds of a permit in doubt. Only an operator may, and not where effects are `once`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The namespace.
    pub namespace: Name,
    /// The permit.
    pub permit: PermitId,
    /// Who says so.
    pub principal: Caller,
    /// Whether that is an operator.
    pub operator: bool,
    /// Why, at most [`crate::limits::WORD_BYTES_MAX`] bytes.
    pub reason: Option<String>,
    /// For the statement.
    pub salt: Salt,
}
