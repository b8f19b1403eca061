//! How decisions and refusals read: one shape for every command that shows them.

use holdpoint_client::{
    Bound, Decided, Denied, MissingApproval, PermitInfo, RecordedDecision, RedeemSilence, Refused,
    RefusedBound, Silence, SilenceCause,
};
use holdpoint_receipt::{ClusterTime, Digest, PermitId, Reason};
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::again::Again;
use crate::output::{number, optional};
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
        Some(_) => "a new attempt, with a new key, can succeed after that; --wait 10m waits for it",
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

/// The same as JSON.
pub(crate) fn refused_bounds_json(denied: &Denied) -> Value {
    let each = |refused: &RefusedBound| {
        json!({
            "bound": bound(&refused.bound),
            "reason": refused.reason.as_str(),
            "fence": refused.fence.map(|fence| number(fence.get())),
            "until_ms": refused.until.map(time),
        })
    };
    denied.refused_bounds().iter().map(each).collect()
}

/// What a SILENCE leaves open, what it lacks, and what to do.
pub(crate) fn silence_lines(silence: &Silence, decided: Decided, again: &Again) -> Vec<String> {
    let mut lines: Vec<String> = silence
        .missing_approvals()
        .iter()
        .map(|missing| {
            format!(
                "approval  {} of {} for quorum {}: holdpoint approvals show {}{again}",
                missing.have,
                missing.needed,
                missing.subject.quorum(),
                missing.subject.digest()
            )
        })
        .collect();
    if let Some(place) = silence.place() {
        lines.push(format!(
            "waits     ticket {}, until {}",
            place.ticket,
            time_of_day(place.until)
        ));
    }
    lines.push(silence_next(silence, decided));
    if let Some(next) = next_call(silence.reason(), again) {
        lines.push(format!("next: {next}"));
    }
    lines
}

/// What to do about a refused call, or a SILENCE, where its reason says it.
pub(crate) fn next_call(reason: Reason, again: &Again) -> Option<String> {
    Some(match reason {
        Reason::BoundsInUse => format!(
            "wait until the permits have ended, or the same command with --drain or --revoke;              holdpoint permits list{again} --surface NAME shows them"
        ),
        Reason::DrainPending => format!(
            "holdpoint policy history{again} shows it; holdpoint policy cancel-drain{again} gives it up"
        ),
        Reason::NoDrain | Reason::VersionConflict => {
            format!("holdpoint policy history{again} shows what is in force")
        }
        Reason::BundleUnknown => format!("holdpoint policy put DIR{again}"),
        Reason::BundleInUse => format!(
            "holdpoint policy history{again} shows whether it is active, drains or is a shadow; a              receipt that is kept needs its bundle as well"
        ),
        Reason::Frozen => format!("an operator lets it go on: holdpoint thaw{again}"),
        Reason::Draining => format!("holdpoint policy history{again} shows for which change"),
        Reason::SessionClosed => "a step of a new session, with a new key".to_owned(),
        Reason::PrerequisiteNotCommitted => format!(
            "holdpoint get permit PERMIT{again} shows where it stands; the same command with the              same key when it is COMMITTED"
        ),
        Reason::ApprovalRequired => {
            "the same command with the same key when the approvals are there".to_owned()
        }
        Reason::NotApprover => {
            "somebody of the quorum's group who did not ask for it (--caller NAME)".to_owned()
        }
        Reason::UnknownSubject => format!("holdpoint approvals pending{again} lists what waits"),
        Reason::ApprovalSpent => {
            format!(
                "the permit that it was spent on can be revoked: holdpoint revoke PERMIT{again}"
            )
        }
        Reason::TooManyPending => "ask again when some of them have ended".to_owned(),
        _ => return None,
    })
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
        Reason::StaleContext => Some(format!(
            "{look} names its session; when that is closed, or a prerequisite no longer holds, a new \
             attempt takes a new key"
        )),
        Reason::NotInDoubt => Some(format!(
            "{look} shows when it is in doubt; until then its executor says how it ended"
        )),
        Reason::Released => Some(format!(
            "{look} shows its conflicts; its bounds were given up, so look for what was done twice"
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
        "session": info.session,
        "conflicts": info.conflict_count,
        "redeemed_at_ms": info.redeemed_at.map(time),
        "completed_at_ms": info.completed_at.map(time),
        "held_until_ms": info.held_until.map(time),
        "release_at_ms": info.release_at.map(time),
    })
}

/// A quorum that is not met, as JSON.
pub(crate) fn missing(missing: &MissingApproval) -> Value {
    json!({
        "quorum": missing.subject.quorum().as_str(),
        "subject_digest": missing.subject.digest().to_string(),
        "subject": missing.subject.as_str(),
        "needed": missing.needed,
        "have": missing.have,
    })
}

/// A decision that was recorded, as JSON.
pub(crate) fn recorded(decision: &RecordedDecision) -> Value {
    let approvals = decision.approvals.iter().map(|used| {
        json!({
            "quorum": used.quorum.as_str(),
            "subject_digest": used.subject.to_string(),
            "approver": used.approver.as_str(),
            "given_at_ms": time(used.given_at),
        })
    });
    json!({
        "decision": decision.decision.as_str(),
        "reason": decision.reason,
        "leaf_index": number(decision.leaf_index),
        "receipt_hash": decision.receipt_hash.to_string(),
        "decided_at_ms": time(decision.decided_at),
        "evaluated_at_ms": time(decision.evaluated_at),
        "request_digest": decision.request.digest().to_string(),
        "policies": decision.policies,
        "codes": decision.codes,
        "policy_version": number(decision.policy_version.get()),
        "policy_digest": decision.policy_digest.to_string(),
        "permit": optional(decision.permit),
        "claims": bounds(&decision.claims),
        "approvals": approvals.collect::<Value>(),
    })
}

/// One bounded operation as JSON.
pub(crate) fn bound(bound: &Bound) -> Value {
    json!({
        "name": bound.name,
        "kind": bound.kind,
        "key": bound.key,
        "amount": number(bound.amount),
    })
}

/// Bounded operations as JSON.
pub(crate) fn bounds(bounds: &[Bound]) -> Value {
    bounds.iter().map(bound).collect()
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

/// A time as JSON.
pub(crate) fn time(time: ClusterTime) -> Value {
    number(time.get())
}

/// A SILENCE as JSON members.
pub(crate) fn silence_members(silence: &Silence, decided: Decided) -> [(&'static str, Value); 8] {
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
        (
            "missing_approvals",
            silence.missing_approvals().iter().map(missing).collect(),
        ),
        (
            "ticket",
            silence
                .place()
                .map_or(Value::Null, |place| number(place.ticket)),
        ),
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
            Reason::StaleContext,
            Reason::NotInDoubt,
            Reason::Released,
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
