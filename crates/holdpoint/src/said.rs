//! How decisions and refusals read: one shape for every command that shows them.

use holdpoint_client::{Bound, Decided, Denied, PermitInfo, Silence, SilenceCause};
use holdpoint_receipt::{ClusterTime, Digest, Reason};
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::output::number;
use crate::times::time_of_day;

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
    let sentence = denied.sentence().trim_end_matches('.');
    let Some(bound) = denied.refused_bound() else {
        line.push_str(sentence);
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
        _ => write!(line, "{key}: {sentence}"),
    };
    if let Some(at) = denied.retry_at() {
        let _ = write!(line, " until {} at the latest", time_of_day(at));
    }
    line
}

/// What to do about a DENY.
pub(crate) fn denied_next(denied: &Denied) -> &'static str {
    match denied.retry_at() {
        Some(_) => "a new attempt, with a new key, can succeed after that",
        None => "the same key finds the same DENY; a new attempt takes a new key",
    }
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

fn sentence(silence: &Silence) -> String {
    let mut line = silence.sentence().trim_end_matches('.').to_owned();
    if let SilenceCause::Unanswered { nodes, .. } = silence.cause() {
        let faults: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        if !faults.is_empty() {
            let _ = write!(line, " ({})", faults.join("; "));
        }
    }
    line
}

/// What a SILENCE leaves open, and how to find out.
pub(crate) fn silence_next(silence: &Silence) -> String {
    match (silence.decided(), silence.attempt()) {
        (Decided::Never, _) => {
            "decided: never. Nothing was recorded; ask again when the cause is gone.".to_owned()
        }
        (Decided::Unknown, Some(attempt)) => format!(
            "decided: unknown. The same command with --key {} --not-after {} finds the decision if \
             there is one; it cannot spend twice.",
            attempt.key,
            attempt.not_after.get()
        ),
        (Decided::Unknown, None) => "decided: unknown. Look before you ask again.".to_owned(),
    }
}

/// A permit as JSON.
pub(crate) fn permit(info: &PermitInfo) -> Value {
    json!({
        "id": info.id.to_string(),
        "fence": number(info.fence.get()),
        "state": info.state.as_str(),
        "in_doubt": info.is_in_doubt,
        "surface": info.surface.as_str(),
        "action": info.action.as_str(),
        "caller": info.caller.as_str(),
        "issued_at_ms": time(info.issued_at),
        "expires_at_ms": time(info.expires_at),
        "complete_by_ms": info.complete_by.map(time),
        "request_digest": info.request_digest.to_string(),
        "bounds": bounds(&info.bounds),
        "policy_version": number(info.policy_version.get()),
        "policy_digest": info.policy_digest.to_string(),
    })
}

/// One bounded operation as JSON.
pub(crate) fn bound(bound: &Bound) -> Value {
    json!({ "name": bound.name, "kind": bound.kind, "key": bound.key })
}

/// Bounded operations as JSON.
pub(crate) fn bounds(bounds: &[Bound]) -> Value {
    bounds.iter().map(bound).collect()
}

/// Bounded operations for people: `workspace/prod-eu (exclusive) · plan/0942c333… (once)`.
pub(crate) fn bounds_line(bounds: &[Bound]) -> String {
    let shown: Vec<String> = bounds
        .iter()
        .map(|bound| format!("{} ({})", shorten(&bound.key), bound.kind))
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

/// A time as JSON.
pub(crate) fn time(time: ClusterTime) -> Value {
    number(time.get())
}

/// A SILENCE as JSON members.
pub(crate) fn silence_members(silence: &Silence) -> [(&'static str, Value); 6] {
    let nodes: Vec<Value> = match silence.cause() {
        SilenceCause::Unanswered { nodes, .. } => nodes
            .iter()
            .map(
                |node| json!({ "address": node.address.as_str(), "fault": node.fault.to_string() }),
            )
            .collect(),
        _ => Vec::new(),
    };
    [
        ("decision", "SILENCE".into()),
        ("reason", silence.reason().as_str().into()),
        ("sentence", silence.sentence().into()),
        ("decided", silence.decided().as_str().into()),
        (
            "not_after_ms",
            silence
                .attempt()
                .map_or(Value::Null, |attempt| time(attempt.not_after)),
        ),
        ("nodes", nodes.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_inside_a_key_is_shortened_for_people() {
        let bound = |key: String, kind: &str| Bound {
            name: "b".to_owned(),
            kind: kind.to_owned(),
            key,
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
