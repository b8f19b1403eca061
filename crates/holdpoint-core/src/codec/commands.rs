//! Encodings of what stands in the log.

use super::{enums, structs};
use crate::command::{
    ActivatePolicy, ActivationMode, AnnounceNode, ApprovalFact, ApprovalName, Approve, AskApproval,
    AttemptName, Authorize, Bootstrap, BoundClaim, CancelDrain, CloseSession, Command, Complete,
    CompletionResult, DecisionName, DeletePolicy, Dispute, Erase, Evaluation, Facts, Freeze,
    LeaveQueue, MissingApproval, PutPolicy, RaiseFeatureLevel, RecordHandover, Redeem, Release,
    RequireSigners, Retention, RetireKeys, Revoke, RevokeApproval, RevokeKeys, RotateKeys,
    SetRetention, SetShadow, StepTime, Sweep, Ticket, Verdict,
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
    ActivatePolicy { namespace, digest, expected, evaluator_version, mode, principal, salt }
    Authorize {
        namespace, caller, idempotency_key, not_after, wait_until, request, request_digest, surface,
        action, actor, session, step, prerequisites, evaluation, salt,
    }
    Evaluation {
        policy_version, policy_digest, evaluator_version, evaluated_at, facts, verdict, claims,
    }
    Facts { frozen, draining, session_closed, approvals, prerequisites, supersedes }
    ApprovalFact { name, leaf, spends }
    ApprovalName { quorum, subject, approver }
    BoundClaim { name, kind, key, amount }
    Redeem { namespace, permit, principal, fence, request_digest, redemption_id, salt }
    Complete { namespace, permit, principal, operator, result, reason, salt }
    Revoke { namespace, permit, principal, operator, salt }
    Release { namespace, permit, principal, operator, reason, salt }
    Approve { namespace, name, surface, policy, counts_for_ms, salt }
    RevokeApproval { namespace, name, principal, operator, salt }
    AskApproval { namespace, request, request_digest, caller, policy, missing }
    MissingApproval { quorum, subject, digest, needed }
    CloseSession { namespace, session, principal, operator, salt }
    Freeze { namespace, surface, frozen, principal, salt }
    LeaveQueue { namespace, waiters }
    Ticket { number, attempt }
    AttemptName { caller, idempotency_key }
    CancelDrain { namespace, principal, salt }
    SetShadow { namespace, digests }
    DeletePolicy { namespace, digest }
    SetRetention { namespace, retention }
    Retention { permits_ms, disclosures_ms, statements_ms, sessions_ms }
    Sweep { namespace, salt }
    RotateKeys {
        node, log_key, cosign_key, expected_log_key, expected_cosign_key, principal, salt,
    }
    RetireKeys { node, principal, salt }
    RevokeKeys { node, log_key, cosign_key, valid_to, principal, salt }
    RequireSigners { signers, principal, salt }
    RecordHandover { namespace, tree_size_from, note }
    Dispute { namespace, leaf, node, evaluator_version, salt }
    Erase { namespace, decision, principal, reason_commitment, salt }
    PolicyOutline { surfaces }
    SurfaceOutline {
        surface, actions, bounds, executors, permit_for_ms, complete_within_ms, honor_issued,
        offline, release_after_ms,
    }
    BoundOutline { name, kind, template, field }
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
        11 => Release(command),
        12 => Approve(command),
        13 => RevokeApproval(command),
        14 => AskApproval(command),
        15 => CloseSession(command),
        16 => Freeze(command),
        17 => LeaveQueue(command),
        18 => CancelDrain(command),
        19 => SetShadow(command),
        20 => DeletePolicy(command),
        21 => SetRetention(command),
        22 => Sweep(command),
        23 => RotateKeys(command),
        24 => RetireKeys(command),
        25 => RevokeKeys(command),
        26 => RequireSigners(command),
        27 => RecordHandover(command),
        28 => Dispute(command),
        29 => Erase(command),
    }
    DecisionName {
        1 => Permit(permit),
        2 => Leaf(leaf),
    }
    ActivationMode {
        1 => Refuse,
        2 => Drain,
        3 => Revoke,
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
        2 => Once { kept_for_ms },
        3 => Capacity { limit },
        4 => Budget { limit, window_ms },
    }
    Executor {
        1 => Caller,
        2 => Principal(caller),
    }
}
