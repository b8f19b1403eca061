//! Answers that must not be believed.

use std::time::Duration;

use holdpoint_client::{
    AnswerError, CallError, CompleteError, Decided, Gate, RedeemError, Refusal, Silence,
};
use holdpoint_proto::v1;
use holdpoint_receipt::statement::{DecisionStatement, Outcome, PermitStep};
use holdpoint_receipt::{Body, Fence, Name, PermitId, Reason, sha256};

use crate::fake::{FakeNode, Notary, Twist, world};
use crate::{apply, gate, gate_at};

/// What a client says to a node that always lies so.
async fn lied_to(lie: fn(&mut v1::AuthorizeResponse)) -> Silence {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    node.always(Twist::Lie(lie));
    match gate.authorize(&apply("prod-eu")).await {
        Err(Refusal::Silence(silence)) => silence,
        other => panic!("believed: {other:?}"),
    }
}

/// That no lie of this kind is believed, and that the client says why.
async fn check(lie: fn(&mut v1::AuthorizeResponse), why: &str) {
    let silence = lied_to(lie).await;
    assert_eq!(silence.reason(), Reason::ReceiptInvalid);
    assert_eq!(
        silence.decided(),
        Decided::Unknown,
        "a permit was granted all the same"
    );
    let error = silence
        .answer_error()
        .expect("the answer's error")
        .to_string();
    assert!(error.contains(why), "`{error}` does not say `{why}`");
}

#[tokio::test]
async fn answer_without_its_receipt_is_not_believed() {
    check(|answer| answer.receipt = None, "has no receipt").await;
}

#[tokio::test]
async fn receipt_with_one_changed_byte_is_not_believed() {
    let damage = |answer: &mut v1::AuthorizeResponse| {
        let file = &mut answer.receipt.as_mut().unwrap().file;
        let text = String::from_utf8(std::mem::take(file)).unwrap();
        *file = text
            .replace("\"fence\":1099511627777", "\"fence\":1099511627778")
            .into_bytes();
    };
    check(damage, "the statement is not the one that was signed").await;
}

#[tokio::test]
async fn genuine_receipt_under_another_fence_or_permit_or_decision_is_not_believed() {
    check(
        |answer| answer.permit.as_mut().unwrap().fence += 1,
        "`fence`",
    )
    .await;
    let other = |answer: &mut v1::AuthorizeResponse| {
        answer.permit.as_mut().unwrap().id = format!("pmt_{}", "a".repeat(26));
    };
    check(other, "`permit_id`").await;
    check(
        |answer| answer.decision = v1::Decision::Deny.into(),
        "`decision`",
    )
    .await;
    check(|answer| answer.decision = 17, "`decision`").await;
    check(
        |answer| answer.permit = None,
        "`permit` of the answer is missing",
    )
    .await;
}

#[tokio::test]
async fn request_that_is_not_the_one_asked_is_not_believed() {
    let other = |answer: &mut v1::AuthorizeResponse| {
        let text = String::from_utf8(answer.request_canonical.clone()).unwrap();
        answer.request_canonical = text.replace("prod-eu", "prod-us").into_bytes();
    };
    check(other, "another request than was asked").await;
    let spelled = |answer: &mut v1::AuthorizeResponse| answer.request_canonical.push(b' ');
    check(spelled, "canonical").await;
    let caller = |answer: &mut v1::AuthorizeResponse| {
        let text = String::from_utf8(answer.request_canonical.clone()).unwrap();
        answer.request_canonical = text.replace("loopback:dev", "loopback:eve").into_bytes();
    };
    check(caller, "took this client for `loopback:eve`").await;
    check(
        |answer| answer.request_digest[0] ^= 1,
        "another request than was asked",
    )
    .await;
}

#[tokio::test]
async fn genuine_permit_for_another_request_is_not_believed() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let mishearings: [fn(&mut v1::Operation); 4] = [
        |heard| heard.params_json = br#"{"workspace":"prod-us"}"#.to_vec(),
        |heard| heard.actor = "eve".to_owned(),
        |heard| heard.step = 2,
        |heard| heard.session = "s".to_owned(),
    ];
    for mishear in mishearings {
        node.always(Twist::Mishear(mishear));
        let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-eu")).await else {
            panic!("believed a permit for something else");
        };
        let error = silence.answer_error().unwrap();
        assert!(matches!(**error, AnswerError::RequestDiffers), "{error}");
    }
}

#[tokio::test]
async fn receipt_of_another_cluster_is_not_believed() {
    let node = FakeNode::start(&world()).await;
    let keys = Notary::new(2).keys();
    let endpoint = [node.address.to_string()];
    let gate = Gate::builder()
        .endpoints(endpoint)
        .keys(keys)
        .connect()
        .await
        .unwrap();
    let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-eu")).await else {
        panic!("believed a receipt of another cluster");
    };
    assert!(matches!(
        silence.answer_error().map(AsRef::as_ref),
        Some(AnswerError::Receipt(_))
    ));
    assert!(
        silence.to_string().starts_with("SILENCE RECEIPT_INVALID: "),
        "{silence}"
    );
}

#[tokio::test]
async fn one_node_that_cannot_be_believed_does_not_keep_the_others_from_answering() {
    let world = world();
    let (liar, honest) = (FakeNode::start(&world).await, FakeNode::start(&world).await);
    liar.always(Twist::Lie(|answer| answer.receipt = None));
    let addresses = [liar.address, honest.address];
    let gate = gate_at(&honest, &addresses, Duration::from_secs(5)).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    assert!(permit.is_replay(), "the liar had it granted");
    permit.set_aside();
}

#[tokio::test]
async fn redemption_that_is_not_proved_gives_no_redeemed_permit() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.always(Twist::LieRedeem(|answer| answer.receipt = None));
    let Err(RedeemError::Silence(open)) = permit.redeem().await else {
        panic!("believed a redemption without a receipt");
    };
    assert_eq!(open.silence().reason(), Reason::ReceiptInvalid);
    assert_eq!(open.decided(), Decided::Unknown);
    // The same redemption, once the node shows its receipt.
    node.always(Twist::Answer);
    open.retry().await.unwrap().abort().await.unwrap();
}

#[tokio::test]
async fn receipt_of_the_decision_is_no_proof_of_the_redemption() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let first = gate.authorize(&apply("prod-eu")).await.unwrap();
    let second = gate.authorize(&apply("prod-us")).await.unwrap();
    let redeemed = first.redeem().await.unwrap();
    // Two genuine receipts, of another kind and of another permit.
    for file in [
        second.decision_receipt().unwrap().file(),
        redeemed.receipt().file(),
    ] {
        *FILE.lock().unwrap() = file.to_vec();
        let third = gate.authorize(&apply("prod-ap")).await.unwrap();
        node.next([Twist::LieRedeem(|answer| {
            answer.receipt = Some(v1::Receipt {
                file: FILE.lock().unwrap().clone(),
            });
        })]);
        let gate = gate.with_deadline(Duration::from_secs(1));
        let Err(RedeemError::Silence(open)) = third.redeem().await else {
            panic!("believed the receipt of something else");
        };
        assert_eq!(open.silence().reason(), Reason::ReceiptInvalid);
        open.retry().await.unwrap().abort().await.unwrap();
        drop(gate);
    }
    second.set_aside();
    redeemed.leave_in_doubt();
}

#[tokio::test]
async fn receipt_of_another_executor_is_no_proof_of_our_redemption() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.world().misstate = Some(|body| {
        if let Body::Redeemed {
            redemption_commitment,
            ..
        } = body
        {
            *redemption_commitment = sha256(b"the id of another executor");
        }
    });
    let Err(RedeemError::Silence(open)) = permit.redeem().await else {
        panic!("believed the redemption of another executor");
    };
    let error = open.silence().answer_error().unwrap();
    check_differs(error, "redemption_commitment");
    open.set_aside();

    let permit = gate.authorize(&apply("prod-us")).await.unwrap();
    node.next([Twist::LieRedeem(|answer| answer.redemption_salt.clear())]);
    let Err(RedeemError::Silence(open)) = permit.redeem().await else {
        panic!("believed a redemption that cannot be checked");
    };
    let error = open.silence().answer_error().unwrap().to_string();
    assert!(error.contains("redemption_salt"), "{error}");
    open.retry().await.unwrap().abort().await.unwrap();
}

/// Says a decision wrongly.
type OfDecision = fn(&mut DecisionStatement);
/// Says a step of a permit wrongly.
type OfStep = fn(&mut Body);

/// That a signed statement about something else than was asked is not believed, and which member
/// gives it away.
fn check_differs(error: &AnswerError, member: &str) {
    assert!(
        matches!(error, AnswerError::Differs { field } if *field == member),
        "{error}"
    );
}

#[tokio::test]
async fn signed_decision_about_another_request_is_not_believed() {
    let misstatements: [(&str, OfDecision); 3] = [
        ("request_digest", |stated| {
            stated.request_digest = sha256(b"other");
        }),
        ("surface", |stated| {
            stated.surface = Name::new("other").unwrap();
        }),
        ("action", |stated| {
            stated.action = Name::new("other").unwrap();
        }),
    ];
    for (member, misstate) in misstatements {
        let node = FakeNode::start(&world()).await;
        let gate = gate(&node).await;
        *STATED.lock().unwrap() = Some(misstate);
        node.world().misstate = Some(|body| {
            let Body::Decision(stated) = body else {
                panic!("{body:?}")
            };
            STATED.lock().unwrap().unwrap()(stated);
        });
        let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-eu")).await else {
            panic!("believed another `{member}`");
        };
        check_differs(silence.answer_error().unwrap(), member);
    }
}

#[tokio::test]
async fn signed_step_of_another_permit_is_not_believed() {
    let misstatements: [(&str, OfStep); 3] = [
        ("permit_id", |body| {
            step(body).permit_id = PermitId::from_bytes([77; 16]);
        }),
        ("fence", |body| {
            step(body).fence = Fence::new(77).unwrap();
        }),
        ("request_digest", |body| {
            step(body).request_digest = sha256(b"other");
        }),
    ];
    for (member, misstate) in misstatements {
        let node = FakeNode::start(&world()).await;
        let gate = gate(&node).await;
        let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
        node.world().misstate = Some(misstate);
        let Err(RedeemError::Silence(open)) = permit.redeem().await else {
            panic!("believed another `{member}`");
        };
        check_differs(open.silence().answer_error().unwrap(), member);
        let permit = gate.authorize(&apply("prod-us")).await.unwrap();
        let redeemed = permit.redeem().await.unwrap();
        node.world().misstate = Some(misstate);
        let Err(CompleteError::Silence(open)) = redeemed.commit().await else {
            panic!("believed another `{member}`");
        };
        check_differs(open.silence().answer_error().unwrap(), member);
    }
}

#[tokio::test]
async fn signed_outcome_that_is_not_ours_is_not_believed() {
    let misstatements: [(&str, OfStep); 2] = [
        ("outcome", |body| {
            if let Body::Completed { outcome, .. } = body {
                *outcome = Outcome::Aborted;
            }
        }),
        ("evidence_digest", |body| {
            if let Body::Completed {
                evidence_digest, ..
            } = body
            {
                *evidence_digest = Some(sha256(b"other"));
            }
        }),
    ];
    for (member, misstate) in misstatements {
        let node = FakeNode::start(&world()).await;
        let gate = gate(&node).await;
        let redeemed = gate
            .authorize(&apply("prod-eu"))
            .await
            .unwrap()
            .redeem()
            .await
            .unwrap();
        node.world().misstate = Some(misstate);
        let Err(CompleteError::Silence(open)) = redeemed.commit().await else {
            panic!("believed another `{member}`");
        };
        check_differs(open.silence().answer_error().unwrap(), member);
    }
}

#[tokio::test]
async fn signed_statement_of_another_kind_is_not_believed() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    node.world().misstate = Some(|body| *body = Body::Superseded(step(body).clone()));
    let Err(CallError::Silence(silence)) = gate.revoke(permit.id()).await else {
        panic!("believed that it was revoked");
    };
    check_differs(silence.answer_error().unwrap(), "kind");
    permit.set_aside();
}

/// The step that a statement is about.
fn step(body: &mut Body) -> &mut PermitStep {
    match body {
        Body::Redeemed { step, .. } | Body::Completed { step, .. } | Body::Revoked(step) => step,
        other => panic!("{other:?}"),
    }
}

/// A twist is a plain function, so what it says stands here. Each is used by one test.
static FILE: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());
static STATED: std::sync::Mutex<Option<OfDecision>> = std::sync::Mutex::new(None);
