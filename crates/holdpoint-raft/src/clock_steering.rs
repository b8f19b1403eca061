//! Which time the leader writes into an entry.
//!
//! Cluster time is advanced by the leader's monotonic clock and steered slowly towards its wall
//! clock, so that a jump of one wall clock neither expires nor prolongs a permit. One entry moves it
//! by at most [`ENTRY_STEP_MS_MAX`](holdpoint_core::limits::ENTRY_STEP_MS_MAX); what lies further
//! ahead (a new leader after an outage, a cluster that was idle) is a
//! [`StepTime`](holdpoint_core::command::StepTime) of its own with the wall clocks of a majority of
//! voters.
//!
//! Everything here is a function of what it is given; it reads no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use holdpoint_core::command::StepTime;
use holdpoint_core::limits::ENTRY_STEP_MS_MAX;
use holdpoint_receipt::{ClusterTime, NodeId};

use crate::limits;

/// The state of one leader's term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steering {
    /// The time of the last entry, or of the applied state when the term began.
    last: ClusterTime,
    /// The monotonic clock at that moment.
    at: Duration,
}

impl Steering {
    /// Begins a term with the cluster time of the applied state. How long ago it was reached is
    /// unknown and counts as nothing.
    pub(crate) fn begin(applied: ClusterTime, monotonic: Duration) -> Self {
        Self {
            last: applied,
            at: monotonic,
        }
    }

    /// Where cluster time should be now, without any bound on the step.
    pub(crate) fn target(&self, monotonic: Duration, wall_ms: u64) -> ClusterTime {
        let elapsed = millis(monotonic.saturating_sub(self.at));
        let advanced = self.last.saturating_add(elapsed);
        let correction_max = elapsed.saturating_mul(limits::STEERING_PER_MILLE) / 1_000;
        let wall = cluster_time(wall_ms);
        let ahead = wall.saturating_since(advanced).min(correction_max);
        let behind = advanced.saturating_since(wall).min(correction_max);
        let steered = advanced.get().saturating_add(ahead).saturating_sub(behind);
        // Steering slows time down and never turns it back: the correction is part of `elapsed`.
        cluster_time(steered).max(self.last)
    }

    /// The time of the last entry.
    pub(crate) fn now(&self) -> ClusterTime {
        self.last
    }

    /// The time of the next entry.
    pub(crate) fn advance(&mut self, monotonic: Duration, wall_ms: u64) -> ClusterTime {
        let step_max = self.last.saturating_add(ENTRY_STEP_MS_MAX);
        let time = self.target(monotonic, wall_ms).min(step_max);
        assert!(time >= self.last, "cluster time never goes back");
        *self = Self {
            last: time,
            at: monotonic,
        };
        time
    }

    /// Takes a larger step into account that an entry with `clocks` makes.
    pub(crate) fn stepped(&mut self, clocks: &StepTime, monotonic: Duration) {
        if let Some(median) = lower_median(clocks.clocks.iter().map(|(_, time)| *time)) {
            *self = Self {
                last: self.last.max(median),
                at: monotonic,
            };
        }
    }

    /// Whether `median` is so far ahead that entries would take several steps to get there.
    pub(crate) fn wants_step(&self, monotonic: Duration, median: ClusterTime) -> bool {
        let elapsed = millis(monotonic.saturating_sub(self.at));
        let ahead = median.saturating_since(self.last);
        // Beyond one entry's step, or far from what the monotonic clock accounts for.
        ahead > ENTRY_STEP_MS_MAX || ahead.saturating_sub(elapsed) > STEP_FROM_MS
    }
}

/// A gap that steering would take too long to close: at 50 ms a second, 20 s.
const STEP_FROM_MS: u64 = 1_000;

/// A reading of a voter's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What it said, moved by half of the time that the question took.
    pub(crate) wall_ms: u64,
    /// This node's monotonic clock when the answer came.
    pub(crate) at: Duration,
}

/// The voters' wall clocks, as last read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks(BTreeMap<u64, Reading>);

impl Clocks {
    pub(crate) fn set(&mut self, node: u64, reading: Reading) {
        self.0.insert(node, reading);
    }

    /// The wall clocks of `voters` now, where a fresh reading tells.
    fn now(&self, voters: &[u64], monotonic: Duration) -> Vec<(u64, ClusterTime)> {
        let fresh = |voter: &u64| {
            let reading = self.0.get(voter)?;
            let age = monotonic.saturating_sub(reading.at);
            (age <= limits::CLOCK_READING_AGE).then(|| {
                (
                    *voter,
                    cluster_time(reading.wall_ms.saturating_add(millis(age))),
                )
            })
        };
        voters.iter().filter_map(fresh).collect()
    }

    /// A time step with the wall clocks of a majority of voters; `None` without a majority.
    pub(crate) fn step(&self, voters: &[u64], monotonic: Duration) -> Option<StepTime> {
        let clocks = self.now(voters, monotonic);
        if clocks.len() <= voters.len() / 2 {
            return None;
        }
        let clocks = clocks
            .into_iter()
            .filter_map(|(node, time)| Some((NodeId::new(node).ok()?, time)));
        Some(StepTime {
            clocks: clocks.collect(),
        })
    }

    /// How far `wall_ms` is from the voters' lower median; `None` without a majority.
    pub(crate) fn offset_ms(
        &self,
        voters: &[u64],
        monotonic: Duration,
        wall_ms: u64,
    ) -> Option<u64> {
        let clocks = self.now(voters, monotonic);
        if clocks.len() <= voters.len() / 2 {
            return None;
        }
        let median = lower_median(clocks.into_iter().map(|(_, time)| time))?;
        Some(median.get().abs_diff(wall_ms))
    }
}

/// The lower median, which a minority of wrong clocks cannot move beyond a right one.
pub(crate) fn lower_median(times: impl Iterator<Item = ClusterTime>) -> Option<ClusterTime> {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times.get(times.len().checked_sub(1)? / 2).copied()
}

/// Milliseconds as cluster time; the last one if they are beyond it.
pub(crate) fn cluster_time(ms: u64) -> ClusterTime {
    ClusterTime::new(ms).unwrap_or(ClusterTime::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn times(times: &[u64]) -> Option<u64> {
        lower_median(times.iter().map(|time| cluster_time(*time))).map(ClusterTime::get)
    }

    #[test]
    fn time_follows_the_monotonic_clock_when_the_wall_clock_agrees() {
        let mut steering = Steering::begin(cluster_time(10_000), ms(0));
        assert_eq!(steering.advance(ms(1_000), 11_000).get(), 11_000);
        assert_eq!(steering.advance(ms(1_500), 11_500).get(), 11_500);
    }

    #[test]
    fn a_jump_of_the_wall_clock_moves_time_by_a_twentieth_at_most() {
        for (wall, expected) in [(9_000_000, 11_050), (0, 10_950)] {
            let mut steering = Steering::begin(cluster_time(10_000), ms(0));
            assert_eq!(steering.advance(ms(1_000), wall).get(), expected);
        }
    }

    #[test]
    fn time_never_goes_back_and_no_entry_moves_it_beyond_its_step() {
        let mut steering = Steering::begin(cluster_time(10_000), ms(5_000));
        assert_eq!(
            steering.advance(ms(4_000), 0).get(),
            10_000,
            "a clock that went back"
        );
        let time = steering.advance(ms(3_600_000), 3_600_000);
        assert_eq!(time.get(), 10_000 + ENTRY_STEP_MS_MAX);
    }

    #[test]
    fn a_large_gap_wants_a_step_and_a_small_one_does_not() {
        let steering = Steering::begin(cluster_time(10_000), ms(0));
        assert!(!steering.wants_step(ms(100), cluster_time(10_600)));
        assert!(steering.wants_step(ms(100), cluster_time(12_000)));
        assert!(
            steering.wants_step(ms(60_000), cluster_time(70_000)),
            "idle for a minute"
        );
        assert!(
            !steering.wants_step(ms(100), cluster_time(1_000)),
            "never back"
        );
        let mut steering = steering;
        let voter = |node, time| (NodeId::new(node).unwrap(), cluster_time(time));
        steering.stepped(
            &StepTime {
                clocks: vec![voter(1, 90_000), voter(2, 80_000)],
            },
            ms(60_000),
        );
        assert_eq!(steering.advance(ms(60_000), 80_000).get(), 80_000);
    }

    #[test]
    fn the_lower_median_is_taken() {
        assert_eq!(times(&[]), None);
        assert_eq!(times(&[5]), Some(5));
        assert_eq!(times(&[9, 5]), Some(5));
        assert_eq!(times(&[1, 9, 5]), Some(5));
        assert_eq!(times(&[1, 9, 5, 7]), Some(5));
    }

    #[test]
    fn clocks_count_only_with_a_majority_of_fresh_readings() {
        let mut clocks = Clocks::default();
        let voters = [1, 2, 3];
        clocks.set(
            1,
            Reading {
                wall_ms: 1_000,
                at: ms(0),
            },
        );
        assert_eq!(clocks.step(&voters, ms(0)), None);
        clocks.set(
            2,
            Reading {
                wall_ms: 3_000,
                at: ms(0),
            },
        );
        clocks.set(
            9,
            Reading {
                wall_ms: 0,
                at: ms(0),
            },
        );
        let step = clocks.step(&voters, ms(500)).unwrap();
        let times: Vec<_> = step
            .clocks
            .iter()
            .map(|(node, time)| (node.get(), time.get()))
            .collect();
        assert_eq!(times, [(1, 1_500), (2, 3_500)], "readings age");
        assert_eq!(clocks.offset_ms(&voters, ms(500), 2_500), Some(1_000));
        let later = limits::CLOCK_READING_AGE + ms(1);
        assert_eq!(clocks.step(&voters, later), None);
        assert_eq!(clocks.offset_ms(&voters, later, 0), None);
    }
}
