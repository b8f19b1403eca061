//! Commands that decode but make no sense.
//!
//! A correct leader never proposes one. They are outcomes and not faults: a command is input, and an
//! assertion on input would stop every node at the same entry.

use holdpoint_receipt::{ClusterTime, NodeId, Reason};

/// Why a command was not judged any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no cluster yet.
    #[error("the group is not bootstrapped")]
    NotBootstrapped,
    /// There is a cluster already.
    #[error("the group is bootstrapped already")]
    AlreadyBootstrapped,
    /// The cluster has no such namespace.
    #[error("the namespace is not known")]
    UnknownNamespace,
    /// The command needs a higher feature level.
    #[error("the command needs feature level {needed}, the cluster has {level}")]
    FeatureLevel {
        /// What it needs.
        needed: u32,
        /// What there is.
        level: u32,
    },
    /// A list or a text is too long.
    #[error("{what}: {count}, at most {count_max} are accepted")]
    TooMuch {
        /// What is too long.
        what: Bounded,
        /// Its length.
        count: u64,
        /// The maximum.
        count_max: u64,
    },
    /// The digest is not the one of the request.
    #[error("the request digest is not the one of the canonical bytes")]
    DigestMismatch,
    /// `not_after` is farther ahead than the retry horizon.
    #[error("not_after {not_after} is beyond the retry horizon at {now}")]
    NotAfterTooFar {
        /// What was asked.
        not_after: ClusterTime,
        /// Cluster time.
        now: ClusterTime,
    },
    /// The attempt would wait longer than it lasts.
    #[error("wait_until {wait_until} is after not_after {not_after}")]
    WaitTooLong {
        /// What was asked.
        wait_until: ClusterTime,
        /// The attempt's end.
        not_after: ClusterTime,
    },
    /// The evaluation does not fit the policy that it names, or the request.
    #[error("the evaluation does not fit: {0}")]
    Evaluation(EvaluationProblem),
    /// An approval that never counts, or for too long.
    #[error("an approval for {ms} ms; at least 1 and at most {ms_max} are accepted")]
    ApprovalTime {
        /// What was asked.
        ms: u64,
        /// The maximum.
        ms_max: u64,
    },
    /// What is missing is not one subject for each quorum, each with its own digest.
    #[error("what is missing is not one subject for each quorum, in order, with its digest")]
    Missing,
    /// The shadows are not sorted, or one is named twice.
    #[error("the shadows are not sorted, or one is named twice")]
    Shadows,
    /// An outline is not in its one form or outside the limits.
    #[error("the outline of the bundle is malformed: {0}")]
    Outline(OutlineProblem),
    /// Another bundle is registered under this digest.
    #[error("another bundle is registered under this digest")]
    DigestTaken,
    /// The epoch is beyond the largest.
    #[error("epoch {epoch} is beyond the largest")]
    Epoch {
        /// What was asked.
        epoch: u64,
    },
    /// The list of voters is empty or names one twice.
    #[error("the list of voters is empty or names one twice")]
    Voters,
    /// The clocks are not those of a majority of voters, each once.
    #[error("the clocks are not those of a majority of voters, each once")]
    Clocks,
    /// The node is known under another incarnation: its directory was lost.
    #[error("node {node} is known under another incarnation; use a new node id")]
    Incarnation {
        /// The node.
        node: NodeId,
    },
    /// The node is known under other keys.
    #[error("node {node} is known under other keys")]
    Keys {
        /// The node.
        node: NodeId,
    },
    /// The keys are malformed, weak, or another's.
    #[error("the keys of node {node} are malformed, weak, or in use by another")]
    UnfitKeys {
        /// The node.
        node: NodeId,
    },
    /// More signers than there may be voters, or none at all.
    #[error(
        "{signers} signers; from 1 to {} can be required",
        crate::limits::VOTERS_MAX
    )]
    Signers {
        /// What was asked.
        signers: u32,
    },
    /// A head that the log has not reached.
    #[error("a head of {size} leaves, and the log has {size_max}")]
    BeyondLog {
        /// What was asked.
        size: u64,
        /// Leaves of the log.
        size_max: u64,
    },
    /// A note that does not hand the log over.
    #[error("the note does not hand the log over: {0}")]
    Handover(HandoverProblem),
    /// A dispute of a decision that another evaluator made.
    #[error("another version of the evaluator made this decision")]
    Evaluator,
    /// The node cannot apply what the cluster already uses, or not every voter can apply what is
    /// asked for, or it would go down.
    #[error("feature level {to} is out of reach")]
    LevelOutOfReach {
        /// The level.
        to: u32,
    },
}

/// What can be too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded {
    /// Canonical bytes of a request.
    RequestBytes,
    /// Prerequisites of a request.
    Prerequisites,
    /// Codes or policy ids of a verdict, or the bytes of one.
    Policies,
    /// Bytes of a bundle.
    BundleBytes,
    /// Voters.
    Voters,
    /// Known nodes.
    Nodes,
    /// Clocks of a time step.
    Clocks,
    /// Bytes of the reason that an operator gives.
    ReasonBytes,
    /// Attempts that leave their queues.
    Tickets,
    /// Approvals that a verdict uses.
    Approvals,
    /// Quorums of a request.
    Quorums,
    /// Canonical bytes of what a quorum binds.
    SubjectBytes,
    /// Bundles beside the active one.
    Shadows,
    /// Frozen surfaces.
    FrozenSurfaces,
    /// Epochs of one log.
    Epochs,
}

impl Bounded {
    /// The thing in plural.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestBytes => "bytes of the request",
            Self::Prerequisites => "prerequisites",
            Self::Policies => "codes and policies",
            Self::BundleBytes => "bytes of the bundle",
            Self::Voters => "voters",
            Self::Nodes => "nodes",
            Self::Clocks => "clocks",
            Self::ReasonBytes => "bytes of the reason",
            Self::Tickets => "attempts that leave their queues",
            Self::Approvals => "approvals",
            Self::Quorums => "quorums",
            Self::SubjectBytes => "bytes of what a quorum binds",
            Self::Shadows => "shadows",
            Self::FrozenSurfaces => "frozen surfaces",
            Self::Epochs => "sets of signers",
        }
    }
}

impl std::fmt::Display for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is wrong with an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationProblem {
    /// The bundle does not register the surface.
    #[error("the bundle does not register the surface")]
    Surface,
    /// The surface does not have the action.
    #[error("the surface does not have the action")]
    Action,
    /// The claims are not one for every bound of the surface, in order.
    #[error("the claims are not one for every bound of the surface, in order")]
    Claims,
    /// The facts are not one for every prerequisite, or name one twice.
    #[error("the facts are not one for every prerequisite, or one is named twice")]
    Prerequisites,
    /// The approvals are not sorted, or one is named twice.
    #[error("the approvals are not sorted, or one is named twice")]
    Approvals,
    /// The reason of the denial is not one that policy gives.
    #[error("the reason of the denial is not one that policy gives")]
    Reason,
    /// Codes or policies are not sorted.
    #[error("codes or policies are not sorted")]
    Order,
}

/// What is wrong with a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverProblem {
    /// There is no such epoch, or it is the first.
    #[error("there is no such epoch, or it is the first")]
    Epoch,
    /// It is not a signed head in text.
    #[error("it is not a signed head")]
    Note,
    /// The head is of a size that is not this epoch's, or that the log has not reached.
    #[error("the head is of another epoch's size, or beyond the log")]
    Size,
    /// The head is not the log's, or too few of either epoch have signed it.
    #[error("it is another head, or not signed by enough nodes of either epoch")]
    Signatures,
}

/// What is wrong with an outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutlineProblem {
    /// A list is longer than its limit.
    #[error("a list is longer than its limit")]
    TooMany,
    /// A list is not sorted, or names something twice.
    #[error("a list is not sorted, or names something twice")]
    Order,
    /// There is no surface, or one has no action.
    #[error("there is no surface, or one has no action")]
    Empty,
    /// A template is longer than its limit.
    #[error("a template is longer than its limit")]
    Template,
    /// A limit or a window of a bound is outside its limits.
    #[error("a limit or a window of a bound is outside its limits")]
    Bound,
    /// A lifetime is outside its limits.
    #[error("a lifetime is outside its limits")]
    Lifetime,
}

impl Rejection {
    /// The reason that callers see.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownNamespace => Reason::UnknownNamespace,
            Self::FeatureLevel { .. } | Self::LevelOutOfReach { .. } => Reason::FeatureLevel,
            Self::Evaluation(EvaluationProblem::Surface) => Reason::UnknownSurface,
            Self::Evaluation(EvaluationProblem::Action) => Reason::UnknownAction,
            Self::Outline(_) | Self::DigestTaken => Reason::BundleInvalid,
            Self::TooMuch {
                what: Bounded::BundleBytes,
                ..
            } => Reason::BundleLimit,
            Self::UnfitKeys { .. } => Reason::KeysUnfit,
            Self::TooMuch {
                what: Bounded::Epochs,
                ..
            } => Reason::TooManyEpochs,
            Self::NotBootstrapped
            | Self::AlreadyBootstrapped
            | Self::TooMuch { .. }
            | Self::DigestMismatch
            | Self::NotAfterTooFar { .. }
            | Self::WaitTooLong { .. }
            | Self::ApprovalTime { .. }
            | Self::Missing
            | Self::Shadows
            | Self::Epoch { .. }
            | Self::Voters
            | Self::Clocks
            | Self::Incarnation { .. }
            | Self::Keys { .. }
            | Self::Signers { .. }
            | Self::BeyondLog { .. }
            | Self::Handover(_)
            | Self::Evaluator => Reason::InvalidRequest,
            Self::Evaluation(
                EvaluationProblem::Claims
                | EvaluationProblem::Prerequisites
                | EvaluationProblem::Approvals
                | EvaluationProblem::Reason
                | EvaluationProblem::Order,
            ) => Reason::Internal,
        }
    }
}
