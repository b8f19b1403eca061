//! How far cluster time is behind this node's wall clock, as outcomes show it.
//!
//! The policy's `now` must not lie after the time of the entry that will carry the verdict, nor more
//! than a second before it. Cluster time follows the wall clock, at a distance that changes slowly: a
//! new leader closes what an election left at 50 ms a second. Nothing is decided by this guess; where
//! it is wrong, the outcome says what would have been right and the attempt is evaluated again.

use std::sync::atomic::{AtomicI64, Ordering};

use holdpoint_core::limits::FACT_AGE_MS_MAX;
use holdpoint_receipt::ClusterTime;

/// How far the guess stays behind where cluster time should be: a quarter of what a fact may age.
#[expect(clippy::cast_possible_wrap, reason = "the age is a second")]
const MARGIN_MS: i64 = (FACT_AGE_MS_MAX / 4) as i64;

/// Milliseconds by which cluster time was last seen behind the wall clock; ahead of it if negative.
#[derive(Debug, Default)]
pub(super) struct Lag(AtomicI64);

impl Lag {
    /// `now` for the policy when the wall clock shows `wall`.
    pub(super) fn evaluation_time(&self, wall: ClusterTime) -> ClusterTime {
        let behind = self.0.load(Ordering::Relaxed).saturating_add(MARGIN_MS);
        let guess = millis(wall).saturating_sub(behind);
        let guess = u64::try_from(guess).unwrap_or(0);
        ClusterTime::new(guess).unwrap_or(ClusterTime::MAX)
    }

    /// Takes in that an entry had the time `now` when the wall clock showed `wall`.
    pub(super) fn learn(&self, wall: ClusterTime, now: ClusterTime) {
        self.0
            .store(millis(wall).saturating_sub(millis(now)), Ordering::Relaxed);
    }
}

/// Cluster times are below 2^53.
fn millis(time: ClusterTime) -> i64 {
    i64::try_from(time.get()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> ClusterTime {
        ClusterTime::new(ms).unwrap()
    }

    #[test]
    fn guess_is_a_little_behind_where_cluster_time_was_last_seen() {
        let lag = Lag::default();
        assert_eq!(lag.evaluation_time(at(10_000)), at(9_750));
        lag.learn(at(10_000), at(9_200));
        assert_eq!(lag.evaluation_time(at(11_000)), at(9_950));
        lag.learn(at(10_000), at(10_400));
        assert_eq!(lag.evaluation_time(at(11_000)), at(11_150));
    }

    #[test]
    fn guess_before_the_epoch_is_the_epoch() {
        assert_eq!(Lag::default().evaluation_time(at(10)), at(0));
    }
}
