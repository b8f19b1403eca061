//! The story of a plan that two persons must approve, on three nodes, one of which dies in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use holdpoint_client::{
    ApprovalAnswer, ApprovalState, CallError, Decided, Gate, MissingApproval, Operation,
    PendingRequest,
};
use holdpoint_receipt::{Digest, PolicyVersion, Reason, sha256};
use holdpoint_tests::bundle;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{COMMITTED, PATIENCE, gate, granted, redeemed, settled, silence};

fn plan(bytes: &str, serial: u64, note: &str, key: &str) -> Operation {
    Operation::new("plan.apply")
        .param("workspace", "prod")
        .bind_sha256("plan", sha256(bytes.as_bytes()))
        .param("serial", serial)
        .param("note", note)
        .key(key)
}

/// What is missing for `operation`, which nothing but approvals stands in the way of.
async fn missing(gate: &Gate, operation: &Operation) -> MissingApproval {
    let silence = silence(gate, operation).await;
    assert_eq!(silence.reason(), Reason::ApprovalRequired, "{silence}");
    assert_eq!(silence.decided(), Decided::Never, "{silence}");
    let [missing] = silence.missing_approvals() else {
        unreachable!("one quorum is missing: {silence}");
    };
    missing.clone()
}

/// Approves what is behind `subject`, as an approver does: looks at it first.
async fn approve(approver: &Gate, subject: Digest) -> Result<ApprovalAnswer, Reason> {
    until("the approval was answered", PATIENCE, || async {
        let shown = match approver.approvals().subject(subject).await {
            Ok(shown) => shown,
            Err(CallError::Refused(refused)) => return Ok(Err(refused.reason)),
            Err(CallError::Silence(silence)) => return Err(silence.to_string()),
        };
        assert_eq!(shown.bytes.digest(), subject);
        match approver.approvals().approve(&shown).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(CallError::Refused(refused)) => Ok(Err(refused.reason)),
            Err(CallError::Silence(silence)) => Err(silence.to_string()),
        }
    })
    .await
}

async fn pending(gate: &Gate) -> Vec<PendingRequest> {
    until("the list was read", PATIENCE, || async {
        let listed = gate.approvals().pending().await;
        listed.map_err(|error| error.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_gets_its_permit_by_approvals_of_exactly_it_across_the_loss_of_a_leader() {
    let mut cluster = Cluster::deciding(&bundle::life());
    let endpoints = cluster.endpoints();
    let runner = gate(&endpoints, "runner").await;
    let ann = gate(&endpoints, "ann").await;
    let bob = gate(&endpoints, "bob").await;
    let outsider = gate(&endpoints, "outsider").await;

    // Asked, listed, and shown: the bytes are the plan's own.
    let first = plan("the plan", 7, "first try", "apply-1");
    let wanted = missing(&runner, &first).await;
    assert_eq!((wanted.needed, wanted.have), (2, 0));
    let plan_sha256 = sha256(b"the plan").to_string();
    assert!(wanted.subject.as_str().contains(&plan_sha256));
    assert!(!wanted.subject.as_str().contains("first try"));
    let listed = pending(&ann).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].request.caller, *runner.caller());
    assert_eq!(listed[0].missing, std::slice::from_ref(&wanted));

    // Who does not count, and who counts once.
    let subject = wanted.subject.digest();
    assert_eq!(
        approve(&outsider, subject).await.unwrap_err(),
        Reason::NotApprover
    );
    let given = approve(&ann, subject).await.unwrap();
    assert_eq!(given.approval.state, ApprovalState::Given);
    assert!(approve(&ann, subject).await.unwrap().is_replay);
    assert_eq!(missing(&runner, &first).await.have, 1);

    // The second approval, and the leader dies before anybody asks again.
    approve(&bob, subject).await.unwrap();
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    let permit = granted(&runner, &first).await;
    cluster.start(leader);
    assert!(pending(&ann).await.is_empty());

    // Both are spent, and proved so.
    let spent = approve(&ann, subject).await;
    assert!(
        matches!(&spent, Err(Reason::ApprovalSpent | Reason::UnknownSubject)),
        "{spent:?}"
    );
    let spending = redeemed(permit).await.unwrap();
    settled(spending, COMMITTED).await;

    changed_plan_needs_new_approvals_and_an_identical_one_does_not(&runner, &ann, &bob).await;
    nobody_approves_what_they_ask_for(&ann, &bob).await;
    approval_is_taken_back_and_given_anew(&runner, &ann).await;
    approval_of_whom_a_new_bundle_removes_counts_no_more(&endpoints, &runner, [&ann, &bob]).await;
}

async fn changed_plan_needs_new_approvals_and_an_identical_one_does_not(
    runner: &Gate,
    ann: &Gate,
    bob: &Gate,
) {
    let before = plan("another plan", 8, "try 1", "apply-2");
    let subject = missing(runner, &before).await.subject.digest();
    approve(ann, subject).await.unwrap();
    // The state moved, and the bytes changed: each is another subject that nobody approved.
    for (place, changed) in [("another plan", 9), ("a third plan", 8)]
        .into_iter()
        .enumerate()
    {
        let changed = plan(changed.0, changed.1, "try 2", &format!("apply-3-{place}"));
        let other = missing(runner, &changed).await;
        assert_ne!(other.subject.digest(), subject);
        assert_eq!(other.have, 0);
    }
    // An identical plan under another key, with another note, which is not bound.
    let again = plan("another plan", 8, "try 3", "apply-4");
    let same = missing(runner, &again).await;
    assert_eq!((same.subject.digest(), same.have), (subject, 1));
    approve(bob, subject).await.unwrap();
    let permit = granted(runner, &again).await;
    // They are spent now, so the first key of the same plan needs new ones, and saying the same again
    // is no new one.
    assert_eq!(missing(runner, &before).await.have, 0);
    let spent = approve(ann, subject).await.unwrap();
    assert_eq!(spent.approval.state, ApprovalState::Spent);
    assert!(spent.is_replay);
    assert_eq!(missing(runner, &before).await.have, 0);
    settled(redeemed(permit).await.unwrap(), COMMITTED).await;
}

async fn nobody_approves_what_they_ask_for(ann: &Gate, bob: &Gate) {
    let own = plan("a plan of ann", 1, "", "apply-5");
    let wanted = missing(ann, &own).await;
    assert_eq!(
        approve(ann, wanted.subject.digest()).await.unwrap_err(),
        Reason::NotApprover
    );
    approve(bob, wanted.subject.digest()).await.unwrap();
    assert_eq!(missing(ann, &own).await.have, 1);
}

async fn approval_is_taken_back_and_given_anew(runner: &Gate, ann: &Gate) {
    let operation = plan("a plan to think about", 2, "", "apply-6");
    let wanted = missing(runner, &operation).await.subject;
    approve(ann, wanted.digest()).await.unwrap();
    until("the approval was taken back", PATIENCE, || async {
        let taken = ann.approvals();
        let taken = taken.revoke(wanted.quorum(), wanted.digest(), None).await;
        taken.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(missing(runner, &operation).await.have, 0);
    let anew = approve(ann, wanted.digest()).await.unwrap();
    assert_eq!(anew.approval.state, ApprovalState::Given);
    assert_eq!(missing(runner, &operation).await.have, 1);
    // A digest that nothing waits for is of other bytes, whatever they are.
    let other = sha256(wanted.as_str().as_bytes());
    let refused = approve(ann, other).await.unwrap_err();
    assert_eq!(refused, Reason::UnknownSubject);
}

async fn approval_of_whom_a_new_bundle_removes_counts_no_more(
    endpoints: &[String],
    runner: &Gate,
    [ann, bob]: [&Gate; 2],
) {
    let operation = plan("a plan for others", 3, "", "apply-7");
    let subject = missing(runner, &operation).await.subject.digest();
    for approver in [ann, bob] {
        approve(approver, subject).await.unwrap();
    }
    let without_ann = bundle::life_with_in(
        "entities.json",
        r#""ann" }, "attrs": {}, "parents": [{ "type": "Team", "id": "reviewers" }]"#,
        r#""ann" }, "attrs": {}, "parents": []"#,
    );
    until("the new bundle is in force", PATIENCE, || async {
        let put = runner.put_policy(&without_ann).await;
        let digest = put.map_err(|error| error.to_string())?.digest;
        let activated = runner
            .activate_policy(digest, PolicyVersion::new(1).unwrap())
            .await;
        activated.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(missing(runner, &operation).await.have, 1);
    let refused = approve(ann, subject).await.unwrap_err();
    assert_eq!(refused, Reason::NotApprover);
    let cid = gate(endpoints, "cid").await;
    approve(&cid, subject).await.unwrap();
    let permit = granted(runner, &operation).await;
    settled(redeemed(permit).await.unwrap(), COMMITTED).await;
}
