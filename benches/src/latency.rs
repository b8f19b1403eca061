//! Percentiles of measured times.

use std::time::Duration;

/// The time within which `percent` of `times` lie; zero when there are none.
///
/// `times` must be sorted. Nearest-rank, so always a time that was measured.
#[must_use]
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let rank = times.len().saturating_mul(percent).div_ceil(100).max(1);
    times
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_a_time_that_was_measured() {
        let times: Vec<Duration> = (1..=10).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(5));
        assert_eq!(percentile(&times, 99), Duration::from_millis(10));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
