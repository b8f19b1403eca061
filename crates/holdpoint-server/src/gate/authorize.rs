//! Authorize: evaluate, propose, prove; evaluate again while policy or facts move, a few times.

use std::sync::Arc;

use holdpoint_core::Outcome;
use holdpoint_core::command::{Authorize, Command, Verdict};
use holdpoint_core::limits::{RETRY_HORIZON_MS, SKEW_MS_MAX};
use holdpoint_core::outcome::{AuthorizeOutcome, Decision};
use holdpoint_proto::convert::{self, Draft, Malformed};
use holdpoint_proto::v1;
use holdpoint_receipt::names::show_duration;
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{Caller, ClusterTime, IdempotencyKey, Reason};

use super::park::still_waits;
use super::{Gate, fault};
use crate::admit::Admitted;
use crate::evaluate::{Engine, Leader, Prepared, Submission, Unfit, prepare};
use crate::limits::EVALUATIONS_PER_ATTEMPT_MAX;
use crate::random;
use crate::refused::Refused;
use crate::translate;
use crate::waiting::Seat;

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
    /// Until when it waits for bounds that are held; none does not wait.
    pub(crate) wait_until: Option<ClusterTime>,
}

/// What came of evaluating and proposing an attempt.
enum Step {
    /// It is decided, and this is the proof.
    Answer(Box<v1::AuthorizeResponse>),
    /// It waits for its bounds.
    Waits(v1::Waiting),
}

impl Gate {
    /// Decides one attempt, or finds what was decided. While its bounds are held and it may wait, the
    /// call is held too.
    pub(crate) async fn authorize(
        &self,
        asked: Asked,
        mut admitted: Admitted,
    ) -> Result<v1::AuthorizeResponse, Refused> {
        let submission = Arc::new(Submission {
            caller: asked.caller,
            draft: asked.draft,
            idempotency_key: asked.idempotency_key,
            not_after: asked
                .not_after
                .unwrap_or_else(|| self.wall().saturating_add(CHOSEN_END_MS)),
            wait_until: asked.wait_until,
        });
        let namespace = submission.draft.namespace().clone();
        let mut seat = submission
            .wait_until
            .map(|_| self.waiting.join((namespace, submission.name())));
        // Where it stands in the queues, once it does.
        let mut place = None;
        loop {
            if let Some(seat) = &mut seat {
                seat.hear();
            }
            let step = self.step_of(&submission, seat.as_mut(), &admitted).await;
            if step.as_ref().err().is_none_or(Refused::is_of_work) {
                self.admission.worked(&admitted);
            }
            match (step, &mut seat) {
                (Ok(Step::Answer(answer)), _) => return Ok(*answer),
                (Ok(Step::Waits(waiting)), Some(seat)) => {
                    place = Some(waiting);
                    self.park(seat, &submission, waiting, &mut admitted).await?;
                }
                (Ok(Step::Waits(waiting)), None) => return Err(still_waits(waiting)),
                (Err(refused), _) => return Err(refused.keeping(place)),
            }
        }
    }

    /// Evaluates and proposes an attempt, again while policy or facts move, a few times.
    async fn step_of(
        &self,
        submission: &Arc<Submission>,
        mut seat: Option<&mut Seat>,
        admitted: &Admitted,
    ) -> Result<Step, Refused> {
        self.lead(admitted).await?;
        let (mut now, mut moved) = (self.cluster_time(), Reason::FactsMoved);
        // Whether what this node has applied is known to be as current as the call.
        let mut is_current = false;
        let mut evaluations = 0;
        while evaluations < EVALUATIONS_PER_ATTEMPT_MAX {
            let (command, shadows) = match self.prepare(submission, now, admitted).await? {
                Prepared::Evaluated { command, shadows } => (command, shadows),
                Prepared::Waits(waiting) => {
                    if let Some(seat) = seat {
                        seat.may_wait();
                    }
                    return Ok(Step::Waits(waiting));
                }
                // No verdict from an older state proves nothing: an earlier leader may have decided,
                // or put another policy in force, what this node has not applied yet.
                Prepared::Unfit(_) if !is_current => {
                    self.read_index(admitted).await?;
                    is_current = true;
                    continue;
                }
                Prepared::Unfit(unfit) => {
                    let answer = self.look_up(submission, *unfit, admitted).await?;
                    return Ok(Step::Answer(Box::new(answer)));
                }
            };
            self.require_clock(&command)?;
            evaluations += 1;
            let request = command.request.clone();
            let evaluated_at = evaluated_at(&command);
            if let Some(seat) = seat.as_deref_mut() {
                seat.may_wait();
            }
            match self.propose_authorize(command, admitted).await? {
                AuthorizeOutcome::Decided(decision) => {
                    if let Some(seat) = seat {
                        seat.settled();
                    }
                    self.compare(submission, &decision, &request, evaluated_at, shadows);
                    let answer = self
                        .decided(submission, decision, request, admitted)
                        .await?;
                    return Ok(Step::Answer(Box::new(answer)));
                }
                AuthorizeOutcome::Waiting(waiting) => {
                    return Ok(Step::Waits(convert::waiting(&waiting)));
                }
                AuthorizeOutcome::Silent { reason } => {
                    return Err(self.silent(reason, submission, &request, admitted).await);
                }
                AuthorizeOutcome::NotCurrent { reason, current } => {
                    (moved, now) = (reason, current.now);
                }
            }
        }
        Err(Refused::never(moved))
    }

    /// Cluster time, not after that of the next entry while this node leads. A guess that is wrong costs
    /// an evaluation: the outcome says what would have been right.
    pub(crate) fn cluster_time(&self) -> ClusterTime {
        let group = &self.parts.group;
        group
            .cluster_now()
            .unwrap_or_else(|| group.applied().borrow().now)
    }

    /// That `not_after` is near enough to be accepted, where it is given. To be asked of a leader only:
    /// no other node's clock counts.
    ///
    /// # Errors
    ///
    /// [`Malformed`] with the time up to which it may lie.
    pub(crate) fn check_not_after(&self, asked: &Asked) -> Result<(), Malformed> {
        // The log compares with cluster time: a leader whose clock is behind it refuses nothing.
        let now = self.wall().max(self.parts.group.applied().borrow().now);
        let horizon = now.saturating_add(RETRY_HORIZON_MS.saturating_add(SKEW_MS_MAX));
        match asked.not_after {
            Some(not_after) if not_after > horizon => Err(Malformed::new(
                "not_after_ms",
                format_args!(
                    "`{}` is more than {} ahead of the cluster's clock; give at most `{}`",
                    not_after.get(),
                    show_duration(RETRY_HORIZON_MS),
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
        let evaluator = Arc::clone(self.evaluator());
        let leader = Leader { now, salt };
        self.look_on(&self.parts.evaluations, admitted, move |state| {
            let engine = Engine {
                policies: &policies,
                evaluator: &*evaluator,
            };
            prepare(state, engine, &submission, leader)
        })
        .await
    }

    /// Answers an attempt that has no verdict in a current state: with its record if there is one,
    /// else with why. A retry finds its decision also when its request can no longer be evaluated.
    async fn look_up(
        &self,
        submission: &Submission,
        unfit: Unfit,
        admitted: &Admitted,
    ) -> Result<v1::AuthorizeResponse, Refused> {
        let Unfit {
            reason,
            sentence,
            lookup,
            is_recorded,
            missing,
            ask,
        } = unfit;
        if let Some(command) = lookup.filter(|_| is_recorded) {
            let request = command.request.clone();
            match self.propose_authorize(command, admitted).await? {
                AuthorizeOutcome::Decided(decision) => {
                    return self.decided(submission, decision, request, admitted).await;
                }
                AuthorizeOutcome::Silent { reason } => {
                    return Err(self.silent(reason, submission, &request, admitted).await);
                }
                AuthorizeOutcome::NotCurrent { .. } | AuthorizeOutcome::Waiting(_) => (),
            }
        }
        if let Some(ask) = ask {
            self.ask_approval(ask, admitted).await;
        }
        let missing = missing
            .iter()
            .map(|missing| convert::missing_approval(&translate::missing(missing), missing.have));
        Err(Refused::never(reason)
            .saying(sentence)
            .missing(missing.collect()))
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

/// `now` for the policy.
fn evaluated_at(command: &Authorize) -> ClusterTime {
    let evaluation = command.evaluation.as_ref();
    evaluation.map_or_else(ClusterTime::default, |evaluation| evaluation.evaluated_at)
}
