//! Permits whose outcome nobody said: listed, released, and what comes too late.

use holdpoint_proto::v1;
use holdpoint_receipt::verify;

use crate::life::authorize;
use crate::support::{Dev, ended, raw, redeem};

fn export(key: &str) -> v1::AuthorizeRequest {
    let query = holdpoint_receipt::sha256(key.as_bytes());
    let params = format!(r#"{{"dataset":"orders","rows":10,"query_sha256":"{query}"}}"#);
    raw(key, "data.export", &params)
}

/// A node whose exports are in doubt after a second, and stay so.
async fn hasty(dir: std::path::PathBuf, release_after: &str) -> Dev {
    let node = Dev::start(dir).await;
    let digest = node
        .put(|surfaces| {
            let (before, export) = surfaces.split_once("data.export:").unwrap();
            let export = export.replacen("complete_within: 1h", "complete_within: 1s", 1);
            let export = export.replacen("release_after: 30m", release_after, 1);
            format!("{before}data.export:{export}")
        })
        .await;
    let mode = v1::ActivationMode::Refuse;
    assert_eq!(node.activate(&digest, 1, mode).await.version, 2);
    node
}

async fn redeemed(node: &Dev, key: &str) -> v1::AuthorizeResponse {
    let granted = authorize(node, export(key)).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    let redeemed = node.gate().redeem(redeem(&granted, "r")).await.unwrap();
    assert_eq!(redeemed.into_inner().refusal, None);
    granted
}

async fn permits(node: &Dev, call: v1::ListPermitsRequest) -> v1::ListPermitsResponse {
    let listed = node.gate().list_permits(call).await.unwrap().into_inner();
    assert_eq!(listed.refusal, None);
    listed
}

/// Two permits that are in doubt, and the node that has them.
async fn doubtful(dir: std::path::PathBuf) -> (Dev, [v1::AuthorizeResponse; 2]) {
    let node = hasty(dir, "honor_issued: false").await;
    let first = redeemed(&node, "k1").await;
    let early = node.gate().release(release(&first)).await.unwrap();
    let early = early.into_inner().refusal.unwrap();
    assert_eq!(early.reason_name, "NOT_IN_DOUBT");
    let second = redeemed(&node, "k2").await;
    // Cluster time moves with entries, and reads make none.
    let tick = || async {
        let key = format!("tick-{}", crate::support::now_ms());
        authorize(&node, export(&key)).await;
        node.status().await
    };
    node.poll(tick, |status| status.in_doubt == 2).await;
    (node, [first, second])
}

fn release(granted: &v1::AuthorizeResponse) -> v1::ReleaseRequest {
    v1::ReleaseRequest {
        permit_id: granted.permit.as_ref().unwrap().id.clone(),
        reason: "the worker is gone".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permits_in_doubt_are_listed_page_by_page_and_hold_what_they_claimed() {
    let scratch = tempfile::tempdir().unwrap();
    let (node, both) = doubtful(scratch.path().join("dev")).await;
    let operation = v1::GetOperationRequest {
        surface: "data.export".to_owned(),
        bound: "slots".to_owned(),
        key: "export".to_owned(),
        ..Default::default()
    };
    let used = node.gate().get_operation(operation).await.unwrap();
    assert_eq!(used.into_inner().live_amount, 2);
    let full = authorize(&node, export("k3")).await;
    assert_eq!(full.reason_name, "BOUND_EXHAUSTED", "{}", full.sentence);
    let page = |page: Vec<u8>| v1::ListPermitsRequest {
        filter: v1::PermitFilter::InDoubt.into(),
        page_size: 1,
        page,
        ..Default::default()
    };
    let one = permits(&node, page(Vec::new())).await;
    let two = permits(&node, page(one.next_page)).await;
    let listed = [one.permits, two.permits].concat();
    let listed: Vec<String> = listed.into_iter().map(|permit| permit.id).collect();
    let ids = both.map(|granted| granted.permit.unwrap().id);
    assert_eq!(listed, ids);
    assert!(permits(&node, page(two.next_page)).await.permits.is_empty());
    let live = v1::ListPermitsRequest {
        filter: v1::PermitFilter::Live.into(),
        surface: "data.export".to_owned(),
        ..Default::default()
    };
    assert_eq!(permits(&node, live).await.permits.len(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_settles_permits_in_doubt_and_a_late_outcome_is_a_conflict() {
    let scratch = tempfile::tempdir().unwrap();
    let (node, [first, second]) = doubtful(scratch.path().join("dev")).await;
    let released = node
        .gate()
        .release(release(&first))
        .await
        .unwrap()
        .into_inner();
    let permit = released.permit.unwrap();
    assert_eq!(permit.state(), v1::PermitState::Released);
    assert_eq!(permit.release_reason, "the worker is gone");
    assert!(permit.released_at_ms > 0);
    verify(&released.receipt.unwrap().file, &node.keys().await).unwrap();
    let again = node.gate().release(release(&first)).await.unwrap();
    assert!(again.into_inner().replay);
    let late = ended(&first, v1::Completion::Committed);
    let late = node.gate().complete(late).await.unwrap().into_inner();
    assert_eq!(late.permit.unwrap().state(), v1::PermitState::Released);
    node.until(|status| status.conflicts == 1).await;
    let resolve = v1::CompleteRequest {
        reason: "seen in the ledger".to_owned(),
        ..ended(&second, v1::Completion::Committed)
    };
    let resolved = node.gate().complete(resolve).await.unwrap().into_inner();
    let permit = resolved.permit.unwrap();
    assert_eq!(permit.state(), v1::PermitState::Committed);
    assert_eq!(permit.completion_reason, "seen in the ledger");
    assert_eq!(node.status().await.in_doubt, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_a_permit_in_doubt_are_released_by_time_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let node = hasty(scratch.path().join("dev"), "release_after: 1s").await;
    let held = redeemed(&node, "k1").await;
    let id = held.permit.unwrap().id;
    // Nobody asks for anything: the leader finds it by itself.
    let read = || async {
        let call = v1::GetPermitRequest {
            permit_id: id.clone(),
            ..Default::default()
        };
        let read = node.gate().get_permit(call).await.unwrap().into_inner();
        read.permit.unwrap().state()
    };
    node.poll(read, |state| *state == v1::PermitState::Released)
        .await;
    node.stop().await;
}
