//! The life of a permit over the wire.

use std::collections::BTreeMap;

use holdpoint_proto::v1::{self, authorize_stream_response::Result as StreamResult};
use holdpoint_receipt::{Body, KeySet, Salt, commit, sha256, verify};
use tokio_stream::StreamExt as _;

use crate::support::{Dev, echo, raw, redeem};

pub(crate) const PLAN: &str = r#"{"workspace":"prod-eu","plan_sha256":"0942c3330942c3330942c3330942c3330942c3330942c3330942c3330942c333"}"#;

pub(crate) async fn authorize(node: &Dev, attempt: v1::AuthorizeRequest) -> v1::AuthorizeResponse {
    node.gate().authorize(attempt).await.unwrap().into_inner()
}

/// That the receipt of a redemption is of this redemption id, as an executor checks it.
fn check_commitment(answer: &v1::RedeemResponse, redemption_id: &str, keys: &KeySet) {
    let file = &answer.receipt.as_ref().unwrap().file;
    let verified = verify(file, keys).unwrap();
    let Body::Redeemed {
        redemption_commitment,
        ..
    } = &verified.statement().body
    else {
        panic!("{:?}", verified.statement());
    };
    let salt: [u8; 32] = answer.redemption_salt.as_slice().try_into().unwrap();
    let member = "redemption_commitment";
    let ours = commit(&Salt::from_bytes(salt), member, redemption_id.as_bytes());
    assert_eq!(*redemption_commitment, ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_is_redeemed_once_and_committed_and_each_step_has_a_receipt() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let granted = authorize(&node, raw("plan-1", "infra.apply", PLAN)).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    let canonical =
        holdpoint_receipt::Request::parse_canonical(&granted.request_canonical).unwrap();
    assert_eq!(
        canonical.digest().as_bytes().as_slice(),
        granted.request_digest
    );

    let held = authorize(&node, raw("plan-2", "infra.apply", PLAN)).await;
    assert_eq!(
        (held.decision(), held.reason_name.as_str()),
        (v1::Decision::Deny, "BOUND_HELD")
    );
    assert_eq!(held.holder_fence, granted.permit.as_ref().unwrap().fence);
    verify(&held.receipt.unwrap().file, &keys).unwrap();

    let mut other_bytes = redeem(&granted, "r1");
    other_bytes.request_digest = sha256(b"changed").as_bytes().to_vec();
    let refused = node.gate().redeem(other_bytes).await.unwrap().into_inner();
    assert_eq!(refused.refusal.unwrap().reason_name, "REQUEST_MISMATCH");

    let redeemed = node
        .gate()
        .redeem(redeem(&granted, "r1"))
        .await
        .unwrap()
        .into_inner();
    assert!(redeemed.refusal.is_none(), "{:?}", redeemed.refusal);
    check_commitment(&redeemed, "r1", &keys);
    let again = node
        .gate()
        .redeem(redeem(&granted, "r1"))
        .await
        .unwrap()
        .into_inner();
    assert!(again.replay);
    check_commitment(&again, "r1", &keys);
    let second = node
        .gate()
        .redeem(redeem(&granted, "r2"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(second.refusal.unwrap().reason_name, "ALREADY_REDEEMED");

    let complete = v1::CompleteRequest {
        permit_id: granted.permit.as_ref().unwrap().id.clone(),
        completion: v1::Completion::Committed.into(),
        ..v1::CompleteRequest::default()
    };
    let committed = node.gate().complete(complete).await.unwrap().into_inner();
    assert_eq!(
        committed.permit.unwrap().state(),
        v1::PermitState::Committed
    );
    verify(&committed.receipt.unwrap().file, &keys).unwrap();

    let twice = authorize(&node, raw("plan-3", "infra.apply", PLAN)).await;
    assert_eq!(twice.reason_name, "ALREADY_COMMITTED");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denial_says_what_the_policy_says_to_people_also_to_a_retry() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let mut attempt = echo("k1", "this is forbidden");
    for is_replay in [false, true] {
        let denied = authorize(&node, attempt.clone()).await;
        assert_eq!(
            (denied.reason_name.as_str(), denied.replay),
            ("POLICY", is_replay)
        );
        assert_eq!(
            denied.sentence,
            "the message has the word that this example forbids (demo.forbidden-word)"
        );
        attempt.not_after_ms = denied.not_after_ms;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_answers_every_request_by_its_id_and_malformed_ones_too() {
    const COUNT: u64 = 200;
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let calls = (0..COUNT).map(|id| {
        let key = if id == 7 {
            String::new()
        } else {
            format!("k{id}")
        };
        v1::AuthorizeStreamRequest {
            request_id: id,
            authorize: Some(echo(&key, "hello")),
        }
    });
    let calls: Vec<_> = calls.collect();
    let answers = node
        .gate()
        .authorize_stream(tokio_stream::iter(calls))
        .await
        .unwrap();
    let mut answers = answers.into_inner();
    let mut seen = BTreeMap::new();
    while let Some(answer) = answers.next().await {
        let answer = answer.unwrap();
        assert!(
            seen.insert(answer.request_id, answer.result.unwrap())
                .is_none()
        );
    }
    assert_eq!(seen.len() as u64, COUNT);
    let keys = node.keys().await;
    for (id, result) in seen {
        match result {
            StreamResult::Malformed(malformed) => {
                assert_eq!(id, 7);
                assert!(
                    malformed.message.contains("idempotency_key"),
                    "{}",
                    malformed.message
                );
            }
            StreamResult::Answer(answer) => {
                assert_eq!(
                    answer.decision(),
                    v1::Decision::Permit,
                    "{}",
                    answer.sentence
                );
                verify(&answer.receipt.unwrap().file, &keys).unwrap();
            }
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_finds_its_decision_after_the_surface_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let attempt = echo("k1", "hello");
    let granted = authorize(&node, attempt.clone()).await;
    let redeemed = node
        .gate()
        .redeem(redeem(&granted, "r1"))
        .await
        .unwrap()
        .into_inner();
    assert!(redeemed.refusal.is_none(), "{:?}", redeemed.refusal);
    let renamed = holdpoint_policy::starter::FILES
        .iter()
        .map(|(path, content)| v1::BundleFile {
            path: (*path).to_owned(),
            content: content.replace("demo.echo", "demo.other").into_bytes(),
        });
    let put = v1::PutPolicyRequest {
        files: renamed.collect(),
        ..Default::default()
    };
    let put = node.policy().put(put).await.unwrap().into_inner();
    assert_eq!(put.problems, Vec::<String>::new());
    // The redeemed permit holds no bound, but it is live on the surface until it is completed.
    let complete = v1::CompleteRequest {
        permit_id: granted.permit.as_ref().unwrap().id.clone(),
        completion: v1::Completion::Committed.into(),
        ..Default::default()
    };
    node.gate().complete(complete).await.unwrap();
    let activate = v1::ActivatePolicyRequest {
        digest: put.digest,
        expected_version: 1,
        ..Default::default()
    };
    let activated = node.policy().activate(activate).await.unwrap().into_inner();
    assert_eq!(activated.version, 2, "{:?}", activated.refusal);

    let retry = v1::AuthorizeRequest {
        not_after_ms: granted.not_after_ms,
        ..attempt
    };
    let found = authorize(&node, retry).await;
    assert_eq!(found.decision(), v1::Decision::Permit, "{}", found.sentence);
    assert!(found.replay);
    assert_eq!(found.permit.unwrap().state(), v1::PermitState::Committed);
    let fresh = authorize(&node, echo("k2", "hello")).await;
    assert_eq!(fresh.reason_name, "UNKNOWN_SURFACE");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_that_lost_the_end_of_its_attempt_is_told_it_and_another_request_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let first = authorize(&node, echo("lost", "hello")).await;
    assert_eq!(first.decision(), v1::Decision::Permit);

    let mut again = echo("lost", "hello");
    again.not_after_ms = first.not_after_ms - 1;
    let lost = authorize(&node, again.clone()).await;
    assert_eq!(lost.reason_name, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(lost.not_after_ms, first.not_after_ms);

    again.not_after_ms = lost.not_after_ms;
    let found = authorize(&node, again).await;
    assert!(found.replay);
    assert_eq!(
        found.permit.unwrap().fence,
        first.permit.as_ref().unwrap().fence
    );

    let other = authorize(&node, echo("lost", "another request")).await;
    assert_eq!(other.reason_name, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(other.not_after_ms, 0, "nothing is told of another request");
}
