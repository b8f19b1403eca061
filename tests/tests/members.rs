//! Nodes come and go on real nodes, while workers ask.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdpoint_client::{Gate, Operation, Refusal};
use holdpoint_receipt::{KeySet, Reason, verify};
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::command::Run;
use holdpoint_tests::deadline::until_blocking;
use holdpoint_tests::repository;
use holdpoint_tests::worker::{gate, granted};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// How long a change may take on a loaded machine, an election included.
const CHANGED_WITHIN: Duration = Duration::from_mins(2);
/// Decisions between two changes, so that each epoch of keys proves something.
const DECISIONS: usize = 5;
/// Attempts of one operation before the test fails; each has a deadline of its own.
const TRIES_MAX: usize = 12;

/// A worker that decides one thing after the other, and never gives up one of them.
struct Load {
    stopped: Arc<AtomicBool>,
    decided: Arc<AtomicUsize>,
    receipts: Arc<Mutex<Vec<Vec<u8>>>>,
    endpoints: Arc<Mutex<Vec<String>>>,
    worker: JoinHandle<()>,
}

impl Load {
    fn start(cluster: &Cluster) -> Self {
        let (stopped, decided) = (Arc::default(), Arc::default());
        let receipts = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let endpoints = Arc::new(Mutex::new(cluster.endpoints()));
        let worker = tokio::spawn(work(
            Arc::clone(&stopped),
            Arc::clone(&decided),
            Arc::clone(&receipts),
            Arc::clone(&endpoints),
        ));
        Self {
            stopped,
            decided,
            receipts,
            endpoints,
            worker,
        }
    }

    /// Waits until there are [`DECISIONS`] more.
    fn goes_on(&self, cluster: &Cluster) {
        *self.endpoints.lock().unwrap() = cluster.endpoints();
        let before = self.decided.load(Ordering::SeqCst);
        until_blocking("decisions go on", CHANGED_WITHIN, || {
            let now = self.decided.load(Ordering::SeqCst);
            let died = self.worker.is_finished();
            assert!(!died, "the worker gave up after {now} decisions");
            if now >= before + DECISIONS {
                Ok(())
            } else {
                Err(format!("{now} decisions"))
            }
        });
    }

    async fn finish(self) -> Vec<Vec<u8>> {
        self.stopped.store(true, Ordering::SeqCst);
        self.worker.await.unwrap();
        std::mem::take(&mut self.receipts.lock().unwrap())
    }
}

async fn work(
    stopped: Arc<AtomicBool>,
    decided: Arc<AtomicUsize>,
    receipts: Arc<Mutex<Vec<Vec<u8>>>>,
    endpoints: Arc<Mutex<Vec<String>>>,
) {
    while !stopped.load(Ordering::SeqCst) {
        let number = decided.load(Ordering::SeqCst);
        let operation = Operation::new("demo.echo")
            .param("message", format!("message-{number}"))
            .key(format!("load-{number}"));
        let mut tries = 0;
        let receipt = loop {
            // Keys of an earlier epoch do not verify what a later one signed, so it asks for them each
            // time, as a program does that is started for one decision.
            let endpoints = endpoints.lock().unwrap().clone();
            let gate = Gate::builder()
                .endpoints(&endpoints)
                .deadline(Duration::from_secs(10))
                .connect();
            let failed = match gate.await {
                Ok(gate) => match gate.authorize(&operation).await {
                    Ok(permit) => {
                        let receipt = permit.decision_receipt().unwrap().file().to_vec();
                        permit.set_aside();
                        break receipt;
                    }
                    Err(Refusal::Denied(denied)) => break denied.receipt().file().to_vec(),
                    Err(Refusal::Silence(silence)) => silence.to_string(),
                },
                Err(error) => error.to_string(),
            };
            tries += 1;
            assert!(tries < TRIES_MAX, "message {number}: {failed}");
            eprintln!("try {tries} of message {number}: {failed}");
        };
        receipts.lock().unwrap().push(receipt);
        decided.fetch_add(1, Ordering::SeqCst);
    }
}

/// `holdpoint cluster WORD --node NODE`, once.
fn change(cluster: &Cluster, word: &str, node: u64, more: &[&str]) -> Run {
    let (endpoints, node) = (cluster.endpoints().join(","), node.to_string());
    let words = ["cluster", word, "--node", &node, "--deadline", "20s"];
    let to = ["--endpoint", &endpoints, "--output", "json"];
    cluster.cli(&[&words[..], &to, more].concat())
}

/// The same until it is done, as an operator repeats it.
fn changed(cluster: &Cluster, word: &str, node: u64) -> Value {
    until_blocking("the membership changed", CHANGED_WITHIN, || {
        let run = change(cluster, word, node, &[]);
        if run.code == 0 {
            Ok(run.json())
        } else {
            Err(run.stderr)
        }
    })
}

/// A node that was not there before becomes a voter.
fn joined(cluster: &mut Cluster) -> u64 {
    let node = cluster.newcomer();
    cluster.start(node);
    let added = changed(cluster, "add", node);
    assert!(
        added["learners"]
            .as_array()
            .unwrap()
            .contains(&json!(node.to_string())),
        "{added}"
    );
    let promoted = changed(cluster, "promote", node);
    assert!(
        promoted["voters"]
            .as_array()
            .unwrap()
            .contains(&json!(node.to_string())),
        "{promoted}"
    );
    node
}

/// A node is taken out, and its process ends by itself.
fn removed(cluster: &mut Cluster, node: u64) {
    let _ = changed(cluster, "remove", node);
    assert_eq!(cluster.wait_for_exit(node), 0, "{}", cluster.log(node));
    let log = cluster.log(node);
    assert!(
        log.contains(&format!("node {node} was removed from the cluster")),
        "{log}"
    );
}

fn members(cluster: &Cluster) -> Value {
    let endpoints = cluster.endpoints().join(",");
    cluster
        .cli(&[
            "cluster",
            "members",
            "--endpoint",
            &endpoints,
            "--output",
            "json",
        ])
        .exits(0)
        .json()
}

async fn verify_all(cluster: &Cluster, receipts: &[Vec<u8>]) {
    let gate = Gate::connect(&cluster.endpoints()).await.unwrap();
    let keys = KeySet::parse(&gate.export_keys().await.unwrap()).unwrap();
    for receipt in receipts {
        let verified = verify(receipt, &keys);
        assert!(verified.is_ok(), "{verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_and_then_all_nodes_are_replaced_under_load_and_every_receipt_verifies() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let load = Load::start(&cluster);
    load.goes_on(&cluster);
    let founded = rotated(&cluster).await;
    load.goes_on(&cluster);
    let first = [1, 2, 3];
    for _ in first {
        let _ = joined(&mut cluster);
        load.goes_on(&cluster);
        // Of the first three, whoever leads goes last.
        let leader = cluster.wait_for_leader();
        let running = |node: &&u64| {
            let shown = members(&cluster)["members"].clone();
            let id = json!(node.to_string());
            shown
                .as_array()
                .unwrap()
                .iter()
                .any(|member| member["id"] == id)
        };
        let left: Vec<u64> = first.iter().filter(running).copied().collect();
        let goes = left
            .iter()
            .find(|node| **node != leader)
            .unwrap_or(&left[0]);
        removed(&mut cluster, *goes);
        load.goes_on(&cluster);
    }
    let shown = members(&cluster);
    assert_eq!(shown["removed"], json!(["1", "2", "3"]));
    let roles: Vec<&str> = shown["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["role"].as_str().unwrap())
        .collect();
    assert!(
        roles.len() == 3 && roles.iter().all(|role| matches!(*role, "leader" | "voter")),
        "{shown}"
    );
    // One that was taken out explains itself when it is started again.
    cluster.start(1);
    assert_eq!(cluster.wait_for_exit(1), 1);
    assert!(
        cluster
            .log(1)
            .contains("start it with an id that was never used")
    );
    let receipts = load.finish().await;
    assert!(receipts.len() >= 8 * DECISIONS, "{}", receipts.len());
    verify_all(&cluster, &receipts).await;
    follows(&cluster, &founded).await;
}

/// Rotates the keys of every node, and says which were published before.
async fn rotated(cluster: &Cluster) -> KeySet {
    let operator = gate(&cluster.endpoints(), "operator").await;
    let founded = operator.keys();
    for node in operator.list_keys().await.unwrap().nodes {
        let _ = operator.rotate_keys(&node.keys).await.unwrap();
    }
    KeySet::clone(&founded)
}

/// Each head between the keys of the founding and those of today was signed by enough of the old and of
/// the new: else who has the first cannot get to the last.
async fn follows(cluster: &Cluster, founded: &KeySet) {
    let late = Gate::builder()
        .endpoints(cluster.endpoints())
        .keys(founded.clone())
        .connect()
        .await
        .unwrap();
    let operation = Operation::new("demo.echo").param("message", "from the first keys");
    let permit = granted(&late, &operation).await;
    let (keys, signed) = (late.keys(), permit.decision_receipt().unwrap());
    assert!(
        keys.epochs().len() >= founded.epochs().len() + 9,
        "{keys:?}"
    );
    verify(signed.file(), &keys).unwrap();
    assert!(verify(signed.file(), founded).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machine_that_lost_its_disk_comes_back_under_a_new_id_and_wrong_changes_are_refused() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let load = Load::start(&cluster);
    let lost = if cluster.wait_for_leader() == 3 { 2 } else { 3 };
    cluster.kill(lost);
    std::fs::remove_dir_all(cluster.data_dir(lost)).unwrap();
    cluster.start(lost);
    assert_eq!(cluster.wait_for_exit(lost), 1);
    assert!(cluster.log(lost).contains("add a new node id"));

    says(&change(&cluster, "add", 9, &[]), "MEMBER_UNKNOWN");
    says(&change(&cluster, "promote", 9, &[]), "MEMBER_UNKNOWN");
    says(&change(&cluster, "remove", 9, &[]), "MEMBER_UNKNOWN");
    let asked = change(&cluster, "remove", lost, &["--dry-run"]).exits(0);
    assert_eq!(asked.json()["would_change"], true);

    let new = joined(&mut cluster);
    let _ = changed(&cluster, "remove", lost);
    load.goes_on(&cluster);
    says(&change(&cluster, "add", lost, &[]), "MEMBER_USED_BEFORE");
    let again = change(&cluster, "remove", lost, &[]).exits(0);
    assert_eq!(again.json()["replay"], true);
    let again = change(&cluster, "promote", new, &[]).exits(0);
    assert_eq!(again.json()["replay"], true);

    // A learner that is away has not caught up.
    let learner = cluster.newcomer();
    cluster.start(learner);
    let _ = changed(&cluster, "add", learner);
    cluster.kill(learner);
    load.goes_on(&cluster);
    says(&change(&cluster, "promote", learner, &[]), "MEMBER_BEHIND");
    let _ = changed(&cluster, "remove", learner);

    // Two voters are the fewest: one could not take over from two signers.
    removed(&mut cluster, new);
    load.goes_on(&cluster);
    let left = if lost == 3 { 2 } else { 3 };
    says(&change(&cluster, "remove", left, &[]), "TOO_FEW_SIGNERS");
    let receipts = load.finish().await;
    verify_all(&cluster, &receipts).await;
}

/// Asserts that it was refused for this reason.
fn says(run: &Run, reason: &str) {
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(reason), "not {reason}: {}", run.stderr);
    let known: Reason = reason.parse().unwrap();
    assert_eq!(known.as_str(), reason);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_in_the_middle_of_which_the_leader_dies_is_finished_or_given_up() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let load = Load::start(&cluster);
    load.goes_on(&cluster);
    let new = cluster.newcomer();
    cluster.start(new);
    let steps = [("add", new), ("promote", new), ("remove", new)];
    for (word, node) in steps {
        let leader = until_blocking("it can be done", CHANGED_WITHIN, || {
            let leader = cluster.leader().ok_or_else(|| "no node leads".to_owned())?;
            match change(&cluster, word, node, &["--dry-run"]) {
                run if run.code == 0 => Ok(leader),
                run => Err(run.stderr),
            }
        });
        let before = begun(&cluster, leader);
        let run = std::thread::scope(|scope| {
            let asked = scope.spawn(|| change(&cluster, word, node, &[]));
            // The leader says so right before its first entry, and then the membership moves twice.
            until_blocking("the change began", CHANGED_WITHIN, || {
                let is_begun = begun(&cluster, leader) > before || asked.is_finished();
                is_begun.then_some(()).ok_or_else(|| "not yet".to_owned())
            });
            cluster.strike(leader);
            asked.join().unwrap()
        });
        eprintln!(
            "{word} while node {leader} died: {} {}",
            run.code, run.stderr
        );
        cluster.kill(leader);
        cluster.start(leader);
        let done = changed(&cluster, word, node);
        eprintln!("{word}: {done}");
        load.goes_on(&cluster);
        let shown = members(&cluster);
        assert_eq!(shown["changing"], false, "{shown}");
    }
    let receipts = load.finish().await;
    verify_all(&cluster, &receipts).await;
}

/// How many changes a leader has begun.
fn begun(cluster: &Cluster, leader: u64) -> usize {
    cluster
        .log(leader)
        .matches("changing the membership")
        .count()
}
