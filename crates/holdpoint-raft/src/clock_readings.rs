//! What the voters' wall clocks say together.
//!
//! A majority of *all* voters must stand behind either end of [`Bounds`], whether all of them
//! answered or not, so that one wrong clock moves neither. Everything here is a function of what it is
//! given; it reads no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use holdpoint_core::command::StepTime;
use holdpoint_receipt::{ClusterTime, NodeId};

use crate::limits;

/// A reading of a voter's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What it said, moved by half of the time that the question took.
    pub(crate) wall_ms: u64,
    /// This node's monotonic clock when the answer came.
    pub(crate) at: Duration,
}

impl Reading {
    /// A reading that was asked for at `start` and came at `at`. None if it took so long that nobody
    /// knows when it was true: this node may have been paused in between.
    pub(crate) fn answered(wall_ms: u64, start: Duration, at: Duration) -> Option<Self> {
        let took = at.saturating_sub(start);
        // The answer was true about half the way back.
        let half = millis(took) / 2;
        (took <= limits::ASK).then(|| Self {
            wall_ms: wall_ms.saturating_add(half),
            at,
        })
    }
}

/// The times that a majority of the voters' wall clocks vouches for: `low` or later by one majority,
/// `high` or earlier by one. Of clocks that agree both are the median.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// A majority of clocks shows this or later.
    pub(crate) low: ClusterTime,
    /// A majority of clocks shows this or earlier.
    pub(crate) high: ClusterTime,
}

impl Bounds {
    /// One time.
    pub(crate) fn exactly(time: ClusterTime) -> Self {
        Self {
            low: time,
            high: time,
        }
    }

    /// Milliseconds by which `time` is ahead of all that is vouched for; behind it if negative.
    pub(crate) fn lead_ms(&self, time: ClusterTime) -> i64 {
        let ahead = time.saturating_since(self.high);
        let behind = self.low.saturating_since(time);
        signed(ahead).saturating_sub(signed(behind))
    }
}

/// The voters' wall clocks, as last read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks(BTreeMap<u64, Reading>);

impl Clocks {
    pub(crate) fn set(&mut self, node: u64, reading: Reading) {
        self.0.insert(node, reading);
    }

    /// The wall clocks of `voters` now, where a fresh reading tells; `None` without a majority.
    fn now(&self, voters: &[u64], monotonic: Duration) -> Option<Vec<(u64, ClusterTime)>> {
        let fresh = |voter: &u64| {
            let reading = self.0.get(voter)?;
            let age = monotonic.saturating_sub(reading.at);
            let time = cluster_time(reading.wall_ms.saturating_add(millis(age)));
            (age <= limits::CLOCK_READING_AGE).then_some((*voter, time))
        };
        let clocks: Vec<_> = voters.iter().filter_map(fresh).collect();
        (clocks.len() >= majority(voters)).then_some(clocks)
    }

    /// What a majority vouches for; `None` without one.
    pub(crate) fn bounds(&self, voters: &[u64], monotonic: Duration) -> Option<Bounds> {
        let times = sorted(self.now(voters, monotonic)?);
        let majority = majority(voters);
        Some(Bounds {
            low: *times.get(times.len().checked_sub(majority)?)?,
            high: *times.get(majority.checked_sub(1)?)?,
        })
    }

    /// A step to `time`, which a majority vouches for; `None` if none does. A clock that shows more
    /// stands in it as `time`: it vouches for no more than is asked.
    pub(crate) fn step(
        &self,
        voters: &[u64],
        monotonic: Duration,
        time: ClusterTime,
    ) -> Option<StepTime> {
        let clocks = self.now(voters, monotonic)?.into_iter();
        let clocks: Vec<_> = clocks
            .filter_map(|(node, shown)| Some((NodeId::new(node).ok()?, shown.min(time))))
            .collect();
        let vouching = clocks.iter().filter(|(_, shown)| *shown == time).count();
        (vouching >= majority(voters)).then_some(StepTime { clocks })
    }

    /// The voters whose clocks are within `distance_ms` of what a majority vouches for.
    pub(crate) fn near(&self, voters: &[u64], monotonic: Duration, distance_ms: u64) -> Vec<u64> {
        let Some(bounds) = self.bounds(voters, monotonic) else {
            return Vec::new();
        };
        let is_near = |time: ClusterTime| bounds.lead_ms(time).unsigned_abs() <= distance_ms;
        let clocks = self.now(voters, monotonic).unwrap_or_default().into_iter();
        let near = clocks.filter(|(_, time)| is_near(*time));
        near.map(|(node, _)| node).collect()
    }
}

fn majority(voters: &[u64]) -> usize {
    (voters.len() / 2).saturating_add(1)
}

fn sorted(clocks: Vec<(u64, ClusterTime)>) -> Vec<ClusterTime> {
    let mut times: Vec<_> = clocks.into_iter().map(|(_, time)| time).collect();
    times.sort_unstable();
    times
}

/// Milliseconds as cluster time; the last one if they are beyond it.
pub(crate) fn cluster_time(ms: u64) -> ClusterTime {
    ClusterTime::new(ms).unwrap_or(ClusterTime::MAX)
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Voters from 1 on with these clocks, read at nought; none for one that does not answer.
    fn clocks(walls: &[Option<u64>]) -> (Clocks, Vec<u64>) {
        let mut clocks = Clocks::default();
        let voters: Vec<u64> = (1..).zip(walls).map(|(voter, _)| voter).collect();
        for (voter, wall) in voters.iter().zip(walls) {
            if let Some(wall_ms) = *wall {
                clocks.set(*voter, Reading { wall_ms, at: ms(0) });
            }
        }
        // Who does not vote does not count.
        clocks.set(
            99,
            Reading {
                wall_ms: 1,
                at: ms(0),
            },
        );
        (clocks, voters)
    }

    /// What a majority of `walls` vouches for.
    #[track_caller]
    fn check(walls: &[Option<u64>], expected: Option<(u64, u64)>) {
        let (clocks, voters) = clocks(walls);
        let bounds = clocks.bounds(&voters, ms(0));
        let found = bounds.map(|bounds| (bounds.low.get(), bounds.high.get()));
        assert_eq!(found, expected);
    }

    #[test]
    fn either_bound_has_a_majority_of_all_voters_behind_it() {
        check(&[], None);
        check(&[Some(5)], Some((5, 5)));
        check(&[Some(5), None], None);
        check(&[Some(5), Some(9)], Some((5, 9)));
        check(&[Some(1), Some(9), Some(5)], Some((5, 5)));
        check(&[Some(5), None, None], None);
        check(&[Some(5), None, Some(900)], Some((5, 900)));
        check(&[Some(5), None, Some(1)], Some((1, 5)));
        check(
            &[Some(5), Some(5), Some(900), Some(900), None],
            Some((5, 900)),
        );
        check(
            &[Some(1), Some(5), Some(5), Some(5), Some(900)],
            Some((5, 5)),
        );
    }

    #[test]
    fn one_clock_that_is_a_year_off_moves_no_bound_beyond_a_right_clock() {
        const YEAR: u64 = 365 * 24 * 3_600_000;
        const NOW: u64 = 50 * YEAR;
        for wrong in [NOW + YEAR, NOW - YEAR] {
            check(&[Some(wrong), Some(NOW), Some(NOW)], Some((NOW, NOW)));
            let between = (NOW.min(wrong), NOW.max(wrong));
            check(&[Some(wrong), Some(NOW), None], Some(between));
        }
    }

    #[test]
    fn readings_age_and_then_do_not_count() {
        let (clocks, voters) = clocks(&[Some(1_000), Some(3_000), None]);
        let later = clocks.bounds(&voters, ms(500)).unwrap();
        assert_eq!((later.low.get(), later.high.get()), (1_500, 3_500));
        let too_late = limits::CLOCK_READING_AGE + ms(1);
        assert_eq!(clocks.bounds(&voters, too_late), None);
        assert_eq!(clocks.step(&voters, too_late, cluster_time(1)), None);
    }

    #[test]
    fn reading_that_took_too_long_is_none() {
        let reading = Reading::answered(1_000, ms(10), ms(30)).unwrap();
        assert_eq!((reading.wall_ms, reading.at), (1_010, ms(30)));
        let paused = limits::ASK + ms(11);
        assert_eq!(Reading::answered(1_000, ms(10), paused), None);
    }

    #[test]
    fn step_goes_exactly_where_a_majority_vouches_for() {
        let (clocks, voters) = clocks(&[Some(50), Some(70), Some(90), Some(90), None]);
        let bounds = clocks.bounds(&voters, ms(0)).unwrap();
        assert_eq!(bounds.low.get(), 70);
        let step = clocks.step(&voters, ms(0), bounds.low).unwrap();
        let times: Vec<_> = step.clocks.iter().map(|(_, time)| time.get()).collect();
        assert_eq!(times, [50, 70, 70, 70], "the lower median is 70");
        assert_eq!(clocks.step(&voters, ms(0), cluster_time(71)), None);
    }

    #[test]
    fn clocks_near_what_is_vouched_for_are_those_within_the_distance() {
        let (clocks, voters) = clocks(&[Some(1_000), Some(1_200), Some(9_000)]);
        assert_eq!(clocks.near(&voters, ms(0), 250), [1, 2]);
        assert_eq!(clocks.near(&voters, ms(0), 100), [2]);
        let late = limits::CLOCK_READING_AGE + ms(1);
        assert!(clocks.near(&voters, late, 250).is_empty());
    }

    #[test]
    fn time_leads_or_trails_only_beyond_what_is_vouched_for() {
        let bounds = Bounds {
            low: cluster_time(50),
            high: cluster_time(70),
        };
        for (time, lead) in [(40, -10), (50, 0), (60, 0), (70, 0), (95, 25)] {
            assert_eq!(bounds.lead_ms(cluster_time(time)), lead);
        }
    }
}
