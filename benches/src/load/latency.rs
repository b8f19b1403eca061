//! Percentiles of measured times.
//!
//! Every time is kept and sorted, so a percentile is a time that was measured and not the edge of a
//! bucket: a minute of the fastest cell is a few million of them.

use std::time::Duration;

/// The time within which `per_mille` of a thousand `times` lie; zero when there are none.
///
/// `times` must be sorted. Nearest-rank, so always a time that was measured.
#[must_use]
pub(crate) fn percentile(times: &[Duration], per_mille: usize) -> Duration {
    let rank = times.len().saturating_mul(per_mille).div_ceil(1_000).max(1);
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
        assert_eq!(percentile(&times, 500), Duration::from_millis(5));
        assert_eq!(percentile(&times, 990), Duration::from_millis(10));
        assert_eq!(percentile(&times, 999), Duration::from_millis(10));
        assert_eq!(percentile(&[], 500), Duration::ZERO);
    }
}
