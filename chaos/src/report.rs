//! What the checkers found, for people and for programs. It never leaves out a checker that was not asked.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::checkers::Finding;
use crate::verdict::Verdict;

/// What a whole run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overall {
    /// Every promise that was asked for holds.
    Holds,
    /// One is broken.
    Broken,
    /// None is broken, but of one nothing can be said, which fails a run as well.
    Unknown,
}

/// What findings come to.
#[must_use]
pub fn overall(findings: &[Finding]) -> Overall {
    let verdicts = || {
        findings
            .iter()
            .filter_map(|finding| finding.verdict.as_ref())
    };
    if verdicts().any(|verdict| matches!(verdict, Verdict::Broken(_))) {
        Overall::Broken
    } else if verdicts().all(Verdict::holds) {
        Overall::Holds
    } else {
        Overall::Unknown
    }
}

/// A table of the findings, and below it what breaks each promise that is broken.
#[must_use]
pub fn table(findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = findings
        .iter()
        .map(|finding| finding.checker.name.len())
        .max();
    let width = width.unwrap_or_default();
    for finding in findings {
        let (word, why) = match &finding.verdict {
            None => ("not asked", ""),
            Some(Verdict::Holds) => ("holds", ""),
            Some(Verdict::Broken(_)) => ("BROKEN", ""),
            Some(Verdict::Unknown(why)) => ("UNKNOWN", why.as_str()),
        };
        let (name, promise) = (finding.checker.name, finding.checker.promise);
        let _ = writeln!(text, "{name:width$}  {word:9}  {promise}");
        if !why.is_empty() {
            let _ = writeln!(text, "{:width$}  {:9}  {why}", "", "");
        }
    }
    for finding in findings {
        if let Some(breach) = finding.verdict.as_ref().and_then(Verdict::breach) {
            let _ = write!(text, "\n{}: {breach}\n", finding.checker.name);
        }
    }
    text
}

/// The findings as one JSON object.
#[must_use]
pub fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        let name = finding.checker.name;
        match &finding.verdict {
            None => json!({"checker": name, "verdict": "not_asked"}),
            Some(Verdict::Holds) => json!({"checker": name, "verdict": "holds"}),
            Some(Verdict::Unknown(why)) => {
                json!({"checker": name, "verdict": "unknown", "why": why})
            }
            Some(Verdict::Broken(breach)) => json!({
                "checker": name,
                "verdict": "broken",
                "why": breach.why,
                "excerpt": breach.excerpt,
                "reproduce": breach.reproduce,
            }),
        }
    };
    let word = match overall(findings) {
        Overall::Holds => "holds",
        Overall::Broken => "broken",
        Overall::Unknown => "unknown",
    };
    json!({"overall": word, "findings": findings.iter().map(one).collect::<Vec<_>>()})
}
