//! Attempts that wait for their bounds: in the order of their arrival, for as long as somebody cares.

use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_proto::v1::gate_client::GateClient;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::support::{Dev, LONG, POLL, apply, echo, ended, patient, redeem};
use crate::trio::Trio;

/// Workers that want the same at once.
const WORKERS: usize = 64;

async fn authorize(
    mut gate: GateClient<Channel>,
    attempt: v1::AuthorizeRequest,
) -> v1::AuthorizeResponse {
    gate.authorize(attempt).await.unwrap().into_inner()
}

/// Redeems a permit and reports that nothing happened, so that the next may try.
async fn use_up(mut gate: GateClient<Channel>, granted: &v1::AuthorizeResponse) {
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    let redeemed = gate.redeem(redeem(granted, "r")).await.unwrap();
    assert_eq!(redeemed.into_inner().refusal, None);
    let aborted = ended(granted, v1::Completion::Aborted);
    let completed = gate.complete(aborted).await.unwrap().into_inner();
    assert_eq!(completed.refusal, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_call_is_answered_with_a_permit_when_the_holder_is_done() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let held = authorize(node.gate(), apply("a", "w")).await;
    let waiting = patient(apply("b", "w"), 60_000);
    let waiting = tokio::spawn(authorize(node.gate(), waiting));
    node.until(|status| status.waiting == 1).await;
    use_up(node.gate(), &held).await;
    let granted = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
    assert_eq!(granted.decision(), v1::Decision::Permit);
    assert!(granted.permit.unwrap().fence > held.permit.unwrap().fence);
    assert_eq!(node.status().await.waiting, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_ends_before_its_turn_keeps_its_place_and_newcomers_do_not_overtake() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let held = authorize(node.gate(), apply("a", "w")).await;
    let attempt = v1::AuthorizeRequest {
        deadline_ms: 200,
        ..patient(apply("b", "w"), 100_000)
    };
    let first = authorize(node.gate(), attempt.clone()).await;
    assert_eq!(first.reason_name, "TIMEOUT", "{}", first.sentence);
    assert_eq!(first.decided(), v1::Decided::Unknown);
    let second = authorize(node.gate(), attempt.clone()).await;
    assert_eq!(
        first.waiting.unwrap().ticket,
        second.waiting.unwrap().ticket
    );
    use_up(node.gate(), &held).await;
    let newcomer = authorize(node.gate(), apply("c", "w")).await;
    assert_eq!(newcomer.reason_name, "BOUND_HELD", "{}", newcomer.sentence);
    assert_eq!(newcomer.refused_bounds.len(), 1);
    let granted = authorize(node.gate(), attempt).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempt_whose_client_is_gone_holds_nobody_up_and_leaves_the_queue() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let held = authorize(node.gate(), apply("a", "w")).await;
    let gone = tokio::spawn(authorize(node.gate(), patient(apply("b", "w"), 100_000)));
    node.until(|status| status.waiting == 1).await;
    let next = tokio::spawn(authorize(node.gate(), patient(apply("c", "w"), 60_000)));
    node.until(|status| status.waiting == 2).await;
    gone.abort();
    use_up(node.gate(), &held).await;
    let granted = tokio::time::timeout(LONG, next).await.unwrap().unwrap();
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    // Nobody holds anything, so only the leader takes this one out.
    use_up(node.gate(), &granted).await;
    let held = authorize(node.gate(), apply("d", "v")).await;
    let alone = tokio::spawn(authorize(node.gate(), patient(apply("e", "v"), 100_000)));
    node.until(|status| status.waiting >= 1).await;
    alone.abort();
    node.until(|status| status.waiting == 0).await;
    use_up(node.gate(), &held).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempt_whose_wait_is_over_is_denied_and_stays_denied() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let _held = authorize(node.gate(), apply("a", "w")).await;
    let attempt = patient(apply("b", "w"), 1_500);
    for is_replay in [false, true] {
        let denied = authorize(node.gate(), attempt.clone()).await;
        assert_eq!(
            (denied.reason_name.as_str(), denied.replay),
            ("BOUND_HELD", is_replay),
            "{}",
            denied.sentence
        );
    }
    node.until(|status| status.waiting == 0).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_that_only_time_ends_lets_the_next_one_in() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let digest = node
        .put(|surfaces| surfaces.replace("permit_for: 10m", "permit_for: 2s"))
        .await;
    let mode = v1::ActivationMode::Refuse;
    assert_eq!(node.activate(&digest, 1, mode).await.version, 2);
    let _never_redeemed = authorize(node.gate(), apply("a", "w")).await;
    let granted = authorize(node.gate(), patient(apply("b", "w"), 60_000)).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_wait_cost_the_log_clearly_less_than_workers_that_poll() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let seen = async |node: &Dev| {
        let status = node.status().await;
        (status.nodes[0].applied, status.tree_size)
    };
    let before = seen(&node).await;
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let gate = node.gate();
        workers.spawn(async move {
            let attempt = patient(apply(&format!("wait-{worker}"), "waited-for"), 100_000);
            let granted = authorize(gate.clone(), attempt).await;
            use_up(gate, &granted).await;
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    let between = seen(&node).await;
    for worker in 0..WORKERS {
        let gate = node.gate();
        workers.spawn(async move {
            for attempt in 0.. {
                let key = format!("poll-{worker}-{attempt}");
                let granted = authorize(gate.clone(), apply(&key, "polled-for")).await;
                if granted.decision() == v1::Decision::Permit {
                    return use_up(gate, &granted).await;
                }
                tokio::time::sleep(POLL).await;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    let after = seen(&node).await;
    let waited = (between.0 - before.0, between.1 - before.1);
    let polled = (after.0 - between.0, after.1 - between.1);
    println!("{WORKERS} workers, entries and statements: waiting {waited:?}, polling {polled:?}");
    // Ask and wait, grant, redeem, complete; and what time brings about now and then.
    let lives = u64::try_from(WORKERS).unwrap();
    assert!(waited.0 <= 4 * lives + 16, "{waited:?}");
    assert_eq!(waited.1, 3 * lives, "nothing but the steps is stated");
    assert!(polled.1 > 2 * waited.1, "{polled:?} against {waited:?}");
    assert!(polled.0 > waited.0, "{polled:?} against {waited:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn place_in_the_queue_survives_the_leader_and_its_call_is_sent_on() {
    let mut trio = Trio::deciding().await;
    let first = trio.leader().await;
    let held = authorize(trio.gate(first), apply("a", "w")).await;
    let attempt = patient(apply("b", "w"), 100_000);
    let waiting = tokio::spawn({
        let (mut gate, attempt) = (trio.gate(first), attempt.clone());
        async move { gate.authorize(attempt).await }
    });
    trio.until(first, |status| status.waiting == 1).await;
    trio.stop(first).await;
    let sent_on = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
    if let Ok(answer) = sent_on {
        let answer = answer.into_inner();
        assert_eq!(answer.decision(), v1::Decision::Silence, "{answer:?}");
        assert_eq!(answer.reason_name, "NOT_LEADER", "{}", answer.sentence);
        assert_eq!(answer.waiting.map(|waiting| waiting.ticket), Some(1));
    }
    let second = trio.leader().await;
    assert_eq!(trio.status(second).await.waiting, 1);
    let waiting = tokio::spawn(authorize(trio.gate(second), attempt));
    // Longer than a ticket without a call is kept.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(trio.status(second).await.waiting, 1);
    use_up(trio.gate(second), &held).await;
    let granted = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_wait_keep_no_other_of_their_stream_from_working_and_go_with_their_client() {
    // More than may work at once on one stream.
    const WAITING: u64 = 1_100;
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let _held = [
        authorize(node.gate(), apply("a", "w0")).await,
        authorize(node.gate(), apply("b", "w1")).await,
    ];
    let waiting = (0..WAITING).map(|id| {
        let attempt = apply(&format!("s{id}"), &format!("w{}", id % 2));
        (id, patient(attempt, 100_000))
    });
    let working = std::iter::once((WAITING, echo("working", "hello")));
    let calls = waiting.chain(working);
    let calls = calls.map(|(request_id, attempt)| v1::AuthorizeStreamRequest {
        request_id,
        authorize: Some(attempt),
    });
    let calls: Vec<_> = calls.collect();
    // Open until the client is gone.
    let (client, open) = tokio::sync::mpsc::channel(1);
    let calls = tokio_stream::iter(calls).chain(ReceiverStream::new(open));
    let answers = node.gate().authorize_stream(calls).await.unwrap();
    let mut answers = answers.into_inner();
    let first = tokio::time::timeout(LONG, answers.message()).await.unwrap();
    assert_eq!(first.unwrap().unwrap().request_id, WAITING);
    node.until(|status| status.waiting == WAITING).await;
    drop((client, answers));
    node.until(|status| status.waiting == 0).await;
    node.stop().await;
}
