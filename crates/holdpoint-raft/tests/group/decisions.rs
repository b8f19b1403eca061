//! What is decided stays decided.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use holdpoint_core::{GroupId, Outcome, Query};
use holdpoint_raft::Group;

use crate::support::commands::{
    activate_policy, announce, authorize, cluster_time, decided, put_policy,
};
use crate::support::{Cluster, WAIT, until};

#[tokio::test(flavor = "multi_thread")]
async fn one_node_founds_its_group_and_decides_at_once() {
    let mut cluster = Cluster::new(&[1]);
    cluster.start(1).await;
    let outcome = cluster.propose(&announce(1)).await;
    assert_eq!(*outcome.value(), Outcome::Announced);
    let guard = cluster.group(1).read_index(WAIT).await.unwrap();
    assert!(guard.index() >= outcome.position().index);
    assert!(
        cluster_time(cluster.group(1)).get() > 0,
        "the voters' clocks were stepped to"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_many_callers_share_entries_and_reach_every_node() {
    let cluster = Cluster::of_three().await;
    let leader = cluster.leader().await;
    cluster.propose(&announce(1)).await;
    let proposals = (1..=200).map(|node| {
        let group = cluster.group(leader).clone();
        async move { group.propose(announce(node), WAIT).await.unwrap() }
    });
    let outcomes = join_all(proposals).await;
    let entries: BTreeSet<u64> = outcomes.iter().map(|it| it.position().index).collect();
    assert!(
        entries.len() < 100,
        "200 commands took {} entries",
        entries.len()
    );
    let places: BTreeSet<_> = outcomes
        .iter()
        .map(holdpoint_raft::Committed::position)
        .collect();
    assert_eq!(places.len(), 200, "no two commands share a position");
    let hashes = cluster.settled().await;
    assert!(
        hashes.iter().all(|hash| *hash == hashes[0]),
        "equal index, equal state"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_the_leader_died_finds_the_same_statement() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&put_policy()).await;
    cluster.propose(&activate_policy()).await;
    let leader = cluster.leader().await;
    let now = cluster_time(cluster.group(leader));
    let end = now.saturating_add(60_000);
    let first = cluster.propose(&authorize("k1", now, end, 1)).await;
    let first = decided(first.into_value());
    assert!(!first.replay);

    cluster.kill(leader).await;
    let other = cluster.leader_after(leader).await;
    let now = cluster_time(cluster.group(other));
    // Another leader draws another salt, and evaluates at another time.
    let retry = decided(
        cluster
            .propose(&authorize("k1", now, end, 2))
            .await
            .into_value(),
    );
    assert!(retry.replay);
    assert_eq!(retry.statement, first.statement);
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_of_every_node_keeps_every_decision() {
    let mut cluster = Cluster::of_three().await;
    for node in 1..=20 {
        cluster.propose(&announce(node)).await;
    }
    let before = cluster.settled().await;
    for node in [1, 2, 3] {
        cluster.kill(node).await;
    }
    for node in [3, 1, 2] {
        cluster.start(node).await;
    }
    cluster.leader().await;
    let announced = |group: &Group| {
        let nodes =
            group.local_view(|view| Query::new(&view, GroupId::FIRST).nodes(None).unwrap().len());
        nodes.unwrap()
    };
    until("everything is applied again", || {
        cluster
            .groups
            .values()
            .all(|group| announced(group) == 20)
            .then_some(())
    })
    .await;
    let after = cluster.settled().await;
    assert_eq!(after[0], after[1]);
    assert_eq!(after[1], after[2]);
    assert_eq!(before[0], before[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_larger_than_an_entry_is_refused_and_never_appended() {
    use holdpoint_core::Command;
    use holdpoint_raft::ProposeError;
    let mut cluster = Cluster::new(&[1]);
    cluster.start(1).await;
    cluster.propose(&announce(1)).await;
    let Command::PutPolicy(mut put) = put_policy() else {
        panic!("not a put");
    };
    put.bundle = vec![0; holdpoint_raft::limits::ENTRY_BYTES_MAX];
    let error = cluster
        .group(1)
        .propose(Command::PutPolicy(put), WAIT)
        .await
        .unwrap_err();
    assert!(matches!(error, ProposeError::TooLarge(_)), "{error}");
    assert!(!error.may_have_committed());
}
