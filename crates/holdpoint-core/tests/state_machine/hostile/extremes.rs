//! Numbers at and beyond their edges: refused before anything rests on them.

use holdpoint_core::Command;
use holdpoint_core::command::{
    ApprovalFact, ApprovalName, Approve, LeaveQueue, Retention, SetRetention, Ticket,
};
use holdpoint_core::command::{AttemptName, BoundClaim, CompletionResult};
use holdpoint_core::limits::RETENTION_DEFAULT;
use holdpoint_core::outcome::Outcome;
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::ActivePolicy;
use holdpoint_core::rejection::{EvaluationProblem, OutlineProblem, Rejection};
use holdpoint_receipt::{IdempotencyKey, sha256};

use super::{lived, rejected};
use crate::script::said;
use crate::world::{START_MS, World, caller, default_namespace, name, put, time};

const DAY_MS: u64 = 24 * 3_600_000;
/// Beyond what JSON keeps exactly.
const INEXACT: u64 = 1 << 53;

fn surface(kind: BoundKind) -> SurfaceOutline {
    let is_budget = matches!(kind, BoundKind::Budget { .. });
    SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: vec![BoundOutline {
            name: name("account"),
            kind,
            template: "account/{params.account}".to_owned(),
            field: is_budget.then(|| "amount".to_owned()),
        }],
        executors: vec![Executor::Caller],
        permit_for_ms: 1_000,
        complete_within_ms: 1_000,
        honor_issued: false,
        offline: false,
        release_after_ms: None,
    }
}

/// What becomes of a bundle with this one surface; none if it is registered.
fn problem(surface: SurfaceOutline) -> Option<OutlineProblem> {
    match World::new().one(put("p", vec![surface])) {
        Outcome::PolicyPut(_) => None,
        Outcome::Rejected(Rejection::Outline(problem)) => Some(problem),
        other => panic!("not an outline's: {}", said(&other)),
    }
}

#[test]
fn bound_with_a_number_beyond_its_edge_is_no_bound() {
    let of = |kind| problem(surface(kind));
    let capacity = |limit| of(BoundKind::Capacity { limit });
    assert_eq!((capacity(1), capacity(INEXACT - 1)), (None, None));
    let budget = |limit, window_ms| of(BoundKind::Budget { limit, window_ms });
    assert_eq!(budget(1, 60_000), None);
    assert_eq!(budget(INEXACT - 1, 366 * DAY_MS), None);
    let once = |kept_ms| {
        of(BoundKind::Once {
            kept_for_ms: Some(kept_ms),
        })
    };
    assert_eq!((once(3_600_000), once(3_660 * DAY_MS)), (None, None));
    for limit in [0, INEXACT, u64::MAX] {
        assert_eq!(capacity(limit), Some(OutlineProblem::Bound), "{limit}");
        assert_eq!(
            budget(limit, 60_000),
            Some(OutlineProblem::Bound),
            "{limit}"
        );
    }
    for window_ms in [0, 1, 59_999, 366 * DAY_MS + 1, u64::MAX] {
        let found = budget(100, window_ms);
        assert_eq!(found, Some(OutlineProblem::Bound), "{window_ms}");
    }
    for kept_ms in [0, 3_599_999, 3_660 * DAY_MS + 1, u64::MAX] {
        assert_eq!(once(kept_ms), Some(OutlineProblem::Bound), "{kept_ms}");
    }
}

#[test]
fn life_or_release_beyond_its_edge_is_none() {
    let change = |change: &dyn Fn(&mut SurfaceOutline)| {
        let mut changed = surface(BoundKind::Exclusive);
        change(&mut changed);
        problem(changed)
    };
    let lifetime = Some(OutlineProblem::Lifetime);
    for ms in [0, 999, 30 * DAY_MS + 1, u64::MAX] {
        assert_eq!(change(&|all| all.permit_for_ms = ms), lifetime, "{ms}");
        assert_eq!(change(&|all| all.complete_within_ms = ms), lifetime, "{ms}");
    }
    for ms in [0, 30 * DAY_MS + 1, u64::MAX] {
        assert_eq!(
            change(&|all| all.release_after_ms = Some(ms)),
            lifetime,
            "{ms}"
        );
    }
    let offline = |all: &mut SurfaceOutline| {
        all.offline = true;
        all.release_after_ms = Some(1_000);
    };
    assert_eq!(change(&offline), lifetime);
    let once = |all: &mut SurfaceOutline| {
        all.bounds[0].kind = BoundKind::Once { kept_for_ms: None };
        all.release_after_ms = Some(1_000);
    };
    assert_eq!(change(&once), lifetime);
    // An effect that may still be committed would be forgotten before it is.
    let forgetful = |all: &mut SurfaceOutline| {
        all.bounds[0].kind = BoundKind::Once {
            kept_for_ms: Some(3_600_000),
        };
        all.complete_within_ms = 3_600_000;
    };
    assert_eq!(change(&forgetful), lifetime);
}

#[test]
fn amount_that_no_bundle_can_give_is_rejected() {
    let claims = Rejection::Evaluation(EvaluationProblem::Claims);
    let amount = |amount| {
        let change = |claims: &mut Vec<BoundClaim>| claims[0].amount = amount;
        rejected(|command| change(&mut command.evaluation.as_mut().unwrap().claims))
    };
    for odd in [0, 2, INEXACT, u64::MAX] {
        assert_eq!(amount(odd), claims, "{odd}");
    }
}

#[test]
fn wait_beyond_the_end_of_the_attempt_is_rejected() {
    let end_ms = START_MS + 60_000;
    for wait_ms in [end_ms + 1, (1 << 53) - 1] {
        let found = rejected(|command| command.wait_until = Some(time(wait_ms)));
        assert!(matches!(found, Rejection::WaitTooLong { .. }), "{wait_ms}");
    }
}

#[test]
fn approvals_that_are_named_twice_or_too_many_are_rejected() {
    let fact = |number: u32| ApprovalFact {
        name: ApprovalName {
            quorum: name(&format!("q{number:03}")),
            subject: sha256(b"subject"),
            approver: caller("dave"),
        },
        leaf: 0,
        spends: true,
    };
    let with = |facts: Vec<ApprovalFact>| {
        rejected(|command| command.evaluation.as_mut().unwrap().facts.approvals = facts)
    };
    let approvals = Rejection::Evaluation(EvaluationProblem::Approvals);
    assert_eq!(with(vec![fact(1), fact(1)]), approvals);
    assert_eq!(with(vec![fact(2), fact(1)]), approvals);
    let many = with((0..65).map(fact).collect());
    assert!(matches!(many, Rejection::TooMuch { count: 65, .. }));
}

#[test]
fn approval_for_no_time_or_for_ever_is_rejected() {
    for ms in [0, 90 * DAY_MS + 1, u64::MAX] {
        let mut world = lived();
        let (version, digest) = world.active().unwrap();
        let approve = Approve {
            namespace: default_namespace(),
            name: ApprovalName {
                quorum: name("four-eyes"),
                subject: sha256(b"subject"),
                approver: caller("dave"),
            },
            surface: name("pay"),
            policy: ActivePolicy { version, digest },
            counts_for_ms: ms,
            salt: world.salt(),
        };
        let outcome = world.one(Command::Approve(approve));
        let is_rejected = matches!(outcome, Outcome::Rejected(Rejection::ApprovalTime { .. }));
        assert!(is_rejected, "{ms}: {}", said(&outcome));
    }
}

#[test]
fn retention_shorter_than_correctness_needs_or_than_what_names_it_is_refused() {
    // A permit's longest life, and until the last record of an attempt that names it has gone.
    let shortest_ms = DAY_MS + 10 * 60_000 + 5_500 + 60_500;
    let keep = |retention| {
        let mut world = lived();
        let namespace = default_namespace();
        let command = SetRetention {
            namespace,
            retention,
        };
        said(&world.one(Command::SetRetention(command)))
    };
    let all = |ms| Retention {
        permits_ms: Some(ms),
        disclosures_ms: Some(ms),
        statements_ms: Some(ms),
        sessions_ms: Some(ms),
    };
    assert_eq!(keep(all(shortest_ms)), "done");
    for ms in [0, 1, shortest_ms - 1] {
        assert_eq!(keep(all(ms)), "refused RETENTION_TOO_SHORT", "{ms}");
    }
    assert_eq!(keep(all(u64::MAX)), "refused INVALID_REQUEST");
    let statements_first = Retention {
        statements_ms: Some(shortest_ms),
        ..RETENTION_DEFAULT
    };
    assert_eq!(keep(statements_first), "refused RETENTION_TOO_SHORT");
}

#[test]
fn too_many_tickets_and_too_long_reasons_are_rejected() {
    let mut world = lived();
    let ticket = |number| Ticket {
        number,
        attempt: AttemptName {
            caller: caller("alice"),
            idempotency_key: IdempotencyKey::new("k1").unwrap(),
        },
    };
    let leave = LeaveQueue {
        namespace: default_namespace(),
        waiters: (0..257).map(ticket).collect(),
    };
    let outcome = world.one(Command::LeaveQueue(leave));
    let is_too_much =
        |outcome: &Outcome| matches!(outcome, Outcome::Rejected(Rejection::TooMuch { .. }));
    assert!(is_too_much(&outcome), "{}", said(&outcome));
    let mut complete = world.complete(1, "alice", CompletionResult::Aborted);
    complete.reason = Some("x".repeat(513));
    let outcome = world.one(Command::Complete(complete));
    assert!(is_too_much(&outcome), "{}", said(&outcome));
}
