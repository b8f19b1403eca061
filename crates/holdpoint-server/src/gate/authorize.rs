//! Authorize: evaluate, propose, prove; evaluate again while policy or facts move, a few times.

use std::sync::Arc;

use holdpoint_core::Outcome;
use holdpoint_core::command::{Authorize, Command, Verdict};
use holdpoint_core::limits::{RETRY_HORIZON_MS, SKEW_MS_MAX};
use holdpoint_core::outcome::{AuthorizeOutcome, Decision};
use holdpoint_proto::convert::{self, Draft, Malformed};
use holdpoint_proto::v1;
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{Caller, ClusterTime, IdempotencyKey, Reason};

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::evaluate::{Leader, Prepared, Submission, prepare};
use crate::limits::EVALUATIONS_PER_ATTEMPT_MAX;
use crate::random;
use crate::refused::Refused;

/// How far ahead the end of an attempt is set that names none: the retry horizon, less far more than
/// cluster time is ever behind the wall clock.
const CHOSEN_END_MS: u64 = RETRY_HORIZON_MS - 10_000;

/// One attempt, as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Who asks.
    pub(crate) caller: Caller,
    /// What is asked.
    pub(crate) draft: Draft,
    /// Names the attempt.
    pub(crate) idempotency_key: IdempotencyKey,
    /// From when on nothing is decided; none leaves it to the gate.
    pub(crate) not_after: Option<ClusterTime>,
}

impl Gate {
    /// Decides one attempt, or finds what was decided.
    pub(crate) async fn authorize(
        &self,
        asked: Asked,
        admitted: &Admitted,
    ) -> Result<v1::AuthorizeResponse, Refused> {
        self.lead(admitted).await?;
        let submission = Arc::new(Submission {
            caller: asked.caller,
            draft: asked.draft,
            idempotency_key: asked.idempotency_key,
            not_after: asked
                .not_after
                .unwrap_or_else(|| self.wall().saturating_add(CHOSEN_END_MS)),
        });
        let (mut now, mut moved) = (self.lag.evaluation_time(self.wall()), Reason::FactsMoved);
        // Whether what this node has applied is known to be as current as the call.
        let mut is_current = false;
        let mut evaluations = 0;
        while evaluations < EVALUATIONS_PER_ATTEMPT_MAX {
            let command = match self.prepare(&submission, now, admitted).await? {
                Prepared::Evaluated(command) => command,
                // No verdict from an older state proves nothing: an earlier leader may have decided,
                // or put another policy in force, what this node has not applied yet.
                Prepared::Unfit { .. } if !is_current => {
                    self.read_index(admitted).await?;
                    is_current = true;
                    continue;
                }
                unfit @ Prepared::Unfit { .. } => {
                    return self.look_up(&submission, unfit, admitted).await;
                }
            };
            self.require_clock(&command)?;
            evaluations += 1;
            let request = command.request.clone();
            match self.propose_authorize(command, admitted).await? {
                AuthorizeOutcome::Decided(decision) => {
                    return self.decided(&submission, decision, request, admitted).await;
                }
                // Nothing asks to wait yet.
                AuthorizeOutcome::Waiting(_) => return Err(Refused::never(Reason::Internal)),
                AuthorizeOutcome::Silent { reason } => {
                    return Err(self.silent(reason, &submission, &request, admitted).await);
                }
                AuthorizeOutcome::NotCurrent { reason, current } => {
                    self.lag.learn(self.wall(), current.now);
                    (moved, now) = (reason, current.now);
                }
            }
        }
        Err(Refused::never(moved))
    }

    /// That `not_after` is near enough to be accepted, where it is given.
    ///
    /// # Errors
    ///
    /// [`Malformed`] with the time up to which it may lie.
    pub(crate) fn check_not_after(&self, asked: &Asked) -> Result<(), Malformed> {
        let horizon = self
            .wall()
            .saturating_add(RETRY_HORIZON_MS.saturating_add(SKEW_MS_MAX));
        match asked.not_after {
            Some(not_after) if not_after > horizon => Err(Malformed::new(
                "not_after_ms",
                format_args!(
                    "`{}` is more than {RETRY_HORIZON_MS} ms ahead of the cluster's clock; give at \
                     most `{}`",
                    not_after.get(),
                    horizon.get()
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// A leader whose clock is off does not grant.
    fn require_clock(&self, command: &Authorize) -> Result<(), Refused> {
        let grants = command
            .evaluation
            .as_ref()
            .is_some_and(|evaluation| matches!(evaluation.verdict, Verdict::Permit { .. }));
        if grants && !*self.parts.group.clock_is_sound().borrow() {
            return Err(Refused::never(Reason::ClockSkew).with_hint(self.hint()));
        }
        Ok(())
    }

    /// Looks at the attempt in the applied state, on a pool thread.
    async fn prepare(
        &self,
        submission: &Arc<Submission>,
        now: ClusterTime,
        admitted: &Admitted,
    ) -> Result<Prepared, Refused> {
        let salt = random::salt().map_err(|error| fault(&error))?;
        let (submission, policies) = (Arc::clone(submission), Arc::clone(&self.policies));
        let leader = Leader { now, salt };
        self.look_on(&self.parts.evaluations, admitted, move |state| {
            prepare(state, &policies, &submission, leader)
        })
        .await
    }

    /// Answers an attempt that has no verdict in a current state: with its record if there is one,
    /// else with why. A retry finds its decision also when its request can no longer be evaluated.
    async fn look_up(
        &self,
        submission: &Submission,
        unfit: Prepared,
        admitted: &Admitted,
    ) -> Result<v1::AuthorizeResponse, Refused> {
        let Prepared::Unfit {
            reason,
            sentence,
            lookup,
            is_recorded,
        } = unfit
        else {
            return Err(Refused::never(Reason::Internal));
        };
        let unfit = Refused::never(reason).saying(sentence);
        let Some(command) = lookup.filter(|_| is_recorded) else {
            return Err(unfit);
        };
        let request = command.request.clone();
        match self.propose_authorize(command, admitted).await? {
            AuthorizeOutcome::Decided(decision) => {
                self.decided(submission, decision, request, admitted).await
            }
            AuthorizeOutcome::Silent { reason } => {
                Err(self.silent(reason, submission, &request, admitted).await)
            }
            AuthorizeOutcome::NotCurrent { .. } | AuthorizeOutcome::Waiting(_) => Err(unfit),
        }
    }

    /// Why the state machine makes no decision on `request`.
    ///
    /// A retry must repeat the end of its attempt. A new process has the key and the request, but
    /// not the end that the first one chose: where only that differs, the answer says it.
    async fn silent(
        &self,
        reason: Reason,
        submission: &Submission,
        request: &[u8],
        admitted: &Admitted,
    ) -> Refused {
        let refused = Refused::never(reason);
        if reason != Reason::IdempotencyKeyReused {
            return refused;
        }
        let digest = digest_of_canonical(request);
        let namespace = submission.draft.namespace().clone();
        let (caller, key) = (
            submission.caller.clone(),
            submission.idempotency_key.clone(),
        );
        let recorded = self.look(admitted, move |state| {
            let Some(namespace) = state.namespace(&namespace)? else {
                return Ok(None);
            };
            namespace.attempt(&caller, &key)
        });
        match recorded.await {
            Ok(Some(record)) if record.request_digest == digest => refused.ending(record.not_after),
            // Without the record the refusal stands as it is.
            Ok(_) | Err(_) => refused,
        }
    }

    async fn propose_authorize(
        &self,
        command: Box<Authorize>,
        admitted: &Admitted,
    ) -> Result<AuthorizeOutcome, Refused> {
        match self.propose(Command::Authorize(command), admitted).await? {
            Outcome::Authorized(outcome) => Ok(outcome),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The answer with its proof. Without one there is no answer: the retry finds the decision.
    async fn decided(
        &self,
        submission: &Submission,
        decision: Box<Decision>,
        request: Vec<u8>,
        admitted: &Admitted,
    ) -> Result<v1::AuthorizeResponse, Refused> {
        let namespace = submission.draft.namespace();
        let receipt = self
            .receipt(namespace, &decision.statement, admitted)
            .await?;
        let mut answer = convert::decision(&decision, receipt);
        answer.request_canonical = request;
        if answer.reason == i32::from(Reason::Policy.code())
            && let Some(said) = self
                .policies
                .reasons(&decision.policy.digest, &decision.policies)
        {
            answer.sentence = said;
        }
        if let Some(permit) = &mut answer.permit {
            let surface = submission.draft.surface();
            permit.failed_exit_aborts = self
                .policies
                .failed_exit_aborts(&decision.policy.digest, surface);
        }
        tracing::debug!(
            %namespace, surface = %submission.draft.surface(), caller = %submission.caller,
            reason = answer.reason_name, replay = answer.replay, leaf = decision.statement.leaf,
            fence = answer.permit.as_ref().map_or(0, |permit| permit.fence), "decided"
        );
        Ok(answer)
    }
}
