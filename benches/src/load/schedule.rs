//! When requests begin: when the one before is answered, or at times that were fixed before.
//!
//! In an open loop request `n` is meant to begin `n / rate` after the start, whatever became of the
//! others, and its latency counts from there. A server that stands still for a second so costs every
//! request of that second its share, and not only the few that were under way (coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How load is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    /// So many workers, each of which asks again when it is answered.
    Closed {
        /// Workers.
        in_flight: usize,
    },
    /// So many requests a second, by at most so many workers. Those that find no free worker wait, and
    /// the waiting is part of their latency.
    Open {
        /// Requests a second.
        rate: u64,
        /// Workers.
        workers: usize,
    },
}

impl Load {
    /// How many workers there are.
    pub(crate) const fn workers(self) -> usize {
        match self {
            Self::Closed { in_flight } => in_flight,
            Self::Open { workers, .. } => workers,
        }
    }

    /// What stands in tables.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Closed { in_flight } => in_flight.to_string(),
            Self::Open { rate, .. } => format!("{rate}/s"),
        }
    }
}

/// The shortest time between two looks at what is due: a sleep is not more exact.
const TICK: Duration = Duration::from_micros(200);

/// Says when the next request begins.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Instant,
    end: Instant,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    rate: u64,
    due: Arc<Semaphore>,
    taken: AtomicU64,
    is_over: Arc<AtomicBool>,
}

impl Schedule {
    /// Begins now and goes on for `lasts`.
    pub(crate) fn begin(load: Load, lasts: Duration) -> Self {
        let start = Instant::now();
        let end = start.checked_add(lasts).unwrap_or(start);
        let open = match load {
            Load::Closed { .. } => None,
            Load::Open { rate, .. } => Some(Open::begin(rate.max(1), start, end)),
        };
        Self { start, end, open }
    }

    /// Waits until a request is due and gives the time at which it was; none when all is over.
    pub(crate) async fn next(&self) -> Option<Instant> {
        let due = match &self.open {
            None => Instant::now(),
            Some(open) => {
                // Closed at the end, after all that was due by then was handed out.
                open.due.acquire().await.ok()?.forget();
                let number = open.taken.fetch_add(1, Ordering::Relaxed);
                self.start.checked_add(after(number, open.rate))?
            }
        };
        (due < self.end).then_some(due)
    }
}

impl Open {
    /// A thread of its own hands requests out: a timer of the runtime would come late when it is busy,
    /// and its milliseconds are too coarse.
    fn begin(rate: u64, start: Instant, end: Instant) -> Self {
        let open = Self {
            rate,
            due: Arc::new(Semaphore::new(0)),
            taken: AtomicU64::new(0),
            is_over: Arc::new(AtomicBool::new(false)),
        };
        let (due, is_over) = (Arc::clone(&open.due), Arc::clone(&open.is_over));
        thread::spawn(move || {
            let mut handed = 0_u64;
            while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                let now = due_by(start.elapsed(), rate);
                let more = usize::try_from(now.saturating_sub(handed)).unwrap_or(0);
                due.add_permits(more);
                handed = now;
                let wait = after(handed, rate).saturating_sub(start.elapsed());
                thread::sleep(wait.max(TICK));
            }
            due.close();
        });
        open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// When request `number` is due after the start.
fn after(number: u64, rate: u64) -> Duration {
    let nanos = u128::from(number)
        .saturating_mul(1_000_000_000)
        .checked_div(u128::from(rate))
        .unwrap_or_default();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How many requests are due when `elapsed` has passed; the first at once.
fn due_by(elapsed: Duration, rate: u64) -> u64 {
    let whole = elapsed.as_nanos().saturating_mul(u128::from(rate)) / 1_000_000_000;
    u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_handed_out_at_or_after_the_time_at_which_it_is_due() {
        for rate in [1, 3, 1_000, 77_777] {
            for number in [0, 1, 2, 999, 1_000_000] {
                let due = after(number, rate);
                let handed = due_by(due.saturating_add(Duration::from_nanos(1)), rate);
                assert!(handed > number, "request {number} at {rate}/s");
                assert!(
                    number == 0
                        || due_by(due.saturating_sub(Duration::from_nanos(1)), rate) <= number
                );
            }
        }
    }

    #[tokio::test]
    async fn request_that_finds_no_worker_keeps_the_time_at_which_it_was_due() {
        let load = Load::Open {
            rate: 1_000,
            workers: 1,
        };
        let schedule = Schedule::begin(load, Duration::from_mins(1));
        let first = schedule.next().await.unwrap();
        let tenth = {
            let mut due = first;
            for _ in 0..9 {
                due = schedule.next().await.unwrap();
            }
            due
        };
        assert_eq!(tenth.duration_since(first), Duration::from_millis(9));
    }

    #[tokio::test]
    async fn nothing_begins_after_the_end() {
        let load = Load::Open {
            rate: 10,
            workers: 1,
        };
        let schedule = Schedule::begin(load, Duration::ZERO);
        assert_eq!(schedule.next().await, None);
        let schedule = Schedule::begin(Load::Closed { in_flight: 1 }, Duration::ZERO);
        assert_eq!(schedule.next().await, None);
    }
}
