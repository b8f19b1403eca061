//! Why an exported log is not believed, and where.

use std::ops::Range;

use crate::statement::StatementError;
use crate::verify::VerifyError;

/// Why an exported log is not believed: the first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A saved checkpoint is none of this log.
    #[error("a saved checkpoint is not one of this log")]
    Saved,
    /// A line is neither a leaf nor a head, or not in its one encoding.
    #[error("the line where leaf {leaf} or the head must stand is malformed: {problem}")]
    Line {
        /// The leaf that must stand there.
        leaf: u64,
        /// Why.
        problem: String,
    },
    /// The file is of a form that is not known here.
    #[error("the file is of a form that this program does not know; a newer one may")]
    UnknownSchema,
    /// A statement is not the one of its leaf: it was changed.
    #[error("the statement of leaf {leaf} was changed: its hash is not the leaf's")]
    Changed {
        /// The leaf.
        leaf: u64,
    },
    /// A statement is malformed.
    #[error("the statement of leaf {leaf} is malformed: {problem}")]
    Statement {
        /// The leaf.
        leaf: u64,
        /// Why.
        problem: StatementError,
    },
    /// A statement says another leaf: one was deleted, inserted or moved.
    #[error("where leaf {leaf} must stand is leaf {found}: one was deleted, inserted or moved")]
    Place {
        /// The leaf that must stand there.
        leaf: u64,
        /// The leaf that the statement says.
        found: u64,
    },
    /// A statement is of another cluster or namespace.
    #[error("leaf {leaf} is of another log")]
    OtherLog {
        /// The leaf.
        leaf: u64,
    },
    /// A `keys` statement says another key set than the published one as of its leaf.
    #[error("leaf {leaf} states another key set than the published one; are the keys current?")]
    KeysStatement {
        /// The leaf.
        leaf: u64,
    },
    /// A statement does not name the one before it.
    #[error("leaf {leaf} does not follow the statement of its permit or approval that it must")]
    Link {
        /// The leaf.
        leaf: u64,
    },
    /// The lines lead to another root than a head: a leaf was changed, deleted or inserted.
    #[error(
        "a leaf from {} up to {} was changed: the lines lead to another root than the {head}",
        .leaves.start, .leaves.end.saturating_sub(1)
    )]
    Root {
        /// Where the first wrong leaf is.
        leaves: Range<u64>,
        /// Which head.
        head: &'static str,
    },
    /// The file ends without a head, or something follows it.
    #[error("the head is missing, or something follows it: the file is not whole")]
    Whole,
    /// The head is not signed as the keys demand.
    #[error("the head is not believed: {0}")]
    Head(#[source] VerifyError),
    /// There are fewer or more leaves than the head says.
    #[error("the head has {size} leaves, the file does not: leaf {leaf} is missing or too many")]
    Count {
        /// Leaves under the head.
        size: u64,
        /// The first leaf that is missing, or too many.
        leaf: u64,
    },
    /// A saved checkpoint has more leaves than the log.
    #[error("the log has {size} leaves, a saved checkpoint has {saved}: the others were deleted")]
    Shorter {
        /// Leaves of the log.
        size: u64,
        /// Leaves of the saved checkpoint.
        saved: u64,
    },
}

impl LogError {
    /// The published code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Saved => "LOG_SAVED",
            Self::Line { .. } => "LOG_LINE",
            Self::UnknownSchema => "UNKNOWN_SCHEMA",
            Self::Changed { .. } => "LOG_CHANGED",
            Self::Statement { .. } => "LOG_STATEMENT",
            Self::Place { .. } => "LOG_PLACE",
            Self::OtherLog { .. } => "LOG_OTHER_LOG",
            Self::KeysStatement { .. } => "LOG_KEYS_STATEMENT",
            Self::Link { .. } => "LOG_LINK",
            Self::Root { .. } => "LOG_ROOT",
            Self::Whole => "LOG_WHOLE",
            Self::Head(error) => error.code(),
            Self::Count { .. } => "LOG_COUNT",
            Self::Shorter { .. } => "LOG_SHORTER",
        }
    }

    /// The first wrong leaf, or the leaves among which it is; none where the fault is in no leaf.
    #[must_use]
    pub fn leaves(&self) -> Option<Range<u64>> {
        match self {
            Self::Line { leaf, .. }
            | Self::Changed { leaf }
            | Self::Statement { leaf, .. }
            | Self::Place { leaf, .. }
            | Self::OtherLog { leaf }
            | Self::KeysStatement { leaf }
            | Self::Link { leaf }
            | Self::Count { leaf, .. } => Some(*leaf..leaf.saturating_add(1)),
            Self::Shorter { size, saved } => Some(*size..*saved),
            Self::Root { leaves, .. } => Some(leaves.clone()),
            Self::Saved | Self::UnknownSchema | Self::Whole | Self::Head(_) => None,
        }
    }
}
