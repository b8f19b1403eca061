//! How it ended: a redeemed permit is closed.

use std::fmt;

use holdpoint_receipt::{Digest, Reason};

use super::{Permit, Redeemed};
use crate::believe::Receipt;
use crate::call::NoAnswer;
use crate::failure::Refused;
use crate::outcome::Outcome;
use crate::refusal::Silence;

/// Why no outcome is known to be recorded.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The gate refused, for instance because another outcome is recorded.
    #[error("the outcome was not recorded: {0}")]
    Refused(Refused),
    /// No answer came, or none that can be believed. [`CompleteSilence::retry`] says the same again.
    #[error(transparent)]
    Silence(CompleteSilence),
}

impl CompleteError {
    /// The reason, from the one registry.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refused) => refused.reason,
            Self::Silence(open) => open.silence.reason(),
        }
    }
}

/// An outcome that may not have been recorded, and what is needed to say it again.
///
/// If it is dropped, the permit may stay in doubt.
#[derive(Debug)]
#[must_use = "an outcome without an answer may not have been recorded; retry it"]
pub struct CompleteSilence {
    permit: Permit<Redeemed>,
    outcome: Outcome,
    silence: Silence,
}

impl CompleteSilence {
    /// Why there is no answer.
    #[must_use]
    pub const fn silence(&self) -> &Silence {
        &self.silence
    }

    /// The outcome that was reported.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Says the same outcome again, which is harmless if it was recorded.
    ///
    /// # Errors
    ///
    /// As for [`Permit::complete`].
    ///
    /// # Cancellation
    ///
    /// As for [`Permit::complete`].
    pub async fn retry(self) -> Result<Receipt, CompleteError> {
        self.permit.complete(self.outcome).await
    }

    /// Gives it up without a warning, as [`Permit::leave_in_doubt`] does.
    pub fn leave_in_doubt(self) {
        self.permit.leave_in_doubt();
    }
}

impl fmt::Display for CompleteSilence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, outcome) = (self.permit.facts.id, self.outcome);
        write!(
            f,
            "permit {id}, outcome {outcome}: {}; until it is recorded, ",
            self.silence
        )?;
        f.write_str("the permit is in doubt; saying it again is harmless")
    }
}

impl std::error::Error for CompleteSilence {}

impl Permit<Redeemed> {
    /// Reports that the effect happened.
    ///
    /// # Errors
    ///
    /// As for [`Permit::complete`].
    ///
    /// # Cancellation
    ///
    /// As for [`Permit::complete`].
    pub async fn commit(self) -> Result<Receipt, CompleteError> {
        self.complete(Outcome::Committed { evidence: None }).await
    }

    /// Reports that the effect happened, with the digest of what shows it.
    ///
    /// # Errors
    ///
    /// As for [`Permit::complete`].
    ///
    /// # Cancellation
    ///
    /// As for [`Permit::complete`].
    pub async fn commit_with_evidence(self, evidence: Digest) -> Result<Receipt, CompleteError> {
        self.complete(Outcome::Committed {
            evidence: Some(evidence),
        })
        .await
    }

    /// Reports that the effect certainly did not happen.
    ///
    /// # Errors
    ///
    /// As for [`Permit::complete`].
    ///
    /// # Cancellation
    ///
    /// As for [`Permit::complete`].
    pub async fn abort(self) -> Result<Receipt, CompleteError> {
        self.complete(Outcome::Aborted).await
    }

    /// Reports how the effect ended, and frees the permit's bounds. Gives the verified receipt.
    ///
    /// # Errors
    ///
    /// [`CompleteError::Silence`] leaves open whether it was recorded.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the report. [`crate::Gate::complete`] can say the
    /// same outcome again.
    pub async fn complete(self, outcome: Outcome) -> Result<Receipt, CompleteError> {
        match self.gate.complete_once(&self.facts, outcome).await {
            Ok(receipt) => {
                self.stage.watch.settled();
                Ok(receipt)
            }
            Err(NoAnswer::Refused(refused)) => {
                self.stage.watch.settled();
                Err(CompleteError::Refused(refused))
            }
            Err(NoAnswer::Unanswered(unanswered)) => {
                let silence = Silence::unanswered(unanswered, None);
                Err(CompleteError::Silence(CompleteSilence {
                    permit: self,
                    outcome,
                    silence,
                }))
            }
        }
    }
}
