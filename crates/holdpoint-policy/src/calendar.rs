//! `calendars.yaml`: named windows of time, in UTC.
//!
//! Windows are computed here and given to Cedar as a set of names: there is no time zone, no
//! holiday table and no clock, so the same evaluation time opens the same windows everywhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::fields::Fields;
use crate::problem::File;
use crate::time;
use crate::yaml::Node;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The windows of a bundle, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calendars(pub(crate) BTreeMap<String, Vec<Span>>);

/// When a window is open. Both kinds are half-open: the end is outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// From one instant until another.
    Once { from_ms: u64, until_ms: u64 },
    /// On some days of every week, between two minutes of the day.
    Weekly {
        days: BTreeSet<u64>,
        from_minute: u64,
        until_minute: u64,
    },
}

impl Span {
    fn contains(&self, at_ms: u64) -> bool {
        match self {
            Self::Once { from_ms, until_ms } => (*from_ms..*until_ms).contains(&at_ms),
            Self::Weekly {
                days,
                from_minute,
                until_minute,
            } => {
                let minute = at_ms % time::DAY_MS / time::MINUTE_MS;
                days.contains(&time::weekday(at_ms))
                    && (*from_minute..*until_minute).contains(&minute)
            }
        }
    }
}

impl Span {
    /// When it opens or closes in `(after_ms, until_ms]`.
    fn edges(&self, after_ms: u64, until_ms: u64, edges: &mut BTreeSet<u64>) {
        let mut add = |at_ms: u64| {
            if after_ms < at_ms && at_ms <= until_ms {
                edges.insert(at_ms);
            }
        };
        match self {
            Self::Once { from_ms, until_ms } => [*from_ms, *until_ms].into_iter().for_each(add),
            Self::Weekly {
                days,
                from_minute,
                until_minute,
            } => {
                let (first, last) = (after_ms / time::DAY_MS, until_ms / time::DAY_MS);
                for day_ms in (first..=last).map(|day| day.saturating_mul(time::DAY_MS)) {
                    let is_its_day = days.contains(&time::weekday(day_ms));
                    for minute in [from_minute, until_minute]
                        .into_iter()
                        .filter(|_| is_its_day)
                    {
                        add(day_ms.saturating_add(minute.saturating_mul(time::MINUTE_MS)));
                    }
                }
            }
        }
    }
}

impl Calendars {
    /// When a window opens or closes in `(after_ms, until_ms]`, rising.
    pub(crate) fn edges(&self, after_ms: u64, until_ms: u64) -> BTreeSet<u64> {
        let mut edges = BTreeSet::new();
        for span in self.0.values().flatten() {
            span.edges(after_ms, until_ms, &mut edges);
        }
        edges
    }

    /// The names of the windows that are open at `at_ms`, sorted.
    pub(crate) fn open_at(&self, at_ms: u64) -> impl Iterator<Item = &str> {
        let open = move |spans: &[Span]| spans.iter().any(|span| span.contains(at_ms));
        self.0
            .iter()
            .filter(move |(_, spans)| open(spans))
            .map(|(name, _)| name.as_str())
    }

    /// The names of all windows, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Reads `calendars.yaml`. Errors go to `file`.
pub(crate) fn parse(file: &File<'_>, node: &Node) -> Option<Calendars> {
    let fields = Fields::of(file, node, "the calendars file", &["windows"])?;
    let mut windows = BTreeMap::new();
    for entry in file.map(fields.required("windows")?, "`windows`")? {
        file.name(&entry.key, entry.line, "window");
        let spans = file.list(&entry.node, &entry.key).unwrap_or_default();
        if spans.is_empty() {
            file.error(
                entry.line,
                format!("window `{}` is never open: give it a span", entry.key),
            );
        }
        let spans = spans.iter().filter_map(|node| span(file, node)).collect();
        windows.insert(entry.key.clone(), spans);
    }
    Some(Calendars(windows))
}

fn span(file: &File<'_>, node: &Node) -> Option<Span> {
    let fields = Fields::of(file, node, "a span", &["weekly", "from", "until"])?;
    let (from, until) = (fields.required("from"), fields.required("until"));
    let (from, until) = (from?, until?);
    let span = if let Some(days) = fields.get("weekly") {
        let minute = |node, what| {
            let minute = time::parse_minute_of_day(file.text(node, what)?);
            if minute.is_none() {
                file.error(
                    node.line,
                    format!("`{what}` must be a time of day such as \"16:00\""),
                );
            }
            minute
        };
        let days = days_of_week(file, days);
        let (from_minute, until_minute) = (minute(from, "from"), minute(until, "until"));
        Span::Weekly {
            days,
            from_minute: from_minute?,
            until_minute: until_minute?,
        }
    } else {
        let instant = |node, what| {
            let instant = time::parse_instant(file.text(node, what)?);
            if instant.is_none() {
                let example = "an instant in UTC such as \"2026-12-18T00:00:00Z\"";
                file.error(node.line, format!("`{what}` must be {example}"));
            }
            instant
        };
        let (from_ms, until_ms) = (instant(from, "from"), instant(until, "until"));
        Span::Once {
            from_ms: from_ms?,
            until_ms: until_ms?,
        }
    };
    let is_empty = match &span {
        Span::Once { from_ms, until_ms } => from_ms >= until_ms,
        Span::Weekly {
            days,
            from_minute,
            until_minute,
        } => days.is_empty() || from_minute >= until_minute,
    };
    if is_empty {
        file.error(
            fields.line(),
            "the span is never open: `from` must be before `until`",
        );
    }
    Some(span)
}

fn days_of_week(file: &File<'_>, node: &Node) -> BTreeSet<u64> {
    let mut days = BTreeSet::new();
    for (text, line) in file.texts(node, "weekly") {
        let day = (0_u64..).zip(DAYS).find(|(_, name)| *name == text);
        match day {
            Some((day, _)) if days.insert(day) => {}
            Some(_) => file.error(line, format!("day `{text}` is already in the list")),
            None => file.error(
                line,
                format!("`{text}` is not a day: use {}", DAYS.join(", ")),
            ),
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problems;
    use crate::yaml;

    fn load(text: &str) -> (Calendars, Vec<String>) {
        let problems = Problems::default();
        let file = File {
            path: "calendars.yaml",
            problems: &problems,
        };
        let calendars = yaml::parse(&file, text).and_then(|node| parse(&file, &node));
        let errors = problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect();
        (calendars.unwrap_or_default(), errors)
    }

    #[test]
    fn windows_are_half_open() {
        let (calendars, errors) = load(
            "windows:\n  freeze:\n    - { from: \"2026-12-18T00:00:00Z\", until: \"2027-01-04T00:00:00Z\" }\n    \
             - { weekly: [fri], from: \"16:00\", until: \"24:00\" }\n",
        );
        assert_eq!(errors, [""; 0]);
        for (at, open) in [
            ("2026-12-17T23:59:59.999Z", false),
            ("2026-12-18T00:00:00Z", true),
            ("2027-01-03T23:59:59.999Z", true),
            ("2027-01-04T00:00:00Z", false),
            ("2026-11-27T15:59:59.999Z", false),
            ("2026-11-27T16:00:00Z", true),
            ("2026-11-27T23:59:59.999Z", true),
            ("2026-11-28T00:00:00Z", false),
        ] {
            let names: Vec<&str> = calendars
                .open_at(time::parse_instant(at).unwrap())
                .collect();
            assert_eq!(!names.is_empty(), open, "{at}");
        }
    }

    #[test]
    fn between_two_edges_nothing_opens_or_closes() {
        let (calendars, _) = load(
            "windows:\n  freeze:\n    - { from: \"2026-12-18T00:00:00Z\", until: \"2027-01-04T00:00:00Z\" }\n  \
             late:\n    - { weekly: [fri, sun], from: \"16:00\", until: \"24:00\" }\n",
        );
        let at = |text: &str| time::parse_instant(text).unwrap();
        let (from_ms, until_ms) = (at("2026-12-10T12:00:00Z"), at("2026-12-21T00:00:00Z"));
        let edges = calendars.edges(from_ms, until_ms);
        let shown = edges.iter().map(|edge| time::show_instant(*edge).unwrap());
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "2026-12-11T16:00:00.000Z",
                "2026-12-12T00:00:00.000Z",
                "2026-12-13T16:00:00.000Z",
                "2026-12-14T00:00:00.000Z",
                "2026-12-18T00:00:00.000Z",
                "2026-12-18T16:00:00.000Z",
                "2026-12-19T00:00:00.000Z",
                "2026-12-20T16:00:00.000Z",
                "2026-12-21T00:00:00.000Z",
            ]
        );
        let open = |at_ms: u64| calendars.open_at(at_ms).collect::<Vec<_>>();
        for minute_ms in (from_ms..until_ms).step_by(60_000) {
            let next_ms = minute_ms + 60_000;
            let changes = open(minute_ms) != open(next_ms);
            assert_eq!(changes, edges.contains(&next_ms), "{next_ms}");
        }
    }

    #[test]
    fn window_that_never_opens_is_an_error() {
        let (_, errors) = load(
            "windows:\n  a:\n    - { from: \"2027-01-01T00:00:00Z\", until: \"2026-01-01T00:00:00Z\" }\n  \
             b: []\n  c:\n    - { weekly: [fry], from: \"10:00\", until: \"9:00\" }\n",
        );
        assert_eq!(
            errors,
            [
                "calendars.yaml:3: the span is never open: `from` must be before `until`",
                "calendars.yaml:4: window `b` is never open: give it a span",
                "calendars.yaml:6: `fry` is not a day: use mon, tue, wed, thu, fri, sat, sun",
                "calendars.yaml:6: `until` must be a time of day such as \"16:00\"",
            ]
        );
    }
}
