//! Nodes and connections that fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_client::{Decided, Fault, Refusal, SilenceCause};
use holdpoint_proto::v1;
use holdpoint_receipt::Reason;
use tokio::task::JoinSet;

use crate::fake::{FakeNode, Twist, black_hole, closed_port, world};
use crate::{apply, gate, gate_at};

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_with_one_dead_and_one_black_holed_endpoint_of_three() {
    let node = FakeNode::start(&world()).await;
    let addresses = [closed_port().await, black_hole().await, node.address];
    let gate = gate_at(&node, &addresses, Duration::from_secs(5)).await;
    for call in 0..50 {
        let permit = gate.authorize(&apply(&format!("w-{call}"))).await.unwrap();
        permit.redeem().await.unwrap().commit().await.unwrap();
    }
    assert_eq!(
        node.world().submissions.len(),
        50,
        "no call was submitted twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_share_one_stream_and_each_gets_its_own_answer() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let gate = gate.clone();
        tasks.spawn(async move {
            let workspace = format!("w-{task}");
            let permit = gate.authorize(&apply(&workspace)).await.unwrap();
            assert_eq!(permit.bounds()[0].key, format!("workspace/{workspace}"));
            let id = permit.id();
            permit.set_aside();
            id
        });
    }
    let permits: BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(permits.len(), 64);
    let seen = node.seen();
    assert_eq!(seen.streams, 1);
    assert!(seen.alone < 64, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_a_stream_that_breaks_are_asked_again_with_the_same_keys() {
    let world = world();
    let nodes = [FakeNode::start(&world).await, FakeNode::start(&world).await];
    let addresses = nodes.clone().map(|node| node.address);
    let gate = gate_at(&nodes[0], &addresses, Duration::from_secs(10)).await;
    for node in &nodes {
        node.next(vec![Twist::BreakStream; 4]);
    }
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let gate = gate.clone();
        tasks.spawn(async move {
            gate.authorize(&apply(&format!("w-{task}")))
                .await
                .unwrap()
                .set_aside();
        });
    }
    tasks.join_all().await;
    let world = nodes[0].world();
    assert_eq!(world.permit_count(), 64);
    let distinct: BTreeSet<_> = world.submissions.iter().cloned().collect();
    assert_eq!(
        distinct.len(),
        64,
        "a retry differs from its first submission"
    );
    assert!(world.submissions.len() > 64, "nothing was asked again");
}

#[tokio::test]
async fn leader_that_a_follower_names_is_learned_and_asked_first_from_then_on() {
    for by_status in [false, true] {
        let world = world();
        let (leader, follower) = (FakeNode::start(&world).await, FakeNode::start(&world).await);
        follower.always(if by_status {
            Twist::NotLeaderStatus(leader.address)
        } else {
            Twist::NotLeader(leader.address)
        });
        let gate = gate_at(&leader, &[follower.address], Duration::from_secs(5)).await;
        for call in 0..3 {
            gate.authorize(&apply(&format!("w-{call}")))
                .await
                .unwrap()
                .set_aside();
        }
        assert_eq!((follower.seen().calls, leader.seen().calls), (1, 3));
    }
}

#[tokio::test]
async fn nothing_reached_is_unreachable_and_decided_never() {
    let node = FakeNode::start(&world()).await;
    let addresses = [closed_port().await, closed_port().await];
    let gate = gate_at(&node, &addresses, Duration::from_millis(300)).await;
    let Err(Refusal::Silence(silence)) = gate.authorize(&apply("prod-eu")).await else {
        panic!("nobody listens");
    };
    assert_eq!(silence.reason(), Reason::Unreachable);
    assert_eq!(silence.decided(), Decided::Never);
    let said = silence.to_string();
    assert!(
        said.starts_with("SILENCE UNREACHABLE: 0 of 2 nodes answered within 0."),
        "{said}"
    );
    let [first, second] = addresses;
    let end =
        format!(" s ({first}: connection refused; {second}: connection refused); decided: never");
    assert!(said.ends_with(&end), "{said}");
}

#[tokio::test]
async fn black_hole_is_a_time_out_and_decided_unknown_with_the_key_that_finds_out() {
    let node = FakeNode::start(&world()).await;
    let gate = gate_at(&node, &[black_hole().await], Duration::from_millis(300)).await;
    let operation = apply("prod-eu").key("K-1");
    let Err(Refusal::Silence(silence)) = gate.authorize(&operation).await else {
        panic!("nobody answers");
    };
    assert_eq!(
        (silence.reason(), silence.decided()),
        (Reason::Timeout, Decided::Unknown)
    );
    let SilenceCause::Unanswered { nodes, .. } = silence.cause() else {
        panic!("{silence:?}");
    };
    assert!(matches!(nodes[0].fault, Fault::NoAnswer(_)));
    let end = "decided: unknown, the same key `K-1` finds the decision if there is one";
    assert!(silence.to_string().ends_with(end), "{silence}");
}

#[tokio::test]
async fn node_that_answers_other_calls_is_slow_and_not_silent() {
    let node = FakeNode::start(&world()).await;
    let gate = gate_at(&node, &[node.address], Duration::from_millis(500)).await;
    node.next([Twist::Hang]);
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.authorize(&apply("prod-eu")).await }
    });
    node.hung.notified().await;
    gate.authorize(&apply("prod-us")).await.unwrap().set_aside();
    let Err(Refusal::Silence(silence)) = waiting.await.unwrap() else {
        panic!("this call is never answered");
    };
    let SilenceCause::Unanswered { nodes, .. } = silence.cause() else {
        panic!("{silence:?}");
    };
    assert!(matches!(nodes[0].fault, Fault::Slow(_)), "{silence}");
    // It is not left alone for that.
    gate.authorize(&apply("prod-ap")).await.unwrap().set_aside();
}

#[tokio::test]
async fn submission_that_was_lost_once_keeps_the_attempt_unknown() {
    let node = FakeNode::start(&world()).await;
    let gate = gate_at(&node, &[node.address], Duration::from_millis(300)).await;
    let operation = apply("prod-eu");
    node.next([Twist::LoseAnswer]);
    node.twists.lock().unwrap().1 = Twist::Refuse(Reason::NoQuorum, v1::Decided::Never);
    for _ in 0..2 {
        let Err(Refusal::Silence(silence)) = gate.authorize(&operation).await else {
            panic!("there is no quorum");
        };
        // In the second call every submission certainly had no effect, but the first call's lost
        // one may have.
        assert_eq!(
            (silence.reason(), silence.decided()),
            (Reason::NoQuorum, Decided::Unknown)
        );
    }
    let fresh = apply("prod-us");
    let Err(Refusal::Silence(silence)) = gate.authorize(&fresh).await else {
        panic!("there is no quorum");
    };
    assert_eq!(silence.decided(), Decided::Never);
    // The quorum is back: the same operation finds what was decided.
    node.always(Twist::Answer);
    let permit = gate.authorize(&operation).await.unwrap();
    assert!(permit.is_replay());
    permit.set_aside();
}

#[tokio::test]
async fn attempt_whose_future_was_dropped_is_found_by_the_same_operation() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let operation = Arc::new(apply("prod-eu").key("K-1"));
    node.next([Twist::Hang]);
    let waiting = tokio::spawn({
        let (gate, operation) = (gate.clone(), Arc::clone(&operation));
        async move { gate.authorize(&operation).await.map(drop) }
    });
    node.hung.notified().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    // Nobody knows of it but the operation, which says that it may have been decided.
    node.next(vec![Twist::Refuse(
        Reason::UnknownSurface,
        v1::Decided::Never,
    )]);
    let Err(Refusal::Silence(silence)) = gate.authorize(&operation).await else {
        panic!("the surface is unknown");
    };
    assert_eq!(silence.decided(), Decided::Unknown);
    let permit = gate.authorize(&operation).await.unwrap();
    assert!(permit.is_replay());
    assert_eq!(node.world().permit_count(), 1);
    permit.set_aside();
}

#[tokio::test]
async fn attempts_that_are_shed_are_told_so_and_hardly_repeated_and_settling_steps_are() {
    const ASKED: usize = 200;
    let node = FakeNode::start(&world()).await;
    let gate = gate_at(&node, &[node.address], Duration::from_secs(2)).await;
    let held = gate.authorize(&apply("held")).await.unwrap();
    node.always(Twist::Refuse(Reason::Overloaded, v1::Decided::Never));
    for call in 0..ASKED {
        let Err(Refusal::Silence(silence)) = gate.authorize(&apply(&format!("w-{call}"))).await
        else {
            panic!("there is no room");
        };
        assert_eq!(silence.reason(), Reason::Overloaded);
        assert_eq!(silence.decided(), Decided::Never);
        assert!(silence.attempt().is_some(), "{silence}");
    }
    let calls = node.seen().calls;
    assert!(calls <= ASKED + ASKED / 10 + 20, "{calls} calls");
    // What it was granted before is settled all the same: a step is repeated as often as it takes.
    node.always(Twist::Answer);
    node.next(vec![
        Twist::Refuse(Reason::Overloaded, v1::Decided::Never);
        3
    ]);
    held.redeem().await.unwrap().commit().await.unwrap();
}
