//! Durations in sentences for people.

use std::fmt::Write as _;

/// The units of a duration in milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1_000),
    ("h", 60 * 60 * 1_000),
    ("m", 60 * 1_000),
    ("s", 1_000),
    ("ms", 1),
];

/// `10m`, `1h30m`, `45s`, `250ms`: exact, and never rounded.
#[must_use]
pub fn show_duration(ms: u64) -> String {
    let mut rest = ms;
    let mut text = String::new();
    for (unit, unit_ms) in UNITS {
        let count = rest.checked_div(unit_ms).unwrap_or_default();
        rest = rest.checked_rem(unit_ms).unwrap_or_default();
        if count > 0 {
            // Writing to a text cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}
