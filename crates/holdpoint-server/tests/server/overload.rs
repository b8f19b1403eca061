//! More at once than the node admits: it says so at once, and nothing comes of what it does not admit.

use holdpoint_proto::v1::{self, authorize_stream_response::Result as StreamResult};
use holdpoint_server::limits::STREAM_IN_FLIGHT_MAX;
use tokio_stream::StreamExt as _;

use crate::life::authorize;
use crate::support::{Dev, LONG, echo};

/// Far more than a stream may have in flight, read much faster than they are decided.
const ASKED: usize = 3 * STREAM_IN_FLIGHT_MAX;

/// How many of those that were shed are asked for again.
const AGAIN: usize = 20;

fn attempt(id: u64) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        deadline_ms: 60_000,
        ..echo(&format!("k{id}"), "hello")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shed_is_told_at_once_and_certainly_without_effect_and_the_rest_is_decided() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let calls = (0..ASKED as u64).map(|request_id| v1::AuthorizeStreamRequest {
        request_id,
        authorize: Some(attempt(request_id)),
    });
    let calls: Vec<_> = calls.collect();
    let mut gate = node.gate();
    let answers = gate.authorize_stream(tokio_stream::iter(calls));
    let mut answers = answers.await.unwrap().into_inner();
    let (mut decided, mut shed) = (0, Vec::new());
    while let Some(answer) = tokio::time::timeout(LONG, answers.next()).await.unwrap() {
        let answer = answer.unwrap();
        let Some(StreamResult::Answer(said)) = answer.result else {
            panic!("nothing here is malformed");
        };
        if said.decision() == v1::Decision::Permit {
            decided += 1;
        } else {
            assert_eq!(said.reason_name, "OVERLOADED", "{}", said.sentence);
            assert_eq!(said.decided(), v1::Decided::Never);
            shed.push(answer.request_id);
        }
    }
    assert_eq!(decided + shed.len(), ASKED);
    assert!(decided >= 64, "{decided} of {ASKED} were decided");
    assert!(shed.len() >= AGAIN, "{} were shed", shed.len());
    for id in shed.into_iter().rev().take(AGAIN) {
        let later = authorize(&node, attempt(id)).await;
        assert_eq!(later.decision(), v1::Decision::Permit, "{}", later.sentence);
        assert!(!later.replay, "{id} was decided though it was shed");
    }
    node.stop().await;
}
