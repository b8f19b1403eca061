//! The commands and rows of what stands around a request: approvals, sessions, those that wait, and
//! the settings of a namespace.

use holdpoint_core::Command;
use holdpoint_core::command::{
    Approve, AskApproval, AttemptName, CancelDrain, CloseSession, DeletePolicy, Freeze, LeaveQueue,
    MissingApproval, Retention, RevokeApproval, SetRetention, SetShadow, Sweep, Ticket,
};
use holdpoint_core::record::{
    ApprovalRecord, ApprovalState, OfferRecord, PendingRecord, SessionClosed, SessionRecord,
    WaiterRecord,
};
use holdpoint_receipt::{IdempotencyKey, SessionId};

use super::records::record;
use super::{DIGEST, OTHER_DIGEST, PERMIT, SALT, approval, claim, policy};
use crate::world::{caller, default_namespace, name, time};

fn ticket() -> Ticket {
    Ticket {
        number: 9,
        attempt: AttemptName {
            caller: caller("alice"),
            idempotency_key: IdempotencyKey::new("k1").unwrap(),
        },
    }
}

fn missing() -> MissingApproval {
    MissingApproval {
        quorum: name("four-eyes"),
        subject: b"{}".to_vec(),
        digest: DIGEST,
        needed: 2,
    }
}

pub(super) fn commands() -> Vec<(&'static str, Command)> {
    let approve = Approve {
        namespace: default_namespace(),
        name: approval(),
        surface: name("pay"),
        policy: policy(),
        counts_for_ms: 86_400_000,
        salt: SALT,
    };
    let revoke = RevokeApproval {
        namespace: default_namespace(),
        name: approval(),
        principal: caller("admin"),
        operator: true,
        salt: SALT,
    };
    let ask = AskApproval {
        namespace: default_namespace(),
        request: b"{}".to_vec(),
        request_digest: OTHER_DIGEST,
        caller: caller("alice"),
        policy: policy(),
        missing: vec![missing()],
    };
    let close = CloseSession {
        namespace: default_namespace(),
        session: SessionId::new("s").unwrap(),
        principal: caller("alice"),
        operator: false,
        salt: SALT,
    };
    let mut commands = vec![
        ("approve", Command::Approve(approve)),
        ("revoke approval", Command::RevokeApproval(revoke)),
        ("ask approval", Command::AskApproval(Box::new(ask))),
        ("close session", Command::CloseSession(close)),
    ];
    commands.extend(settings());
    commands
}

fn settings() -> Vec<(&'static str, Command)> {
    let freeze = |surface| {
        Command::Freeze(Freeze {
            namespace: default_namespace(),
            surface,
            frozen: true,
            principal: caller("admin"),
            salt: SALT,
        })
    };
    let leave = LeaveQueue {
        namespace: default_namespace(),
        waiters: vec![ticket()],
    };
    let cancel = CancelDrain {
        namespace: default_namespace(),
        principal: caller("admin"),
        salt: SALT,
    };
    let shadow = SetShadow {
        namespace: default_namespace(),
        digests: vec![DIGEST, OTHER_DIGEST],
    };
    let delete = DeletePolicy {
        namespace: default_namespace(),
        digest: DIGEST,
    };
    let retention = SetRetention {
        namespace: default_namespace(),
        retention: Retention {
            permits_ms: Some(172_800_000),
            disclosures_ms: Some(172_800_000),
            statements_ms: None,
            sessions_ms: Some(259_200_000),
        },
    };
    let sweep = Sweep {
        namespace: default_namespace(),
        salt: SALT,
    };
    vec![
        ("freeze a namespace", freeze(None)),
        ("freeze a surface", freeze(Some(name("pay")))),
        ("leave queue", Command::LeaveQueue(leave)),
        ("cancel drain", Command::CancelDrain(cancel)),
        ("set shadow", Command::SetShadow(shadow)),
        ("delete policy", Command::DeletePolicy(delete)),
        ("set retention", Command::SetRetention(retention)),
        ("sweep", Command::Sweep(sweep)),
    ]
}

pub(super) fn records() -> Vec<(&'static str, Vec<u8>)> {
    let approval = |state| ApprovalRecord {
        surface: name("pay"),
        given_at: time(5_000),
        expires_at: time(86_405_000),
        policy: policy(),
        leaf: 290,
        receipt: OTHER_DIGEST,
        state,
    };
    let pending = PendingRecord {
        request: b"{}".to_vec(),
        caller: caller("alice"),
        asked_at: time(5_000),
        listed_until: time(86_405_000),
        policy: policy(),
        missing: vec![missing()],
    };
    let session = |closed| SessionRecord {
        owner: caller("alice"),
        used_at: time(5_000),
        closed,
    };
    let closed = SessionClosed {
        at: time(5_000),
        by: caller("admin"),
        leaf: 302,
    };
    let waiter = WaiterRecord {
        ticket: 9,
        request_digest: OTHER_DIGEST,
        surface: name("pay"),
        claims: vec![claim()],
        policy: policy(),
        not_after: time(605_000),
        wait_until: time(65_000),
        since: time(5_000),
        offer: Some(OfferRecord {
            until: time(15_000),
            term: 3,
        }),
        look_at: None,
    };
    vec![
        record("approval, given", &approval(ApprovalState::Given)),
        record("approval, spent", &approval(ApprovalState::Spent(PERMIT))),
        record(
            "approval, revoked",
            &approval(ApprovalState::Revoked { leaf: 301 }),
        ),
        record("pending", &pending),
        record("session, open", &session(None)),
        record("session, closed", &session(Some(closed))),
        record("waiter", &waiter),
        record("place in a queue", &ticket()),
    ]
}
