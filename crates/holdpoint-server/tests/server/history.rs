//! The log of statements as a stream, and what was decided in words.

use std::collections::BTreeSet;

use holdpoint_proto::v1;
use holdpoint_receipt::{Body, Statement, verify};
use tonic::Streaming;

use crate::life::authorize;
use crate::support::{Dev, LONG, apply, echo, ended, now_ms, raw, redeem};
use crate::trio::Trio;

async fn next(stream: &mut Streaming<v1::WatchResponse>) -> v1::WatchResponse {
    let next = tokio::time::timeout(LONG, stream.message()).await.unwrap();
    next.unwrap().expect("the stream goes on")
}

/// Takes messages until everything before `until` was sent or left out; their leaves, in order.
async fn leaves(stream: &mut Streaming<v1::WatchResponse>, until: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let message = next(stream).await;
        assert_eq!(message.refusal, None);
        if let Some(statement) = message.statement {
            assert_eq!(message.next_leaf, statement.leaf_index + 1);
            let parsed = Statement::parse(&statement.statement).unwrap();
            assert_eq!(parsed.place.leaf_index(), statement.leaf_index);
            seen.push(statement.leaf_index);
        }
        if message.next_leaf >= until {
            return seen;
        }
    }
}

async fn watch(node: &Dev, call: v1::WatchRequest) -> Streaming<v1::WatchResponse> {
    node.history().watch(call).await.unwrap().into_inner()
}

fn from(leaf: u64) -> v1::WatchRequest {
    v1::WatchRequest {
        from_leaf: Some(leaf),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_shows_what_was_and_what_comes_without_gaps_and_resumes_anywhere() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let granted = authorize(&node, apply("a", "w")).await;
    let mut stream = watch(&node, from(0)).await;
    assert_eq!(leaves(&mut stream, 3).await, [0, 1, 2]);
    let mut newest = watch(&node, v1::WatchRequest::default()).await;
    assert_eq!(next(&mut newest).await.next_leaf, 3);
    node.gate().redeem(redeem(&granted, "r")).await.unwrap();
    let committed = ended(&granted, v1::Completion::Committed);
    node.gate().complete(committed).await.unwrap();
    assert_eq!(leaves(&mut stream, 5).await, [3, 4]);
    assert_eq!(leaves(&mut newest, 5).await, [3, 4]);
    let mut resumed = watch(&node, from(4)).await;
    assert_eq!(leaves(&mut resumed, 5).await, [4]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_leaves_out_what_is_filtered_and_says_how_far_it_came() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    authorize(&node, echo("k1", "hello")).await;
    authorize(&node, echo("k2", "forbidden")).await;
    authorize(&node, apply("a", "w")).await;
    let decisions = v1::WatchRequest {
        kinds: vec!["decision".to_owned()],
        surfaces: vec!["demo.echo".to_owned()],
        decision: v1::Decision::Deny.into(),
        with_receipts: true,
        ..from(0)
    };
    let mut stream = watch(&node, decisions).await;
    let first = loop {
        let message = next(&mut stream).await;
        if let Some(statement) = message.statement {
            break statement;
        }
    };
    assert_eq!(first.leaf_index, 3);
    let verified = verify(&first.receipt.unwrap().file, &keys).unwrap();
    assert_eq!(
        verified.statement().to_canonical().as_bytes(),
        first.statement
    );
    assert!(matches!(verified.statement().body, Body::Decision(_)));
    let last = next(&mut stream).await;
    assert_eq!((last.statement, last.next_leaf), (None, 5));
    let unfit = v1::WatchRequest {
        kinds: vec!["decisions".to_owned()],
        ..from(0)
    };
    let refused = node.history().watch(unfit).await.unwrap_err();
    assert!(
        refused.message().contains("`decisions` is none of"),
        "{refused}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_is_explained_with_its_policies_its_facts_and_what_would_have_to_change() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let since = now_ms() - 60_000;
    authorize(&node, echo("k1", "this is forbidden")).await;
    let granted = authorize(&node, apply("a", "w")).await;
    let explain = async |subject| {
        let call = v1::ExplainRequest {
            subject: Some(subject),
            ..Default::default()
        };
        node.history().explain(call).await.unwrap().into_inner()
    };
    let denied = explain(v1::explain_request::Subject::LeafIndex(2)).await;
    assert_eq!(denied.refusal, None);
    let [policy] = denied.policies.as_slice() else {
        panic!("{denied:?}");
    };
    assert_eq!(
        (policy.id.as_str(), policy.code.as_str()),
        ("demo.forbidden-word", "FORBIDDEN_WORD")
    );
    assert!(
        denied
            .facts
            .iter()
            .any(|fact| fact.name == "params.message")
    );
    assert!(
        denied
            .changes
            .iter()
            .any(|change| change.contains("demo.forbidden-word")),
        "{denied:?}"
    );

    let permit = granted.permit.unwrap().id;
    let permitted = explain(v1::explain_request::Subject::PermitId(permit.clone())).await;
    let decision = permitted.decision.unwrap();
    assert_eq!((decision.permit_id, decision.leaf_index), (permit, 3));
    assert!(permitted.changes.is_empty(), "{:?}", permitted.changes);
    let nothing = explain(v1::explain_request::Subject::LeafIndex(0)).await;
    assert_eq!(nothing.refusal.unwrap().reason_name, "NOT_FOUND");

    let list = async |since_ms, from_leaf, page_size| {
        let call = v1::ListDecisionsRequest {
            since_ms,
            from_leaf,
            page_size,
            ..Default::default()
        };
        node.history()
            .list_decisions(call)
            .await
            .unwrap()
            .into_inner()
    };
    let first = list(since, 0, 1).await;
    assert_eq!((first.decisions[0].leaf_index, first.next_leaf), (2, 3));
    let second = list(since, first.next_leaf, 1).await;
    assert_eq!((second.decisions[0].leaf_index, second.next_leaf), (3, 0));
    assert_eq!(second.decisions[0].claims.len(), 2);
    assert!(list(now_ms() + 60_000, 0, 0).await.decisions.is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_of_a_follower_goes_on_without_gaps_when_the_leader_goes() {
    let mut trio = Trio::deciding().await;
    let first = trio.leader().await;
    let follower = (1..=3).find(|id| *id != first).unwrap();
    let mut stream = trio
        .history(follower)
        .watch(from(0))
        .await
        .unwrap()
        .into_inner();
    let mut seen = BTreeSet::new();
    let decide = async |trio: &Trio, leader, key: String| {
        let answer = trio
            .gate(leader)
            .authorize(raw(&key, "demo.echo", r#"{"message":"a"}"#))
            .await;
        assert_eq!(
            answer.unwrap().into_inner().decision(),
            v1::Decision::Permit
        );
    };
    for attempt in 0..20 {
        decide(&trio, first, format!("before-{attempt}")).await;
    }
    seen.extend(leaves(&mut stream, 21).await);
    trio.stop(first).await;
    let second = trio.leader().await;
    for attempt in 0..20 {
        decide(&trio, second, format!("after-{attempt}")).await;
    }
    let size = trio.status(second).await.tree_size;
    seen.extend(leaves(&mut stream, size).await);
    assert_eq!(seen, (0..size).collect());
}
