//! From the words of the policy crate to those of the state machine, which does not know it.

use holdpoint_core::command::{self, BoundClaim};
use holdpoint_core::outline::{self, PolicyOutline};
use holdpoint_policy as policy;

/// What the state machine must know of a policy.
pub(super) fn outline(policy: &policy::Policy) -> PolicyOutline {
    PolicyOutline {
        surfaces: policy.outline().into_iter().map(surface).collect(),
    }
}

fn surface(surface: policy::SurfaceOutline) -> outline::SurfaceOutline {
    let terms = surface.terms;
    outline::SurfaceOutline {
        surface: surface.surface,
        actions: surface.actions,
        bounds: surface.bounds.into_iter().map(bound).collect(),
        executors: terms.executors.into_iter().map(executor).collect(),
        permit_for_ms: terms.permit_for_ms,
        complete_within_ms: terms.complete_within_ms,
        honor_issued: terms.honor_issued,
        offline: terms.offline,
        release_after_ms: terms.release_after_ms,
    }
}

fn bound(bound: policy::BoundOutline) -> outline::BoundOutline {
    outline::BoundOutline {
        name: bound.name,
        kind: kind(bound.kind),
        template: bound.template,
        field: bound.field,
    }
}

const fn kind(kind: policy::BoundKind) -> outline::BoundKind {
    match kind {
        policy::BoundKind::Exclusive => outline::BoundKind::Exclusive,
        policy::BoundKind::Once { kept_for_ms } => outline::BoundKind::Once { kept_for_ms },
        policy::BoundKind::Capacity { limit } => outline::BoundKind::Capacity { limit },
        policy::BoundKind::Budget { limit, window_ms } => {
            outline::BoundKind::Budget { limit, window_ms }
        }
    }
}

fn executor(executor: policy::Executor) -> outline::Executor {
    match executor {
        policy::Executor::Caller => outline::Executor::Caller,
        policy::Executor::Named(caller) => outline::Executor::Principal(caller),
    }
}

/// The verdict, and the claims that go with it: none with a denial.
pub(super) fn verdict(decided: policy::Decided) -> (command::Verdict, Vec<BoundClaim>) {
    match decided.verdict {
        policy::Verdict::Permit { policies } => {
            let policies = policies.iter().map(ToString::to_string).collect();
            let claims = decided.claims.into_iter().map(claim).collect();
            (command::Verdict::Permit { policies }, claims)
        }
        policy::Verdict::Deny {
            reason,
            codes,
            policies,
        } => {
            let policies = policies.iter().map(ToString::to_string).collect();
            (
                command::Verdict::Deny {
                    reason,
                    codes,
                    policies,
                },
                Vec::new(),
            )
        }
    }
}

fn claim(claim: policy::Claim) -> BoundClaim {
    BoundClaim {
        name: claim.bound,
        kind: kind(claim.kind),
        key: claim.key,
        amount: claim.amount,
    }
}

/// A quorum that is not met.
pub(super) fn missing(missing: &policy::Missing) -> command::MissingApproval {
    command::MissingApproval {
        quorum: missing.quorum.clone(),
        subject: missing.subject.as_bytes().to_vec(),
        digest: missing.digest,
        needed: missing.min,
    }
}
