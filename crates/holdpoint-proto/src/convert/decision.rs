//! Recorded decisions.

use holdpoint_core::outcome::{Decided, Decision as Recorded, Waiting};
use holdpoint_core::outline::BoundKind;
use holdpoint_core::record::{Denial, RefusedBound};
use holdpoint_receipt::{ClusterTime, Decision, Fence, Reason};

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
    // The one that gave the denial its reason.
    let mut all = denial.refused.iter();
    let refused = all.find(|refused| refused.reason == denial.reason);
    let said: Vec<String> = denial.refused.iter().map(sentence_of).collect();
    let sentence = (!said.is_empty()).then(|| said.join(" "));
    v1::AuthorizeResponse {
        sentence: sentence.unwrap_or_else(|| answer.sentence.clone()),
        codes: denial.codes.clone(),
        retry_at_ms: denial.retry_at.map_or(0, ClusterTime::get),
        holder_fence: refused
            .and_then(|refused| refused.fence)
            .map_or(0, Fence::get),
        refused_bound: refused.map(|refused| (&refused.claim).into()),
        refused_bounds: denial.refused.iter().map(refused_bound).collect(),
        ..answer
    }
}

/// A bound that could not be claimed.
#[must_use]
pub fn refused_bound(refused: &RefusedBound) -> v1::RefusedBound {
    v1::RefusedBound {
        bound: Some((&refused.claim).into()),
        reason: i32::from(refused.reason.code()),
        reason_name: refused.reason.as_str().to_owned(),
        fence: refused.fence.map_or(0, Fence::get),
        until_ms: refused.until.map_or(0, ClusterTime::get),
        amount: refused.claim.amount,
    }
}

/// The place of an attempt that waits.
#[must_use]
pub fn waiting(waiting: &Waiting) -> v1::Waiting {
    v1::Waiting {
        ticket: waiting.ticket,
        since_ms: waiting.since.get(),
        until_ms: waiting.wait_until.get(),
    }
}

/// Why one bound could not be claimed, for people.
fn sentence_of(refused: &RefusedBound) -> String {
    let RefusedBound {
        claim,
        reason,
        fence,
        until,
    } = refused;
    let key = &claim.key;
    let by = fence.map_or_else(String::new, |fence| format!(" (fence {fence})"));
    let when =
        until.map(|until| format!(" until {until} at the latest; a new attempt needs a new key."));
    match (reason, claim.kind) {
        (Reason::AlreadyCommitted, _) => match until {
            Some(until) => format!("{key} may be committed once until {until}, and it was{by}."),
            None => format!("{key} may be committed once, and it was{by}."),
        },
        (Reason::BoundExhausted, BoundKind::Budget { limit, .. }) => {
            let amount = claim.amount;
            let first = until.map_or_else(
                || "it does not fit at any known time".to_owned(),
                |until| format!("it can first fit at {until}, with a new key"),
            );
            format!("{key} has no room for {amount} in this window of {limit}; {first}.")
        }
        (Reason::BoundExhausted, BoundKind::Capacity { limit }) => {
            let first = when.unwrap_or_else(|| {
                ", until one is completed; a new attempt needs a new key.".to_owned()
            });
            format!("{key} is held by as many permits as may hold it ({limit}){first}")
        }
        _ => match (fence, when) {
            (None, _) => format!("older requests wait for {key}; a new attempt needs a new key."),
            (Some(_), Some(when)) => format!("{key} is held by another permit{by}{when}"),
            (Some(_), None) => format!(
                "{key} is held by another permit{by} until that is completed; a new attempt needs a new key."
            ),
        },
    }
}
