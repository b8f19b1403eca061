//! SILENCE: no decision exists, or none that can be believed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_receipt::{ClusterTime, Reason};

use super::AttemptName;
use crate::approvals::MissingApproval;
use crate::believe::AnswerError;
use crate::fault::{Decided, Fault, NodeFault, Seconds};
use crate::info::time;
use crate::operation::OperationError;

/// No decision exists, or none that this client can believe. Nothing may be executed on it.
#[derive(Clone, Debug)]
pub struct Silence(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    reason: Reason,
    sentence: String,
    decided: Decided,
    cause: SilenceCause,
    attempt: Option<AttemptName>,
    missing: Vec<MissingApproval>,
    waiting: Option<WaitingPlace>,
}

/// The place of an attempt that waits for bounds. As the node says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingPlace {
    /// Its ticket: the lower, the older.
    pub ticket: u64,
    /// Since when it waits.
    pub since: ClusterTime,
    /// Until when it waits.
    pub until: ClusterTime,
}

impl WaitingPlace {
    pub(crate) fn from_wire(waiting: v1::Waiting) -> Result<Self, AnswerError> {
        Ok(Self {
            ticket: waiting.ticket,
            since: time("waiting.since_ms", waiting.since_ms)?,
            until: time("waiting.until_ms", waiting.until_ms)?,
        })
    }
}

/// Where a SILENCE comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SilenceCause {
    /// The gate said so.
    Gate,
    /// The operation was not fit to be asked for. Nothing was sent.
    Operation(OperationError),
    /// No node gave an answer before the deadline, or none that can be believed.
    Unanswered {
        /// Why, for every node that was asked.
        nodes: Vec<NodeFault>,
        /// How long this client asked.
        waited: Duration,
    },
}

/// What is left of a call that got no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) nodes: Vec<NodeFault>,
    pub(crate) waited: Duration,
    pub(crate) decided: Decided,
}

impl Unanswered {
    /// The one reason that says most about why the nodes gave no answer.
    pub(crate) fn reason(&self) -> Reason {
        let faults = || self.nodes.iter().map(|node| &node.fault);
        let said = |fault: &Fault| match fault {
            Fault::CannotDecide { reason, .. } if *reason != Reason::NotLeader => Some(*reason),
            _ => None,
        };
        if faults().any(|fault| matches!(fault, Fault::NotBelieved(_))) {
            return Reason::ReceiptInvalid;
        }
        if let Some(reason) = faults().find_map(said) {
            return reason;
        }
        if faults().any(Fault::is_answer) {
            // Nodes answer and none of them leads.
            return Reason::NoQuorum;
        }
        let unreachable = |fault: &Fault| matches!(fault, Fault::Unreachable(_));
        // `decided` remembers the rounds of which the faults are gone.
        if self.decided == Decided::Never && faults().all(unreachable) {
            return Reason::Unreachable;
        }
        Reason::Timeout
    }
}

impl Silence {
    pub(crate) fn operation(error: OperationError) -> Self {
        let reason = match &error {
            OperationError::Randomness(_) => Reason::Internal,
            OperationError::Integer { .. } => Reason::InvalidParams,
            OperationError::Request(_)
            | OperationError::Key(_)
            | OperationError::OtherNamespace { .. } => Reason::InvalidRequest,
        };
        let sentence = format!("the operation cannot be asked for: {error}");
        let cause = SilenceCause::Operation(error);
        Self::new(reason, sentence, Decided::Never, cause, None)
    }

    pub(crate) fn gate(
        reason: Reason,
        sentence: String,
        decided: Decided,
        attempt: Option<AttemptName>,
    ) -> Self {
        Self::new(reason, sentence, decided, SilenceCause::Gate, attempt)
    }

    pub(crate) fn unanswered(unanswered: Unanswered, attempt: Option<AttemptName>) -> Self {
        let reason = unanswered.reason();
        let Unanswered {
            nodes,
            waited,
            decided,
        } = unanswered;
        let answered = nodes.iter().filter(|node| node.fault.is_answer()).count();
        let sentence = match reason {
            Reason::ReceiptInvalid => reason.sentence().trim_end_matches('.').to_owned(),
            _ => format!(
                "{answered} of {} nodes answered within {}",
                nodes.len(),
                Seconds(waited)
            ),
        };
        let cause = SilenceCause::Unanswered { nodes, waited };
        Self::new(reason, sentence, decided, cause, attempt)
    }

    fn new(
        reason: Reason,
        sentence: String,
        decided: Decided,
        cause: SilenceCause,
        attempt: Option<AttemptName>,
    ) -> Self {
        Self(Box::new(Parts {
            reason,
            sentence,
            decided,
            cause,
            attempt,
            missing: Vec::new(),
            waiting: None,
        }))
    }

    /// The same with the approvals without which there is no decision.
    pub(crate) fn missing(mut self, missing: Vec<MissingApproval>) -> Self {
        self.0.missing = missing;
        self
    }

    /// The same with the place that the attempt has.
    pub(crate) fn waiting(mut self, place: WaitingPlace) -> Self {
        self.0.waiting = Some(place);
        self
    }

    /// The same, knowing that an earlier submission may have had an effect.
    pub(crate) fn at_least(mut self, decided: Decided) -> Self {
        if decided == Decided::Unknown {
            self.0.decided = Decided::Unknown;
        }
        self
    }

    /// The reason, from the one registry. [`Reason::Unreachable`] means that nothing left this host.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Whether anything that this client submitted for the attempt may have been decided.
    #[must_use]
    pub const fn decided(&self) -> Decided {
        self.0.decided
    }

    /// One sentence for people.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.0.sentence
    }

    /// Where it comes from.
    #[must_use]
    pub const fn cause(&self) -> &SilenceCause {
        &self.0.cause
    }

    /// What to repeat to ask again; absent if nothing was asked, or not under a key.
    #[must_use]
    pub const fn attempt(&self) -> Option<&AttemptName> {
        self.0.attempt.as_ref()
    }

    /// With `APPROVAL_REQUIRED`: what is missing, sorted by quorum.
    #[must_use]
    pub fn missing_approvals(&self) -> &[MissingApproval] {
        &self.0.missing
    }

    /// The place that the attempt has in the queues of its bounds, if it waits.
    #[must_use]
    pub const fn place(&self) -> Option<WaitingPlace> {
        self.0.waiting
    }

    /// Why the answer of a node was not believed, if that is the reason.
    #[must_use]
    pub fn answer_error(&self) -> Option<&Arc<AnswerError>> {
        let SilenceCause::Unanswered { nodes, .. } = &self.0.cause else {
            return None;
        };
        nodes.iter().find_map(|node| match &node.fault {
            Fault::NotBelieved(error) => Some(error),
            _ => None,
        })
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        write!(
            f,
            "SILENCE {}: {}",
            parts.reason,
            parts.sentence.trim_end_matches('.')
        )?;
        if let SilenceCause::Unanswered { nodes, .. } = &parts.cause {
            for (place, node) in nodes.iter().enumerate() {
                write!(f, "{}{node}", if place == 0 { " (" } else { "; " })?;
            }
            if !nodes.is_empty() {
                f.write_str(")")?;
            }
        }
        write!(f, "; decided: {}", parts.decided)?;
        match (&parts.attempt, parts.decided) {
            (Some(attempt), Decided::Unknown) => {
                write!(
                    f,
                    ", the same key `{}` finds the decision if there is one",
                    attempt.key
                )
            }
            _ => Ok(()),
        }
    }
}

/// Every cause stands in the sentence, so there is no source.
impl Error for Silence {}
