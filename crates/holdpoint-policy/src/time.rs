//! Instants, durations and days of the week, in whole milliseconds and in UTC only.
//!
//! There is no clock and no time zone here: a zone database would make the same bundle mean
//! different things on nodes that were updated on different days.

/// Milliseconds in a second.
pub(crate) const SECOND_MS: u64 = 1_000;
/// Milliseconds in a minute.
pub(crate) const MINUTE_MS: u64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Milliseconds in a day.
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
/// The first millisecond of the year 10000, which has no RFC 3339 form with four digits.
pub(crate) const YEAR_10000_MS: u64 = 253_402_300_800_000;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", SECOND_MS),
    ("m", MINUTE_MS),
    ("h", HOUR_MS),
    ("d", DAY_MS),
];

/// Reads `500ms`, `30s`, `10m`, `1h` or `1d`: one number without sign or leading zero, one unit.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    let digits_end = text.find(|character: char| !character.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(digits_end)?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*unit_ms)
}

/// The shortest text that [`parse_duration`] reads as this.
pub(crate) fn show_duration(value_ms: u64) -> String {
    let largest = UNITS.iter().rev().find(|(_, unit_ms)| {
        value_ms.checked_rem(*unit_ms) == Some(0) && (value_ms > 0 || *unit_ms == 1)
    });
    let (unit, unit_ms) = largest.copied().unwrap_or(("ms", 1));
    format!(
        "{}{unit}",
        value_ms.checked_div(unit_ms).unwrap_or(value_ms)
    )
}

/// Reads `2026-11-24T10:00:00Z`, optionally with three digits of milliseconds. Years 1970 to 9999.
pub(crate) fn parse_instant(text: &str) -> Option<u64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-');
    let year = digits(date.next()?, 4)?;
    let month = digits(date.next()?, 2)?;
    let day = digits(date.next()?, 2)?;
    let (clock, milli) = match clock.split_once('.') {
        None => (clock, 0),
        Some((clock, milli)) => (clock, digits(milli, 3)?),
    };
    let mut clock = clock.split(':');
    let hour = digits(clock.next()?, 2)?;
    let minute = digits(clock.next()?, 2)?;
    let second = digits(clock.next()?, 2)?;
    let complete = date.next().is_none() && clock.next().is_none();
    let in_range = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !complete || !in_range {
        return None;
    }
    let mut total = days_before(year, month)?.checked_add(day.checked_sub(1)?)?;
    for (unit, count) in [(24, hour), (60, minute), (60, second), (1_000, milli)] {
        total = total.checked_mul(unit)?.checked_add(count)?;
    }
    Some(total)
}

/// Reads `16:00` as minutes of the day; `24:00` is the end of it.
pub(crate) fn parse_minute_of_day(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= 24 * 60).then_some(total)
}

/// Writes an instant as `2026-11-24T10:00:00.000Z`. `None` from the year 10000 on.
pub(crate) fn show_instant(at_ms: u64) -> Option<String> {
    if at_ms >= YEAR_10000_MS {
        return None;
    }
    let mut day = at_ms / DAY_MS;
    // The year by an estimate that is never too large, then at most a step or two forward.
    let mut year = (day / 366).checked_add(1970)?;
    while days_before(year.checked_add(1)?, 1)? <= day {
        year = year.checked_add(1)?;
    }
    day = day.checked_sub(days_before(year, 1)?)?;
    let mut month = 1;
    while day >= days_in_month(year, month) {
        day = day.checked_sub(days_in_month(year, month))?;
        month = month.checked_add(1)?;
    }
    let day = day.checked_add(1)?;
    let (hour, minute) = (at_ms / HOUR_MS % 24, at_ms / MINUTE_MS % 60);
    let (second, milli) = (at_ms / SECOND_MS % 60, at_ms % 1_000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    ))
}

/// The day of the week, Monday being 0.
pub(crate) fn weekday(at_ms: u64) -> u64 {
    // The epoch was a Thursday.
    (at_ms / DAY_MS % 7).saturating_add(3) % 7
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to the first of this month.
fn days_before(year: u64, month: u64) -> Option<u64> {
    let leap_days = |years: u64| {
        (years / 4)
            .saturating_sub(years / 100)
            .saturating_add(years / 400)
    };
    let before = year.checked_sub(1)?;
    let whole_years = year.checked_sub(1970)?.checked_mul(365)?;
    let leaps = leap_days(before).checked_sub(leap_days(1969))?;
    let months: u64 = (1..month).map(|month| days_in_month(year, month)).sum();
    whole_years.checked_add(leaps)?.checked_add(months)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_instants_are_what_other_clocks_say() {
        assert_eq!(parse_instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_instant("2000-03-01T00:00:00Z"), Some(951_868_800_000));
        assert_eq!(
            parse_instant("2026-11-24T10:00:00Z"),
            Some(1_795_514_400_000)
        );
        assert_eq!(
            parse_instant("9999-12-31T23:59:59.999Z"),
            Some(YEAR_10000_MS - 1)
        );
        assert_eq!(
            weekday(1_795_514_400_000),
            1,
            "24 November 2026 is a Tuesday"
        );
        assert_eq!(weekday(0), 3, "the epoch was a Thursday");
    }

    #[test]
    fn what_is_not_an_instant_is_refused() {
        for text in [
            "",
            "Z",
            "2026-11-24",
            "2026-11-24T10:00:00",
            "2026-11-24T10:00:00+01:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T10:00:60Z",
            "1969-12-31T23:59:59Z",
            "2026-11-24T10:00:00.5Z",
            "2026-11-24-01T10:00:00Z",
            "+026-11-24T10:00:00Z",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
        assert_eq!(show_instant(YEAR_10000_MS), None);
    }

    #[test]
    fn durations_have_one_number_and_one_unit() {
        assert_eq!(parse_duration("10m"), Some(600_000));
        assert_eq!(parse_duration("1d"), Some(86_400_000));
        for text in [
            "",
            "10",
            "m",
            "1h30m",
            "-1s",
            "01s",
            "1.5h",
            "99999999999999999999d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(show_duration(90_000), "90s");
        assert_eq!(show_duration(0), "0ms");
    }

    #[test]
    fn minutes_of_the_day_end_at_24() {
        assert_eq!(parse_minute_of_day("24:00"), Some(1_440));
        assert_eq!(parse_minute_of_day("24:01"), None);
        assert_eq!(parse_minute_of_day("9:00"), None);
        assert_eq!(parse_minute_of_day("09:60"), None);
    }

    proptest! {
        #[test]
        fn instants_survive_being_written(at_ms in 0..YEAR_10000_MS) {
            prop_assert_eq!(parse_instant(&show_instant(at_ms).unwrap()), Some(at_ms));
        }

        #[test]
        fn durations_survive_being_written(value_ms in 0..u64::MAX / DAY_MS) {
            prop_assert_eq!(parse_duration(&show_duration(value_ms)), Some(value_ms));
        }
    }
}
