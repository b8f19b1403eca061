//! Which time the leader writes into an entry.
//!
//! Cluster time is advanced by the leader's monotonic clock and steered slowly towards what a majority
//! of the voters' wall clocks says, so that a jump of one wall clock neither expires nor prolongs a
//! permit. One entry moves it by at most
//! [`ENTRY_STEP_MS_MAX`](holdpoint_core::limits::ENTRY_STEP_MS_MAX); what lies further ahead (an
//! outage, a leader that was idle) is a [`StepTime`](holdpoint_core::command::StepTime) of its own.
//!
//! ```text
//!            low        high           what a majority of the voters' clocks vouches for
//! ────┬───────┼──────────┼────┬────▶
//!     │  5 %  │   free   │5 % │  a tenth of real time until it does not lead any more
//!   1 s behind:              the skew
//!   a step to `low`
//! ```
//!
//! Everything here is a function of what it is given; it reads no clock.

use std::time::Duration;

use holdpoint_core::limits::ENTRY_STEP_MS_MAX;
use holdpoint_receipt::ClusterTime;

use crate::clock_readings::{Bounds, cluster_time, millis};
use crate::limits;

/// The time of one leader's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steering {
    /// Where cluster time should have been `at` that moment, since the epoch. Finer than an entry's
    /// time: many entries a millisecond lose none of it.
    line: Duration,
    /// This node's monotonic clock then.
    at: Duration,
    /// The time of the last entry. `line` may be ahead of it by more than one entry may move.
    last: ClusterTime,
}

impl Steering {
    /// Begins a term. This node applied an entry with the cluster time `applied` when its monotonic
    /// clock showed `at`; what has passed since then counts, what passed before it started cannot.
    pub(crate) fn begin(applied: ClusterTime, at: Duration) -> Self {
        Self {
            line: since_epoch(applied),
            at,
            last: applied,
        }
    }

    /// Where cluster time should be now, without any bound on the step. Without `bounds` it is what
    /// the monotonic clock says.
    pub(crate) fn target(&self, monotonic: Duration, bounds: Option<Bounds>) -> ClusterTime {
        time_at(self.line_at(monotonic, bounds))
    }

    fn line_at(&self, monotonic: Duration, bounds: Option<Bounds>) -> Duration {
        let elapsed = monotonic.saturating_sub(self.at);
        let advanced = self.line.saturating_add(elapsed);
        let Some(bounds) = bounds else {
            return advanced;
        };
        // Cluster time may not go back. Slowed down, it waits for the clocks: nothing outlives its
        // `expires_at` as they show it.
        let slower = if self.is_waiting(monotonic, bounds) {
            1_000 - limits::LEADING_PER_MILLE
        } else {
            limits::STEERING_PER_MILLE
        };
        let line = drawn(self.line, elapsed, bounds, slower);
        assert!(line >= self.line, "steering never turns time back");
        line
    }

    /// Whether time leads the clocks by more than the skew, and so waits for them.
    pub(crate) fn is_waiting(&self, monotonic: Duration, bounds: Bounds) -> bool {
        let advanced = self.line.saturating_add(monotonic.saturating_sub(self.at));
        time_at(advanced).saturating_since(bounds.high) > limits::SKEW_MS_MAX
    }

    /// [`Steering::target`] with the step that an entry would make first.
    pub(crate) fn next(&self, monotonic: Duration, bounds: Option<Bounds>) -> ClusterTime {
        let step = bounds.and_then(|bounds| self.step(monotonic, bounds));
        self.target(monotonic, bounds).max(step.unwrap_or_default())
    }

    /// The time of the last entry.
    pub(crate) fn last(&self) -> ClusterTime {
        self.last
    }

    /// The time of the next entry.
    pub(crate) fn advance(&mut self, monotonic: Duration, bounds: Option<Bounds>) -> ClusterTime {
        let line = self.line_at(monotonic, bounds);
        let time = time_at(line).min(self.last.saturating_add(ENTRY_STEP_MS_MAX));
        assert!(time >= self.last, "cluster time never goes back");
        *self = Self {
            line,
            at: monotonic.max(self.at),
            last: time,
        };
        time
    }

    /// Where a step of time must go before the next entry, if one must.
    pub(crate) fn step(&self, monotonic: Duration, bounds: Bounds) -> Option<ClusterTime> {
        let line = self.target(monotonic, Some(bounds));
        // A majority's clocks are so far ahead that steering would take too long.
        if bounds.low.saturating_since(line) > limits::STEP_FROM_MS {
            return Some(bounds.low);
        }
        // Nothing was written for a while.
        let step = line.min(bounds.low);
        (step.saturating_since(self.last) > ENTRY_STEP_MS_MAX).then_some(step)
    }

    /// Takes in that an entry steps time to `time`.
    pub(crate) fn stepped(&mut self, time: ClusterTime, monotonic: Duration, bounds: Bounds) {
        *self = Self {
            line: self.line_at(monotonic, Some(bounds)).max(since_epoch(time)),
            at: monotonic.max(self.at),
            last: self.last.max(time),
        };
    }

    /// Entries of a full step that must come before one that reaches [`Steering::target`].
    pub(crate) fn entries_behind(&self, monotonic: Duration, bounds: Option<Bounds>) -> u64 {
        let gap = self.target(monotonic, bounds).saturating_since(self.last);
        gap.saturating_sub(1) / ENTRY_STEP_MS_MAX
    }
}

fn since_epoch(time: ClusterTime) -> Duration {
    Duration::from_millis(time.get())
}

fn time_at(since_epoch: Duration) -> ClusterTime {
    cluster_time(millis(since_epoch))
}

/// `line` after `elapsed`, drawn into `bounds`: up by the usual share of what elapsed, down by
/// `slower` thousandths of it.
fn drawn(line: Duration, elapsed: Duration, bounds: Bounds, slower: u32) -> Duration {
    let advanced = line.saturating_add(elapsed);
    let time = time_at(advanced);
    let part = |per_mille: u32| elapsed.saturating_mul(per_mille) / 1_000;
    let too_low = Duration::from_millis(bounds.low.saturating_since(time));
    let too_high = Duration::from_millis(time.saturating_since(bounds.high));
    advanced
        .saturating_add(too_low.min(part(limits::STEERING_PER_MILLE)))
        .saturating_sub(too_high.min(part(slower)))
}

/// The wall clock of a lone voter with its jumps taken out.
///
/// Nobody vouches for such a clock, so within a term it counts as it was when the term began, moved
/// on by the monotonic clock and drawn slowly to what it shows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoneClock {
    /// What counts, since the epoch.
    wall: Duration,
    at: Duration,
}

impl LoneClock {
    /// Believes `wall`.
    pub(crate) fn begin(wall: ClusterTime, monotonic: Duration) -> Self {
        Self {
            wall: since_epoch(wall),
            at: monotonic,
        }
    }

    /// What counts when the clock shows `shown`.
    pub(crate) fn follow(&mut self, shown: ClusterTime, monotonic: Duration) -> Bounds {
        let elapsed = monotonic.saturating_sub(self.at);
        let shown = Bounds::exactly(shown);
        self.wall = drawn(self.wall, elapsed, shown, limits::STEERING_PER_MILLE);
        self.at = monotonic.max(self.at);
        Bounds::exactly(time_at(self.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock_readings::{Clocks, Reading};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn bounds(low: u64, high: u64) -> Bounds {
        Bounds {
            low: cluster_time(low),
            high: cluster_time(high),
        }
    }

    /// Where time is a second after 10 s, when a majority's clocks then vouch for `low` to `high`.
    fn after_a_second(low: u64, high: u64) -> u64 {
        let mut steering = Steering::begin(cluster_time(10_000), ms(0));
        steering.advance(ms(1_000), Some(bounds(low, high))).get()
    }

    #[test]
    fn time_follows_the_monotonic_clock_when_the_clocks_vouch_for_it_or_say_nothing() {
        assert_eq!(after_a_second(11_000, 11_000), 11_000);
        assert_eq!(after_a_second(0, 9_000_000), 11_000, "clocks that disagree");
        let mut steering = Steering::begin(cluster_time(10_000), ms(0));
        assert_eq!(steering.advance(ms(1_000), None).get(), 11_000);
    }

    #[test]
    fn many_entries_a_millisecond_lose_no_time_and_are_steered_like_few() {
        let clocks = [
            (None, 11_500),
            (Some(bounds(0, u64::MAX)), 11_500),
            (Some(bounds(u64::MAX, u64::MAX)), 11_575),
            (Some(bounds(0, 0)), 10_150),
        ];
        for (clocks, expected) in clocks {
            let mut steering = Steering::begin(cluster_time(10_000), ms(0));
            let mut lone = LoneClock::begin(cluster_time(10_000), ms(0));
            for entry in 1..=10_000 {
                let now = Duration::from_micros(150 * entry);
                steering.advance(now, clocks);
                lone.follow(cluster_time(0), now);
            }
            assert_eq!(steering.last().get(), expected);
            assert_eq!(lone, {
                let mut lone = LoneClock::begin(cluster_time(10_000), ms(0));
                lone.follow(cluster_time(0), ms(1_500));
                lone
            });
        }
    }

    #[test]
    fn steering_corrects_by_a_twentieth_at_most() {
        assert_eq!(after_a_second(11_020, 11_020), 11_020);
        assert_eq!(after_a_second(11_500, 11_500), 11_050);
        assert_eq!(after_a_second(9_000_000, 9_000_000), 11_050);
        assert_eq!(after_a_second(10_980, 10_980), 10_980);
        assert_eq!(after_a_second(10_500, 10_500), 10_950);
    }

    #[test]
    fn time_that_leads_by_more_than_the_skew_creeps_until_it_does_not() {
        assert_eq!(
            after_a_second(10_499, 10_499),
            10_499,
            "no further than the clocks"
        );
        assert_eq!(after_a_second(9_000, 9_000), 10_100);
        assert_eq!(after_a_second(0, 0), 10_100);
        let hour = 3_600_000;
        let mut steering = Steering::begin(cluster_time(hour), ms(0));
        let mut real = 0;
        while steering.last().get() > real + limits::SKEW_MS_MAX {
            real += 1_000;
            steering.advance(ms(real), Some(bounds(real, real)));
        }
        let minutes = real / 60_000;
        assert_eq!(minutes, 66, "an hour's lead is gone");
    }

    #[test]
    fn time_never_goes_back_and_no_entry_moves_it_beyond_its_step() {
        let mut steering = Steering::begin(cluster_time(10_000), ms(5_000));
        let clock_back = steering.advance(ms(4_000), Some(bounds(0, 0)));
        assert_eq!(clock_back.get(), 10_000);
        let later = ms(5_000 + 3 * ENTRY_STEP_MS_MAX);
        assert_eq!(steering.entries_behind(later, None), 2);
        for entry in 1..=3 {
            let time = steering.advance(later, None);
            assert_eq!(time.get(), 10_000 + entry * ENTRY_STEP_MS_MAX);
        }
        assert_eq!(steering.entries_behind(later, None), 0);
        assert_eq!(
            steering.advance(later, None),
            steering.last(),
            "all is made up"
        );
    }

    #[test]
    fn step_goes_where_a_majority_is_and_no_further() {
        let steering = Steering::begin(cluster_time(10_000), ms(0));
        let step = |monotonic, low, high| {
            let step = steering.step(ms(monotonic), bounds(low, high));
            step.map(ClusterTime::get)
        };
        assert_eq!(step(100, 10_600, 10_600), None, "steering does");
        assert_eq!(step(100, 12_000, 12_000), Some(12_000));
        assert_eq!(
            step(60_000, 70_000, 70_000),
            Some(70_000),
            "idle for a minute"
        );
        assert_eq!(
            step(60_000, 50_000, 90_000),
            Some(50_000),
            "clocks that disagree"
        );
        assert_eq!(step(60_000, 70_900, 70_900), Some(70_900), "as steered");
        assert_eq!(step(100, 1_000, 1_000), None, "never back");
        assert_eq!(step(60_000, 11_000, 11_000), None, "the clocks stay behind");
    }

    #[test]
    fn step_makes_up_for_the_time_without_entries() {
        let mut steering = Steering::begin(cluster_time(10_000), ms(0));
        let (now, clocks) = (ms(60_000), bounds(50_000, 90_000));
        steering.stepped(cluster_time(50_000), now, clocks);
        assert_eq!(steering.entries_behind(now, Some(clocks)), 3);
        for expected in [55_000, 60_000, 65_000, 70_000, 70_000] {
            assert_eq!(steering.advance(now, Some(clocks)).get(), expected);
        }
    }

    /// Numbers that look random and are the same in each run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % end
        }
    }

    #[test]
    fn minority_that_shows_anything_or_nothing_moves_no_time() {
        const START: u64 = 1_000_000_000;
        for (voters, seed) in [(3, 1), (3, 2), (4, 3), (5, 4), (5, 5), (7, 6)] {
            let ids: Vec<u64> = (1..=voters).collect();
            let mut numbers = Numbers(seed);
            let mut steering = Steering::begin(cluster_time(START), ms(0));
            let mut real = 0;
            for _ in 0..2_000 {
                real += numbers.below(20_000);
                let mut clocks = Clocks::default();
                let wrong = (voters - 1) / 2;
                for id in &ids {
                    let wall_ms = if *id > wrong {
                        START + real
                    } else {
                        numbers.below(3 * START)
                    };
                    if *id > wrong || numbers.below(3) > 0 {
                        clocks.set(
                            *id,
                            Reading {
                                wall_ms,
                                at: ms(real),
                            },
                        );
                    }
                }
                let bounds = clocks.bounds(&ids, ms(real));
                if let Some(step) = bounds.and_then(|bounds| steering.step(ms(real), bounds)) {
                    assert!(clocks.step(&ids, ms(real), step).is_some());
                    steering.stepped(step, ms(real), bounds.unwrap());
                }
                for _ in 0..steering.entries_behind(ms(real), bounds) {
                    steering.advance(ms(real), bounds);
                }
                let time = steering.advance(ms(real), bounds).get();
                assert_eq!(time, START + real, "{voters} voters, seed {seed}");
            }
        }
    }

    #[test]
    fn jump_of_a_lone_clock_is_drawn_in_slowly() {
        for (jump, expected) in [(7_200_000, 70_000 + 3_000), (0, 70_000 - 3_000)] {
            let mut clock = LoneClock::begin(cluster_time(10_000), ms(0));
            let believed = clock.follow(cluster_time(jump), ms(60_000));
            assert_eq!(believed, Bounds::exactly(cluster_time(expected)));
        }
    }
}
