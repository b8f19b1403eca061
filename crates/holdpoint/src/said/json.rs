//! What commands have in common, as members of their objects.

use holdpoint_client::{
    Bound, Decided, Denied, Erasure, MissingApproval, PermitInfo, RecordedDecision, RefusedBound,
    Silence, SilenceCause,
};
use holdpoint_receipt::ClusterTime;
use serde_json::{Value, json};

use crate::output::{number, optional};

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
        "completion_reason": info.completion_reason,
        "released_at_ms": info.released_at.map(time),
        "release_reason": info.release_reason,
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

/// What says that a request was erased, as JSON; null where nothing does.
pub(crate) fn erasure(erasure: Option<&Erasure>) -> Value {
    erasure.map_or(Value::Null, |erasure| {
        json!({
            "leaf_index": number(erasure.leaf_index),
            "erased_at_ms": time(erasure.erased_at),
            "receipt_hash": erasure.receipt_hash.to_string(),
        })
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
