//! From an attempt to its decision: evaluated, applied and proved in one go.
//!
//! The order is the gate's: a recorded decision is found before anything is judged, and what has no
//! verdict is SILENCE.

mod attempt;

use holdpoint_core::Outcome;
use holdpoint_core::command::{AskApproval, AttemptName, Authorize, Command};
use holdpoint_core::outcome::{AuthorizeOutcome, Decision};
use holdpoint_policy::{FailedExit, Policy};
use holdpoint_proto::convert::{self, Draft};
use holdpoint_proto::v1;
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{Caller, ClusterTime, IdempotencyKey, Reason, Salt};

use super::refused::Refused;
use super::world::{World, unexpected};

pub(super) use attempt::standing;

use attempt::{Attempt, Prepared};

/// How often a verdict is made anew when the state machine finds that it rests on something else.
const EVALUATIONS_MAX: usize = 3;

/// One attempt, as its caller submitted it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) draft: Draft,
    pub(super) idempotency_key: IdempotencyKey,
    pub(super) not_after: ClusterTime,
    pub(super) wait_until: Option<ClusterTime>,
    /// The code with which the script has it denied.
    pub(super) denied: Option<String>,
}

impl Asked {
    /// What the attempt is known by.
    pub(super) fn name(&self) -> AttemptName {
        AttemptName {
            caller: self.caller.clone(),
            idempotency_key: self.idempotency_key.clone(),
        }
    }
}

/// What became of an attempt.
pub(super) enum Step {
    /// It is decided, and this is the proof.
    Answer(Box<v1::AuthorizeResponse>),
    /// It waits for its bounds.
    Waits(v1::Waiting),
}

impl World {
    /// Decides an attempt, or finds what was decided.
    pub(super) fn decide(&mut self, asked: &Asked) -> Result<Step, Refused> {
        let mut moved = Reason::FactsMoved;
        for _ in 0..EVALUATIONS_MAX {
            let salt = self.salt();
            let command = match self.prepare(asked, salt)? {
                Prepared::Evaluated(command) => command,
                Prepared::Waits(waiting) => return Ok(Step::Waits(waiting)),
                Prepared::Unfit {
                    refused,
                    lookup,
                    ask,
                } => return self.look_up(asked, refused, lookup, ask),
            };
            let request = command.request.clone();
            match self.authorized(command)? {
                AuthorizeOutcome::Decided(decision) => {
                    return self.decided(asked, &decision, request);
                }
                AuthorizeOutcome::Waiting(waiting) => {
                    return Ok(Step::Waits(convert::waiting(&waiting)));
                }
                AuthorizeOutcome::Silent { reason } => {
                    return Err(self.silent(asked, reason, &request)?);
                }
                AuthorizeOutcome::NotCurrent { reason, .. } => moved = reason,
            }
        }
        Err(Refused::never(moved))
    }

    fn prepare(&self, asked: &Asked, salt: Salt) -> Result<Prepared, Refused> {
        let Some((active, policy)) = self.active()? else {
            return Err(Refused::never(Reason::NoActivePolicy));
        };
        let log = self.log()?;
        let now = log.now();
        let attempt = Attempt {
            log,
            asked,
            active,
            policy,
            now,
            salt,
        };
        attempt.prepare()
    }

    fn authorized(&mut self, command: Box<Authorize>) -> Result<AuthorizeOutcome, Refused> {
        match self.propose(Command::Authorize(command))? {
            Outcome::Authorized(outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Answers an attempt that has no verdict: with its record if there is one, else with why.
    fn look_up(
        &mut self,
        asked: &Asked,
        refused: Refused,
        lookup: Option<Box<Authorize>>,
        ask: Option<AskApproval>,
    ) -> Result<Step, Refused> {
        if let Some(command) = lookup {
            let request = command.request.clone();
            match self.authorized(command)? {
                AuthorizeOutcome::Decided(decision) => {
                    return self.decided(asked, &decision, request);
                }
                AuthorizeOutcome::Silent { reason } => {
                    return Err(self.silent(asked, reason, &request)?);
                }
                AuthorizeOutcome::Waiting(_) | AuthorizeOutcome::NotCurrent { .. } => (),
            }
        }
        if let Some(ask) = ask {
            self.propose(Command::AskApproval(Box::new(ask)))?;
        }
        Err(refused)
    }

    /// Why the state machine makes no decision; of a key that names this very request under another
    /// end, with that end.
    fn silent(&self, asked: &Asked, reason: Reason, request: &[u8]) -> Result<Refused, Refused> {
        let refused = Refused::never(reason);
        if reason != Reason::IdempotencyKeyReused {
            return Ok(refused);
        }
        let recorded = self.log()?.attempt(&asked.caller, &asked.idempotency_key)?;
        let same = recorded.filter(|it| it.request_digest == digest_of_canonical(request));
        Ok(match same {
            Some(record) => refused.ending(record.not_after),
            None => refused,
        })
    }

    /// The answer with its proof.
    fn decided(
        &self,
        asked: &Asked,
        decision: &Decision,
        request: Vec<u8>,
    ) -> Result<Step, Refused> {
        let receipt = self.receipt(&decision.statement)?;
        let mut answer = convert::decision(decision, receipt.file);
        answer.request_canonical = request;
        let policy = self.policies.get(&decision.policy.digest);
        if let Some(policy) = policy {
            if answer.reason == i32::from(Reason::Policy.code())
                && let Some(said) = said(policy, &decision.policies)
            {
                answer.sentence = said;
            }
            if let Some(permit) = &mut answer.permit {
                permit.failed_exit_aborts = policy.outline().iter().any(|known| {
                    known.surface == *asked.draft.surface()
                        && known.terms.failed_exit == FailedExit::Aborted
                });
            }
        }
        Ok(Step::Answer(Box::new(answer)))
    }
}

/// What the deciding policies say to people.
fn said(policy: &Policy, ids: &[String]) -> Option<String> {
    let said = ids.iter().filter_map(|id| {
        let reason = policy.reason_of(id).filter(|reason| !reason.is_empty())?;
        Some(format!("{reason} ({id})"))
    });
    let sentence = said.collect::<Vec<_>>().join("; ");
    (!sentence.is_empty()).then_some(sentence)
}
