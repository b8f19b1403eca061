//! One attempt, however often it is asked for.

use holdpoint_client::{Decided, Gate, Operation, PermitState, Refusal};
use holdpoint_receipt::{ClusterTime, Reason};

use crate::fake::{FakeNode, Twist, world};
use crate::{apply, gate};

#[tokio::test]
async fn granted_permit_is_redeemed_and_committed_with_receipts_that_verify() {
    let node = FakeNode::start(&world()).await;
    // The keys come from the node here, as in the README.
    let gate = Gate::connect([node.address.to_string()]).await.unwrap();
    let operation = Operation::new("infra.apply")
        .param("workspace", "prod-eu")
        .param("count", 3);
    let permit = gate.authorize(&operation).await.unwrap();
    assert_eq!(permit.state(), PermitState::Issued);
    assert_eq!(permit.bounds()[0].key, "workspace/prod-eu");
    assert_eq!(permit.request().caller.as_str(), "loopback:dev");
    assert_eq!(
        permit
            .decision_receipt()
            .unwrap()
            .statement()
            .body
            .permit_id(),
        Some(permit.id())
    );
    let id = permit.id();
    let redeemed = permit.redeem().await.unwrap();
    assert_eq!(redeemed.receipt().statement().body.permit_id(), Some(id));
    let receipt = redeemed.commit().await.unwrap();
    assert_eq!(receipt.statement().body.permit_id(), Some(id));
    assert_eq!(
        gate.permit(id).await.unwrap().info.state,
        PermitState::Committed
    );
}

#[tokio::test]
async fn held_bound_is_a_denial_with_its_receipt_and_the_time_of_the_next_chance() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let held = gate.authorize(&apply("prod-eu")).await.unwrap();
    let Err(Refusal::Denied(denied)) = gate.authorize(&apply("prod-eu")).await else {
        panic!("the workspace is held");
    };
    assert_eq!(denied.reason(), Reason::BoundHeld);
    assert_eq!(denied.holder_fence(), Some(held.fence()));
    assert!(denied.receipt().file().ends_with(b"\n"));
    assert_eq!(denied.refused_bound().unwrap().key, "workspace/prod-eu");
    assert_eq!(
        denied.to_string(),
        "DENY BOUND_HELD: Another permit holds a bound that this request needs, or an older request \
         waits for it; try with a new key later; a new attempt can succeed after 2026-11-22T14:22:05.231Z"
    );
    held.set_aside();
}

#[tokio::test]
async fn asking_again_with_the_same_operation_is_a_retry_and_a_changed_one_another_attempt() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let operation = apply("prod-eu");
    let first = gate.authorize(&operation).await.unwrap();
    let again = gate.authorize(&operation.clone()).await.unwrap();
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!(
        again.decision_receipt().unwrap().file(),
        first.decision_receipt().unwrap().file()
    );
    let other = gate
        .authorize(&operation.param("workspace", "prod-us"))
        .await
        .unwrap();
    assert_ne!(other.id(), first.id());
    let submissions = node.world().submissions.clone();
    assert_eq!(submissions[0], submissions[1]);
    assert_ne!(submissions[0].key, submissions[2].key);
    for permit in [first, again, other] {
        permit.set_aside();
    }
}

#[tokio::test]
async fn lost_answer_is_asked_for_again_with_the_same_key_and_the_same_end() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    node.next([Twist::LoseAnswer, Twist::LoseAnswer]);
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    assert!(permit.is_replay());
    let world = node.world();
    assert_eq!(world.permit_count(), 1);
    assert_eq!(world.submissions.len(), 3);
    assert!(
        world
            .submissions
            .iter()
            .all(|one| *one == world.submissions[0])
    );
    drop(world);
    permit.set_aside();
}

#[tokio::test]
async fn given_key_that_is_in_use_under_another_end_finds_the_recorded_decision() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let end = ClusterTime::new(1_900_000_000_000).unwrap();
    let first = gate
        .authorize(&apply("prod-eu").key("k").not_after(end))
        .await
        .unwrap();
    // Another process knows the key and not the end.
    let found = gate.authorize(&apply("prod-eu").key("k")).await.unwrap();
    assert_eq!(
        (found.id(), found.attempt().unwrap().not_after),
        (first.id(), end)
    );
    // The key of another request stays refused, whatever end it is asked under.
    let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-us").key("k")).await else {
        panic!("the key is in use");
    };
    assert_eq!(silence.reason(), Reason::IdempotencyKeyReused);
    assert_eq!(silence.decided(), Decided::Never);
    first.set_aside();
    found.set_aside();
}

#[tokio::test]
async fn given_end_is_never_exchanged_for_the_recorded_one() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let end = |ms| ClusterTime::new(ms).unwrap();
    let first = apply("prod-eu").key("k").not_after(end(1_900_000_000_000));
    gate.authorize(&first).await.unwrap().set_aside();
    let other = apply("prod-eu").key("k").not_after(end(1_900_000_000_001));
    let Err(Refusal::Silence(silence)) = gate.authorize(&other).await else {
        panic!("the key stands under another end");
    };
    assert_eq!(silence.reason(), Reason::IdempotencyKeyReused);
}

#[tokio::test]
async fn operation_that_cannot_be_said_is_silence_and_nothing_is_sent() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let operation = Operation::new("infra.apply").param("amount", u64::MAX);
    let Err(Refusal::Silence(silence)) = gate.authorize(&operation).await else {
        panic!("2^64-1 is no parameter");
    };
    assert_eq!(silence.reason(), Reason::InvalidParams);
    assert_eq!(silence.decided(), Decided::Never);
    assert_eq!(node.seen().calls, 0);
}

#[tokio::test]
async fn silence_that_asking_again_cannot_change_is_given_at_once() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let Err(Refusal::Silence(silence)) = gate.authorize(&Operation::new("no.such")).await else {
        panic!("the surface is unknown");
    };
    assert_eq!(
        silence.to_string(),
        "SILENCE UNKNOWN_SURFACE: The active policy does not register this surface; decided: never"
    );
    assert_eq!(node.seen().calls, 1);
}
