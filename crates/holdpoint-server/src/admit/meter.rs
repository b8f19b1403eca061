//! How long the next request would wait: learnt from those before it, never configured.
//!
//! A queue that is bounded only in its length is as slow as what serves it. This one is bounded in time:
//! each request that ends says how long it took with how many beside it, and that gives the time that
//! one place costs. What a place costs is smoothed, follows the machine up and down, and is an upper
//! bound: where many requests share an entry and a signature, the next one costs less than the last.
//! Nothing here reads a clock or waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Requests that are always admitted. So few do not queue for each other but for the disks, and what
/// they report is how the meter finds out that the node has become fast again.
pub(crate) const ALWAYS: usize = 64;

/// The longest that a request may be expected to take, however long its caller would wait: those in
/// front of it must not make everybody slow because they are patient. A thousand in flight take a
/// quarter of a second on three nodes that share two processors.
pub(crate) const EXPECTED_MAX: Duration = Duration::from_millis(500);

/// How much of a request's own wait it may be expected to take. The rest is for the estimate to be
/// wrong: a request that ran out of time was work for nothing.
const SHARE_OF_WAIT: u32 = 2;

/// How much of what is known one more request changes: one in so many parts. Those that share an entry
/// end together, the first of them after the longest time, so it takes more than one entry's worth.
const WEIGHT: u64 = 512;

/// What a place costs before anything was measured, in nanoseconds: two thousand are admitted.
const FIRST: u64 = 250_000;

/// The time that one place costs.
#[derive(Debug)]
pub(crate) struct Meter {
    /// In nanoseconds.
    each: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            each: AtomicU64::new(FIRST),
        }
    }
}

impl Meter {
    /// Takes note of a request that took `took`, with `before` others in flight when it came and `after`
    /// when it ended: on average as many as the mean of the two (J. Little, 1961).
    pub(crate) fn took(&self, took: Duration, before: usize, after: usize) {
        let beside = before.midpoint(after).max(ALWAYS);
        let share = u64::try_from(beside).unwrap_or(u64::MAX);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let seen = nanos.checked_div(share).unwrap_or(nanos);
        // Two at once may lose one of the two: a sample less.
        let each = self.each.load(Ordering::Relaxed);
        let next = each
            .saturating_sub(each / WEIGHT)
            .saturating_add(seen / WEIGHT);
        self.each.store(next, Ordering::Relaxed);
    }

    /// How long a request is expected to take that comes when `in_flight` others are there.
    pub(crate) fn expected(&self, in_flight: usize) -> Duration {
        let places = u64::try_from(in_flight)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        Duration::from_nanos(self.each.load(Ordering::Relaxed).saturating_mul(places))
    }

    /// Whether a request whose caller waits for `wait` should be let in beside `in_flight` others.
    pub(crate) fn admits(&self, in_flight: usize, wait: Duration) -> bool {
        in_flight < ALWAYS || self.expected(in_flight) <= EXPECTED_MAX.min(wait / SHARE_OF_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::limits::ASKING_MAX;

    /// A gate that takes everything that waits at once, `fixed` and `each` for every request of it.
    #[derive(Clone, Copy, Debug)]
    struct Served {
        fixed: Duration,
        each: Duration,
    }

    /// What became of requests that came at an even rate.
    #[derive(Debug, Default)]
    struct Run {
        took: Vec<Duration>,
        shed: usize,
        /// The most that were there at once.
        crowd: usize,
    }

    impl Run {
        fn percentile(&self, per_cent: usize) -> Duration {
            let mut took = self.took.clone();
            took.sort_unstable();
            took[took.len() * per_cent / 100]
        }
    }

    /// Has requests come, one each `every`, for `lasts`, and serves those that `meter` admits.
    fn run(meter: &Meter, served: Served, every: Duration, lasts: Duration, wait: Duration) -> Run {
        let mut run = Run::default();
        let mut queue: VecDeque<(Duration, usize)> = VecDeque::new();
        let mut serving: Vec<(Duration, usize)> = Vec::new();
        let (mut now, mut next, mut free_at) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        while now < lasts {
            now = if serving.is_empty() {
                next
            } else {
                next.min(free_at)
            };
            if !serving.is_empty() && now == free_at {
                let there = serving.len() + queue.len();
                for (place, (since, ahead)) in serving.drain(..).enumerate() {
                    let took = now.saturating_sub(since);
                    meter.took(took, ahead, there - place);
                    run.took.push(took);
                }
            }
            if now == next {
                next += every;
                let there = serving.len() + queue.len();
                if there < ASKING_MAX && meter.admits(there, wait) {
                    queue.push_back((now, there));
                    run.crowd = run.crowd.max(there + 1);
                } else {
                    run.shed += 1;
                }
            }
            if serving.is_empty() && !queue.is_empty() {
                serving.extend(queue.drain(..));
                let many = u32::try_from(serving.len()).unwrap();
                free_at = now + served.fixed + served.each * many;
            }
        }
        run
    }

    const SECOND: Duration = Duration::from_secs(1);
    /// About what three nodes on two cores do.
    const USUAL: Served = Served {
        fixed: Duration::from_millis(4),
        each: Duration::from_micros(250),
    };

    #[test]
    fn three_times_the_load_is_shed_down_to_what_can_be_served_in_time() {
        let meter = Meter::default();
        let three_times = USUAL.each / 3;
        run(&meter, USUAL, three_times, 2 * SECOND, SECOND);
        let flood = run(&meter, USUAL, three_times, 5 * SECOND, SECOND);
        let slow = flood.percentile(99);
        assert!(slow < SECOND, "{slow:?}");
        let whole = (5 * SECOND).as_micros() / USUAL.each.as_micros();
        let served = flood.took.len();
        assert!(served as u128 * 10 > whole * 9, "{served} of {whole}");
    }

    #[test]
    fn patient_callers_are_admitted_up_to_the_longest_that_anybody_should_wait() {
        let (meter, patient) = (Meter::default(), Duration::from_mins(1));
        run(&meter, USUAL, USUAL.each / 3, 5 * SECOND, patient);
        let flood = run(&meter, USUAL, USUAL.each / 3, 5 * SECOND, patient);
        assert!(flood.percentile(99) < 2 * EXPECTED_MAX);
        assert!(flood.crowd > 1_024, "{}", flood.crowd);
    }

    #[test]
    fn gate_that_has_become_fast_again_admits_everybody_again() {
        let meter = Meter::default();
        let slow = Served {
            fixed: SECOND / 2,
            each: Duration::from_millis(5),
        };
        let flood = run(&meter, slow, USUAL.each, 10 * SECOND, SECOND);
        assert!(flood.shed > 0);
        let calm = 2 * USUAL.each;
        run(&meter, USUAL, calm, 5 * SECOND, SECOND);
        assert_eq!(run(&meter, USUAL, calm, 5 * SECOND, SECOND).shed, 0);
    }

    #[test]
    fn a_thousand_at_once_are_admitted_before_anything_is_known() {
        let meter = Meter::default();
        assert!(meter.admits(1_024, Duration::from_secs(5)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn few_are_always_admitted_and_nobody_who_is_expected_to_come_too_late(
            samples in prop::collection::vec((0_u64..100_000, 0_usize..5_000), 1..2_000),
            in_flight in 0_usize..5_000,
            wait_ms in 1_u64..60_000,
        ) {
            let meter = Meter::default();
            for (ms, beside) in samples {
                meter.took(Duration::from_millis(ms), beside, beside);
            }
            let wait = Duration::from_millis(wait_ms);
            if meter.admits(in_flight, wait) {
                let expected = meter.expected(in_flight);
                prop_assert!(in_flight < ALWAYS || expected <= EXPECTED_MAX.min(wait));
                prop_assert!(in_flight == 0 || meter.admits(in_flight - 1, wait));
                prop_assert!(meter.admits(in_flight, wait * 2));
            } else {
                prop_assert!(in_flight >= ALWAYS);
            }
        }

        #[test]
        fn whatever_the_gate_can_do_most_admitted_requests_are_in_time(
            fixed_us in 100_u64..20_000,
            each_us in 50_u64..1_000,
            times in 2_u32..6,
            wait_ms in 400_u64..3_000,
        ) {
            let served = Served {
                fixed: Duration::from_micros(fixed_us),
                each: Duration::from_micros(each_us),
            };
            let wait = Duration::from_millis(wait_ms);
            let meter = Meter::default();
            let every = served.each / times;
            run(&meter, served, every, 6 * SECOND, wait);
            let flood = run(&meter, served, every, 3 * SECOND, wait);
            prop_assert!(flood.percentile(95) < wait, "{:?} of {wait:?}", flood.percentile(95));
        }
    }
}
