//! What statements say about approvals, sessions and policies, in bytes that others verify.

use holdpoint_core::Command;
use holdpoint_core::codec::decode_evaluation;
use holdpoint_core::command::{
    ApprovalFact, ApprovalName, Approve, AskApproval, Authorize, CloseSession, CompletionResult,
    MissingApproval, RevokeApproval,
};
use holdpoint_core::limits::{APPROVALS_MAX, SUBJECT_BYTES_MAX};
use holdpoint_core::outcome::{ApprovalOutcome, AuthorizeOutcome, Decided, Outcome};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::{ActivePolicy, PermitStep};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::statement::{
    ApprovalStatement, Body, DecisionStatement, approvals_digest, commit, subject_digest,
};
use holdpoint_receipt::{Digest, Reason, SessionId, Statement, sha256};

use crate::world::{Asked, START_MS, World, caller, default_namespace, name, put, step_time};

fn world() -> World {
    let mut world = World::new();
    let surface = SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: vec![BoundOutline {
            name: name("account"),
            kind: BoundKind::Exclusive,
            template: "account/{params.account}".to_owned(),
            field: None,
        }],
        executors: vec![Executor::Caller],
        permit_for_ms: 10_000,
        complete_within_ms: 10_000,
        honor_issued: false,
        offline: false,
        release_after_ms: None,
    };
    for policy in ["p", "q"] {
        world.one(put(policy, vec![surface.clone()]));
    }
    let activate = world.activate("p", None);
    world.one(activate);
    world
}

fn authorize(world: &mut World, key: &str, account: &str, using: &[ApprovalFact]) -> Authorize {
    let asked = Asked {
        surface: "pay".to_owned(),
        params: vec![("account".to_owned(), account.to_owned())],
    };
    let mut command = world.lookup("alice", key, START_MS + 60_000, &asked);
    command.session = Some(SessionId::new("s").unwrap());
    command.evaluation = world.permits(&asked);
    let evaluation = command.evaluation.as_mut().unwrap();
    evaluation.facts.approvals = using.to_vec();
    command
}

fn approval(approver: &str) -> ApprovalName {
    ApprovalName {
        quorum: name("pair"),
        subject: subject_digest(b"plan"),
        approver: caller(approver),
    }
}

fn approve(world: &mut World, approver: &str) -> ApprovalFact {
    let (version, digest) = world.active().unwrap();
    let command = Approve {
        namespace: default_namespace(),
        name: approval(approver),
        surface: name("pay"),
        policy: ActivePolicy { version, digest },
        counts_for_ms: 60_000,
        salt: world.salt(),
    };
    match world.one(Command::Approve(command)) {
        Outcome::Approved(ApprovalOutcome::Done { name, approval, .. }) => ApprovalFact {
            name,
            leaf: approval.leaf,
            spends: approver != "kept",
        },
        other => panic!("not approved: {other:?}"),
    }
}

fn statement(world: &World, leaf: u64) -> Statement {
    let query = world.query();
    let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
    let statement = namespace.statement(leaf).unwrap().unwrap();
    Statement::parse(&statement.bytes).unwrap()
}

fn decided(outcome: &Outcome) -> (Box<DecisionStatement>, u64) {
    let Outcome::Authorized(AuthorizeOutcome::Decided(decision)) = outcome else {
        panic!("not decided: {outcome:?}");
    };
    let statement = Statement::parse(&decision.statement.bytes).unwrap();
    let Body::Decision(body) = statement.body else {
        panic!("not a decision: {statement}");
    };
    (body, decision.statement.leaf)
}

#[test]
fn permit_names_the_receipts_of_the_approvals_it_used_and_a_denial_none() {
    let mut world = world();
    let using = ["bob", "carol", "kept"].map(|approver| approve(&mut world, approver));
    let command = authorize(&mut world, "k1", "a", &using);
    let outcome = world.one(Command::Authorize(Box::new(command)));
    let (granted, leaf) = decided(&outcome);
    let receipts = using.each_ref().map(|fact| {
        let approved = statement(&world, fact.leaf);
        approved.receipt_hash()
    });
    assert_eq!(granted.approvals_digest, approvals_digest(&receipts));
    assert!(granted.approvals_digest.is_some());
    let query = world.query();
    let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
    let disclosure = namespace.disclosure(leaf).unwrap().unwrap();
    let evaluation = decode_evaluation(&disclosure.evaluation.unwrap()).unwrap();
    assert_eq!(evaluation.facts.approvals, using);
    let permit = match &outcome {
        Outcome::Authorized(AuthorizeOutcome::Decided(decision)) => match &decision.verdict {
            Decided::Permit(permit) => permit.record.clone(),
            Decided::Deny(_) => panic!("denied"),
        },
        _ => panic!("not decided"),
    };
    let spent: Vec<&str> = permit
        .approvals
        .iter()
        .map(|name| name.approver.as_str())
        .collect();
    assert_eq!(spent, ["bob", "carol"]);
    let kept = &using[2..];
    let command = authorize(&mut world, "k2", "a", kept);
    let (denied, _) = decided(&world.one(Command::Authorize(Box::new(command))));
    assert_eq!(denied.verdict.reason(), Reason::BoundHeld);
    assert_eq!(denied.approvals_digest, None);
}

#[test]
fn session_is_committed_to_in_its_decisions_and_in_its_closing() {
    let mut world = world();
    let command = authorize(&mut world, "k1", "a", &[]);
    let salt = command.salt;
    let (granted, _) = decided(&world.one(Command::Authorize(Box::new(command))));
    let committed = commit(&salt, "session_commitment", b"s");
    assert_eq!(granted.session_commitment, Some(committed));
    let close = CloseSession {
        namespace: default_namespace(),
        session: SessionId::new("s").unwrap(),
        principal: caller("alice"),
        operator: false,
        salt: world.salt(),
    };
    let salt = close.salt;
    world.one(Command::CloseSession(close));
    let closing = statement(&world, 2);
    let Body::SessionClosed(body) = closing.body else {
        panic!("not a closing: {closing}");
    };
    assert_eq!(
        body.session_commitment,
        commit(&salt, "session_commitment", b"s")
    );
    assert_eq!(
        body.caller_commitment,
        commit(&salt, "caller_commitment", b"alice")
    );
}

#[test]
fn approval_that_is_taken_back_is_named_by_its_receipt_and_who_did_it_is_committed_to() {
    let mut world = world();
    let fact = approve(&mut world, "bob");
    let command = RevokeApproval {
        namespace: default_namespace(),
        name: approval("bob"),
        principal: caller("root"),
        operator: true,
        salt: world.salt(),
    };
    let salt = command.salt;
    world.one(Command::RevokeApproval(command));
    let bytes = |world: &World, leaf| {
        let query = world.query();
        let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
        namespace.statement(leaf).unwrap().unwrap().bytes
    };
    let receipt: Digest = sha256(&bytes(&world, fact.leaf));
    let Body::ApprovalRevoked(body) = statement(&world, fact.leaf + 1).body else {
        panic!("nothing was taken back");
    };
    let (version, digest) = world.active().unwrap();
    let expected = ApprovalStatement {
        surface: name("pay"),
        quorum: name("pair"),
        subject_digest: subject_digest(b"plan"),
        caller_commitment: commit(&salt, "caller_commitment", b"root"),
        policy_version: version,
        policy_digest: digest,
        expires_at: None,
        previous: Some(receipt),
    };
    assert_eq!(body, expected);
}

/// Every decision names a version that was in force at its own position, also within one entry:
/// what was evaluated before the activation and stands after it is evaluated again.
#[test]
fn activation_in_the_middle_of_an_entry_divides_it() {
    let mut world = world();
    let mut commands: Vec<Command> = [("k1", "a"), ("k2", "b")]
        .map(|(key, account)| {
            Command::Authorize(Box::new(authorize(&mut world, key, account, &[])))
        })
        .into();
    let activate = world.activate("q", None);
    commands.insert(1, activate);
    let outcomes = world.apply(commands).outcomes;
    let (first, _) = decided(&outcomes[0]);
    assert_eq!(first.policy_version.get(), 1);
    assert!(matches!(
        &outcomes[2],
        Outcome::Authorized(AuthorizeOutcome::NotCurrent { reason: Reason::PolicyMoved, current })
            if current.policy.version.get() == 2
    ));
    let again = authorize(&mut world, "k2", "b", &[]);
    let (second, _) = decided(&world.one(Command::Authorize(Box::new(again))));
    assert_eq!(second.policy_version.get(), 2);
}

/// Two attempts in one entry want the same approval: the second finds it spent.
#[test]
fn approval_is_spent_for_the_next_command_of_the_same_entry() {
    let mut world = world();
    let using = [approve(&mut world, "bob")];
    let commands = [("k1", "a"), ("k2", "b")]
        .map(|(key, account)| {
            Command::Authorize(Box::new(authorize(&mut world, key, account, &using)))
        })
        .into();
    let outcomes = world.apply(commands).outcomes;
    let (first, _) = decided(&outcomes[0]);
    assert!(first.approvals_digest.is_some());
    assert!(matches!(
        &outcomes[1],
        Outcome::Authorized(AuthorizeOutcome::NotCurrent { reason: Reason::FactsMoved, current })
            if current.facts.approvals.is_empty()
    ));
}

/// A list for approvers holds what it says, whoever proposed it.
#[test]
fn request_is_listed_only_with_its_own_digests_and_within_the_limits() {
    let mut world = world();
    let (version, digest) = world.active().unwrap();
    let missing = |quorum: &str, subject: Vec<u8>| MissingApproval {
        quorum: name(quorum),
        digest: subject_digest(&subject),
        subject,
        needed: 1,
    };
    let sound = AskApproval {
        namespace: default_namespace(),
        request: b"{}".to_vec(),
        request_digest: digest_of_canonical(b"{}"),
        caller: caller("alice"),
        policy: ActivePolicy { version, digest },
        missing: vec![
            missing("dba", b"plan".to_vec()),
            missing("pair", b"plan".to_vec()),
        ],
    };
    let mut said = |change: &dyn Fn(&mut AskApproval)| {
        let mut command = sound.clone();
        change(&mut command);
        let outcome = world.one(Command::AskApproval(Box::new(command)));
        crate::script::said(&outcome)
    };
    let eight = |count: usize| {
        let quorums = (0..count).map(|number| missing(&format!("q{number}"), b"plan".to_vec()));
        quorums.collect::<Vec<_>>()
    };
    let unfit =
        "rejected: what is missing is not one subject for each quorum, in order, with its digest";
    assert_eq!(said(&|ask| ask.missing.clear()), unfit);
    assert_eq!(said(&|ask| ask.missing.reverse()), unfit);
    assert_eq!(said(&|ask| ask.missing[0].needed = 0), unfit);
    assert_eq!(said(&|ask| ask.missing[0].subject.push(b' ')), unfit);
    assert_eq!(
        said(&|ask| ask.missing = eight(9)),
        "rejected: quorums: 9, at most 8 are accepted"
    );
    assert_eq!(
        said(&|ask| ask.request.push(b' ')),
        "rejected: the request digest is not the one of the canonical bytes"
    );
    assert_eq!(
        said(&|ask| ask.missing = vec![missing("pair", vec![b'x'; SUBJECT_BYTES_MAX + 1])]),
        format!(
            "rejected: bytes of what a quorum binds: {}, at most {SUBJECT_BYTES_MAX} are accepted",
            SUBJECT_BYTES_MAX + 1
        )
    );
    assert_eq!(said(&|ask| ask.missing = eight(8)), "done");
    assert_eq!(said(&|_| {}), "done");
    assert_eq!(said(&|_| {}), "done (replay)");
}

#[test]
fn verdict_that_uses_more_approvals_than_a_decision_may_is_rejected() {
    let mut world = world();
    let fact = approve(&mut world, "bob");
    let many: Vec<ApprovalFact> = (0..=APPROVALS_MAX)
        .map(|number| {
            let mut fact = fact.clone();
            fact.name.approver = caller(&format!("bob-{number:03}"));
            fact
        })
        .collect();
    let command = authorize(&mut world, "k1", "a", &many);
    let outcome = world.one(Command::Authorize(Box::new(command)));
    assert_eq!(
        crate::script::said(&outcome),
        format!(
            "rejected: approvals: {}, at most {APPROVALS_MAX} are accepted",
            APPROVALS_MAX + 1
        )
    );
}

/// Which is nobody's business who only has the receipt.
#[test]
fn reason_of_an_outcome_or_a_release_is_committed_to_and_stands_in_the_record() {
    let mut world = world();
    for (key, account) in [("k1", "a"), ("k2", "b")] {
        let command = authorize(&mut world, key, account, &[]);
        world.one(Command::Authorize(Box::new(command)));
    }
    for fence in [1, 2] {
        let redeem = world.redeem(fence, "alice", "r");
        world.one(Command::Redeem(redeem));
    }
    world.clock_ms += 10_000;
    world.one(step_time(world.clock_ms));
    let mut complete = world.complete(1, "root", CompletionResult::Aborted);
    complete.operator = true;
    complete.reason = Some("asked them".to_owned());
    world.one(Command::Complete(complete.clone()));
    let mut release = world.release(2, "root");
    release.operator = true;
    release.reason = Some("nobody knows".to_owned());
    world.one(Command::Release(release.clone()));

    let leaf = |fence, step| {
        let permit = world.namespace().permit(&world.permit(fence).0).unwrap();
        permit.unwrap().record.leaf_of(step).unwrap()
    };
    let Body::Completed {
        reason_commitment, ..
    } = statement(&world, leaf(1, PermitStep::Completed)).body
    else {
        panic!("no outcome");
    };
    let expected = commit(&complete.salt, "reason_commitment", b"asked them");
    assert_eq!(reason_commitment, Some(expected));
    let Body::Released {
        reason_commitment, ..
    } = statement(&world, leaf(2, PermitStep::Released)).body
    else {
        panic!("no release");
    };
    let expected = commit(&release.salt, "reason_commitment", b"nobody knows");
    assert_eq!(reason_commitment, Some(expected));
    let permit = world.namespace().permit(&world.permit(2).0).unwrap();
    let said = permit.unwrap().record.release.unwrap().reason;
    assert_eq!(said.as_deref(), Some("nobody knows"));
}
