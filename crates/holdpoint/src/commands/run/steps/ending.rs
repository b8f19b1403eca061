//! How it ended, as far as it is known.

use holdpoint_client::{CompleteError, Outcome, Permit, Redeemed};

use super::{REPEATS, Steps};
use crate::output::tell;
use crate::progress::showing;
use crate::run::child::{Ended, How};
use crate::run::report::Stage;
use crate::said;

impl Steps<'_> {
    /// Says what is known of the effect, and nothing else.
    pub(super) async fn conclude(&mut self, permit: Permit<Redeemed>, ended: Ended) {
        let shown = match ended.how {
            How::Code(code) => format!("exit {code}"),
            How::Signal(signal) => format!("signal {signal}"),
        };
        if ended.is_success() {
            self.complete(permit, Outcome::Committed { evidence: None })
                .await;
        } else if ended.is_timed_out {
            self.leave(
                permit,
                &format!("the command was stopped after --timeout ({shown})"),
            );
        } else if permit.failed_exit_aborts() && matches!(ended.how, How::Code(_)) {
            tell(format!(
                "holdpoint: {shown}; the surface says that a failure means nothing happened"
            ));
            self.complete(permit, Outcome::Aborted).await;
        } else {
            self.leave(permit, &format!("the command failed ({shown})"));
        }
    }

    /// Reports an outcome until an answer comes, and says what to do if none does.
    pub(super) async fn complete(&mut self, permit: Permit<Redeemed>, outcome: Outcome) {
        self.report.stage = Stage::Complete;
        let id = permit.id();
        let mut answer = showing("reporting the outcome", permit.complete(outcome)).await;
        for _ in 0..REPEATS {
            match answer {
                Err(CompleteError::Silence(open)) => {
                    answer = showing("reporting the outcome, again", open.retry()).await;
                }
                done => {
                    answer = done;
                    break;
                }
            }
        }
        match answer {
            Ok(receipt) => {
                let word = if outcome == Outcome::Aborted {
                    "aborted"
                } else {
                    "committed"
                };
                self.report.outcome = Some(word);
                let file = self.args.receipt.as_deref();
                let kept = self
                    .reached
                    .shelf
                    .try_keep(file, &format!("{id}.{word}"), &receipt);
                // An older receipt would prove something else.
                self.report.receipt = kept;
                let path = self.report.receipt.as_ref();
                let shown = path.map(|path| format!(", receipt {}", path.display()));
                tell(format!("holdpoint: {word}{}", shown.unwrap_or_default()));
            }
            Err(error) => {
                self.report.outcome = Some("in_doubt");
                let again = &self.args.gate.again;
                match error {
                    CompleteError::Refused(refused) => {
                        let why = said::refused(&refused);
                        tell(format!("holdpoint: the outcome was not recorded: {why}"));
                        if let Some(next) = said::next_after(refused.reason, id, again) {
                            tell(format!("  next: {next}"));
                        }
                    }
                    CompleteError::Silence(open) => {
                        tell(format!("holdpoint: {open}"));
                        tell(format!(
                            "  next: holdpoint complete {id}{again} --{outcome}"
                        ));
                        open.leave_in_doubt();
                    }
                }
            }
        }
    }

    /// Leaves the permit as it is, because nobody knows.
    pub(super) fn leave(&mut self, permit: Permit<Redeemed>, why: &str) {
        self.report.outcome = Some("in_doubt");
        let id = permit.id();
        permit.leave_in_doubt();
        tell(format!(
            "holdpoint: {why}; nobody knows whether the effect happened, so permit {id} is left in doubt"
        ));
        tell(format!(
            "  next: find out, then holdpoint resolve {id}{} --committed (or --aborted) --reason TEXT",
            self.args.gate.again
        ));
    }
}
