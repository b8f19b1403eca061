//! What was done with a permit.

use crate::history::{Event, Outcome, Proof};

/// Which step of a permit's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StepKind {
    /// It was redeemed.
    Redeem,
    /// The effect happened.
    Commit,
    /// It did not.
    Abort,
    /// It was taken back.
    Revoke,
}

/// Everything that was sent to bring one step about.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) kind: StepKind,
    /// The redemption id, of a redeem.
    pub(crate) idem: &'a str,
    /// First call of a submission that may have brought it about.
    pub(crate) asked_us: u64,
    /// The first answer that acknowledges it. None: it may have happened, or still may.
    pub(crate) done: Option<&'a Event>,
    /// Every submission that may have brought it about, or acknowledges it.
    pub(crate) events: Vec<&'a Event>,
}

impl<'a> Step<'a> {
    /// The receipt of the acknowledgement.
    pub(crate) fn proof(&self) -> Option<&'a Proof> {
        self.done.and_then(|event| event.answer.receipt())
    }

    /// When it was acknowledged.
    pub(crate) fn done_us(&self) -> Option<u64> {
        self.done.map(|event| event.return_us)
    }
}

impl StepKind {
    /// The step that an outcome is.
    pub(crate) const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Committed => Self::Commit,
            Outcome::Aborted => Self::Abort,
        }
    }

    /// For sentences: "permit x was …".
    pub(crate) const fn past(self) -> &'static str {
        match self {
            Self::Redeem => "redeemed",
            Self::Commit => "committed",
            Self::Abort => "aborted",
            Self::Revoke => "revoked",
        }
    }
}
