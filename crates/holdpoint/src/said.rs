//! How decisions and refusals read: one shape for every command that shows them.

use holdpoint_client::{
    Bound, Decided, Denied, PermitInfo, RedeemSilence, Refused, Silence, SilenceCause,
};
use holdpoint_receipt::{ClusterTime, Digest, PermitId, Reason};
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::again::Again;
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

/// What to do about a refused step of a permit.
pub(crate) fn next_after(reason: Reason, permit: PermitId, again: &Again) -> Option<String> {
    let look = format!("holdpoint get permit {permit}{again}");
    match reason {
        Reason::AlreadyRedeemed => Some(format!(
            "{look} shows where it stands; only whoever redeemed it may act, and a new attempt takes \
             a new key"
        )),
        Reason::NotExecutor => Some(
            "redeem it as an executor of the surface (--caller NAME); `executors` in the bundle's \
             surfaces.yaml names them"
                .to_owned(),
        ),
        Reason::OutcomeConflict => Some(format!(
            "{look} shows the outcome that stands; find out which of the two is true"
        )),
        Reason::NotRedeemed => Some(format!(
            "holdpoint redeem {permit}{again} before you act, or holdpoint revoke {permit}{again}"
        )),
        Reason::NoSignatures => Some(format!(
            "holdpoint status{again} shows which nodes do not sign; the same command again finds what \
             was recorded"
        )),
        _ => None,
    }
}

/// What a redeem without an answer leaves open, and how to resolve it.
pub(crate) fn redeem_next(open: &RedeemSilence, permit: PermitId, again: &Again) -> String {
    match open.decided() {
        Decided::Never => format!("permit {permit} was not redeemed; it expires by itself"),
        Decided::Unknown => format!(
            "holdpoint get permit {permit}{again}: ISSUED was not redeemed; REDEEMED, if nobody else \
             redeemed it, has had no effect: holdpoint complete {permit}{again} --aborted"
        ),
    }
}

/// How to find what was decided after the waiting for it was interrupted.
pub(crate) fn interrupted_next(key: &str, not_after: Option<ClusterTime>) -> String {
    let not_after = not_after.map_or_else(String::new, |at| format!(" --not-after {}", at.get()));
    format!(
        "a permit may have been granted; it expires by itself, and the same command with --key \
         {key}{not_after} finds it"
    )
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

/// What a SILENCE leaves open, and how to find out.
pub(crate) fn silence_next(silence: &Silence, decided: Decided) -> String {
    match (decided, silence.attempt()) {
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
pub(crate) fn silence_members(silence: &Silence, decided: Decided) -> [(&'static str, Value); 6] {
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
        ("decided", decided.as_str().into()),
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
    fn refusals_that_leave_somebody_with_a_permit_say_what_is_next() {
        let permit = "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        for reason in [
            Reason::AlreadyRedeemed,
            Reason::NotExecutor,
            Reason::OutcomeConflict,
            Reason::NotRedeemed,
            Reason::NoSignatures,
        ] {
            assert!(
                next_after(reason, permit, &Again::default()).is_some(),
                "{reason}"
            );
        }
        assert_eq!(next_after(Reason::Expired, permit, &Again::default()), None);
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
