//! Snapshots leave and come in only with the proof of their history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use holdpoint_core::{GroupId, Query};
use holdpoint_raft::{ProofGate, StateView};
use holdpoint_receipt::{ClusterTime, Name};

use crate::support::commands::{activate_policy, announce, authorize, cluster_time, put_policy};
use crate::support::{Cluster, until};

/// Lets states up to a size leave, and installs what says so and holds no more.
#[derive(Debug, Default)]
struct Gate {
    proven: AtomicU64,
    refuses: AtomicBool,
    refused: AtomicU64,
}

/// The leaves in the one log of statements.
fn size_of(view: StateView<'_>) -> u64 {
    let query = Query::new(&view, GroupId::FIRST);
    let name = Name::new("default").unwrap();
    let namespace = query.namespace(&name).unwrap();
    namespace.map_or(0, |it| it.head().unwrap().size)
}

impl ProofGate for Gate {
    fn may_snapshot(&self, tree_sizes: &BTreeMap<Name, u64>) -> Option<Vec<u8>> {
        let size = tree_sizes.values().copied().max().unwrap_or(0);
        let is_proven = size <= self.proven.load(Ordering::SeqCst);
        is_proven.then(|| size.to_be_bytes().to_vec())
    }

    fn may_install(
        &self,
        proof: &[u8],
        received: StateView<'_>,
        own: StateView<'_>,
    ) -> Result<(), String> {
        let size = size_of(received);
        let is_whole = proof == size.to_be_bytes() && size >= size_of(own);
        if is_whole && !self.refuses.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(format!("nobody proved {size} statements"))
    }
}

/// A cluster that makes snapshots soon, and the gates of its nodes. Who votes is never announced in
/// these tests: a set of signers is a statement, too.
async fn cluster_with_gates() -> (Cluster, BTreeMap<u64, Arc<Gate>>) {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    cluster.config.snapshot_entries = 20;
    cluster.config.entries_kept = 5;
    let mut gates = BTreeMap::new();
    for node in [1, 2, 3] {
        cluster.start(node).await;
        let gate = Arc::new(Gate::default());
        let given = Arc::clone(&gate) as Arc<dyn ProofGate>;
        assert!(cluster.group(node).set_proof_gate(given));
        gates.insert(node, gate);
    }
    cluster.propose(&put_policy()).await;
    cluster.propose(&activate_policy()).await;
    (cluster, gates)
}

fn prove(cluster: &Cluster, gates: &BTreeMap<u64, Arc<Gate>>, size: u64) {
    for (node, gate) in gates {
        gate.proven.store(size, Ordering::SeqCst);
        if let Some(group) = cluster.groups.get(node) {
            group.proof_moved();
        }
    }
}

/// What the log of `node` was purged to.
fn purged(cluster: &Cluster, node: u64) -> Option<u64> {
    cluster.group(node).status().purged.map(|place| place.index)
}

async fn until_purged_beyond(cluster: &Cluster, index: u64) {
    until("the logs are purged", || {
        let mut nodes = cluster.groups.keys();
        nodes
            .all(|node| purged(cluster, *node) > Some(index))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_entry_is_purged_whose_statement_is_not_proven() {
    let (cluster, gates) = cluster_with_gates().await;
    for node in 11..=70 {
        cluster.propose(&announce(node)).await;
    }
    cluster.settled().await;
    for node in [1, 2, 3] {
        let status = cluster.group(node).status();
        assert_eq!((status.snapshot, status.purged), (None, None));
    }
    // The first statement is proven now; what was pinned before the second comes may leave.
    prove(&cluster, &gates, 1);
    until_purged_beyond(&cluster, 0).await;
    let now = cluster_time(cluster.group(1));
    let end = ClusterTime::new(now.get() + 60_000).unwrap();
    let second = cluster.propose(&authorize("a", now, end, 1)).await;
    let second = second.position().index;
    for node in 11..=90 {
        cluster.propose(&announce(node)).await;
    }
    cluster.settled().await;
    for node in [1, 2, 3] {
        assert!(purged(&cluster, node) < Some(second), "it is not proven");
    }
    prove(&cluster, &gates, 2);
    until_purged_beyond(&cluster, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_that_is_not_believed_changes_nothing_and_one_that_is_comes_in() {
    let (mut cluster, mut gates) = cluster_with_gates().await;
    prove(&cluster, &gates, 1);
    cluster.settled().await;
    let away = cluster.follower().await;
    let before = cluster.group(away).state_hash().unwrap();
    let index = cluster.group(away).applied_index();
    cluster.stop(away).await;
    for node in 11..=90 {
        cluster.propose(&announce(node)).await;
    }
    until_purged_beyond(&cluster, index.unwrap()).await;

    let gate = Arc::new(Gate::default());
    gate.refuses.store(true, Ordering::SeqCst);
    gates.insert(away, Arc::clone(&gate));
    // Before it starts to take part nothing can come in.
    cluster.isolate(away);
    cluster.start(away).await;
    let given = Arc::clone(&gate) as Arc<dyn ProofGate>;
    assert!(cluster.group(away).set_proof_gate(given));
    cluster.net.heal();
    until("the snapshot is refused, and tried again", || {
        (gate.refused.load(Ordering::SeqCst) > 1).then_some(())
    })
    .await;
    assert_eq!(cluster.group(away).applied_index(), index);
    assert_eq!(cluster.group(away).state_hash().unwrap(), before);
    assert!(cluster.group(away).status().fault.is_none());
    gate.refuses.store(false, Ordering::SeqCst);
    let hashes = cluster.settled().await;
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));

    // What was installed can be sent on, with the proof that it came with, and the node snapshots on.
    prove(&cluster, &gates, 1);
    cluster.propose(&announce(81)).await;
    cluster.stop(away).await;
    cluster.start(away).await;
    cluster.settled().await;
}
