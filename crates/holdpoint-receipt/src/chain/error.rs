//! Why receipts are not the story of one operation.

use crate::statement::Kind;

/// Why receipts are not the story of one operation: the first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No receipt is of a decision, or more than one is.
    #[error("a chain has exactly one decision, these receipts have {0}")]
    Decisions(usize),
    /// A receipt is of a kind that belongs to no operation.
    #[error("leaf {leaf} is a statement of the kind `{kind}`, which is about no one operation")]
    Kind {
        /// The leaf.
        leaf: u64,
        /// What it is.
        kind: Kind,
    },
    /// Receipts are of different logs.
    #[error("leaf {leaf} is of another cluster or namespace than the decision")]
    OtherLog {
        /// The leaf.
        leaf: u64,
    },
    /// Two receipts are of one leaf.
    #[error("leaf {leaf} is there twice")]
    Twice {
        /// The leaf.
        leaf: u64,
    },
    /// A statement stands on the wrong side of the decision.
    #[error("leaf {leaf}: approvals come before the decision, every other step behind it")]
    Order {
        /// The leaf.
        leaf: u64,
    },
    /// A step is of another permit, or of the same one with other facts.
    #[error("leaf {leaf}: its `{member}` is another one than the decision's")]
    Another {
        /// The leaf.
        leaf: u64,
        /// The member that differs.
        member: &'static str,
    },
    /// The approvals are not those that the decision names.
    #[error("the approvals are not exactly those that the decision used")]
    Approvals,
    /// A step does not follow the one before.
    #[error("leaf {leaf} does not name leaf {before} as the statement before it: one is missing")]
    Link {
        /// The leaf.
        leaf: u64,
        /// The leaf before it among the receipts.
        before: u64,
    },
    /// A step cannot come where it stands.
    #[error("leaf {leaf}: `{kind}` cannot follow what came before")]
    Step {
        /// The leaf.
        leaf: u64,
        /// The kind of step.
        kind: Kind,
    },
}

impl ChainError {
    /// The published code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Decisions(_) => "CHAIN_DECISIONS",
            Self::Kind { .. } => "CHAIN_KIND",
            Self::OtherLog { .. } => "CHAIN_OTHER_LOG",
            Self::Twice { .. } => "CHAIN_TWICE",
            Self::Order { .. } => "CHAIN_ORDER",
            Self::Another { .. } => "CHAIN_ANOTHER",
            Self::Approvals => "CHAIN_APPROVALS",
            Self::Link { .. } => "CHAIN_LINK",
            Self::Step { .. } => "CHAIN_STEP",
        }
    }
}
