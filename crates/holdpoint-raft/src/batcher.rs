//! Commands of many callers become one log entry.
//!
//! One task takes what is queued, at most [`limits::ENTRY_COMMANDS_MAX`] commands and
//! [`limits::ENTRY_BYTES_MAX`] bytes, and proposes it without waiting for the entry before. It lingers
//! only while an earlier entry is on its way, so a lone caller waits for nothing but the disks.

mod deliver;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdpoint_core::{CodecError, Command, Entry, GroupId, Outcome, codec};
use holdpoint_receipt::ClusterTime;
use openraft::impls::ProgressResponder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use deliver::{Caller, Written, deliver};

use crate::committed::Committed;
use crate::error::ProposeError;
use crate::leadership::Leadership;
use crate::limits;
use crate::payload::Proposal;
use crate::term::{Ground, Term};
use crate::types::{CommittedLeaderId, Raft};

type Answer = Result<Committed<Outcome>, ProposeError>;

/// A command that waits for its outcome.
#[derive(Debug)]
struct Waiting {
    command: Command,
    /// Its encoded bytes, which count against the entry's.
    bytes: usize,
    deadline: Instant,
    answer: oneshot::Sender<Answer>,
    /// Its place among those that may wait, given back when this is dropped.
    place: Place,
}

/// A place among the commands that may wait.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting_count: &Arc<AtomicUsize>) -> Result<Self, ProposeError> {
        let before = waiting_count.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(waiting_count));
        if before < limits::PROPOSALS_MAX {
            return Ok(place);
        }
        let waiting_count_max = limits::PROPOSALS_MAX;
        Err(ProposeError::Overloaded {
            waiting_count: before,
            waiting_count_max,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where callers queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Waiting>,
    waiting_count: Arc<AtomicUsize>,
}

/// The other end of a [`Queue`].
#[derive(Debug)]
pub(crate) struct Queued(mpsc::Receiver<Waiting>);

/// An empty queue.
pub(crate) fn queue() -> (Queue, Queued) {
    let (sender, receiver) = mpsc::channel(limits::PROPOSALS_MAX);
    (
        Queue {
            sender,
            waiting_count: Arc::default(),
        },
        Queued(receiver),
    )
}

/// Entries carry a few bytes of their own; each command pays a share that covers them.
const OWN_BYTES: usize = 16;

impl Queue {
    /// Queues `command` and waits for its outcome, at most `wait`.
    pub(crate) async fn propose(&self, command: Command, wait: Duration) -> Answer {
        let wait = wait.min(limits::WAIT_MAX);
        let deadline = Instant::now() + wait;
        let bytes =
            encoded_bytes(&command).map_err(|error| ProposeError::TooLarge(Arc::new(error)))?;
        let place = Place::take(&self.waiting_count)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            command,
            bytes,
            deadline,
            answer,
            place,
        };
        if self.sender.try_send(waiting).is_err() {
            // There is a place in the channel for each that may wait: it is closed.
            return Err(ProposeError::ShuttingDown {
                may_have_committed: false,
            });
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ProposeError::ShuttingDown {
                may_have_committed: true,
            }),
            Err(_) => Err(ProposeError::Timeout {
                wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

/// What a command takes of an entry.
fn encoded_bytes(command: &Command) -> Result<usize, CodecError> {
    let bytes = codec::encode_command(command)?
        .len()
        .saturating_add(OWN_BYTES);
    if bytes > limits::ENTRY_BYTES_MAX {
        return Err(CodecError::TooLarge {
            found: bytes,
            max: limits::ENTRY_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// Commands for one entry.
#[derive(Debug, Default)]
struct Batch {
    waiting: Vec<Waiting>,
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.waiting.len() >= limits::ENTRY_COMMANDS_MAX
    }

    /// Adds a command, or gives it back for the next batch.
    fn add(&mut self, waiting: Waiting) -> Option<Waiting> {
        let bytes = self.bytes.saturating_add(waiting.bytes);
        if self.is_full() || (bytes > limits::ENTRY_BYTES_MAX && !self.waiting.is_empty()) {
            return Some(waiting);
        }
        self.bytes = bytes;
        self.waiting.push(waiting);
        None
    }
}

/// The task that makes entries.
#[derive(Debug)]
pub(crate) struct Batcher {
    pub(crate) raft: Raft,
    pub(crate) group: GroupId,
    pub(crate) ground: Ground,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) queued: Queued,
}

/// What a step of the batcher's wait ended with.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time; a box for each command would cost more"
)]
enum Event {
    Command(Waiting),
    Leadership,
    Closed,
}

impl Batcher {
    /// Runs until the queue is closed or openraft has stopped.
    pub(crate) async fn run(mut self) {
        let in_flight = Arc::new(Semaphore::new(limits::ENTRIES_IN_FLIGHT_MAX));
        let mut held: Option<Waiting> = None;
        let mut term: Option<Term> = None;
        loop {
            term = self.current_term(term).await;
            let first = match held.take() {
                Some(waiting) => waiting,
                None => match self.next_event().await {
                    Event::Command(waiting) => waiting,
                    Event::Leadership => continue,
                    Event::Closed => return,
                },
            };
            let Some(term) = &mut term else {
                refuse(first, self.not_leader(false));
                continue;
            };
            let timekeeper = &self.ground.timekeeper;
            if !timekeeper.is_known(term.number, &mut self.leadership).await {
                refuse(first, self.not_leader(false));
                continue;
            }
            let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else {
                return;
            };
            let is_busy =
                in_flight.available_permits().saturating_add(1) < limits::ENTRIES_IN_FLIGHT_MAX;
            let (batch, left) = self.fill(first, is_busy).await;
            held = left;
            if !self.propose_all(term, batch, permit).await {
                return;
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        tokio::select! {
            changed = self.leadership.changed() => match changed {
                Ok(()) => Event::Leadership,
                Err(_) => Event::Closed,
            },
            waiting = self.queued.0.recv() => waiting.map_or(Event::Closed, Event::Command),
        }
    }

    /// The term that this node leads in now; begun if it is new.
    async fn current_term(&mut self, term: Option<Term>) -> Option<Term> {
        let leads = self.leadership.borrow_and_update().leads()?;
        if let Some(term) = term.filter(|term| term.number == leads) {
            return Some(term);
        }
        let mut begun = self.ground.begin(leads, &mut self.leadership).await?;
        // The group's foundation does not wait for a caller.
        for (time, commands) in self.ground.before_next(&mut begun) {
            let proposal = self.encode(time, commands)?;
            self.write(&begun, proposal).await?;
        }
        Some(begun)
    }

    /// Takes what is queued with `first`, lingering only while another entry is on its way. Returns
    /// the command that did not fit, too.
    async fn fill(&mut self, first: Waiting, is_busy: bool) -> (Batch, Option<Waiting>) {
        let mut batch = Batch::default();
        let mut left = batch.add(first);
        let until = Instant::now() + limits::LINGER;
        while left.is_none() && !batch.is_full() {
            let next = if is_busy {
                timeout_at(until, self.queued.0.recv())
                    .await
                    .unwrap_or_default()
            } else {
                self.queued.0.try_recv().ok()
            };
            let Some(next) = next else {
                break;
            };
            left = batch.add(next);
        }
        (batch, left)
    }

    /// Proposes what must come first, and `batch`. `false` if openraft has stopped.
    async fn propose_all(
        &self,
        term: &mut Term,
        batch: Batch,
        permit: OwnedSemaphorePermit,
    ) -> bool {
        for (time, commands) in self.ground.before_next(term) {
            let Some(proposal) = self.encode(time, commands) else {
                continue;
            };
            if self.write(term, proposal).await.is_none() {
                return false;
            }
        }
        let now = Instant::now();
        // Whoever gave up was told so, or is gone; what was never proposed need not be.
        let waiting = batch
            .waiting
            .into_iter()
            .filter(|waiting| waiting.deadline > now && !waiting.answer.is_closed());
        let (commands, callers): (Vec<_>, Vec<_>) = waiting
            .map(|waiting| {
                (
                    waiting.command,
                    Caller {
                        answer: waiting.answer,
                        place: waiting.place,
                    },
                )
            })
            .unzip();
        if commands.is_empty() {
            return true;
        }
        let Some(time) = self.ground.timekeeper.entry_time(term.number) else {
            // The batcher begins every term that it writes for.
            tracing::error!(term = term.number, "an entry has no time");
            return true;
        };
        let Some(proposal) = self.encode(time, commands) else {
            return true;
        };
        let Some(result) = self.write(term, proposal).await else {
            return false;
        };
        let leadership = self.leadership.clone();
        tokio::spawn(deliver(result, callers, leadership, term.number, permit));
        true
    }

    /// Encodes an entry. Commands were measured at the door, so nothing is too large here.
    fn encode(&self, time: ClusterTime, commands: Vec<Command>) -> Option<Proposal> {
        let entry = Entry {
            group: self.group,
            time,
            commands,
        };
        Proposal::encode(entry)
            .inspect_err(|error| tracing::error!(%error, "an entry does not encode"))
            .ok()
    }

    /// Hands an entry to openraft, for this term only: its time belongs to it. `None` if openraft
    /// has stopped.
    async fn write(&self, term: &Term, proposal: Proposal) -> Option<Written> {
        let (responder, result) = ProgressResponder::complete_only();
        let write = self
            .raft
            .write(proposal)
            .with_leader(CommittedLeaderId::new(term.number))
            .responder(responder);
        write.await.ok()?;
        Some(result)
    }

    fn not_leader(&self, may_have_committed: bool) -> ProposeError {
        let leader = self.leadership.borrow().leader();
        ProposeError::NotLeader {
            leader,
            may_have_committed,
        }
    }
}

fn refuse(waiting: Waiting, error: ProposeError) {
    // A caller that is gone needs no answer.
    let _ = waiting.answer.send(Err(error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_may_wait_is_refused_and_a_place_that_is_given_back_can_be_taken() {
        let waiting_count = Arc::new(AtomicUsize::new(0));
        let mut places: Vec<Place> = (0..limits::PROPOSALS_MAX)
            .map(|_| Place::take(&waiting_count).unwrap())
            .collect();
        let refused = Place::take(&waiting_count).unwrap_err();
        assert!(!refused.may_have_committed());
        let text = refused.to_string();
        assert_eq!(
            text,
            "overloaded: 16384 commands are waiting, at most 16384 may"
        );
        places.pop();
        places.push(Place::take(&waiting_count).unwrap());
        drop(places);
        assert_eq!(waiting_count.load(Ordering::Relaxed), 0);
    }
}
