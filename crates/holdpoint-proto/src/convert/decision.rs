//! Recorded decisions.

use holdpoint_core::outcome::{Decided, Decision as Recorded};
use holdpoint_core::record::Denial;
use holdpoint_receipt::{ClusterTime, Decision, Reason};

use super::permit;
use crate::v1;

/// The answer that `recorded` and its receipt are.
///
/// The canonical request is not part of a recorded decision; whoever has it adds it.
#[must_use]
pub fn decision(recorded: &Recorded, receipt: Vec<u8>) -> v1::AuthorizeResponse {
    let common = v1::AuthorizeResponse {
        receipt: Some(v1::Receipt { file: receipt }),
        replay: recorded.replay,
        request_digest: recorded.request_digest.as_bytes().to_vec(),
        policies: recorded.policies.clone(),
        not_after_ms: recorded.not_after.get(),
        policy_version: recorded.policy.version.get(),
        policy_digest: recorded.policy.digest.as_bytes().to_vec(),
        ..v1::AuthorizeResponse::default()
    };
    match &recorded.verdict {
        Decided::Permit(view) => v1::AuthorizeResponse {
            permit: Some(permit(view)),
            ..because(common, Decision::Permit, Reason::Granted)
        },
        Decided::Deny(denial) => denied(because(common, Decision::Deny, denial.reason), denial),
    }
}

fn because(
    answer: v1::AuthorizeResponse,
    decision: Decision,
    reason: Reason,
) -> v1::AuthorizeResponse {
    v1::AuthorizeResponse {
        decision: v1::Decision::from(decision).into(),
        reason: i32::from(reason.code()),
        reason_name: reason.as_str().to_owned(),
        sentence: reason.sentence().to_owned(),
        ..answer
    }
}

fn denied(answer: v1::AuthorizeResponse, denial: &Denial) -> v1::AuthorizeResponse {
    let refused = denial.refused.first();
    let sentence = refused.map(|refused| {
        let key = &refused.claim.key;
        match (denial.reason, refused.until) {
            (Reason::AlreadyCommitted, _) => {
                format!(
                    "{key} may be committed once, and it was (fence {}).",
                    refused.fence
                )
            }
            (_, Some(until)) => format!(
                "{key} is held by another permit (fence {}) until {until} at the latest; a new \
                 attempt needs a new key.",
                refused.fence
            ),
            (_, None) => format!(
                "{key} is held by another permit (fence {}) until that is completed; a new attempt \
                 needs a new key.",
                refused.fence
            ),
        }
    });
    v1::AuthorizeResponse {
        sentence: sentence.unwrap_or_else(|| answer.sentence.clone()),
        codes: denial.codes.clone(),
        retry_at_ms: denial.retry_at.map_or(0, ClusterTime::get),
        holder_fence: refused.map_or(0, |refused| refused.fence.get()),
        refused_bound: refused.map(|refused| (&refused.claim).into()),
        ..answer
    }
}
