//! What nodes ask of each other beside the log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use holdpoint_proto::peer::v1::{
    Dispute, NewKeysAnswer, SignHead, SignedBefore, WantHead, WantHeadAnswer, want_head_answer,
};
use holdpoint_raft::{AskNodeError, NetError, NodeAnswer, NodeQuestion, NodeService, limits};
use holdpoint_receipt::NodeId;

use crate::support::commands::announce;
use crate::support::{Cluster, PATIENCE, WAIT, node_id, until};

/// Answers questions for heads with its name and who asks, others wrongly, and disputes never.
#[derive(Default)]
struct Service {
    name: String,
    asked: Arc<Mutex<u64>>,
}

impl NodeService for Service {
    fn answer(&self, from: NodeId, question: NodeQuestion) -> BoxFuture<'static, NodeAnswer> {
        *self.asked.lock().unwrap() += 1;
        let note = format!("{} to {from}", self.name);
        async move {
            match question {
                NodeQuestion::WantHead(_) => NodeAnswer::WantHead(WantHeadAnswer {
                    answer: Some(want_head_answer::Answer::Note(note.into())),
                }),
                NodeQuestion::Dispute(_) => std::future::pending().await,
                _ => NodeAnswer::NewKeys(NewKeysAnswer::default()),
            }
        }
        .boxed()
    }
}

/// Three nodes that know each other as members.
async fn settled() -> Cluster {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    cluster
}

fn want_head() -> NodeQuestion {
    NodeQuestion::WantHead(WantHead::default())
}

fn serve(cluster: &Cluster, node: u64) -> Arc<Mutex<u64>> {
    let service = Service {
        name: format!("node {node}"),
        ..Service::default()
    };
    let asked = Arc::clone(&service.asked);
    assert!(cluster.group(node).serve_nodes(Arc::new(service)));
    asked
}

/// What `from` hears when it asks `to` for a head.
async fn ask(cluster: &Cluster, from: u64, to: u64) -> Result<String, AskNodeError> {
    let asked = cluster.group(from).ask_node(node_id(to), want_head(), WAIT);
    match asked.await? {
        NodeAnswer::WantHead(WantHeadAnswer {
            answer: Some(want_head_answer::Answer::Note(note)),
        }) => Ok(String::from_utf8(note.to_vec()).unwrap()),
        other => panic!("not a head: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_answers_every_other_and_itself_once_it_has_a_service() {
    let cluster = settled().await;
    let refused = ask(&cluster, 1, 2).await.unwrap_err();
    assert!(!refused.may_have_acted(), "{refused}");
    assert!(
        refused
            .to_string()
            .contains("does not answer such questions yet")
    );
    let refused = ask(&cluster, 1, 1).await.unwrap_err();
    assert!(matches!(refused, AskNodeError::Refused { .. }), "{refused}");
    for node in [1, 2, 3] {
        serve(&cluster, node);
        let second = Arc::new(Service::default());
        assert!(!cluster.group(node).serve_nodes(second), "the first stays");
    }
    for from in [1, 2, 3] {
        for to in [1, 2, 3] {
            let heard = ask(&cluster, from, to).await;
            assert_eq!(heard, Ok(format!("node {to} to {from}")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_kind_and_a_node_that_is_no_member_are_told_apart() {
    let cluster = settled().await;
    let asked = serve(&cluster, 2);
    for question in [
        NodeQuestion::SignHead(SignHead::default()),
        NodeQuestion::SignedBefore(SignedBefore::default()),
    ] {
        let answer = cluster.group(1).ask_node(node_id(2), question, WAIT).await;
        let node = node_id(2);
        assert_eq!(answer, Err(AskNodeError::OtherAnswer { node }));
    }
    let answer = ask(&cluster, 1, 9).await;
    let node = node_id(9);
    assert_eq!(answer, Err(AskNodeError::UnknownNode { node }));
    assert_eq!(*asked.lock().unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_a_node_that_is_cut_off_ends_at_its_time_and_the_next_one_is_heard() {
    let cluster = settled().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let asked = serve(&cluster, follower);
    cluster.isolate(follower);
    let wait = Duration::from_millis(50);
    let group = cluster.group(leader);
    let answer = group.ask_node(node_id(follower), want_head(), wait).await;
    let late = matches!(answer, Err(AskNodeError::Net(NetError::TimedOut { .. })));
    assert!(late, "{answer:?}");
    cluster.propose(&announce(1)).await;
    assert_eq!(*asked.lock().unwrap(), 0);
    cluster.net.heal();
    let heard = ask(&cluster, leader, follower).await;
    assert_eq!(heard, Ok(format!("node {follower} to {leader}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_without_an_answer_are_bounded_on_both_sides_and_hold_up_no_entry() {
    let cluster = settled().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let third = (1..=3)
        .find(|node| *node != leader && *node != follower)
        .unwrap();
    let asked = serve(&cluster, follower);
    let dispute = || {
        let question = NodeQuestion::Dispute(Dispute::default());
        let group = cluster.group(leader);
        group.ask_node(node_id(follower), question, PATIENCE)
    };
    let unanswered = join_all((0..limits::NODE_QUESTIONS_ASKED_MAX).map(|_| dispute()));
    let others = async {
        until("all are in work", || {
            let all = limits::NODE_QUESTIONS_MAX as u64;
            (*asked.lock().unwrap() == all).then_some(())
        })
        .await;
        let asking_count_max = limits::NODE_QUESTIONS_ASKED_MAX;
        let refused = dispute().await.unwrap_err();
        assert_eq!(refused, AskNodeError::Overloaded { asking_count_max });
        let refused = ask(&cluster, third, follower).await.unwrap_err();
        assert!(refused.to_string().contains("such questions already"));
        for node in 1..=20 {
            cluster.propose(&announce(node)).await;
        }
    };
    tokio::select! {
        answers = unanswered => panic!("answered: {}", answers.len()),
        () = others => {}
    }
    until("the places are free again", || {
        cluster.group(follower).applied_index()
    })
    .await;
    let start = std::time::Instant::now();
    while ask(&cluster, third, follower).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "no place became free");
    }
}
