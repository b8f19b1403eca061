//! A node that was away for longer than the log reaches back.

use crate::support::Cluster;
use crate::support::commands::{announce, cluster_time};
use crate::support::until;

#[tokio::test(flavor = "multi_thread")]
async fn node_that_lags_behind_the_purged_log_is_brought_up_by_a_snapshot() {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    cluster.config.snapshot_entries = 20;
    cluster.config.entries_kept = 5;
    for node in [1, 2, 3] {
        cluster.start(node).await;
    }
    cluster.propose(&announce(1)).await;
    let leader = cluster.leader().await;
    let away = (1..=3).find(|node| *node != leader).unwrap();
    cluster.settled().await;
    let before = cluster.group(away).applied_index().unwrap();
    cluster.stop(away).await;
    for node in 2..=80 {
        cluster.propose(&announce(node)).await;
    }
    until("the log is purged beyond what the node has", || {
        cluster
            .groups
            .values()
            .all(|group| {
                group
                    .status()
                    .purged
                    .is_some_and(|purged| purged.index > before)
            })
            .then_some(())
    })
    .await;
    cluster.start(away).await;
    let term = cluster.group(leader).status().term;
    let hashes = cluster.settled().await;
    assert!(
        hashes.iter().all(|hash| *hash == hashes[0]),
        "equal index, equal state"
    );
    let status = cluster.group(away).status();
    assert!(
        status
            .snapshot
            .is_some_and(|snapshot| snapshot.index > before)
    );
    assert_eq!(status.term, term, "its own vote is its own");
    let told = cluster.group(away).applied().borrow().clone();
    assert_eq!(told.index, cluster.group(away).applied_index());
    assert_eq!(told.now, cluster_time(cluster.group(away)));
    // It goes on from there, also after another start.
    cluster.propose(&announce(81)).await;
    cluster.stop(away).await;
    cluster.start(away).await;
    cluster.propose(&announce(82)).await;
    let hashes = cluster.settled().await;
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
}
