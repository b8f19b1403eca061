//! From a granted permit to its outcome.

use std::time::Duration;

use holdpoint_client::{
    CallError, CompleteError, Decided, NothingHappened, Outcome, PermitState, RedeemError,
};
use holdpoint_proto::v1;
use holdpoint_receipt::{Body, PermitId, Reason, sha256};

use crate::fake::{FakeNode, Twist, world};
use crate::{apply, gate, gate_at};

#[tokio::test]
async fn lost_redeem_is_asked_again_under_the_same_redemption_id_and_is_ours() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.next([Twist::LoseAnswer, Twist::LoseAnswer]);
    let redeemed = permit.redeem().await.unwrap();
    let ids = node.world().redemption_ids.clone();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]));
    redeemed.commit().await.unwrap();
}

#[tokio::test]
async fn two_guards_of_one_permit_have_two_redemptions_and_one_wins() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let operation = apply("prod-eu");
    let first = gate.authorize(&operation).await.unwrap();
    let second = gate.authorize(&operation).await.unwrap();
    assert_eq!(first.id(), second.id());
    let redeemed = first.redeem().await.unwrap();
    let Err(RedeemError::Refused(refused)) = second.redeem().await else {
        panic!("redeemed twice");
    };
    assert_eq!(refused.reason, Reason::AlreadyRedeemed);
    let again = gate.authorize(&operation).await.unwrap();
    assert_eq!(again.state(), PermitState::Redeemed);
    again.set_aside();
    redeemed.commit().await.unwrap();
}

#[tokio::test]
async fn changed_bytes_cannot_redeem_and_the_granted_ones_can() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let (granted, changed) = (sha256(b"plan"), sha256(b"other plan"));
    let operation = apply("prod-eu").bind_sha256("plan", granted);
    let first = gate.authorize(&operation).await.unwrap();
    let Err(RedeemError::Refused(refused)) = first.redeem_with([("plan", changed)]).await else {
        panic!("redeemed for other bytes");
    };
    assert_eq!(refused.reason, Reason::RequestMismatch);
    let permit = gate.authorize(&operation).await.unwrap();
    permit
        .redeem_with([("plan", granted)])
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
}

#[tokio::test]
async fn redeem_without_an_answer_says_so_and_can_be_resolved() {
    let node = FakeNode::start(&world()).await;
    let gate = gate_at(&node, &[node.address], Duration::from_millis(300)).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.always(Twist::Refuse(Reason::NoQuorum, v1::Decided::Never));
    let Err(RedeemError::Silence(open)) = permit.redeem().await else {
        panic!("there is no quorum");
    };
    assert_eq!(open.decided(), Decided::Never);
    node.always(Twist::LoseAnswer);
    let Err(RedeemError::Silence(open)) = open.retry().await else {
        panic!("the answers are lost");
    };
    assert_eq!(open.decided(), Decided::Unknown);
    assert!(
        open.to_string()
            .ends_with("it may have been redeemed, a retry finds out"),
        "{open}"
    );
    node.always(Twist::Answer);
    open.retry().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn redemption_whose_future_was_dropped_goes_on_and_hands_out_one_right_to_act() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    let handle = permit.handle();
    node.next([Twist::Hang]);
    let waiting = tokio::spawn(async move { permit.redeem().await.map(drop) });
    node.hung.notified().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let redeemed = gate.resume(&handle).redeem().await.unwrap();
    let error = gate.resume(&handle).redeem().await.unwrap_err();
    assert!(
        matches!(error, RedeemError::InDoubt(id) if id == redeemed.id()),
        "{error}"
    );
    redeemed.commit().await.unwrap();
}

#[tokio::test]
async fn replay_that_this_process_did_not_begin_is_in_doubt() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.next([Twist::LieRedeem(|answer| answer.replay = true)]);
    let error = permit.redeem().await.unwrap_err();
    assert!(matches!(error, RedeemError::InDoubt(_)), "{error}");
}

#[tokio::test]
async fn permit_that_was_read_is_redeemed_from_another_process() {
    let node = FakeNode::start(&world()).await;
    let plan = sha256(b"plan");
    let id = {
        let operation = apply("prod-eu").bind_sha256("plan", plan);
        let permit = gate(&node).await.authorize(&operation).await.unwrap();
        let id = permit.id();
        permit.set_aside();
        id
    };
    let gate = gate(&node).await;
    let reading = gate.permit(id).await.unwrap();
    assert_eq!(reading.info.state, PermitState::Issued);
    let permit = gate.adopt(reading).unwrap();
    let redeemed = permit.redeem_with([("plan", plan)]).await.unwrap();
    redeemed.leave_in_doubt();
    let receipt = gate.complete(id, Outcome::Aborted).await.unwrap();
    assert!(matches!(receipt.statement().body, Body::Completed { .. }));
}

#[tokio::test]
async fn outcome_is_what_the_effect_returned_and_its_evidence_is_proved() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let redeem = async |workspace: &str| {
        gate.authorize(&apply(workspace))
            .await
            .unwrap()
            .redeem()
            .await
            .unwrap()
    };
    let done: Result<u32, NothingHappened> = Ok(7);
    let receipt = redeem("a").await.complete(done.into()).await.unwrap();
    let committed = "\"outcome\":\"committed\"";
    assert!(receipt.statement().to_canonical().contains(committed));
    let undone: Result<u32, NothingHappened> = Err(NothingHappened);
    let receipt = redeem("b").await.complete(undone.into()).await.unwrap();
    assert!(
        receipt
            .statement()
            .to_canonical()
            .contains("\"outcome\":\"aborted\"")
    );
    let evidence = sha256(b"log");
    let redeemed = redeem("c").await;
    let id = redeemed.id();
    let receipt = redeemed.commit_with_evidence(evidence).await.unwrap();
    assert!(
        receipt
            .statement()
            .to_canonical()
            .contains(&evidence.to_string())
    );
    // Somebody who does not have the evidence says the same again, and is told the first statement.
    let without = Outcome::Committed { evidence: None };
    let again = gate.complete(id, without).await.unwrap();
    assert_eq!(again.statement(), receipt.statement());
}

#[tokio::test]
async fn outcome_without_an_answer_can_be_said_again_and_a_contradiction_is_refused() {
    let node = FakeNode::start(&world()).await;
    let gate = gate_at(&node, &[node.address], Duration::from_millis(300)).await;
    let redeemed = gate
        .authorize(&apply("prod-eu"))
        .await
        .unwrap()
        .redeem()
        .await
        .unwrap();
    let id = redeemed.id();
    node.always(Twist::LoseAnswer);
    let Err(CompleteError::Silence(open)) = redeemed.commit().await else {
        panic!("the answers are lost");
    };
    node.always(Twist::Answer);
    assert_eq!(open.outcome(), Outcome::Committed { evidence: None });
    open.retry().await.unwrap();
    let Err(CallError::Refused(refused)) = gate.complete(id, Outcome::Aborted).await else {
        panic!("contradicted");
    };
    assert_eq!(refused.reason, Reason::OutcomeConflict);
}

#[tokio::test]
async fn refusal_after_a_lost_answer_leaves_open_what_the_lost_one_did() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let redeemed = gate
        .authorize(&apply("prod-eu"))
        .await
        .unwrap()
        .redeem()
        .await
        .unwrap();
    let id = redeemed.id();
    redeemed.leave_in_doubt();
    let refuse = Twist::Refuse(Reason::NotAllowed, v1::Decided::Never);
    node.next([Twist::LoseAnswer, refuse.clone(), refuse]);
    for expected in [Decided::Unknown, Decided::Never] {
        let Err(CallError::Refused(refused)) = gate.complete(id, Outcome::Aborted).await else {
            panic!("it is refused");
        };
        assert_eq!(
            (refused.reason, refused.decided),
            (Reason::NotAllowed, expected)
        );
    }
}

#[tokio::test]
async fn revoked_permit_cannot_be_redeemed() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    let receipt = gate.revoke(permit.id()).await.unwrap();
    assert_eq!(receipt.statement().body.permit_id(), Some(permit.id()));
    let error = permit.redeem().await.unwrap_err();
    assert_eq!(error.reason(), Reason::Revoked);
    assert_eq!(
        error.to_string(),
        "the permit cannot be redeemed: REVOKED: The permit was revoked"
    );
}

#[tokio::test]
async fn permit_that_the_gate_does_not_have_is_refused() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let unknown = PermitId::from_bytes([200; 16]);
    let error = gate.permit(unknown).await.unwrap_err();
    assert_eq!(error.reason(), Reason::UnknownPermit);
    assert_eq!(
        gate.complete(unknown, Outcome::Aborted)
            .await
            .unwrap_err()
            .reason(),
        Reason::UnknownPermit
    );
}
