//! Sessions, freezes, retention.

use holdpoint_proto::v1;
use holdpoint_receipt::{Body, Salt, commit, verify};

use crate::life::authorize;
use crate::support::{Dev, echo, redeem};

fn in_session(key: &str, session: &str) -> v1::AuthorizeRequest {
    let mut attempt = echo(key, "hello");
    let operation = attempt.operation.as_mut().unwrap();
    session.clone_into(&mut operation.session);
    operation.step = 1;
    attempt
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_session_refuses_what_is_still_to_come() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let granted = authorize(&node, in_session("k1", "turn-7")).await;
    assert_eq!(granted.permit.as_ref().unwrap().session, "turn-7");
    let close = v1::CloseSessionRequest {
        session: "turn-7".to_owned(),
        ..Default::default()
    };
    let closed = node.gate().close_session(close.clone()).await.unwrap();
    let closed = closed.into_inner();
    let verified = verify(&closed.receipt.unwrap().file, &node.keys().await).unwrap();
    let Body::SessionClosed(stated) = &verified.statement().body else {
        panic!("no closing");
    };
    let salt = Salt::from_bytes(closed.salt.as_slice().try_into().unwrap());
    let named = |session: &[u8]| commit(&salt, "session_commitment", session);
    assert_eq!(stated.session_commitment, named(b"turn-7"));
    assert_ne!(stated.session_commitment, named(b"turn-8"));
    let again = node.gate().close_session(close).await.unwrap().into_inner();
    assert!(again.replay);
    assert_eq!(again.salt, closed.salt);

    let late = authorize(&node, in_session("k2", "turn-7")).await;
    assert_eq!(late.reason_name, "SESSION_CLOSED", "{}", late.sentence);
    let stale = node.gate().redeem(redeem(&granted, "r1")).await.unwrap();
    let refusal = stale.into_inner().refusal.unwrap();
    assert_eq!(refusal.reason_name, "STALE_CONTEXT");
    let other = authorize(&node, in_session("k3", "turn-8")).await;
    assert_eq!(other.decision(), v1::Decision::Permit);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn step_waits_for_the_step_that_it_names_to_be_committed() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let first = authorize(&node, echo("k1", "one")).await;
    let permit = first.permit.as_ref().unwrap().id.clone();
    let mut second = echo("k2", "two");
    second.operation.as_mut().unwrap().prerequisites = vec![permit];
    let early = authorize(&node, second.clone()).await;
    assert_eq!(early.reason_name, "PREREQUISITE_NOT_COMMITTED");
    node.gate().redeem(redeem(&first, "r1")).await.unwrap();
    let committed = crate::support::ended(&first, v1::Completion::Committed);
    node.gate().complete(committed).await.unwrap();
    let granted = authorize(&node, second).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_surface_grants_nothing_until_it_is_thawed() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let freeze = async |surface: &str, frozen| {
        let call = v1::FreezeRequest {
            surface: surface.to_owned(),
            frozen,
            ..Default::default()
        };
        node.cluster().freeze(call).await.unwrap().into_inner()
    };
    let frozen = freeze("demo.echo", true).await;
    verify(&frozen.receipt.unwrap().file, &node.keys().await).unwrap();
    assert!(freeze("demo.echo", true).await.replay);
    assert_eq!(
        authorize(&node, echo("k1", "a")).await.reason_name,
        "FROZEN"
    );
    assert_eq!(node.status().await.frozen_surfaces, ["demo.echo"]);
    freeze("", true).await;
    assert!(node.status().await.frozen);
    freeze("demo.echo", false).await;
    assert_eq!(
        authorize(&node, echo("k2", "a")).await.reason_name,
        "FROZEN"
    );
    freeze("", false).await;
    let granted = authorize(&node, echo("k3", "a")).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_never_shorter_than_late_retries_need() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let set = async |permits_ms| {
        let call = v1::SetRetentionRequest {
            retention: Some(v1::Retention {
                permits_ms,
                disclosures_ms: Some(400 * DAY_MS),
                statements_ms: None,
                sessions_ms: Some(400 * DAY_MS),
            }),
            ..Default::default()
        };
        node.cluster()
            .set_retention(call)
            .await
            .unwrap()
            .into_inner()
    };
    let short = set(Some(60_000)).await;
    let refusal = short.refusal.unwrap();
    assert_eq!(refusal.reason_name, "RETENTION_TOO_SHORT");
    assert!(refusal.sentence.contains("1d11m6s"), "{}", refusal.sentence);
    assert!(short.least_ms > DAY_MS);
    assert_eq!(set(Some(400 * DAY_MS)).await.refusal, None);
    assert!(set(Some(400 * DAY_MS)).await.replay);
    let read = v1::GetRetentionRequest::default();
    let read = node
        .cluster()
        .get_retention(read)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(read.retention.unwrap().permits_ms, Some(400 * DAY_MS));
    assert_eq!((read.first_leaf, read.first_disclosure), (0, 0));
    node.stop().await;
}
