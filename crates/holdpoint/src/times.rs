//! Durations and times as people write and read them.

use std::time::{Duration, SystemTime};

use holdpoint_receipt::ClusterTime;

pub(crate) use holdpoint_receipt::names::show_duration;

/// The units that a duration may have, the longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads `500ms`, `5s`, `10m`, `1h30m`, `90d`.
///
/// # Errors
///
/// A sentence for whoever wrote it.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is not a duration: give a number with its unit, such as `500ms`, `5s` or `10m`"
        )
    };
    let mut rest = text;
    let mut sum_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (count, tail) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters).ok_or_else(wrong)?;
        let (_, unit_ms) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        let count: u64 = count.parse().map_err(|_| wrong())?;
        let part = count.checked_mul(*unit_ms).ok_or_else(wrong)?;
        sum_ms = sum_ms.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    if sum_ms == 0 {
        Err(wrong())
    } else {
        Ok(Duration::from_millis(sum_ms))
    }
}

/// `14:22:05Z`: the time of day of a time that is near.
pub(crate) fn time_of_day(time: ClusterTime) -> String {
    let whole = time.to_string();
    let second = whole
        .split_once('T')
        .and_then(|(_, time)| time.split_once('.'));
    second.map_or_else(|| whole.clone(), |(second, _)| format!("{second}Z"))
}

/// This machine's clock. Good for telling people; nothing is decided by it.
pub(crate) fn now() -> ClusterTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    ClusterTime::new(ms).unwrap_or(ClusterTime::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_read_as_it_is_shown() {
        for (text, ms) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("90d", 7_776_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)));
            assert_eq!(show_duration(ms), text);
        }
    }

    #[test]
    fn number_without_unit_and_no_time_at_all_are_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "5x",
            "-5s",
            "0s",
            "99999999999999999999s",
            "1.5s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn near_time_is_shown_without_its_date() {
        let time = ClusterTime::new(1_000 * (24 * 3_600 + 14 * 3_600 + 22 * 60 + 5)).unwrap();
        assert_eq!(time_of_day(time), "14:22:05Z");
    }
}
