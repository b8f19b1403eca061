//! One attempt, asked for until it is decided: at once, or when its turn comes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use holdpoint_receipt::{ClusterTime, Reason};

use crate::attempt::Attempt;
use crate::call::NoAnswer;
use crate::failure::Refused;
use crate::gate::{ATTEMPT_FOR_MAX, Gate};
use crate::operation::{Operation, OperationError};
use crate::permit::{Granted, Permit};
use crate::refusal::{AttemptName, Denied, Refusal, Silence, WaitingPlace};
use crate::retry::{PAUSE_MAX, PAUSE_MIN};
use crate::steps::{Decision, Submission};

/// The longest time for which one call asks for an attempt that waits. A node that is there but does
/// nothing costs a share of it, and the place in the queue outlives it.
const WAIT_ROUND_MAX: Duration = Duration::from_secs(30);
/// How long before its end an attempt stops waiting, so that there is time to record the DENY.
const WAIT_MARGIN: Duration = Duration::from_secs(2);

/// An attempt that is about to be asked for; awaiting it asks.
///
/// Made by [`Gate::authorize`].
#[derive(Debug)]
#[must_use = "nothing is asked before this is awaited"]
pub struct Authorize<'a> {
    gate: &'a Gate,
    operation: &'a Operation,
    wait: Duration,
}

impl<'a> Authorize<'a> {
    pub(crate) const fn new(gate: &'a Gate, operation: &'a Operation) -> Self {
        let wait = Duration::ZERO;
        Self {
            gate,
            operation,
            wait,
        }
    }

    /// Waits for bounds that are held, at most for `at_most` and no longer than two seconds before the
    /// attempt ends; the gate's deadline comes on top of that.
    ///
    /// The attempt gets a place in the queue of each bound and keeps it while it is asked for, also
    /// when another node becomes the leader. Nobody who came later gets a bound before it. What cannot
    /// free, such as a `once` that is committed, is denied at once. A place that nobody asks for is
    /// given up by the gate after some seconds.
    ///
    /// Without an end of its own ([`Operation::not_after`]) the attempt ends later than the wait, at
    /// most [`ATTEMPT_FOR_MAX`] from now.
    pub fn wait(mut self, at_most: Duration) -> Self {
        self.wait = at_most.min(ATTEMPT_FOR_MAX);
        self
    }

    async fn perform(self) -> Result<Permit<Granted>, Refusal> {
        let Self {
            gate,
            operation,
            wait,
        } = self;
        let silence = |error| Refusal::Silence(Silence::operation(error));
        operation.check().map_err(silence)?;
        let wire = operation.to_wire(gate.namespace()).map_err(silence)?;
        let attempt = operation.attempt(attempt_end(gate, wait));
        let attempt = attempt.map_err(silence)?;
        let wait_end = (!wait.is_zero()).then(|| gate.nodes().clock().wall_after(wait));
        let began = gate.nodes().now();
        let whole = gate.deadline().saturating_add(wait);
        loop {
            let not_after = attempt.not_after();
            let submission = Submission {
                operation,
                wire: &wire,
                attempt: &attempt,
                not_after,
                wait_until: wait_end.map(|end| end.min(last_wait(not_after))),
            };
            let spent = gate.nodes().now().saturating_sub(began);
            let left = whole.saturating_sub(spent);
            let round = match wait_end {
                None => left,
                Some(_) => left.min(WAIT_ROUND_MAX.max(gate.deadline())),
            };
            let decision = match gate.submit(submission, round).await {
                Ok(decision) => decision,
                // The place is kept while there is time to ask again.
                Err(NoAnswer::Unanswered(unanswered))
                    if round < left && unanswered.reason() != Reason::ReceiptInvalid =>
                {
                    pause_if_early(gate, unanswered.waited, round).await;
                    continue;
                }
                Err(error) => return Err(silenced(error, &attempt)),
            };
            match decision {
                Decision::Permit(facts) => {
                    let random = |error| silence(OperationError::Randomness(error));
                    return Permit::granted(gate.clone(), *facts).map_err(random);
                }
                Decision::Deny(parts) => return Err(Refusal::Denied(Denied::new(*parts))),
                Decision::Waiting(_) if round < left || left > PAUSE_MIN * 4 => {
                    gate.nodes().clock().pause(PAUSE_MIN).await;
                }
                Decision::Waiting(place) => return Err(still_waits(&attempt, place)),
                // The key is known under another end than the one that we chose: ask under that.
                Decision::Silence {
                    reason: Reason::IdempotencyKeyReused,
                    not_after: theirs,
                    ..
                } if spent < whole && attempt.adopt(not_after, theirs) => {}
                Decision::Silence {
                    reason,
                    sentence,
                    missing,
                    ..
                } => {
                    let name = AttemptName {
                        key: attempt.key().clone(),
                        not_after,
                    };
                    let silence = Silence::gate(reason, sentence, attempt.decided(), Some(name));
                    return Err(Refusal::Silence(silence.missing(missing)));
                }
            }
        }
    }
}

impl<'a> IntoFuture for Authorize<'a> {
    type Output = Result<Permit<Granted>, Refusal>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.perform())
    }
}

/// Pauses before the next round where this one ended early, which says that there is no room: who waits
/// for bounds can wait for that too.
async fn pause_if_early(gate: &Gate, waited: Duration, round: Duration) {
    if waited < round / 2 {
        gate.nodes().clock().pause(PAUSE_MAX).await;
    }
}

/// When an attempt that is named now ends, by our clock: later than its waiting.
fn attempt_end(gate: &Gate, wait: Duration) -> ClusterTime {
    let lives = if wait.is_zero() {
        gate.attempt_for()
    } else {
        let needed = wait
            .saturating_add(gate.deadline())
            .saturating_add(WAIT_MARGIN);
        gate.attempt_for().max(needed)
    };
    gate.nodes().clock().wall_after(lives.min(ATTEMPT_FOR_MAX))
}

/// The last moment at which an attempt that ends at `not_after` may wait.
fn last_wait(not_after: ClusterTime) -> ClusterTime {
    let margin_ms = u64::try_from(WAIT_MARGIN.as_millis()).unwrap_or(u64::MAX);
    ClusterTime::new(not_after.get().saturating_sub(margin_ms)).unwrap_or(not_after)
}

/// SILENCE, when the time was over while the attempt had its place.
fn still_waits(attempt: &Attempt, place: WaitingPlace) -> Refusal {
    let sentence = "The attempt still waits for its bounds; asked for again with the same key in \
                    time, it keeps its place."
        .to_owned();
    let name = Some(attempt.name());
    let silence = Silence::gate(Reason::Timeout, sentence, attempt.decided(), name);
    Refusal::Silence(silence.waiting(place))
}

/// SILENCE, when no node gave an answer.
fn silenced(error: NoAnswer, attempt: &Attempt) -> Refusal {
    let name = attempt.name();
    let silence = match error {
        NoAnswer::Refused(Refused {
            reason,
            sentence,
            decided,
        }) => Silence::gate(reason, sentence, decided, Some(name)),
        NoAnswer::Unanswered(unanswered) => Silence::unanswered(unanswered, Some(name)),
    };
    Refusal::Silence(silence.at_least(attempt.decided()))
}
