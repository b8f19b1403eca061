//! Encodings of what stands in the log.

use super::{enums, structs};
use crate::command::{
    ActivatePolicy, AnnounceNode, Authorize, Bootstrap, BoundClaim, Command, Complete,
    CompletionResult, Evaluation, Facts, PutPolicy, RaiseFeatureLevel, Redeem, Revoke, StepTime,
    Verdict,
};
use crate::entry::Entry;
use crate::outline::{BoundKind, BoundOutline, Executor, PolicyOutline, SurfaceOutline};

structs! {
    Entry { group, time, commands }
    Bootstrap { cluster, epoch, voters, is_dev }
    StepTime { clocks }
    AnnounceNode {
        node, incarnation, log_key, cosign_key, feature_level_max, evaluator_version,
    }
    RaiseFeatureLevel { to }
    PutPolicy { namespace, digest, bundle, outline, principal }
    ActivatePolicy { namespace, digest, expected, evaluator_version, principal, salt }
    Authorize {
        namespace, caller, idempotency_key, not_after, request, request_digest, surface, action,
        actor, session, step, prerequisites, evaluation, salt,
    }
    Evaluation {
        policy_version, policy_digest, evaluator_version, evaluated_at, facts, verdict, claims,
    }
    Facts { frozen, prerequisites, supersedes }
    BoundClaim { name, kind, key }
    Redeem { namespace, permit, principal, fence, request_digest, redemption_id, salt }
    Complete { namespace, permit, principal, operator, result, salt }
    Revoke { namespace, permit, principal, operator, salt }
    PolicyOutline { surfaces }
    SurfaceOutline {
        surface, actions, bounds, executors, permit_for_ms, complete_within_ms, honor_issued,
    }
    BoundOutline { name, kind, template }
}

enums! {
    Command {
        1 => Bootstrap(command),
        2 => StepTime(command),
        3 => AnnounceNode(command),
        4 => RaiseFeatureLevel(command),
        5 => PutPolicy(command),
        6 => ActivatePolicy(command),
        7 => Authorize(command),
        8 => Redeem(command),
        9 => Complete(command),
        10 => Revoke(command),
    }
    Verdict {
        1 => Permit { policies },
        2 => Deny { reason, codes, policies },
    }
    CompletionResult {
        1 => Committed { evidence },
        2 => Aborted,
    }
    BoundKind {
        1 => Exclusive,
        2 => Once,
    }
    Executor {
        1 => Caller,
        2 => Principal(caller),
    }
}
