//! A node is its directory, not its id.

use holdpoint_raft::GroupFault;
use holdpoint_receipt::ClusterId;
use tokio::time::timeout;

use crate::support::commands::announce;
use crate::support::{Cluster, PATIENCE, peer_address, until};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_started_in_any_order_found_one_group_when_all_are_there() {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    cluster.start(3).await;
    cluster.start(1).await;
    let early = cluster
        .group(1)
        .propose(announce(1), std::time::Duration::from_millis(700))
        .await;
    assert!(early.is_err(), "two of three found nothing");
    assert!(!cluster.group(1).has_joined());
    cluster.start(2).await;
    cluster.propose(&announce(1)).await;
    let hashes = cluster.settled().await;
    assert_eq!(hashes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_whose_directory_was_deleted_is_refused_and_the_others_go_on() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    let leader = cluster.leader().await;
    let wiped = (1..=3).find(|node| *node != leader).unwrap();
    let term = cluster.group(leader).status().term;
    cluster.stop(wiped).await;
    cluster.wipe(wiped).await;
    cluster.start(wiped).await;
    let fault = timeout(PATIENCE, cluster.group(wiped).fault())
        .await
        .unwrap();
    assert!(
        matches!(*fault, GroupFault::IdentityRefused { .. }),
        "{fault}"
    );
    let text = fault.to_string();
    assert!(
        text.contains(&format!("node {wiped} was known with incarnation")),
        "{text}"
    );
    assert!(text.contains("add a new node id"), "{text}");
    assert!(!cluster.group(wiped).has_joined(), "it took no part");
    cluster.propose(&announce(2)).await;
    assert_eq!(
        cluster.group(leader).status().term,
        term,
        "nobody had to elect again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wiped_node_waits_for_those_who_know_rather_than_take_part() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    for node in [1, 2, 3] {
        cluster.stop(node).await;
    }
    // Two nodes lost their directories; the one that did not is still down.
    cluster.wipe(1).await;
    cluster.wipe(2).await;
    cluster.start(1).await;
    cluster.start(2).await;
    let founded = timeout(std::time::Duration::from_secs(2), async {
        until("a founding", || cluster.group(1).has_joined().then_some(())).await;
    });
    assert!(
        founded.await.is_err(),
        "two empty nodes must not found a second group"
    );
    cluster.start(3).await;
    for node in [1, 2] {
        let fault = timeout(PATIENCE, cluster.group(node).fault())
            .await
            .unwrap();
        assert!(
            matches!(*fault, GroupFault::IdentityRefused { .. }),
            "{fault}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_of_another_cluster_takes_no_part() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let leader = cluster.leader().await;
    let other = (1..=3).find(|node| *node != leader).unwrap();
    cluster.stop(other).await;
    cluster.wipe(other).await;
    cluster
        .start_in(other, ClusterId::from_bytes([8; 16]))
        .await;
    // The stranger greets; the others refuse its frames and go on without it.
    cluster.propose(&announce(2)).await;
    assert!(!cluster.group(other).has_joined());
    assert_eq!(cluster.group(other).applied_index(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_comes_back_with_an_older_copy_of_its_directory_is_refused() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    let leader = cluster.leader().await;
    let rolled_back = (1..=3).find(|node| *node != leader).unwrap();
    let directory = cluster.directory(rolled_back);
    let copy = directory.with_extension("copy");
    cluster.stop(rolled_back).await;
    copy_all(&directory, &copy);
    cluster.start(rolled_back).await;
    for node in 2..=20 {
        cluster.propose(&announce(node)).await;
    }
    cluster.settled().await;
    let leader = cluster.leader().await;
    assert_ne!(leader, rolled_back, "the leader stays while it is well");
    cluster.stop(rolled_back).await;
    cluster.net.hang_up(&peer_address(rolled_back));
    cluster.wipe(rolled_back).await;
    std::fs::rename(&copy, &directory).unwrap();
    cluster.start(rolled_back).await;
    let fault = timeout(PATIENCE, cluster.group(rolled_back).fault())
        .await
        .unwrap();
    assert!(matches!(*fault, GroupFault::RolledBack { .. }), "{fault}");
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
