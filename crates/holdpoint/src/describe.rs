//! What a statement says, in one line for people.
//!
//! Never says more than the statement does: what stands in it only as a commitment is not named.

use holdpoint_receipt::statement::{
    ApprovalStatement, DecisionStatement, DrainMode, Outcome, PermitStep, Verdict,
};
use holdpoint_receipt::{Body, ClusterTime, Statement};

use crate::said::{short, short_sha256};

/// What the statement says.
pub(crate) fn describe(statement: &Statement) -> String {
    let at = statement.issued_at;
    match &statement.body {
        Body::Decision(decision) => decided(decision, at),
        Body::Policy(policy) => format!(
            "POLICY v{} ({}) in force at {at}",
            policy.policy_version,
            short_sha256(&policy.policy_digest)
        ),
        Body::Keys(keys) => format!(
            "KEYS {}{} from tree size {}, {} signatures needed, stated at {at}",
            keys.change,
            keys.node
                .map(|node| format!(" node {node}"))
                .unwrap_or_default(),
            keys.tree_size_from,
            keys.signers_needed
        ),
        Body::Completed { step, outcome, .. } => step_of(upper(*outcome), step, at),
        Body::Conflict { step, outcome, .. } => {
            let what = format!("CONFLICT: {outcome} was said too late of");
            step_of(&what, step, at)
        }
        Body::Redeemed {
            step, complete_by, ..
        } => format!(
            "{}, complete by {complete_by}",
            step_of("REDEEMED", step, at)
        ),
        Body::Revoked(step) => step_of("REVOKED", step, at),
        Body::Superseded(step) => step_of("SUPERSEDED", step, at),
        Body::Released { step, .. } => step_of("RELEASED", step, at),
        Body::Approved(approval) => match approval.expires_at {
            Some(end) => format!("{} until {end}", approval_of("APPROVED", approval, at)),
            None => approval_of("APPROVED", approval, at),
        },
        Body::ApprovalRevoked(approval) => approval_of("APPROVAL TAKEN BACK", approval, at),
        Body::SessionClosed(session) => format!(
            "SESSION CLOSED (commitment {}) at {at}",
            short(&session.session_commitment)
        ),
        Body::Frozen(frozen) => {
            let word = if frozen.frozen { "FROZEN" } else { "THAWED" };
            let why = frozen.disputed_leaf;
            let why = why.map(|leaf| format!(", leaf {leaf} is disputed"));
            let why = why.unwrap_or_default();
            match &frozen.surface {
                Some(surface) => format!("{word} surface {surface} at {at}{why}"),
                None => format!("{word} every surface at {at}{why}"),
            }
        }
        Body::Drain(drain) => {
            let bundle = short_sha256(&drain.policy_digest);
            match drain.mode {
                DrainMode::Drain => format!("DRAIN for {bundle} began at {at}"),
                DrainMode::Revoke => {
                    format!("DRAIN for {bundle} began at {at}, revoking what is not redeemed")
                }
                DrainMode::Cancelled => format!("DRAIN for {bundle} given up at {at}"),
            }
        }
        Body::Erased(erased) => format!(
            "ERASED what was asked ({}) at {at}",
            short_sha256(&erased.request_digest)
        ),
    }
}

const fn upper(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Committed => "COMMITTED",
        Outcome::Aborted => "ABORTED",
    }
}

fn decided(decision: &DecisionStatement, at: ClusterTime) -> String {
    let policy = format!(
        "policy v{} ({})",
        decision.policy_version,
        short_sha256(&decision.policy_digest)
    );
    let about = format!(
        "for {} {} at {at}, {policy}",
        decision.surface, decision.action
    );
    match &decision.verdict {
        Verdict::Permit(grant) => {
            format!("PERMIT {} fence {} {about}", grant.permit_id, grant.fence)
        }
        Verdict::Deny { reason, .. } => format!("DENY {reason} {about}"),
    }
}

fn step_of(what: &str, step: &PermitStep, at: ClusterTime) -> String {
    format!(
        "{what} {} fence {} for {} at {at}",
        step.permit_id, step.fence, step.surface
    )
}

fn approval_of(what: &str, approval: &ApprovalStatement, at: ClusterTime) -> String {
    format!(
        "{what} {} for quorum {} of {} at {at}, policy v{} ({})",
        short_sha256(&approval.subject_digest),
        approval.quorum,
        approval.surface,
        approval.policy_version,
        short_sha256(&approval.policy_digest)
    )
}
