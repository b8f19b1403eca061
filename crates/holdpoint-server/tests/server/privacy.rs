//! What docs/privacy.md says of outsiders, of statements and of disks, each sentence that can be tried.

use std::fs;
use std::path::Path;

use holdpoint_proto::v1;
use holdpoint_proto::v1::chain_request::Subject as OfChain;
use holdpoint_receipt::statement::{Salt, commit};
use holdpoint_receipt::{Body, Caller, Name, Params, Request, Statement, sha256};

use crate::approvals::{approve, missing, subject};
use crate::public_log::get;
use crate::support::{Dev, by, ended, now_ms, raw, redeem};

/// What a run is made of, each such that it occurs nowhere by chance.
const SECRETS: [&str; 8] = [
    "caller-qzx",
    "actor-qzx",
    "session-qzx",
    "key-qzx",
    "redemption-qzx",
    "INV-QZX-7",
    "reason-qzx",
    "249731",
];

fn attempt() -> v1::AuthorizeRequest {
    let params =
        r#"{"account":"main","amount_minor":249731,"currency":"EUR","invoice":"INV-QZX-7"}"#;
    let mut attempt = raw("key-qzx", "payment.execute", params);
    attempt.not_after_ms = now_ms() + 60_000;
    if let Some(operation) = &mut attempt.operation {
        "actor-qzx".clone_into(&mut operation.actor);
        "session-qzx".clone_into(&mut operation.session);
    }
    attempt
}

async fn asked(node: &Dev) -> v1::AuthorizeResponse {
    let answer = node.gate().authorize(by("caller-qzx", attempt())).await;
    answer.unwrap().into_inner()
}

/// One operation with all that can be said of it; its permit.
async fn run(node: &Dev) -> String {
    let wanted = missing(&asked(node).await);
    let shown = subject(node, &wanted.subject_digest).await;
    for approver in ["alice", "bob"] {
        let given = approve(node, approver, &wanted.subject_digest, &shown).await;
        assert_eq!(given.refusal, None);
    }
    let granted = asked(node).await;
    assert_eq!(granted.decision(), v1::Decision::Permit, "{granted:?}");
    let redeeming = by("caller-qzx", redeem(&granted, "redemption-qzx"));
    let redeemed = node.gate().redeem(redeeming).await.unwrap().into_inner();
    assert_eq!(redeemed.refusal, None);
    let call = v1::CompleteRequest {
        reason: "reason-qzx".to_owned(),
        ..ended(&granted, v1::Completion::Committed)
    };
    let done = node.gate().complete(by("caller-qzx", call)).await;
    assert_eq!(done.unwrap().into_inner().refusal, None);
    granted.permit.unwrap().id
}

/// Every statement of the log.
async fn exported(node: &Dev) -> Vec<Vec<u8>> {
    let call = v1::ExportLogRequest::default();
    let mut stream = node.history().export_log(call).await.unwrap().into_inner();
    let mut statements = Vec::new();
    while let Some(part) = stream.message().await.unwrap() {
        assert_eq!(part.refusal, None);
        statements.extend(part.leaves.into_iter().map(|leaf| leaf.statement));
    }
    statements
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Whether the text is there as a word of its own: the digits of an amount occur in digests by chance.
fn has_word(bytes: &[u8], word: &str) -> bool {
    let is_part = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        byte.is_some_and(u8::is_ascii_alphanumeric)
    };
    let windows = bytes.windows(word.len()).enumerate();
    let mut found = windows.filter(|(_, window)| *window == word.as_bytes());
    found.any(|(at, _)| !is_part(at.checked_sub(1)) && !is_part(Some(at + word.len())))
}

/// That neither a secret, nor its plain hash, nor a commitment under no salt is in what was seen.
fn check_hidden(what: &str, seen: &[u8]) {
    for secret in SECRETS.iter().chain(&["loopback:alice", "loopback:bob"]) {
        let hash = sha256(secret.as_bytes());
        let unsalted = commit(
            &Salt::from_bytes([0; 32]),
            "caller_commitment",
            secret.as_bytes(),
        );
        assert!(!has_word(seen, secret), "{what} shows `{secret}`");
        for shown in [
            hash.to_string().as_bytes(),
            hash.as_bytes(),
            unsalted.to_string().as_bytes(),
        ] {
            assert!(!has(seen, shown), "{what} shows a hash of `{secret}`");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_public_log_nor_any_statement_shows_a_value_of_a_request() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    run(&node).await;
    let statements = exported(&node).await;
    let size = statements.len();
    for path in [
        "/log/default/checkpoint".to_owned(),
        format!("/log/default/tile/0/000.p/{size}"),
        format!("/log/default/tile/entries/000.p/{size}"),
        "/keys/default.json".to_owned(),
        "/keys/default.jwks".to_owned(),
    ] {
        let answer = get(&node.address, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        check_hidden(&path, &answer.body);
        // An outsider does not even learn what kinds of effects there are.
        assert!(!has(&answer.body, b"payment.execute"), "{path}");
    }
    for statement in &statements {
        check_hidden("a statement", statement);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_show_what_the_page_says_that_they_show() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let permit = run(&node).await;
    let all = exported(&node).await.concat();
    for shown in ["payment.execute", "two-person", permit.as_str()] {
        assert!(has(&all, shown.as_bytes()), "`{shown}` is not shown");
    }
    // Whoever guesses the whole request can confirm it: its digest has no salt.
    let params =
        br#"{"account":"main","amount_minor":249731,"currency":"EUR","invoice":"INV-QZX-7"}"#;
    let guessed = Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new("loopback:caller-qzx").unwrap(),
        actor: Some("actor-qzx".parse().unwrap()),
        surface: Name::new("payment.execute").unwrap(),
        action: Name::new("transfer").unwrap(),
        params: Params::parse(params).unwrap(),
        session: Some("session-qzx".parse().unwrap()),
        step: None,
        prerequisites: Vec::new(),
    };
    assert!(has(&all, guessed.digest().to_string().as_bytes()));
    // The statements of one operation can be told to be of one.
    let call = v1::ChainRequest {
        subject: Some(OfChain::PermitId(permit)),
        ..Default::default()
    };
    let story = node.history().chain(call).await.unwrap().into_inner();
    assert_eq!(story.receipts.len(), 5);
    let of_request = exported(&node)
        .await
        .iter()
        .filter_map(|bytes| Statement::parse(bytes).ok())
        .filter(|statement| match &statement.body {
            Body::Decision(decision) => decision.request_digest == guessed.digest(),
            body => body
                .step()
                .is_some_and(|step| step.request_digest == guessed.digest()),
        })
        .count();
    assert_eq!(of_request, 3, "decision, redemption, outcome");
    node.stop().await;
}

/// Whether a file below `folder` has these bytes.
fn on_disk(folder: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            on_disk(&path, wanted)
        } else {
            has(&fs::read(&path).unwrap_or_default(), wanted)
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_of_a_node_shows_requests_in_plain_text() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("dev");
    let node = Dev::start(dir.clone()).await;
    run(&node).await;
    node.stop().await;
    for shown in ["INV-QZX-7", "caller-qzx", "reason-qzx"] {
        assert!(on_disk(&dir, shown.as_bytes()), "{shown}");
    }
}
