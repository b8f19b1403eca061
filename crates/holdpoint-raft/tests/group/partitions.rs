//! A leader that is cut off answers nothing, and a node that cannot win disturbs nobody.

use std::time::Duration;

use holdpoint_raft::{ProposeError, ReadError};

use crate::support::commands::announce;
use crate::support::{Cluster, WAIT, error, peer_address, until};

#[tokio::test(flavor = "multi_thread")]
async fn leader_cut_off_from_the_majority_answers_neither_reads_nor_proposals() {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let old = cluster.leader().await;
    cluster.isolate(old);
    let wait = Duration::from_secs(2);
    let refused = error(cluster.group(old).propose(announce(50), wait).await);
    assert!(refused.may_have_committed(), "{refused}");
    let read = cluster.group(old).read_index(wait).await;
    let unconfirmed = matches!(
        read,
        Err(ReadError::NoQuorum | ReadError::Timeout { .. } | ReadError::NotLeader { .. })
    );
    assert!(unconfirmed, "{read:?}");

    let new = cluster.leader_after(old).await;
    let outcome = cluster.group(new).propose(announce(2), WAIT).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    let read = cluster.group(old).read_index(wait).await;
    assert!(read.is_err(), "{read:?}");

    cluster.net.heal();
    let hashes = cluster.settled().await;
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    until("the old leader follows", || {
        cluster
            .group(old)
            .leadership()
            .borrow()
            .leader()
            .map(|_| ())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_steps_down_fails_who_waits_at_once() {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let old = cluster.leader().await;
    cluster.isolate(old);
    let group = cluster.group(old).clone();
    let waiting =
        tokio::spawn(async move { group.propose(announce(50), Duration::from_mins(1)).await });
    let new = cluster.leader_after(old).await;
    cluster.group(new).propose(announce(2), WAIT).await.unwrap();
    cluster.net.heal();
    let refused = error(waiting.await.unwrap());
    assert!(
        matches!(
            refused,
            ProposeError::NotLeader {
                may_have_committed: true,
                ..
            }
        ),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_hears_nobody_does_not_raise_the_term() {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let leader = cluster.leader().await;
    let deaf = (1..=3).find(|node| *node != leader).unwrap();
    let term = cluster.group(leader).status().term;
    // It still reaches everybody: without pre-vote it would call elections that it cannot win.
    for other in (1..=3).filter(|other| *other != deaf) {
        cluster.net.cut(&peer_address(other), &peer_address(deaf));
    }
    let before = cluster.net.pre_votes_of(&peer_address(deaf));
    until(
        "the deaf node asks again and again whether it would be elected",
        || (cluster.net.pre_votes_of(&peer_address(deaf)) >= before + 6).then_some(()),
    )
    .await;
    for node in 2..=40 {
        cluster
            .group(leader)
            .propose(announce(node), WAIT)
            .await
            .unwrap();
    }
    cluster.net.heal();
    cluster.settled().await;
    assert_eq!(cluster.leader().await, leader);
    assert!(
        cluster
            .groups
            .values()
            .all(|group| group.status().term == term)
    );
}
