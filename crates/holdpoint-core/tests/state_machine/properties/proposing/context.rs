//! Approvals, sessions, and the settings of the namespace.

use holdpoint_core::Command;
use holdpoint_core::command::{
    ApprovalFact, ApprovalName, Approve, AskApproval, AttemptName, CancelDrain, CloseSession,
    DeletePolicy, Freeze, LeaveQueue, MissingApproval, Retention, RevokeApproval, SetRetention,
    SetShadow, Sweep, Ticket,
};
use holdpoint_core::record::ActivePolicy;
use holdpoint_receipt::{Digest, PolicyVersion, sha256_domain};

use super::{asked_as_world, key, policy_name, session};
use crate::model::{Asking, Kept, Model, Op};
use crate::world::{self, World, caller, default_namespace, name};

fn subject(number: u8) -> Vec<u8> {
    format!("{{\"subject\":{number}}}").into_bytes()
}

/// The digest of a subject, computed as documented and not as implemented.
fn subject_digest(number: u8) -> Digest {
    sha256_domain("holdpoint/approval/v1", &[&subject(number)])
}

fn approval_name(quorum: u8, subject: u8, by: &str) -> ApprovalName {
    ApprovalName {
        quorum: name(&format!("q{quorum}")),
        subject: subject_digest(subject),
        approver: caller(by),
    }
}

/// The approvals that an evaluation uses.
pub(super) fn approvals(model: &Model, asking: &Asking) -> Vec<ApprovalFact> {
    let mut facts: Vec<ApprovalFact> = asking
        .approvals
        .iter()
        .map(|(place, spends)| {
            let known = &model.context.approvals[*place];
            ApprovalFact {
                name: approval_name(known.quorum, known.subject, known.by),
                leaf: known.leaf,
                spends: *spends,
            }
        })
        .collect();
    facts.sort();
    facts
}

/// The policy in force, or one that is not.
fn policy(model: &Model, is_moved: bool) -> ActivePolicy {
    let active = model.activations.last().copied().unwrap_or_default();
    ActivePolicy {
        version: PolicyVersion::new(model.version() + u64::from(is_moved)).unwrap(),
        digest: world::digest_of_policy(&policy_name(active)),
    }
}

pub(super) fn command(world: &mut World, model: &Model, op: &Op) -> Command {
    let namespace = default_namespace();
    match op.clone() {
        Op::Approve {
            quorum,
            subject,
            by,
            for_ms,
            is_moved,
        } => Command::Approve(Approve {
            namespace,
            name: approval_name(quorum, subject, by),
            surface: name("pay"),
            policy: policy(model, is_moved),
            counts_for_ms: for_ms,
            salt: world.salt(),
        }),
        Op::RevokeApproval {
            quorum,
            subject,
            by,
            principal,
            is_operator,
        } => Command::RevokeApproval(RevokeApproval {
            namespace,
            name: approval_name(quorum, subject, by),
            principal: caller(principal),
            operator: is_operator,
            salt: world.salt(),
        }),
        Op::Ask {
            by,
            asked,
            is_moved,
        } => {
            let asked = asked_as_world(asked);
            Command::AskApproval(Box::new(AskApproval {
                namespace,
                request: asked.bytes(),
                request_digest: asked.digest(),
                caller: caller(by),
                policy: policy(model, is_moved),
                missing: vec![MissingApproval {
                    quorum: name("q0"),
                    subject: subject(0),
                    digest: subject_digest(0),
                    needed: 2,
                }],
            }))
        }
        other => around(world, model, &other),
    }
}

fn around(world: &mut World, model: &Model, op: &Op) -> Command {
    let namespace = default_namespace();
    match op.clone() {
        Op::Close {
            session: number,
            by,
            is_operator,
        } => Command::CloseSession(CloseSession {
            namespace,
            session: session(number),
            principal: caller(by),
            operator: is_operator,
            salt: world.salt(),
        }),
        Op::Leave {
            by,
            key: number,
            off,
        } => {
            let ticket = model.ticket(by, number).unwrap_or(1) + off;
            let attempt = AttemptName {
                caller: caller(by),
                idempotency_key: key(number),
            };
            let waiters = vec![Ticket {
                number: ticket,
                attempt,
            }];
            Command::LeaveQueue(LeaveQueue { namespace, waiters })
        }
        other => setting(world, &other),
    }
}

fn setting(world: &mut World, op: &Op) -> Command {
    let namespace = default_namespace();
    let digest = |policy: &usize| world::digest_of_policy(&policy_name(*policy));
    match op {
        Op::Freeze { surface, is_frozen } => Command::Freeze(Freeze {
            namespace,
            surface: surface.map(name),
            frozen: *is_frozen,
            principal: caller("admin"),
            salt: world.salt(),
        }),
        Op::CancelDrain => Command::CancelDrain(CancelDrain {
            namespace,
            principal: caller("admin"),
            salt: world.salt(),
        }),
        Op::Shadow(policies) => {
            let mut digests: Vec<Digest> = policies.iter().map(digest).collect();
            digests.sort();
            Command::SetShadow(SetShadow { namespace, digests })
        }
        Op::Delete(policy) => Command::DeletePolicy(DeletePolicy {
            namespace,
            digest: digest(policy),
        }),
        Op::Retain(kept) => Command::SetRetention(SetRetention {
            namespace,
            retention: retention(*kept),
        }),
        Op::Sweep => Command::Sweep(Sweep {
            namespace,
            salt: world.salt(),
        }),
        other => super::signing::command(world, other),
    }
}

fn retention(kept: Kept) -> Retention {
    Retention {
        permits_ms: kept.permits_ms,
        disclosures_ms: kept.disclosures_ms,
        statements_ms: kept.statements_ms,
        sessions_ms: kept.sessions_ms,
    }
}
