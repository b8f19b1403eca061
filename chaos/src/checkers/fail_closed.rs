//! G7: every fault, time-out or doubt gives DENY or SILENCE, never PERMIT.
//!
//! Source: `SPEC` section 4 ("The executor acts only on a REDEEMED answer whose receipt verifies") and
//! section 5; `ARCHITECTURE.md` (the server "never answers PERMIT without a receipt"). It never verifies a
//! receipt itself: the client did, with the published keys, and said what came of it.

use crate::history::Answered;
use crate::story::Story;
use crate::verdict::Verdict;

/// Checks that every decision and every acknowledgement came with a receipt that verifies.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let mut permits: usize = 0;
    for event in &story.history.events {
        let what = match &event.answer {
            Answered::Permit { .. } => {
                permits = permits.saturating_add(1);
                "a PERMIT"
            }
            Answered::Deny { .. } => "a DENY",
            Answered::Done { .. } => "an acknowledgement",
            _ => continue,
        };
        let lacks = match event.answer.receipt() {
            None => "has no receipt",
            Some(proof) if !proof.verifies => "has a receipt that does not verify",
            Some(_) => continue,
        };
        let why = format!("{what} of `{}` {lacks}", event.op.as_str());
        return Verdict::shown(story.history, why, [event]);
    }
    if permits == 0 {
        return Verdict::Unknown("no PERMIT was shown".to_owned());
    }
    Verdict::Holds
}
