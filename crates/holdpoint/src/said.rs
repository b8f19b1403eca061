//! How decisions and refusals read: one shape for every command that shows them.

mod json;
mod next;

use std::fmt::Write as _;

use holdpoint_client::{Bound, Denied, Erasure, Refused, RefusedBound, Silence, SilenceCause};
use holdpoint_receipt::{Digest, Reason};

use crate::times::time_of_day;

pub(crate) use json::{
    bound, bounds, erasure, missing, permit, recorded, refused_bounds_json, silence_members, time,
};
pub(crate) use next::{
    denied_next, interrupted_next, next_after, next_call, redeem_next, silence_lines,
};

/// That a request was erased, when, and what says so.
pub(crate) fn erased(erasure: &Erasure) -> String {
    format!(
        "erased at {}, which the statement at leaf {} says",
        erasure.erased_at, erasure.leaf_index
    )
}

/// The first digits of a digest, enough for people.
pub(crate) fn short(digest: &Digest) -> String {
    let whole = digest.to_string();
    format!("{}…", whole.get(..8).unwrap_or(&whole))
}

/// `sha256:9c0d1e2f…`.
pub(crate) fn short_sha256(digest: &Digest) -> String {
    format!("sha256:{}", short(digest))
}

/// DENY, why, and until when.
pub(crate) fn denied(denied: &Denied) -> String {
    let mut line = format!("DENY  {}  ", denied.reason());
    let sentence = embedded(denied.sentence());
    let Some(bound) = denied.refused_bound() else {
        line.push_str(&sentence);
        if !denied.codes().is_empty() {
            let _ = write!(line, " [{}]", denied.codes().join(", "));
        }
        if !denied.policies().is_empty() {
            let _ = write!(line, " by {}", denied.policies().join(", "));
        }
        return line;
    };
    let key = shorten(&bound.key);
    let _ = match (denied.reason(), denied.holder_fence()) {
        (Reason::BoundHeld, Some(fence)) => {
            write!(line, "{key} is held by another permit (fence {fence})")
        }
        (Reason::AlreadyCommitted, Some(fence)) => {
            write!(line, "{key} may be committed once, and was (fence {fence})")
        }
        // The sentence names the key, and says when it can first succeed.
        _ => {
            line.push_str(&sentence);
            return line;
        }
    };
    if let Some(at) = denied.retry_at() {
        let _ = write!(line, " until {} at the latest", time_of_day(at));
    }
    line
}

/// SILENCE, and why each node said nothing. `effect` says what did not happen, such as `nothing was run`.
pub(crate) fn silence(silence: &Silence, effect: &str) -> String {
    format!(
        "SILENCE  {}  {}; {effect}",
        silence.reason(),
        sentence(silence)
    )
}

/// The same as the message of an error.
pub(crate) fn one_line(silence: &Silence) -> String {
    format!(
        "{}: {}; decided: {}",
        silence.reason(),
        sentence(silence),
        silence.decided()
    )
}

/// A refusal of a call: its reason, and why.
pub(crate) fn refused(refused: &Refused) -> String {
    format!("{}: {}", refused.reason, embedded(&refused.sentence))
}

/// A sentence as it goes on after a reason: no capital at its beginning, no full stop at its end.
fn embedded(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.clone().next()) {
        // A word in capitals, such as `PERMIT`, stays what it is.
        (Some(first), Some(second)) if !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), letters.as_str())
        }
        _ => sentence.to_owned(),
    }
}

/// Every refused bound on a line of its own, where there are several.
pub(crate) fn refused_bounds(denied: &Denied) -> Vec<String> {
    let refused = denied.refused_bounds();
    if refused.len() < 2 {
        return Vec::new();
    }
    let line = |refused: &RefusedBound| {
        let fence = refused
            .fence
            .map_or_else(String::new, |fence| format!(" (fence {fence})"));
        let until = refused
            .until
            .map_or_else(String::new, |at| format!(" until {}", time_of_day(at)));
        let (key, kind) = (shorten(&refused.bound.key), &refused.bound.kind);
        format!("refused   {key} ({kind})  {}{fence}{until}", refused.reason)
    };
    refused.iter().map(line).collect()
}

/// Why a SILENCE is one, with what each node said.
pub(crate) fn sentence(silence: &Silence) -> String {
    let mut line = embedded(silence.sentence());
    if let SilenceCause::Unanswered { nodes, .. } = silence.cause() {
        let faults: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        if !faults.is_empty() {
            let _ = write!(line, " ({})", faults.join("; "));
        }
    }
    line
}

/// Bounded operations for people: `workspace/prod-eu (exclusive) · plan/0942c333… (once)`.
pub(crate) fn bounds_line(bounds: &[Bound]) -> String {
    let shown: Vec<String> = bounds
        .iter()
        .map(|bound| match bound.kind.as_str() {
            "budget" => format!("{} (budget {})", shorten(&bound.key), bound.amount),
            kind => format!("{} ({kind})", shorten(&bound.key)),
        })
        .collect();
    if shown.is_empty() {
        "nothing".to_owned()
    } else {
        shown.join(" · ")
    }
}

/// A key with its digests shortened.
fn shorten(key: &str) -> String {
    let short = |part: &str| match part.parse::<Digest>() {
        Ok(digest) => short(&digest),
        Err(_) => part.to_owned(),
    };
    let parts: Vec<String> = key.split('/').map(short).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use holdpoint_client::Decided;

    use super::*;

    #[test]
    fn sentence_goes_on_after_a_reason() {
        let refusal = |sentence: &str| Refused {
            reason: Reason::UnknownPermit,
            sentence: sentence.to_owned(),
            decided: Decided::Never,
        };
        assert_eq!(
            refused(&refusal("The gate has no such permit.")),
            "UNKNOWN_PERMIT: the gate has no such permit"
        );
        assert!(refused(&refusal("PERMIT it is.")).ends_with(": PERMIT it is"));
        assert!(refused(&refusal("")).ends_with(": "));
    }

    #[test]
    fn digest_inside_a_key_is_shortened_for_people() {
        let bound = |key: String, kind: &str| Bound {
            name: "b".to_owned(),
            kind: kind.to_owned(),
            key,
            amount: 1,
        };
        let bounds = [
            bound("workspace/prod-eu".to_owned(), "exclusive"),
            bound(format!("plan/0942c333{}", "0".repeat(56)), "once"),
        ];
        assert_eq!(
            bounds_line(&bounds),
            "workspace/prod-eu (exclusive) · plan/0942c333… (once)"
        );
        assert_eq!(bounds_line(&[]), "nothing");
    }
}
