//! Policies that change under load while a leader dies, as a watch from the first leaf sees it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::checkers::{gapless, in_force};
use chaos::history::{Stated, What};
use holdpoint_client::{
    ActivationMode, ActivationOutcome, BundleFile, CallError, Gate, Operation, PermitState,
    PolicyList, ReceiptOf, Refusal, WatchFilter, Watched,
};
use holdpoint_receipt::statement::{Body, DrainMode, Verdict};
use holdpoint_receipt::{Digest, PolicyVersion, Reason};
use holdpoint_tests::bundle;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{
    COMMITTED, PATIENCE, decided, gate, granted, redeemed, settled, silence,
};
use tokio::task::{JoinHandle, JoinSet};

const WORKERS: usize = 8;
/// Between two attempts of a worker. This paces the load; nothing waits for it to pass.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);
/// Decisions of the load before, during and after a change.
const SOME: usize = 30;
/// Receipts that are read again to compare them with what was watched.
const READ_AGAIN_MAX: u64 = 150;

fn lock(key: &str) -> Operation {
    Operation::new("lock.take").param("key", key).key(key)
}

/// The bundle in which locks have other keys.
fn renamed() -> Vec<BundleFile> {
    bundle::life_with(
        "exclusive: 'lock/{params.key}'",
        "exclusive: 'locks/{params.key}'",
    )
}

/// Workers that take locks and run steps, each under keys of its own.
struct Load {
    stopped: Arc<AtomicBool>,
    decided: Arc<AtomicUsize>,
    draining: Arc<AtomicUsize>,
    workers: JoinSet<()>,
}

impl Load {
    async fn start(endpoints: &[String]) -> Self {
        let mut load = Self {
            stopped: Arc::default(),
            decided: Arc::default(),
            draining: Arc::default(),
            workers: JoinSet::new(),
        };
        for worker in 0..WORKERS {
            let mut endpoints = endpoints.to_vec();
            endpoints.rotate_left(worker % 3);
            let gate = gate(&endpoints, &format!("worker-{worker}")).await;
            let stopped = Arc::clone(&load.stopped);
            let counts = (Arc::clone(&load.decided), Arc::clone(&load.draining));
            load.workers.spawn(async move {
                for attempt in 0_u64.. {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("worker-{worker}/attempt-{attempt}");
                    if worker % 2 == 0 {
                        take(&gate, &lock(&key), &counts).await;
                    } else {
                        let step = Operation::new("step.run").param("what", key.as_str());
                        take(&gate, &step.key(key), &counts).await;
                    }
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
            });
        }
        load
    }

    async fn until_decided(&self, more: usize) {
        let before = self.decided.load(Ordering::Relaxed);
        until("the load was decided", PATIENCE, || async {
            match self.decided.load(Ordering::Relaxed) - before {
                found if found >= more => Ok(()),
                found => Err(format!("{found} of {more}")),
            }
        })
        .await;
    }

    async fn finish(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
        assert!(self.draining.load(Ordering::Relaxed) > 0, "nothing drained");
    }
}

/// One attempt, given up while its surface drains.
async fn take(
    gate: &Gate,
    operation: &Operation,
    (decided, draining): &(Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let permit = match gate.authorize(operation).await {
        Ok(permit) => permit,
        Err(Refusal::Denied(denied)) => panic!("nobody else takes this key: {denied}"),
        Err(Refusal::Silence(silence)) => {
            if silence.reason() == Reason::Draining {
                draining.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
    };
    decided.fetch_add(1, Ordering::Relaxed);
    match redeemed(permit).await {
        Ok(redeemed) => drop(settled(redeemed, COMMITTED).await),
        // A drain that revokes, or the policy after it, came in between.
        Err(reason) => assert!(
            matches!(reason, Reason::Revoked | Reason::StalePolicy),
            "{reason}"
        ),
    }
}

/// Everything that a watch from the first leaf sees, as long as it is asked to go on.
fn watch_all(gate: Gate) -> (JoinHandle<()>, Arc<Mutex<Vec<Stated>>>) {
    let seen: Arc<Mutex<Vec<Stated>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let watching = tokio::spawn(async move {
        let mut watch = gate.watch(Some(0), WatchFilter::default());
        loop {
            match watch.next().await {
                Ok(watched) => noted.lock().unwrap().push(stated(&watched)),
                // It resumes where it was.
                Err(ended) => assert!(matches!(ended.cause, CallError::Silence(_)), "{ended}"),
            }
        }
    });
    (watching, seen)
}

fn stated(watched: &Watched) -> Stated {
    assert!(watched.receipt.is_some(), "every statement has its proof");
    let what = match &watched.statement.body {
        Body::Policy(policy) => What::Activated {
            version: policy.policy_version.get(),
            digest: *policy.policy_digest.as_bytes(),
        },
        Body::Decision(decision) => What::Decided {
            version: decision.policy_version.get(),
            digest: *decision.policy_digest.as_bytes(),
            surface: decision.surface.to_string(),
            is_permit: matches!(decision.verdict, Verdict::Permit(_)),
        },
        Body::Drain(drain) if drain.mode == DrainMode::Cancelled => What::DrainCancelled,
        Body::Drain(_) => What::DrainBegan,
        _ => What::Other,
    };
    Stated {
        leaf: watched.statement.place.leaf_index(),
        hash: *watched.hash.as_bytes(),
        what,
    }
}

async fn policies(gate: &Gate) -> PolicyList {
    until("the policies were read", PATIENCE, || async {
        let list = gate.policies().await;
        list.map_err(|error| error.to_string())
    })
    .await
}

async fn until_in_force(gate: &Gate, digest: Digest, version: u64) {
    until("the bundle is in force", PATIENCE, || async {
        let list = policies(gate).await;
        match list.activations.last() {
            Some(newest) if newest.digest == digest && newest.version.get() == version => Ok(()),
            newest => Err(format!("{newest:?}, draining {:?}", list.draining)),
        }
    })
    .await;
}

async fn drain(gate: &Gate, digest: Digest, expected: u64, mode: ActivationMode) {
    let expected = PolicyVersion::new(expected).unwrap();
    match gate.activate_policy_with(digest, expected, mode).await {
        Ok(ActivationOutcome::Draining { surfaces, .. }) => {
            assert!(surfaces.iter().any(|it| it.as_str() == "lock.take"));
        }
        // Where none is redeemed just now, revoking is all that there is to do.
        Ok(ActivationOutcome::InForce(_)) if mode == ActivationMode::Revoke => {}
        other => panic!("live permits stand in the way: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_change_under_load_and_a_watch_sees_every_leaf_over_the_loss_of_a_leader() {
    let mut cluster = Cluster::deciding(&bundle::life());
    let endpoints = cluster.endpoints();
    let operator = gate(&endpoints, "operator").await;
    let (watching, seen) = watch_all(gate(&endpoints, "watcher").await);
    let load = Load::start(&endpoints).await;
    load.until_decided(SOME).await;
    let first = policies(&operator).await.activations[0].digest;

    // A permit that stays for the time being: the change is refused, then drains.
    let held = granted(&operator, &lock("held")).await;
    let held = redeemed(held).await.unwrap();
    let second = operator.put_policy(&renamed()).await.unwrap().digest;
    let one = PolicyVersion::new(1).unwrap();
    let refused = operator.activate_policy(second, one).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::BoundsInUse, "{refused}");
    drain(&operator, second, 1, ActivationMode::Drain).await;
    let drained = silence(&operator, &lock("meanwhile")).await;
    assert_eq!(drained.reason(), Reason::Draining, "{drained}");

    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    // Other surfaces go on, also without that node, and the drain is not forgotten.
    load.until_decided(SOME).await;
    assert_eq!(policies(&operator).await.activations.len(), 1);
    cluster.start(leader);
    settled(held, COMMITTED).await;
    until_in_force(&operator, second, 2).await;
    load.until_decided(SOME).await;

    // Back again, and what nobody has redeemed is taken back.
    let unredeemed = granted(&operator, &lock("unredeemed")).await;
    let id = unredeemed.id();
    unredeemed.set_aside();
    drain(&operator, first, 2, ActivationMode::Revoke).await;
    until_in_force(&operator, first, 3).await;
    let info = operator.permit(id).await.unwrap().info;
    assert_eq!(info.state, PermitState::Revoked);
    load.until_decided(SOME).await;
    let same = decided(&operator, &lock("meanwhile"), Duration::ZERO).await;
    assert_eq!(same.unwrap().policy_version().get(), 3);
    load.finish().await;

    let read = until_all_watched(&operator, &seen).await;
    watching.abort();
    let seen = seen.lock().unwrap();
    eprintln!("{} leaves, {} read again", seen.len(), read.len());
    let holds = gapless::check(&seen, 0, &read, 4 * SOME);
    assert!(holds.holds(), "{holds}");
    let holds = in_force::check(&seen, &["lock.take", "lock.brief", "lock.offline"], 3);
    assert!(holds.holds(), "{holds}");
}

/// Waits until the watch has seen the log to its present end; gives what stands at some of its leaves.
async fn until_all_watched(gate: &Gate, seen: &Mutex<Vec<Stated>>) -> Vec<(u64, [u8; 32])> {
    let size = gate.status().await.leader().unwrap().tree_size;
    until("the watch saw the whole log", PATIENCE, || async {
        match seen.lock().unwrap().last() {
            Some(last) if last.leaf + 1 >= size => Ok(()),
            last => Err(format!("{last:?} of {size}")),
        }
    })
    .await;
    let every = size / READ_AGAIN_MAX + 1;
    let mut read = Vec::new();
    for leaf in (0..size).filter(|leaf| leaf % every == 0 || leaf + 1 == size) {
        let receipt = gate.receipt(ReceiptOf::Leaf(leaf)).await.unwrap();
        read.push((leaf, *receipt.hash().as_bytes()));
    }
    read
}
