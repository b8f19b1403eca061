//! What the leader does by itself: what only time brings about, tickets that nobody waits for, alarms.
//!
//! Each step is one command of bounded size among all others, and after each the leader does other
//! things for as long as it took: a backlog of any length never holds up a decision. Nothing here
//! decides; a sweep that finds nothing changes nothing.

mod alarms;

use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::command::{Command, LeaveQueue, Sweep, Ticket};
use holdpoint_core::limits::LEAVES_MAX;
use holdpoint_core::{ApplyError, GroupId, Outcome, Query};
use holdpoint_raft::StateView;
use holdpoint_receipt::{ClusterTime, Name};
use holdpoint_storage::StoreError;
use tokio::time::{Instant, sleep};

use crate::gate::Gate;
use crate::limits::{HOUSEKEEPING, LEFT_FOR, RETURN_FOR};
use crate::random;
use crate::waiting::AttemptKey;

use alarms::Alarms;

/// How long a step may take to be committed.
const PROPOSE: Duration = Duration::from_secs(5);

/// The shortest pause after a step. The longest is as long as the step took.
const PAUSE: Duration = Duration::from_millis(5);

/// Steps of one namespace after which the others, and everything else, have their turn.
const STEPS_MAX: usize = 64;

type ReadError = ApplyError<StoreError>;

/// Keeps house whenever this node leads, for as long as its group lives.
pub(crate) async fn run(gate: Arc<Gate>) {
    let mut leadership = gate.group().leadership();
    loop {
        let term = match leadership.wait_for(|now| now.leads().is_some()).await {
            Ok(now) => now.leads(),
            Err(_) => return,
        };
        let mut house = House::new(&gate);
        while leadership.borrow_and_update().leads() == term {
            house.round().await;
            sleep(HOUSEKEEPING).await;
        }
        gate.waiting().forget_left();
    }
}

/// One term's house.
struct House<'a> {
    gate: &'a Gate,
    /// The namespaces with what is due in them, as far as it was looked at.
    due: Due,
    /// Whether the attempts that wait in the log are known.
    has_adopted: bool,
    alarms: Alarms,
}

/// When there is something to do.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// The entry up to which it was looked at.
    seen: Option<u64>,
    /// The earliest time known from there.
    at: Option<ClusterTime>,
}

impl<'a> House<'a> {
    fn new(gate: &'a Gate) -> Self {
        Self {
            gate,
            due: Due::default(),
            has_adopted: false,
            alarms: Alarms::default(),
        }
    }

    async fn round(&mut self) {
        self.adopt().await;
        if self.has_adopted {
            self.leave().await;
        }
        let applied = self.gate.group().applied().borrow().index;
        let now = self.gate.cluster_time();
        let is_new = applied != self.due.seen;
        if is_new || self.due.at.is_some_and(|at| at <= now) {
            self.sweep(now).await;
        }
        if self.alarms.is_due()
            && let Some(namespaces) = self.read(alarms::look).await
        {
            self.alarms.raise(&namespaces);
        }
    }

    /// Takes over the attempts that an earlier leader let wait, once the state is known to be current.
    async fn adopt(&mut self) {
        if self.has_adopted || self.gate.group().read_index(PROPOSE).await.is_err() {
            return;
        }
        if let Some(waiters) = self.read(waiters).await {
            // Who left while another node led may be on the way back: its time begins anew.
            self.gate.waiting().forget_left();
            self.gate.waiting().adopt(waiters.into_iter(), RETURN_FOR);
            self.has_adopted = true;
        }
    }

    /// Gives back the tickets that nobody waits for.
    async fn leave(&mut self) {
        let left = self.gate.waiting().take_left(Instant::now(), LEAVES_MAX);
        if left.is_empty() {
            return;
        }
        let wanted = left.clone();
        let Some(tickets) = self.read(move |state| tickets(state, &wanted)).await else {
            return self.gate.waiting().adopt(left.into_iter(), LEFT_FOR);
        };
        for (namespace, waiters) in tickets {
            let count = waiters.len();
            let command = Command::LeaveQueue(LeaveQueue {
                namespace: namespace.clone(),
                waiters,
            });
            if self.propose(command).await.is_some() {
                tracing::debug!(%namespace, count, "gave back tickets that nobody waited for");
                // Whoever came back in this moment has to queue up again.
                self.gate.waiting().wake(&left);
            } else {
                // Whoever is gone stays gone; the next round tries again after a while.
                let again = left.iter().filter(|(of, _)| *of == namespace);
                self.gate.waiting().adopt(again.cloned(), LEFT_FOR);
            }
        }
    }

    /// Proposes steps of what is due, one after the other, until nothing else is.
    async fn sweep(&mut self, now: ClusterTime) {
        let seen = self.gate.group().applied().borrow().index;
        let Some(namespaces) = self.read(move |state| due(state, now)).await else {
            return;
        };
        let mut next = None;
        for (namespace, at) in namespaces {
            let is_due = at.is_some_and(|at| at <= now);
            if is_due && !self.sweep_one(&namespace).await {
                // Something is left, or nobody knows: look again at the next round.
                next = Some(now);
                continue;
            }
            next = match (next, at.filter(|_| !is_due)) {
                (Some(one), Some(other)) => Some(std::cmp::min::<ClusterTime>(one, other)),
                (one, other) => one.or(other),
            };
        }
        self.due = Due { seen, at: next };
    }

    /// Sweeps one namespace, step after step for a while; says whether nothing is left.
    async fn sweep_one(&self, namespace: &Name) -> bool {
        for _ in 0..STEPS_MAX {
            match self.step(namespace).await {
                Some(false) => (),
                Some(true) => return true,
                None => return false,
            }
        }
        false
    }

    /// One step; whether nothing is left after it, or nothing if nobody knows.
    async fn step(&self, namespace: &Name) -> Option<bool> {
        let salt = random::salt().ok()?;
        let began = Instant::now();
        let command = Command::Sweep(Sweep {
            namespace: namespace.clone(),
            salt,
        });
        let outcome = self.propose(command).await;
        let done = match outcome {
            Some(Outcome::Swept(swept)) => {
                for permit in &swept.released {
                    tracing::warn!(%namespace, %permit, "released the bounds of a permit in doubt");
                }
                if let Some(active) = swept.activated {
                    let (version, digest) = (active.version.get(), active.digest);
                    tracing::info!(%namespace, version, %digest, "drained, and put a policy in force");
                }
                Some(swept.is_done)
            }
            Some(outcome) => {
                tracing::error!(%namespace, ?outcome, "a sweep had another command's outcome");
                None
            }
            None => None,
        };
        sleep(began.elapsed().max(PAUSE)).await;
        done
    }

    async fn propose(&self, command: Command) -> Option<Outcome> {
        match self.gate.group().propose(command, PROPOSE).await {
            Ok(committed) => Some(committed.into_value()),
            Err(error) => {
                tracing::debug!(%error, "a step of housekeeping is not done yet");
                None
            }
        }
    }

    /// Reads the applied state on a pool thread; nothing if that cannot be done now.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Query<'_, StateView<'_>>) -> Result<T, ReadError> + Send + 'static,
    ) -> Option<T> {
        let group = self.gate.group().clone();
        let work = move || group.local_view(|view| look(&Query::new(&view, GroupId::FIRST)));
        match self.gate.reads().run(work).await {
            Ok(Ok(Ok(read))) => Some(read),
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "housekeeping cannot read the state");
                None
            }
            // A store that has stopped stops the node; a pool without room is asked again.
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// Every namespace.
fn namespaces(state: &Query<'_, StateView<'_>>) -> Result<Vec<Name>, ReadError> {
    let mut all: Vec<Name> = Vec::new();
    loop {
        let page = state.namespaces(all.last())?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Every namespace, and when it has something to do.
fn due(
    state: &Query<'_, StateView<'_>>,
    now: ClusterTime,
) -> Result<Vec<(Name, Option<ClusterTime>)>, ReadError> {
    let mut all = Vec::new();
    for name in namespaces(state)? {
        if let Some(namespace) = state.namespace(&name)? {
            all.push((name, namespace.next_due(now)?));
        }
    }
    Ok(all)
}

/// Every attempt that waits.
fn waiters(state: &Query<'_, StateView<'_>>) -> Result<Vec<AttemptKey>, ReadError> {
    let mut all = Vec::new();
    for name in namespaces(state)? {
        let Some(namespace) = state.namespace(&name)? else {
            continue;
        };
        let mut page = namespace.waiters(None)?;
        while let Some((last, _)) = page.last().cloned() {
            all.extend(page.into_iter().map(|(attempt, _)| (name.clone(), attempt)));
            page = namespace.waiters(Some(&last))?;
        }
    }
    Ok(all)
}

/// The tickets of those attempts that still wait, by namespace.
fn tickets(
    state: &Query<'_, StateView<'_>>,
    attempts: &[AttemptKey],
) -> Result<Vec<(Name, Vec<Ticket>)>, ReadError> {
    let mut all: Vec<(Name, Vec<Ticket>)> = Vec::new();
    for (name, attempt) in attempts {
        let Some(namespace) = state.namespace(name)? else {
            continue;
        };
        let Some(waiter) = namespace.waiter(attempt)? else {
            continue;
        };
        let ticket = Ticket {
            number: waiter.ticket,
            attempt: attempt.clone(),
        };
        // Attempts come in the order of their namespaces.
        match all.last_mut().filter(|(of, _)| of == name) {
            Some((_, tickets)) => tickets.push(ticket),
            None => all.push((name.clone(), vec![ticket])),
        }
    }
    Ok(all)
}
