//! The faults that a run is about happened.
//!
//! Source: openraft's own simulation, which rejects a run in which the required fault did not happen;
//! `chaos/HISTORY.md`, which lets a mark be written only with its proof. It never says that a promise is
//! broken: without the fault nothing was shown.

use crate::history::Mark;
use crate::story::Story;
use crate::verdict::Verdict;

/// Checks that each fault of the header has a mark. Unknown if one has none.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let happened = |fault: &&String| {
        !story.history.marks.iter().any(|mark| match mark {
            Mark::Fault { name, .. } => name == *fault,
            Mark::Healed { .. } => false,
        })
    };
    let missing: Vec<&str> = story
        .history
        .header
        .faults
        .iter()
        .filter(happened)
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        Verdict::Holds
    } else {
        Verdict::Unknown(format!("no proof that it happened: {}", missing.join(", ")))
    }
}
