//! The clock of a term: what the leader's entries say, and when they must wait for the voters' clocks.
//!
//! One task makes the entries and asks here for their times, so they rise; others may read where time
//! is now. It never asks a node: [`crate::clocks`] does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdpoint_core::Command;
use holdpoint_core::command::StepTime;
use holdpoint_receipt::{ClusterTime, NodeId};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::clock_readings::Bounds;
use crate::clock_steering::{LoneClock, Steering};
use crate::clocks::ClockWatch;
use crate::leadership::{Leadership, lost};
use crate::limits;

/// Cluster time as this node last applied it, and its monotonic clock then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) time: ClusterTime,
    pub(crate) at: Duration,
}

/// The time of the term that this node leads in.
#[derive(Clone, Copy, Debug)]
struct TermTime {
    term: u64,
    steering: Steering,
    /// Whether a majority's clocks were seen in this term.
    is_confirmed: bool,
    /// What counts of this node's wall clock while it is the only voter.
    lone: Option<LoneClock>,
}

/// What the clocks say at one moment.
struct Moment {
    monotonic: Duration,
    /// What the voters' clocks vouch for; none without a majority.
    bounds: Option<Bounds>,
    voters: Vec<u64>,
}

impl TermTime {
    /// What counts of what the clocks `show`.
    fn bounds(&mut self, show: Bounds, is_lone: bool, now: Duration) -> Bounds {
        if !is_lone {
            self.lone = None;
            return show;
        }
        let begin = || LoneClock::begin(show.low, now);
        self.lone.get_or_insert_with(begin).follow(show.low, now)
    }
}

/// Keeps the time of a term.
#[derive(Debug)]
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    watch: ClockWatch,
    now: Mutex<Option<TermTime>>,
}

impl Timekeeper {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            watch: ClockWatch::new(),
            now: Mutex::new(None),
        }
    }

    /// What is known of the voters' clocks.
    pub(crate) fn watch(&self) -> &ClockWatch {
        &self.watch
    }

    fn lock(&self) -> MutexGuard<'_, Option<TermTime>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins `term` with what this node has applied.
    pub(crate) fn begin(&self, term: u64, seen: Seen) {
        *self.lock() = Some(TermTime {
            term,
            steering: Steering::begin(seen.time, seen.at),
            is_confirmed: false,
            lone: None,
        });
    }

    /// Runs `read` on the time of `term` at this moment. `None` if the term has not begun, or another
    /// one has.
    fn with<R>(&self, term: u64, read: impl FnOnce(&mut TermTime, &Moment) -> R) -> Option<R> {
        let voters = self.watch.voters();
        let mut now = self.lock();
        let time = now.as_mut().filter(|time| time.term == term)?;
        let monotonic = self.clock.monotonic();
        let shown = self.watch.clocks().bounds(&voters, monotonic);
        let bounds = shown.map(|shown| time.bounds(shown, voters.len() == 1, monotonic));
        time.is_confirmed |= bounds.is_some();
        let moment = Moment {
            monotonic,
            bounds,
            voters,
        };
        Some(read(time, &moment))
    }

    /// Where cluster time is now in `term`: where its next entry would put it.
    pub(crate) fn now(&self, term: u64) -> Option<ClusterTime> {
        self.with(term, |time, at| time.steering.next(at.monotonic, at.bounds))
    }

    /// Whether cluster time of `term` is so far ahead of the clocks that it waits for them.
    pub(crate) fn is_waiting(&self, term: u64) -> bool {
        let waits = self.with(term, |time, at| {
            let bounds = at.bounds?;
            Some(time.steering.is_waiting(at.monotonic, bounds))
        });
        waits.flatten().unwrap_or(false)
    }

    /// Waits until the next entry of `term` may be made: for a majority's clocks before its first one,
    /// and where time is too far ahead of the last one to get there without them. `false` if the term
    /// ended meanwhile.
    pub(crate) async fn is_known(
        &self,
        term: u64,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> bool {
        let mut readings = self.watch.readings();
        loop {
            readings.borrow_and_update();
            if !self.must_wait(term) {
                return leadership.borrow().leads() == Some(term);
            }
            tokio::select! {
                changed = readings.changed() => if changed.is_err() { return false },
                () = lost(leadership, term) => return false,
            }
        }
    }

    fn must_wait(&self, term: u64) -> bool {
        let waits = self.with(term, |time, at| {
            let behind = time.steering.entries_behind(at.monotonic, at.bounds);
            let is_far = behind > limits::CATCH_UP_ENTRIES_MAX;
            at.bounds.is_none() && (is_far || !time.is_confirmed)
        });
        waits.unwrap_or(false)
    }

    /// The entries that must come before the next one of callers: a step that a majority's clocks
    /// vouch for, and entries without commands for what is left.
    pub(crate) fn catch_up(&self, term: u64) -> Vec<(ClusterTime, Vec<Command>)> {
        let entries = self.with(term, |time, at| {
            let mut entries: Vec<_> = self.step(time, at).into_iter().collect();
            let steering = &mut time.steering;
            let behind = steering.entries_behind(at.monotonic, at.bounds);
            for _ in 0..behind.min(limits::CATCH_UP_ENTRIES_MAX) {
                entries.push((steering.advance(at.monotonic, at.bounds), Vec::new()));
            }
            entries
        });
        entries.unwrap_or_default()
    }

    /// An entry with a step of time, if one must come.
    fn step(&self, time: &mut TermTime, at: &Moment) -> Option<(ClusterTime, Vec<Command>)> {
        let (bounds, last) = (at.bounds?, time.steering.last());
        let to = time.steering.step(at.monotonic, bounds)?;
        let step = match at.voters.as_slice() {
            // What counts of the one clock, which may show something else now.
            [lone] => StepTime {
                clocks: vec![(NodeId::new(*lone).ok()?, to)],
            },
            voters => self.watch.clocks().step(voters, at.monotonic, to)?,
        };
        time.steering.stepped(to, at.monotonic, bounds);
        Some((last, vec![Command::StepTime(step)]))
    }

    /// The time of the next entry of `term`.
    pub(crate) fn entry_time(&self, term: u64) -> Option<ClusterTime> {
        self.with(term, |time, at| {
            time.steering.advance(at.monotonic, at.bounds)
        })
    }
}
