//! New keys for nodes that run: nobody waits for it, nobody fails, and old receipts stay valid.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use holdpoint_client::{Gate, NodeKeys, Operation};
use holdpoint_receipt::{KeySet, NodeId, verify};
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::repository;
use holdpoint_tests::worker::{gate, granted};

const WORKERS: usize = 4;
const PATIENCE: Duration = Duration::from_mins(2);
/// Decisions between two changes of keys, so that each change meets requests in flight.
const BETWEEN: usize = 8;

/// Workers that ask until they are told to stop, each call once.
struct Load {
    stop: Arc<AtomicBool>,
    decided: Arc<AtomicUsize>,
    workers: Vec<tokio::task::JoinHandle<(Gate, Vec<Vec<u8>>)>>,
}

impl Load {
    async fn start(endpoints: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let decided = Arc::new(AtomicUsize::new(0));
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            let gate = gate(endpoints, &format!("worker-{worker}")).await;
            let (stop, decided) = (Arc::clone(&stop), Arc::clone(&decided));
            workers.push(tokio::spawn(async move {
                let mut receipts = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let message = format!("{worker}/{}", receipts.len());
                    let operation = Operation::new("demo.echo").param("message", message);
                    let permit = gate.authorize(&operation).await.unwrap();
                    receipts.push(permit.decision_receipt().unwrap().file().to_vec());
                    decided.fetch_add(1, Ordering::Relaxed);
                }
                (gate, receipts)
            }));
        }
        Self {
            stop,
            decided,
            workers,
        }
    }

    /// Waits until so many more were decided.
    async fn goes_on(&self) {
        let before = self.decided.load(Ordering::Relaxed);
        until("the load went on", PATIENCE, || async {
            let more = self.decided.load(Ordering::Relaxed) - before;
            if more >= BETWEEN {
                Ok(())
            } else {
                Err(format!("{more} decisions"))
            }
        })
        .await;
    }

    async fn finish(self) -> Vec<(Gate, Vec<Vec<u8>>)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut finished = Vec::new();
        for worker in self.workers {
            finished.push(worker.await.unwrap());
        }
        finished
    }
}

async fn present(gate: &Gate) -> Vec<NodeKeys> {
    let list = gate.list_keys().await.unwrap();
    list.nodes.into_iter().map(|node| node.keys).collect()
}

/// Three nodes, each of which signs.
async fn all_sign(gate: &Gate) {
    until("every node signed", PATIENCE, || async {
        let list = gate.list_keys().await.map_err(|error| error.to_string())?;
        let signing = list.nodes.iter().filter(|node| node.signs).count();
        if signing == 3 && !list.is_handover_pending {
            Ok(())
        } else {
            Err(format!("{signing} sign"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_node_are_rotated_under_load_and_no_request_fails() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let endpoints = cluster.endpoints();
    let operator = gate(&endpoints, "operator").await;
    all_sign(&operator).await;
    let founded = operator.keys().epochs().len();
    let load = Load::start(&endpoints).await;
    let first = present(&operator).await;
    for keys in &first {
        load.goes_on().await;
        let changed = operator.rotate_keys(keys).await.unwrap();
        assert!(changed.receipt.is_some());
        let again = operator.rotate_keys(keys).await.unwrap();
        assert!(again.is_replay, "the same keys are replaced once");
    }
    load.goes_on().await;
    let second = present(&operator).await;
    for (old, new) in first.iter().zip(&second) {
        assert_eq!(old.node, new.node);
        assert_ne!(old.log_key, new.log_key);
        assert_ne!(old.cosign_key, new.cosign_key);
    }
    // Keys are followed with the first answer that needs them: a head that only nodes signed whose keys
    // stayed verifies under the earlier ones too.
    let published = gate(&endpoints, "auditor").await.keys();
    assert!(published.epochs().len() >= founded + first.len());
    for (gate, receipts) in load.finish().await {
        let keys = gate.keys();
        assert!(published.epochs().starts_with(keys.epochs()));
        for receipt in receipts {
            verify(&receipt, &keys).unwrap();
        }
    }

    // The old keys are gone from the disks, and the nodes start with the new ones.
    for id in [1, 2, 3] {
        let old = cluster.data_dir(id).join("keys/log.key");
        until("the old key was wiped", PATIENCE, || async {
            if old.exists() {
                Err(format!("`{}` is there", old.display()))
            } else {
                Ok(())
            }
        })
        .await;
        assert_eq!(cluster.terminate(id), 0);
        cluster.start(id);
        let _ = cluster.wait_for_leader();
    }
    let operation = Operation::new("demo.echo").param("message", "after all");
    let permit = until("a decision came", PATIENCE, || async {
        let permit = operator.authorize(&operation).await;
        permit.map_err(|refusal| refusal.to_string())
    })
    .await;
    verify(permit.decision_receipt().unwrap().file(), &operator.keys()).unwrap();
    assert_eq!(present(&operator).await, second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compromised_keys_are_rotated_then_revoked_and_what_they_signed_later_does_not_count() {
    let cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let endpoints = cluster.endpoints();
    let operator = gate(&endpoints, "operator").await;
    all_sign(&operator).await;
    let founded = operator.keys();
    // The leader's own signature is nearly always among the first.
    let leader = cluster.wait_for_leader();
    let mut nodes = present(&operator).await.into_iter();
    let stolen = nodes.find(|keys| keys.node.get() == leader).unwrap();
    let to = ["--endpoint", &endpoints.join(",")];
    let _ = cluster
        .cli(&[&["log", "checkpoint", "--out", "saved"][..], &to].concat())
        .exits(0);
    let size = operator.list_keys().await.unwrap().tree_size;
    let _ = operator.rotate_keys(&stolen).await.unwrap();
    let revoked = operator.revoke_keys(&stolen, size).await.unwrap();
    assert!(revoked.receipt.is_some());
    let list = operator.list_keys().await.unwrap();
    assert_eq!(list.marks.len(), 1);
    assert_eq!(list.marks.first().unwrap().keys, stolen);
    // A head that was saved before, and signed with those keys, is still compared.
    let compare = ["log", "consistency", "saved"];
    let compared = cluster.cli(&[&compare[..], &to].concat()).exits(0);
    assert!(
        compared.stdout.starts_with("CONSISTENT"),
        "{}",
        compared.stdout
    );
    // Whoever keeps the keys from before it all still gets to those of today.
    let pinned = Gate::builder()
        .endpoints(&endpoints)
        .keys(KeySet::clone(&founded))
        .connect()
        .await
        .unwrap();
    let _ = granted(
        &pinned,
        &Operation::new("demo.echo").param("message", "pinned"),
    )
    .await;
    assert_eq!(pinned.keys().revocations().len(), 1);
    // One may be missed of three, and not two.
    let others = present(&operator).await;
    let _ = operator
        .retire_keys(others.first().unwrap().node)
        .await
        .unwrap();
    let refused = operator.retire_keys(others.get(1).unwrap().node).await;
    assert_eq!(
        refused.unwrap_err().reason(),
        holdpoint_receipt::Reason::TooFewSigners
    );
    let refused = operator.require_signers(Some(3)).await.unwrap_err();
    assert_eq!(refused.reason(), holdpoint_receipt::Reason::TooFewSigners);
    let _ = operator.rotate_keys(others.first().unwrap()).await.unwrap();
    let _ = operator.require_signers(Some(3)).await.unwrap();
    let operation = Operation::new("demo.echo").param("message", "all three");
    let permit = operator.authorize(&operation).await.unwrap();
    assert_eq!(
        permit
            .decision_receipt()
            .unwrap()
            .verified()
            .signers()
            .len(),
        3
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_in_which_too_few_can_sign_says_no_quorum_though_a_majority_is_up() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let endpoints = cluster.endpoints();
    let operator = gate(&endpoints, "operator").await;
    all_sign(&operator).await;
    let leader = cluster.wait_for_leader();
    let mut followers = (1..=3).filter(|node| *node != leader);
    let (retired, lost) = (followers.next().unwrap(), followers.next().unwrap());
    let _ = operator
        .retire_keys(NodeId::new(retired).unwrap())
        .await
        .unwrap();
    let joined = endpoints.join(",");
    let status = |cluster: &Cluster| {
        let run = cluster.cli(&["status", "--endpoint", &joined, "--output", "json"]);
        (run.code, run.stdout)
    };
    // Two sign and two must: every node is needed, and the one that was retired is not well.
    until("the status names who does not sign", PATIENCE, || async {
        let (code, said) = status(&cluster);
        if code == 10 && said.contains("\"retired\"") && said.contains("\"failure_tolerance\":0") {
            Ok(())
        } else {
            Err(format!("{code}: {said}"))
        }
    })
    .await;
    cluster.kill(lost);
    until("the status has no quorum", PATIENCE, || async {
        let (code, said) = status(&cluster);
        if code == 11 {
            Ok(())
        } else {
            Err(format!("{code}: {said}"))
        }
    })
    .await;
    cluster.start(lost);
    let back = Operation::new("demo.echo").param("message", "two sign again");
    let _ = granted(&operator, &back).await;
}
