//! One operation of one client.

use serde::{Deserialize, Serialize};

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A decision.
    Authorize,
    /// The commit point of a permit.
    Redeem,
    /// The outcome of a redeemed permit.
    Complete,
    /// That a permit be taken back.
    Revoke,
    /// That a bundle be put in force.
    Activate,
    /// Anything that changes nothing.
    Read,
}

/// How an effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It happened.
    Committed,
    /// It did not.
    Aborted,
}

/// The state of a permit in an answer to a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PermitState {
    /// Granted, and nothing since.
    Issued,
    /// Redeemed, without an outcome.
    Redeemed,
    /// The effect happened.
    Committed,
    /// It did not.
    Aborted,
    /// Never redeemed, and its time is over.
    Expired,
    /// Taken back.
    Revoked,
    /// Replaced by a retry under a later policy version.
    Superseded,
}

/// The receipt of a statement, as far as the checkers need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Where the statement stands in the namespace's log.
    pub leaf: u64,
    /// SHA-256 of the statement's canonical bytes, in hexadecimal digits.
    pub hash: String,
    /// Cluster time of the statement.
    pub at_ms: u64,
    /// Whether the client verified the receipt against the published keys.
    pub verifies: bool,
}

/// What the client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
pub enum Answered {
    /// A decision: PERMIT, fresh or as a replay.
    Permit {
        /// The permit's id.
        permit: String,
        /// Its fence.
        fence: u64,
        /// From when on it lives, cluster time.
        issued_at_ms: u64,
        /// The first instant at which it does not, unless it was redeemed.
        expires_at_ms: u64,
        /// The policy version that the decision names.
        version: u64,
        /// Its receipt, if one came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Proof>,
    },
    /// A decision: DENY, fresh or as a replay.
    Deny {
        /// Why, a word of the registry.
        reason: String,
        /// The policy version that the decision names.
        version: u64,
        /// Its receipt, if one came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Proof>,
    },
    /// A redeem, complete, revoke or activate took effect, now or when it was first sent.
    Done {
        /// Of an activation, the policy version that it made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        /// Its receipt, if one came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Proof>,
    },
    /// The gate refused a redeem, complete, revoke or activate, and nothing changed.
    Refused {
        /// Why, a word of the registry.
        reason: String,
    },
    /// A linearizable read of a permit.
    State {
        /// Its state.
        state: PermitState,
    },
    /// A linearizable read found no such permit, or a node has no such leaf.
    Absent {},
    /// A linearizable read of the policy version in force.
    Version {
        /// The version.
        version: u64,
    },
    /// What a node has at a leaf.
    Leaf {
        /// Where.
        leaf: u64,
        /// SHA-256 of the statement's canonical bytes, in hexadecimal digits.
        hash: String,
    },
    /// A head that a node served, with signatures that verify. It may lag behind.
    Head {
        /// Leaves in the tree.
        size: u64,
        /// Its root, in hexadecimal digits.
        root: String,
    },
    /// Nothing certain: it may have taken effect, or still may.
    Timeout {},
    /// This submission certainly did not take effect, and never will.
    Error {
        /// Why, for people.
        reason: String,
    },
}

/// One operation of one client, with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The caller. Whoever repeats an attempt after a crash writes the same name.
    pub client: String,
    /// What it asked for.
    pub op: Op,
    /// In which namespace.
    pub namespace: String,
    /// The bounded operation, `bound/key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The permit that is redeemed, completed, revoked or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<String>,
    /// The request digest, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The idempotency key of an authorize, the redemption id of a redeem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idem: Option<String>,
    /// What an authorize charges to a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    /// What a complete reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The digest of the bundle that is activated, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The leaf that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// When the client asked, in microseconds of the history's clock.
    pub call_us: u64,
    /// When it was answered, or gave up.
    pub return_us: u64,
    /// The node that answered, or was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u64>,
    /// What it was told.
    pub answer: Answered,
}

impl Op {
    /// The word of the format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Redeem => "redeem",
            Self::Complete => "complete",
            Self::Revoke => "revoke",
            Self::Activate => "activate",
            Self::Read => "read",
        }
    }
}

impl Answered {
    /// The word of the format.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Permit { .. } => "permit",
            Self::Deny { .. } => "deny",
            Self::Done { .. } => "done",
            Self::Refused { .. } => "refused",
            Self::State { .. } => "state",
            Self::Absent {} => "absent",
            Self::Version { .. } => "version",
            Self::Leaf { .. } => "leaf",
            Self::Head { .. } => "head",
            Self::Timeout {} => "timeout",
            Self::Error { .. } => "error",
        }
    }

    /// The receipt that came with it.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Proof> {
        match self {
            Self::Permit { receipt, .. }
            | Self::Deny { receipt, .. }
            | Self::Done { receipt, .. } => receipt.as_ref(),
            _ => None,
        }
    }

    /// Whether it may have taken effect without anybody knowing.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Timeout {})
    }
}
