//! What survives when processes end: whole clusters, and single nodes that come back as they should
//! not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::time::Duration;

use holdpoint_client::{ActivationMode, ActivationOutcome, Gate, Operation, PermitState, Refusal};
use holdpoint_receipt::{Digest, PermitId, PolicyVersion, Reason};
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{
    self, COMMITTED, PATIENCE, decided, granted, granted_leaf, redeemed, settled, silence,
    until_waiting,
};
use holdpoint_tests::{bundle, repository};

fn apply(plan: u8) -> Operation {
    Operation::new("infra.apply")
        .param("workspace", format!("workspace-{plan}"))
        .param("plan_sha256", format!("{plan:02x}").repeat(32))
        .key(format!("plan-{plan}"))
}

async fn gate(cluster: &Cluster) -> Gate {
    let endpoints = cluster.endpoints();
    until("a node answered", Duration::from_mins(1), || async {
        Gate::connect(&endpoints)
            .await
            .map_err(|error| error.to_string())
    })
    .await
    .with_deadline(Duration::from_secs(30))
}

/// The statement of the decision on `operation`, and its permit.
async fn statement_of(gate: &Gate, operation: &Operation) -> (String, Option<PermitId>) {
    match gate.authorize(operation).await {
        Ok(permit) => {
            let statement = permit
                .decision_receipt()
                .unwrap()
                .statement()
                .to_canonical();
            let id = permit.id();
            permit.set_aside();
            (statement, Some(id))
        }
        Err(Refusal::Denied(denied)) => (denied.receipt().statement().to_canonical(), None),
        Err(Refusal::Silence(silence)) => unreachable!("no decision: {silence}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_whose_nodes_all_died_at_once_has_every_decision() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let operations: Vec<Operation> = (1..=20).map(apply).collect();
    let mut before = Vec::new();
    let asking = gate(&cluster).await;
    for operation in &operations {
        before.push(statement_of(&asking, operation).await);
    }
    let committed = asking
        .authorize(&apply(21))
        .await
        .unwrap()
        .redeem()
        .await
        .unwrap();
    let committed_id = committed.id();
    committed.commit().await.unwrap();

    for id in [1, 2, 3] {
        cluster.kill(id);
    }
    for id in [2, 3, 1] {
        cluster.start(id);
    }
    let _ = cluster.wait_for_leader();

    let asking = gate(&cluster).await;
    for (operation, before) in operations.iter().zip(&before) {
        assert_eq!(&statement_of(&asking, operation).await, before);
    }
    let reading = asking.permit(committed_id).await.unwrap();
    assert_eq!(reading.info.state, PermitState::Committed);
}

/// A lock that several want.
fn lock(attempt: &str) -> Operation {
    Operation::new("lock.take")
        .param("key", "wanted")
        .key(attempt)
}

fn plan(attempt: &str) -> Operation {
    Operation::new("plan.apply")
        .param("workspace", "prod")
        .param("plan_sha256", "5a".repeat(32))
        .param("serial", 7)
        .key(attempt)
}

async fn approve(approver: &Gate, subject: Digest) {
    let shown = approver.approvals().subject(subject).await.unwrap();
    approver.approvals().approve(&shown).await.unwrap();
}

async fn until_in_force(gate: &Gate, bundle: Digest) {
    until("the bundle is in force", PATIENCE, || async {
        let policies = gate.policies().await.map_err(|error| error.to_string())?;
        match policies.activations.last() {
            Some(newest) if newest.digest == bundle => Ok(()),
            newest => Err(format!("{newest:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_whose_nodes_all_died_at_once_knows_who_waits_what_is_approved_closed_and_drains() {
    let mut cluster = Cluster::deciding(&bundle::life());
    let endpoints = cluster.endpoints();
    let asking = worker::gate(&endpoints, "asking").await;
    let ann = worker::gate(&endpoints, "ann").await;
    let bob = worker::gate(&endpoints, "bob").await;

    // One holds a lock and two wait for it, in this order.
    let held = redeemed(granted(&asking, &lock("holder")).await);
    let held = held.await.unwrap();
    let mut waiting = Vec::new();
    for (place, attempt) in (1..).zip(["first", "second"]) {
        let gate = worker::gate(&endpoints, attempt).await;
        waiting.push(tokio::spawn(async move {
            let permit = decided(&gate, &lock(attempt), PATIENCE).await.unwrap();
            let leaf = granted_leaf(&permit);
            settled(redeemed(permit).await.unwrap(), COMMITTED).await;
            leaf
        }));
        until_waiting(&asking, "lock.take", "lock", "lock/wanted", place).await;
    }
    // A plan has one of two approvals, a session is closed, and a smaller pool drains the larger one.
    let missing = silence(&asking, &plan("apply")).await;
    let subject = missing.missing_approvals()[0].subject.digest();
    approve(&ann, subject).await;
    asking.close_session("over").await.unwrap();
    let slot = Operation::new("slot.take").param("pool", "one").key("slot");
    let slot = redeemed(granted(&asking, &slot).await).await.unwrap();
    let smaller = bundle::life_with("limit: 3", "limit: 2");
    let smaller = asking.put_policy(&smaller).await.unwrap().digest;
    let one = PolicyVersion::new(1).unwrap();
    let draining = asking.activate_policy_with(smaller, one, ActivationMode::Drain);
    assert!(matches!(
        draining.await.unwrap(),
        ActivationOutcome::Draining { .. }
    ));

    for id in [1, 2, 3] {
        cluster.kill(id);
    }
    for id in [3, 2, 1] {
        cluster.start(id);
    }
    let _ = cluster.wait_for_leader();

    let asking = worker::gate(&endpoints, "asking").await;
    until_waiting(&asking, "lock.take", "lock", "lock/wanted", 2).await;
    settled(held, COMMITTED).await;
    let mut turns = Vec::new();
    for waiter in waiting {
        turns.push(waiter.await.unwrap());
    }
    assert!(turns.is_sorted(), "the turns were at leaves {turns:?}");

    let listed = asking.approvals().pending().await.unwrap();
    assert_eq!(listed[0].missing[0].have, 1);
    approve(&bob, subject).await;
    granted(&asking, &plan("apply")).await.set_aside();

    let step = Operation::new("step.run")
        .param("what", "more")
        .session("over");
    let closed = silence(&asking, &step).await;
    assert_eq!(closed.reason(), Reason::SessionClosed, "{closed}");

    let another = Operation::new("slot.take").param("pool", "one").key("more");
    let drains = silence(&asking, &another).await;
    assert_eq!(drains.reason(), Reason::Draining, "{drains}");
    settled(slot, COMMITTED).await;
    until_in_force(&asking, smaller).await;
    let after = granted(&asking, &another).await;
    assert_eq!(after.policy_version().get(), 2);
    after.set_aside();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_whose_directory_was_deleted_is_refused_under_its_id_and_the_others_go_on() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let asking = gate(&cluster).await;
    let before = statement_of(&asking, &apply(1)).await;

    cluster.kill(3);
    std::fs::remove_dir_all(cluster.data_dir(3)).unwrap();
    cluster.start(3);
    let code = cluster.wait_for_exit(3);
    assert_ne!(code, 0, "a node without its data must not serve");
    let said = cluster.log(3);
    assert!(said.contains("node 3"), "it says which node: {said}");
    assert!(
        said.contains("new node id") || said.contains("new id"),
        "it says what next: {said}"
    );

    let _ = cluster.wait_for_leader();
    let asking = gate(&cluster).await;
    assert_eq!(statement_of(&asking, &apply(1)).await, before);
    let (_, permit) = statement_of(&asking, &apply(2)).await;
    assert!(permit.is_some(), "two of three nodes go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_told_to_stop_hands_over_and_exits_cleanly() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let leader = cluster.wait_for_leader();
    assert_eq!(cluster.terminate(leader), 0, "{}", cluster.log(leader));
    let next = cluster.wait_for_leader();
    assert_ne!(next, leader);
    let asking = gate(&cluster).await;
    let (_, permit) = statement_of(&asking, &apply(1)).await;
    assert!(permit.is_some());
}

#[test]
fn node_refuses_the_directory_of_another_node() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    cluster.kill(1);
    cluster.kill(2);
    std::fs::remove_dir_all(cluster.data_dir(1)).unwrap();
    std::fs::rename(cluster.data_dir(2), cluster.data_dir(1)).unwrap();
    cluster.start(1);
    assert_ne!(cluster.wait_for_exit(1), 0);
    let said = cluster.log(1);
    assert!(
        said.contains("node 2"),
        "it says whose directory it is: {said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_of_three_answers_silence_at_the_deadline_and_never_hangs() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let asking = gate(&cluster).await.with_deadline(Duration::from_secs(3));
    cluster.kill(1);
    cluster.kill(2);
    let answered = tokio::time::timeout(Duration::from_secs(10), asking.authorize(&apply(1))).await;
    let refusal = answered.unwrap().unwrap_err();
    assert!(matches!(refusal, Refusal::Silence(_)), "{refusal}");
}
