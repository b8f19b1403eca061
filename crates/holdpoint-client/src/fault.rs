//! Why a node gave no answer, and what that leaves open.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_receipt::Reason;

use crate::believe::AnswerError;
use crate::endpoints::Address;

/// What is certain when there is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing that this client submitted has or will have an effect.
    Never,
    /// A decision may exist. Asking again with the same key finds it.
    Unknown,
}

impl Decided {
    /// `never` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why one node gave no answer to a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// No connection came about, so nothing was sent.
    Unreachable(String),
    /// The request was sent, or may have been, and no answer came within this time.
    NoAnswer(Duration),
    /// The same, while the node answered other calls of this client.
    Slow(Duration),
    /// The connection, or the node's handling of the call, broke after the request was sent.
    Broken(String),
    /// The node answered that it cannot decide.
    CannotDecide {
        /// Why.
        reason: Reason,
        /// What the node says for certain of this submission.
        decided: Decided,
    },
    /// The node answered, and the answer does not hold what it must.
    NotBelieved(Arc<AnswerError>),
}

impl Fault {
    /// Whether the submission may have had an effect all the same.
    #[must_use]
    pub const fn decided(&self) -> Decided {
        match self {
            Self::Unreachable(_) => Decided::Never,
            Self::CannotDecide { decided, .. } => *decided,
            Self::NoAnswer(_) | Self::Slow(_) | Self::Broken(_) | Self::NotBelieved(_) => {
                Decided::Unknown
            }
        }
    }

    /// Whether the node has more to do than it admits: asking more often makes it worse.
    pub(crate) const fn is_of_load(&self) -> bool {
        matches!(
            self,
            Self::CannotDecide {
                reason: Reason::Overloaded,
                ..
            }
        )
    }

    /// Whether the node answered at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::CannotDecide { .. } | Self::NotBelieved(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Broken(why) => f.write_str(why),
            Self::Slow(waited) => write!(f, "no answer to this call within {}", Seconds(*waited)),
            Self::NoAnswer(waited) => write!(f, "no answer within {}", Seconds(*waited)),
            Self::CannotDecide { reason, .. } => write!(f, "{reason}"),
            Self::NotBelieved(error) => write!(f, "not believed: {error}"),
        }
    }
}

/// A node and why it gave no answer.
#[derive(Clone, Debug)]
pub struct NodeFault {
    /// The node.
    pub address: Address,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for NodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.fault)
    }
}

/// A duration as people read it: `5.0 s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
