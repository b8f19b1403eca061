//! An attempt that waits for its turn.

use std::time::Duration;

use holdpoint_client::{Decided, Refusal};
use holdpoint_proto::v1;
use holdpoint_receipt::Reason;

use crate::fake::{FakeNode, Twist, world};
use crate::{apply, gate, gate_at};

#[tokio::test]
async fn waiting_attempt_is_asked_for_under_one_key_and_one_end_until_it_is_granted() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    node.next([Twist::Wait, Twist::LoseAnswer, Twist::Wait]);
    let operation = apply("prod-eu");
    let ask = gate.authorize(&operation).wait(Duration::from_mins(2));
    ask.await.unwrap().set_aside();
    let world = node.world();
    assert_eq!(world.permit_count(), 1);
    let first = &world.submissions[0];
    assert!(world.submissions.len() >= 4, "{:?}", world.submissions);
    assert!(world.submissions.iter().all(|one| one == first));
    // The attempt outlives its waiting, so that a DENY can be recorded.
    assert!(first.wait_until_ms > 0 && first.wait_until_ms < first.not_after_ms);
}

#[tokio::test]
async fn waiting_attempt_keeps_its_key_when_another_node_leads() {
    let shared = world();
    let (old, new) = (
        FakeNode::start(&shared).await,
        FakeNode::start(&shared).await,
    );
    let deadline = Duration::from_secs(5);
    let gate = gate_at(&old, &[old.address, new.address], deadline).await;
    old.next([Twist::Wait]);
    old.always_after(Twist::NotLeader(new.address));
    let operation = apply("prod-eu");
    let ask = gate.authorize(&operation).wait(Duration::from_mins(2));
    ask.await.unwrap().set_aside();
    let world = old.world();
    assert!(
        world
            .submissions
            .iter()
            .all(|one| *one == world.submissions[0])
    );
    assert!(new.seen().calls >= 1);
}

#[tokio::test]
async fn attempt_that_still_waits_when_the_time_is_over_says_its_place_and_stays_unknown() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await.with_deadline(Duration::from_millis(100));
    node.always(Twist::Wait);
    let operation = apply("prod-eu");
    let ask = gate.authorize(&operation).wait(Duration::from_millis(400));
    let Err(Refusal::Silence(silence)) = ask.await else {
        panic!("nobody let it go on");
    };
    assert_eq!(silence.reason(), Reason::Timeout);
    assert_eq!(silence.decided(), Decided::Unknown);
    assert_eq!(silence.place().unwrap().ticket, 3);
    // The same operation again takes the place up again.
    node.always(Twist::Answer);
    gate.authorize(&operation).await.unwrap().set_aside();
    assert_eq!(node.world().permit_count(), 1);
}

#[tokio::test]
async fn attempt_that_does_not_wait_says_so() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    gate.authorize(&apply("prod-eu")).await.unwrap().set_aside();
    assert_eq!(node.world().submissions[0].wait_until_ms, 0);
}

#[tokio::test]
async fn every_refused_bound_and_every_missing_approval_comes_with_the_refusal() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let held = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.next([Twist::Lie(|answer| {
        let bound = |key: &str| v1::BoundKey {
            name: "workspace".to_owned(),
            kind: "exclusive".to_owned(),
            key: key.to_owned(),
            amount: 1,
        };
        answer.refused_bounds = vec![v1::RefusedBound {
            bound: Some(bound("workspace/prod-eu")),
            reason: Reason::BoundHeld.code().into(),
            reason_name: Reason::BoundHeld.as_str().to_owned(),
            fence: 7,
            until_ms: 8,
            amount: 1,
        }];
    })]);
    let Err(Refusal::Denied(denied)) = gate.authorize(&apply("prod-eu")).await else {
        panic!("it is held");
    };
    let refused = &denied.refused_bounds()[0];
    assert_eq!(refused.reason, Reason::BoundHeld);
    assert_eq!(refused.fence.unwrap().get(), 7);
    assert_eq!(refused.until.unwrap().get(), 8);
    held.set_aside();
}

#[tokio::test]
async fn missing_approval_whose_bytes_have_another_digest_is_not_believed() {
    let (node, honest) = (FakeNode::start(&world()).await, crate::fake::subject());
    let gate = gate(&node).await.with_deadline(Duration::from_secs(1));
    node.next([Twist::Lie(|answer| lack(answer, crate::fake::subject().0))]);
    let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-eu")).await else {
        panic!("approvals are missing");
    };
    assert_eq!(silence.reason(), Reason::ApprovalRequired);
    let missing = &silence.missing_approvals()[0];
    assert_eq!(missing.subject.digest(), honest.1);
    assert_eq!((missing.have, missing.needed), (1, 2));

    node.always(Twist::Lie(|answer| {
        let mut other = crate::fake::subject().0;
        other[12] ^= 1;
        lack(answer, other);
    }));
    let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-us")).await else {
        panic!("approvals are missing");
    };
    assert_eq!(silence.reason(), Reason::ReceiptInvalid);
}

/// Turns an answer into SILENCE for want of an approval of these bytes.
fn lack(answer: &mut v1::AuthorizeResponse, subject_json: Vec<u8>) {
    *answer = v1::AuthorizeResponse {
        decision: v1::Decision::Silence.into(),
        reason: Reason::ApprovalRequired.code().into(),
        reason_name: Reason::ApprovalRequired.as_str().to_owned(),
        decided: v1::Decided::Never.into(),
        missing_approvals: vec![v1::MissingApproval {
            quorum: "two-person".to_owned(),
            subject_digest: crate::fake::subject().1.as_bytes().to_vec(),
            subject_json,
            needed: 2,
            have: 1,
        }],
        ..v1::AuthorizeResponse::default()
    };
}
