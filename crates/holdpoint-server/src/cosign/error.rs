//! Why a statement has no proof now.

use std::fmt::Display;

use holdpoint_receipt::Name;
use holdpoint_storage::StoreError;

use super::memory::MemoryError;
use crate::evaluate::ReadFault;

/// Why a head is not signed, or a statement has no receipt now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignError {
    /// This node's tree contradicts a head that it signed, or that enough others signed: it has
    /// diverged, or its disk is not the one that it was. It never signs again; an operator must look.
    #[error(
        "this node's log of `{0}` contradicts a signed head; it signs nothing any more (see \
         docs/runbooks/diverged-node.md)"
    )]
    Diverged(Name),
    /// This node has applied less than it once signed. It catches up, or lost a part of its log.
    #[error(
        "this node signed a head of `{namespace}` with {signed} leaves and has applied {applied}"
    )]
    Behind {
        /// The namespace.
        namespace: Name,
        /// Leaves of the last signed head.
        signed: u64,
        /// Leaves applied.
        applied: u64,
    },
    /// Too few nodes are announced yet, so nobody could verify anything.
    #[error("the keys of too few nodes are announced to the cluster yet")]
    NotAnnounced,
    /// The keys of the head's epoch are not this node's, or not here.
    #[error("this node holds none of the keys that sign this head")]
    NotSigner,
    /// This node does not know yet what it signed before it was started.
    #[error("this node is asking the others which heads it signed before it was started")]
    Starting,
    /// What the head covers happened later than this node's clock shows.
    #[error("the log is {ahead_ms} ms ahead of this node's clock")]
    AheadOfClock {
        /// By how much.
        ahead_ms: u64,
    },
    /// Nobody is known to lead.
    #[error("no leader is known that could have the head signed")]
    NoLeader,
    /// Fewer nodes signed than must.
    #[error("{signed} of {needed} nodes that must sign have done so")]
    TooFew {
        /// How many did.
        signed: usize,
        /// How many must.
        needed: usize,
    },
    /// There is no such statement.
    #[error("the log of `{namespace}` has no statement at leaf {leaf}")]
    NoStatement {
        /// The namespace.
        namespace: Name,
        /// The leaf.
        leaf: u64,
    },
    /// The state or the log cannot be read or written.
    #[error("{0}")]
    Fault(String),
    /// The signing threads have ended.
    #[error("this node is stopping")]
    Stopped,
}

impl SignError {
    /// The same in a word or two, as the status shows it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Diverged(_) => "diverged",
            Self::Behind { .. } => "behind",
            Self::NotAnnounced => NOT_ANNOUNCED,
            Self::NotSigner => "not a signer",
            Self::Starting => "starting",
            Self::AheadOfClock { .. } => "clock",
            Self::NoLeader => "no leader",
            Self::TooFew { .. } => "too few signers",
            Self::NoStatement { .. } | Self::Fault(_) => "fault",
            Self::Stopped => "stopping",
        }
    }

    /// Whether asking again cannot help.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Diverged(_) | Self::NoStatement { .. } | Self::Fault(_) | Self::Stopped
        )
    }

    pub(crate) fn fault(error: impl Display) -> Self {
        Self::Fault(error.to_string())
    }
}

/// How the status says that nobody could verify what a node signs.
pub(crate) const NOT_ANNOUNCED: &str = "keys not announced";

impl From<StoreError> for SignError {
    fn from(error: StoreError) -> Self {
        Self::fault(error)
    }
}

impl From<ReadFault> for SignError {
    fn from(fault: ReadFault) -> Self {
        Self::fault(fault)
    }
}

impl From<MemoryError> for SignError {
    fn from(error: MemoryError) -> Self {
        Self::fault(error)
    }
}
