//! Bad input at each door: a clear error, and nothing recorded.

use holdpoint_proto::v1;
use holdpoint_receipt::verify;
use tonic::{Code, Request};

use crate::support::{Dev, echo, raw};

/// Leaves in the log of statements: what would grow if anything were recorded.
async fn recorded(node: &Dev) -> u64 {
    let status = node.cluster().status(v1::StatusRequest {}).await.unwrap();
    status.into_inner().tree_size
}

/// Changes an attempt and checks that the call is refused as malformed, with these words.
async fn malformed(node: &Dev, change: impl FnOnce(&mut v1::AuthorizeRequest), words: &str) {
    let mut attempt = echo("bad", "hello");
    change(&mut attempt);
    let refused = node.gate().authorize(attempt).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(
        refused.message().contains(words),
        "`{}` should say `{words}`",
        refused.message()
    );
}

/// Sends parameters and checks that they are refused as malformed, with these words.
async fn malformed_params(node: &Dev, params: &str, words: &str) {
    let change = |attempt: &mut v1::AuthorizeRequest| {
        *attempt = raw("bad", "demo.echo", params);
    };
    malformed(node, change, words).await;
}

/// Sends an attempt and checks that there is certainly no decision, for this reason.
async fn silence(node: &Dev, surface: &str, params: &str, reason: &str) -> String {
    let answer = node
        .gate()
        .authorize(raw("bad", surface, params))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.decision(), v1::Decision::Silence, "{answer:?}");
    assert_eq!(answer.reason_name, reason, "{}", answer.sentence);
    assert_eq!(answer.decided(), v1::Decided::Never);
    assert!(answer.receipt.is_none() && answer.permit.is_none());
    answer.sentence
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_attempts_are_refused_and_leave_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let before = recorded(&node).await;
    malformed_params(&node, "{", "params_json").await;
    malformed_params(&node, r#"{"message":"a","message":"b"}"#, "message").await;
    malformed_params(&node, r#"{"message":1.5}"#, "params_json").await;
    malformed_params(&node, r#"{"message":9007199254740992}"#, "params_json").await;
    malformed_params(&node, r#"["message"]"#, "an object").await;
    let large = format!(r#"{{"message":"{}"}}"#, "x".repeat(70 * 1024));
    malformed_params(&node, &large, "params_json").await;
    malformed(
        &node,
        |it| it.idempotency_key.clear(),
        "the idempotency key is empty",
    )
    .await;
    malformed(&node, |it| it.operation = None, "`operation`: is missing").await;
    malformed(&node, |it| it.deadline_ms = 60_001, "60001 ms is longer").await;
    malformed(
        &node,
        |it| it.not_after_ms = 1 << 52,
        "ahead of the cluster's clock",
    )
    .await;
    malformed(&node, |it| it.not_after_ms = 1 << 53, "not_after_ms").await;
    let oversized = raw("bad", "demo.echo", &"x".repeat(200 * 1024));
    let refused = node.gate().authorize(oversized).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    assert_eq!(recorded(&node).await, before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_no_surface_understands_is_silence_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let before = recorded(&node).await;
    silence(&node, "warp.core", "{}", "UNKNOWN_SURFACE").await;
    silence(&node, "demo.echo", r#"{"message":7}"#, "INVALID_PARAMS").await;
    let sentence = silence(&node, "demo.echo", r#"{"mesage":"a"}"#, "INVALID_PARAMS").await;
    assert!(sentence.contains("mesage"), "{sentence}");
    silence(
        &node,
        "infra.apply",
        r#"{"workspace":"w"}"#,
        "INVALID_PARAMS",
    )
    .await;
    let expired = v1::AuthorizeRequest {
        not_after_ms: 1,
        ..echo("old", "hello")
    };
    let answer = node.gate().authorize(expired).await.unwrap().into_inner();
    assert_eq!(answer.reason_name, "ATTEMPT_EXPIRED");
    let mut nowhere = echo("ns", "hello");
    nowhere.operation.as_mut().unwrap().namespace = "elsewhere".to_owned();
    let answer = node.gate().authorize(nowhere).await.unwrap().into_inner();
    assert_eq!(answer.reason_name, "UNKNOWN_NAMESPACE");
    assert_eq!(recorded(&node).await, before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_whose_name_does_not_fit_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let mut call = Request::new(echo("k", "hello"));
    call.metadata_mut()
        .insert("holdpoint-caller", "x".repeat(300).parse().unwrap());
    let refused = node.gate().authorize(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    node.stop().await;
}

/// The files of the starter bundle.
fn starter() -> Vec<v1::BundleFile> {
    let files = holdpoint_policy::starter::FILES
        .iter()
        .map(|(path, content)| v1::BundleFile {
            path: (*path).to_owned(),
            content: content.as_bytes().to_vec(),
        });
    files.collect()
}

/// Puts a bundle and checks that it is refused with this problem.
async fn refused_bundle(node: &Dev, files: Vec<v1::BundleFile>, problem: &str) {
    let call = v1::PutPolicyRequest {
        namespace: String::new(),
        files,
        deadline_ms: 0,
    };
    let answer = node.policy().put(call).await.unwrap().into_inner();
    assert_eq!(answer.refusal.unwrap().reason_name, "BUNDLE_INVALID");
    assert!(
        answer.problems.iter().any(|it| it.contains(problem)),
        "{:?}",
        answer.problems
    );
    assert!(answer.digest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bundle_that_does_not_load_or_fails_its_tests_is_refused_with_its_problems() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let before = recorded(&node).await;
    let mut incomplete = starter();
    incomplete.retain(|file| file.path != "surfaces.yaml");
    refused_bundle(&node, incomplete, "surfaces.yaml").await;
    let mut failing = starter();
    for file in failing
        .iter_mut()
        .filter(|file| file.path == "tests/demo.yaml")
    {
        let text = std::str::from_utf8(&file.content).unwrap();
        file.content = text.replacen("DENY", "PERMIT", 1).into_bytes();
    }
    refused_bundle(&node, failing, "tests/demo.yaml:").await;
    let escaping = vec![v1::BundleFile {
        path: "../x".to_owned(),
        content: Vec::new(),
    }];
    refused_bundle(&node, escaping, "../x").await;
    assert_eq!(recorded(&node).await, before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_over_another_version_or_of_an_unknown_bundle_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let before = recorded(&node).await;
    for (expected_version, reason) in [(0, "VERSION_CONFLICT"), (1, "BUNDLE_UNKNOWN")] {
        let call = v1::ActivatePolicyRequest {
            digest: vec![7; 32],
            expected_version,
            ..Default::default()
        };
        let answer = node.policy().activate(call).await.unwrap().into_inner();
        assert_eq!(answer.refusal.unwrap().reason_name, reason);
    }
    let short = v1::ActivatePolicyRequest {
        digest: vec![7; 31],
        ..Default::default()
    };
    let refused = node.policy().activate(short).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert_eq!(recorded(&node).await, before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipt_of_another_cluster_does_not_verify() {
    let scratch = tempfile::tempdir().unwrap();
    let here = Dev::start(scratch.path().join("here")).await;
    let there = Dev::start(scratch.path().join("there")).await;
    let answer = there
        .gate()
        .authorize(echo("k", "hello"))
        .await
        .unwrap()
        .into_inner();
    let receipt = answer.receipt.unwrap().file;
    assert!(verify(&receipt, &there.keys().await).is_ok());
    let refused = verify(&receipt, &here.keys().await).unwrap_err();
    assert_eq!(refused.code(), "WRONG_AUTHORITY");
    here.stop().await;
    there.stop().await;
}
