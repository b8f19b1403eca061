//! What an approver sees, and the same as JSON.

use holdpoint_client::{Approval, ApprovalSubject};
use serde_json::{Value, json};

use super::pending_json;
use crate::output::{Answer, Failure, number, optional};
use crate::said::{self, short, short_sha256};
use crate::visible::visible;

/// Everything that an approval is about, made of the bytes that were hashed, and then what it belongs
/// to, as the node says it.
pub(super) fn lines(subject: &ApprovalSubject) -> Vec<String> {
    let bytes = &subject.bytes;
    let mut lines = vec![format!(
        "APPROVE  {} {}   quorum {}   {} of {} approvals",
        bytes.surface(),
        bytes.action(),
        bytes.quorum(),
        standing_count(subject),
        subject.needed
    )];
    for (name, value) in bytes.binds() {
        lines.push(format!(
            "  binds     {} = {}",
            visible(name),
            visible(&value.to_canonical())
        ));
    }
    lines.push(format!("  digest    {} (computed here)", bytes.digest()));
    lines.push(format!(
        "  policy    {} v{} ({})",
        visible(&subject.policy_name),
        subject.policy_version,
        short_sha256(&subject.policy_digest)
    ));
    for pending in &subject.requests {
        let actor = pending
            .request
            .actor
            .as_ref()
            .map_or_else(String::new, |actor| {
                format!(" for {}", visible(actor.as_str()))
            });
        lines.push(format!(
            "  asked by  {}{actor} at {}, request {}",
            visible(pending.request.caller.as_str()),
            pending.asked_at,
            short(&pending.digest)
        ));
        for (name, value) in pending.request.params.iter() {
            lines.push(format!(
                "    param   {} = {}",
                visible(name),
                visible(&value.to_canonical())
            ));
        }
    }
    for approval in &subject.approvals {
        let until = approval
            .expires_at
            .map_or_else(String::new, |end| format!(", until {end}"));
        let spent = approval
            .spent_by
            .map_or_else(String::new, |permit| format!(" on {permit}"));
        lines.push(format!(
            "  approval  {}{spent} by {} at {}{until}",
            approval.state.as_str(),
            visible(approval.approver.as_str()),
            approval.given_at
        ));
    }
    lines
}

fn standing_count(subject: &ApprovalSubject) -> usize {
    let stands = |approval: &&Approval| approval.state == holdpoint_client::ApprovalState::Given;
    subject.approvals.iter().filter(stands).count()
}

/// The same as members of the object.
pub(super) fn members(answer: Answer, subject: &ApprovalSubject) -> Result<Answer, Failure> {
    let bytes = &subject.bytes;
    let requests: Result<Vec<Value>, serde_json::Error> =
        subject.requests.iter().map(pending_json).collect();
    Ok(answer
        .member("subject", bytes.as_str())
        .member("subject_digest", bytes.digest().to_string())
        .member("quorum", bytes.quorum().as_str())
        .member("surface", bytes.surface().as_str())
        .member("action", bytes.action().as_str())
        .member("needed", subject.needed)
        .member("policy_name", subject.policy_name.as_str())
        .member("policy_version", number(subject.policy_version.get()))
        .member("policy_digest", subject.policy_digest.to_string())
        .member("requests", requests?)
        .member(
            "approvals",
            subject.approvals.iter().map(approval).collect::<Value>(),
        ))
}

/// An approval as JSON.
pub(super) fn approval(approval: &Approval) -> Value {
    json!({
        "quorum": approval.quorum.as_str(),
        "subject_digest": approval.subject.to_string(),
        "approver": approval.approver.as_str(),
        "given_at_ms": said::time(approval.given_at),
        "expires_at_ms": approval.expires_at.map(said::time),
        "state": approval.state.as_str(),
        "spent_by": optional(approval.spent_by),
    })
}
