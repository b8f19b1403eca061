//! Approvals, and the requests that wait for them.

use holdpoint_core::command::{ApprovalName, MissingApproval};
use holdpoint_core::record::{ApprovalRecord, ApprovalState, PendingRecord};
use holdpoint_receipt::{ClusterTime, Digest};

use crate::v1;

/// An approval as it stands at `now`.
#[must_use]
pub fn approval(name: &ApprovalName, record: &ApprovalRecord, now: ClusterTime) -> v1::Approval {
    let (state, spent_by) = match &record.state {
        ApprovalState::Given if now >= record.expires_at => {
            (v1::ApprovalState::Expired, String::new())
        }
        ApprovalState::Given => (v1::ApprovalState::Given, String::new()),
        ApprovalState::Spent(permit) => (v1::ApprovalState::Spent, permit.to_string()),
        ApprovalState::Revoked { .. } => (v1::ApprovalState::Revoked, String::new()),
    };
    v1::Approval {
        quorum: name.quorum.to_string(),
        subject_digest: name.subject.as_bytes().to_vec(),
        approver: name.approver.to_string(),
        given_at_ms: record.given_at.get(),
        expires_at_ms: record.expires_at.get(),
        state: state.into(),
        spent_by,
    }
}

/// A quorum that is not met, of which `have` approvals count.
#[must_use]
pub fn missing_approval(missing: &MissingApproval, have: u32) -> v1::MissingApproval {
    v1::MissingApproval {
        quorum: missing.quorum.to_string(),
        subject_digest: missing.digest.as_bytes().to_vec(),
        subject_json: missing.subject.clone(),
        needed: missing.needed,
        have,
    }
}

/// A listed request. `have` says how many approvals count for each of its quorums, in their order.
#[must_use]
pub fn pending(request: &Digest, record: &PendingRecord, have: &[u32]) -> v1::PendingRequest {
    let missing = record.missing.iter().enumerate();
    v1::PendingRequest {
        request_digest: request.as_bytes().to_vec(),
        request_canonical: record.request.clone(),
        caller: record.caller.to_string(),
        asked_at_ms: record.asked_at.get(),
        listed_until_ms: record.listed_until.get(),
        policy_version: record.policy.version.get(),
        policy_digest: record.policy.digest.as_bytes().to_vec(),
        missing: missing
            .map(|(place, missing)| {
                missing_approval(missing, have.get(place).copied().unwrap_or(0))
            })
            .collect(),
    }
}
