//! Why a group gives no answer, grouped by what the caller can do.

use std::io;
use std::sync::Arc;

use holdpoint_receipt::NodeId;
use holdpoint_storage::{Incarnation, StoreError};

use crate::config::ConfigError;
use crate::leadership::Leader;

/// Why a command has no outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// More commands are waiting than the node admits. The command was never appended.
    #[error("overloaded: {waiting_count} commands are waiting, at most {waiting_count_max} may")]
    Overloaded {
        /// How many are waiting.
        waiting_count: usize,
        /// How many may.
        waiting_count_max: usize,
    },
    /// The command does not fit one entry of the log. It was never appended.
    #[error("the command does not fit one entry of the log: {0}")]
    TooLarge(Arc<holdpoint_core::CodecError>),
    /// Another node leads, or none does.
    #[error("this node does not lead the cluster")]
    NotLeader {
        /// The leader as this node knows it.
        leader: Option<Leader>,
        /// Whether the entry may have been appended before leadership moved.
        may_have_committed: bool,
    },
    /// The outcome did not come in time. The entry may have been appended.
    #[error("no outcome within {wait_ms} ms")]
    Timeout {
        /// How long the caller waited.
        wait_ms: u64,
    },
    /// The node is stopping.
    #[error("this node is stopping")]
    ShuttingDown {
        /// Whether the entry may have been appended before.
        may_have_committed: bool,
    },
}

impl ProposeError {
    /// Whether the command may have taken effect, or may yet. Only `false` is a proof.
    ///
    /// Where it may, repeat with the same idempotency key: the log has one answer for it.
    #[must_use]
    pub fn may_have_committed(&self) -> bool {
        match self {
            Self::Overloaded { .. } | Self::TooLarge(_) => false,
            Self::Timeout { .. } => true,
            Self::NotLeader {
                may_have_committed, ..
            }
            | Self::ShuttingDown { may_have_committed } => *may_have_committed,
        }
    }
}

/// Why the state may not be read as current. No read has an effect, so each may be repeated.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// More reads are waiting than the node admits.
    #[error("overloaded: at most {waiting_count_max} reads may wait")]
    Overloaded {
        /// How many may wait.
        waiting_count_max: usize,
    },
    /// Another node leads, or none does.
    #[error("this node does not lead the cluster")]
    NotLeader {
        /// The leader as this node knows it.
        leader: Option<Leader>,
    },
    /// This node leads, as far as it knows, and a majority of voters did not confirm it.
    #[error("a majority of voters did not confirm that this node leads")]
    NoQuorum,
    /// No confirmation came in time.
    #[error("no confirmation within {wait_ms} ms")]
    Timeout {
        /// How long the caller waited.
        wait_ms: u64,
    },
    /// The node is stopping.
    #[error("this node is stopping")]
    ShuttingDown,
}

/// Why leadership did not move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This node does not lead.
    #[error("this node does not lead the cluster")]
    NotLeader,
    /// There is nobody to lead.
    #[error("node {node} is not another voter of the group")]
    NotVoter {
        /// Who was to lead.
        node: u64,
    },
    /// It did not move in time. This node may still lead.
    #[error("leadership did not move within {wait_ms} ms")]
    Timeout {
        /// How long the caller waited.
        wait_ms: u64,
    },
    /// The node is stopping.
    #[error("this node is stopping")]
    ShuttingDown,
}

/// Why the membership did not change, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeMembersError {
    /// Another node leads, or none does. Nothing was done here.
    #[error("this node does not lead the cluster")]
    NotLeader {
        /// The leader as this node knows it.
        leader: Option<Leader>,
    },
    /// The node never greeted this one, so nobody knows its directory.
    #[error(
        "node {node} is not known: start it with a cluster file that lists it beside this node, and \
         try again"
    )]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The node was a member once. Ids are never used again.
    #[error("node {node} was removed from the group; give the new node an id that was never used")]
    UsedBefore {
        /// The node.
        node: NodeId,
    },
    /// The node is a member with another directory.
    #[error(
        "node {node} is a member with incarnation {known}, and greeted with {found}; give the new \
         node an id that was never used"
    )]
    OtherDirectory {
        /// The node.
        node: NodeId,
        /// The directory of the member.
        known: Incarnation,
        /// The directory that greeted.
        found: Incarnation,
    },
    /// The node is not a member.
    #[error("node {node} is not a member of the group")]
    NotMember {
        /// The node.
        node: NodeId,
    },
    /// The group has as many members as it may.
    #[error("the group has {member_count_max} {what}, and no more may be added")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        member_count_max: usize,
    },
    /// The node lacks too much of the log to vote.
    #[error("node {node} has not caught up: {}", lacks(*.lag))]
    NotCaughtUp {
        /// The node.
        node: NodeId,
        /// Entries that it lacks; none while it has answered nothing.
        lag: Option<u64>,
    },
    /// Too few of the voters that would be left are there.
    #[error(
        "of the {voter_count} voters that there would be, {there_count} are there: no majority"
    )]
    NoMajority {
        /// Voters after the change.
        voter_count: usize,
        /// Those of them that answered lately.
        there_count: usize,
    },
    /// Another change is half way.
    #[error("another change of the membership is half way; try again when it is through")]
    InProgress,
    /// The change was handed to the log, and what became of it is not known. Look at the membership, or
    /// repeat it: a change that was made already is not made twice.
    #[error("the change of the membership may have happened: {reason}")]
    MayHaveHappened {
        /// What went wrong then.
        reason: String,
    },
}

/// How far a learner is.
fn lacks(lag: Option<u64>) -> String {
    match lag {
        Some(lag) => format!("it lacks {lag} entries of the log"),
        None => "it has not answered yet".to_owned(),
    }
}

/// Why a group did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The founders do not name this node, or name one twice, or an address is too long.
    #[error("the cluster's nodes do not go together: {0}")]
    Founders(&'static str),
    /// The store could not be read.
    #[error("the log or the state cannot be read")]
    Disk(#[source] io::Error),
    /// openraft could not take up the log.
    #[error("the log cannot be taken up: {0}")]
    Log(String),
}

/// Why a group stopped. The process must end, with this as its reason.
#[derive(Debug, thiserror::Error)]
pub enum GroupFault {
    /// The disk failed. What it holds is read at the next start.
    #[error("{}", first(.0))]
    Store(StoreError),
    /// This directory is not the one that the cluster knows under this node's id.
    #[error(
        "node {node} was known with incarnation {known}, and this directory has incarnation {own}; \
         its data is gone: add a new node id"
    )]
    IdentityRefused {
        /// This node.
        node: NodeId,
        /// The incarnation that the cluster knows.
        known: Incarnation,
        /// The incarnation of this directory.
        own: Incarnation,
    },
    /// This node once acknowledged more than its log holds: an older copy of its directory was
    /// restored, or a part of it is gone.
    #[error(
        "the log of node {node} ends before entry {acknowledged}, which it acknowledged to node \
         {peer}; its data was rolled back: add a new node id"
    )]
    RolledBack {
        /// This node.
        node: NodeId,
        /// Who knows.
        peer: u64,
        /// What was acknowledged.
        acknowledged: u64,
    },
    /// openraft stopped by itself.
    #[error("the group stopped: {0}")]
    Stopped(String),
}

/// What stopped the store, in its own words.
fn first(error: &StoreError) -> String {
    match error {
        StoreError::Poisoned { first } => first.to_string(),
        StoreError::Closed | StoreError::Gap { .. } | StoreError::Snapshot(_) => error.to_string(),
    }
}
