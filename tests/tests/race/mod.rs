//! Workers that take turns on one exclusive key, and what they were answered.

mod recording;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::history::{Answer, Life, Op};
use holdpoint_client::{
    CompleteError, Gate, Granted, Operation, Permit, RedeemError, Redeemed, Refusal,
};
use holdpoint_receipt::{Digest, sha256};
use tokio::task::JoinHandle;

use recording::Asked;
pub(crate) use recording::Recording;

/// The key that all want.
const WORKSPACE: &str = "the-one";
/// Between two attempts of a worker, so that 64 of them leave the nodes some time to elect. This
/// paces the load; nothing waits for it to pass.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// Deadlines that one attempt may miss in a row before the test fails.
const SILENCES_MAX: usize = 12;

/// What the workers were answered.
#[derive(Default)]
pub(crate) struct History {
    /// Every permit that was granted.
    pub(crate) lives: Vec<Life>,
    /// Every answer with a statement.
    pub(crate) answers: Vec<Answer>,
    /// Every receipt file.
    pub(crate) receipts: Vec<Vec<u8>>,
    /// Attempts that were answered before a kill and asked again after it.
    pub(crate) retries_across_kills: usize,
    /// The operations behind `answers`, newest last.
    asked: Vec<Operation>,
}

/// A race that runs.
pub(crate) struct Race {
    history: Arc<Mutex<History>>,
    /// The same, operation by operation.
    pub(crate) recording: Arc<Recording>,
    stopped: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Race {
    /// Starts `count` workers, each beginning with another node.
    pub(crate) async fn start(endpoints: &[String], count: usize) -> Self {
        let history = Arc::new(Mutex::new(History::default()));
        let recording = Arc::new(Recording::new());
        let stopped = Arc::new(AtomicBool::new(false));
        let mut workers = Vec::new();
        for worker in 0..count {
            let mut endpoints = endpoints.to_vec();
            let first = worker % endpoints.len();
            endpoints.rotate_left(first);
            let gate = Gate::connect(&endpoints).await.unwrap();
            let told = (Arc::clone(&history), Arc::clone(&recording));
            workers.push(tokio::spawn(work(gate, worker, told, Arc::clone(&stopped))));
        }
        Self {
            history,
            recording,
            stopped,
            workers,
        }
    }

    /// Permits granted so far.
    pub(crate) fn permits(&self) -> usize {
        self.history.lock().unwrap().lives.len()
    }

    /// The newest `count` attempts that have an answer.
    pub(crate) fn answered(&self, count: usize) -> Vec<Operation> {
        let history = self.history.lock().unwrap();
        history.asked.iter().rev().take(count).cloned().collect()
    }

    /// Asks again for attempts that were answered before a kill, through clients that have never
    /// asked before, so through other nodes as well.
    pub(crate) async fn ask_again(&self, endpoints: &[String], operations: Vec<Operation>) {
        for (place, operation) in operations.into_iter().enumerate() {
            let mut endpoints = endpoints.to_vec();
            let first = place % endpoints.len();
            endpoints.rotate_left(first);
            let gate = Gate::connect(&endpoints)
                .await
                .unwrap()
                .with_deadline(Duration::from_secs(20));
            let attempt = name_of(&operation);
            let asked = self.recording.asks(&key(), &attempt, plan_of(&attempt));
            let answer = gate.authorize(&operation).await;
            self.recording.decided(&asked, &answer);
            let (statement, receipt) = match answer {
                Ok(permit) => {
                    let receipt = permit
                        .decision_receipt()
                        .expect("a replay has a receipt")
                        .clone();
                    permit.set_aside();
                    (receipt.statement().to_canonical().into_bytes(), receipt)
                }
                Err(Refusal::Denied(denied)) => (
                    denied.receipt().statement().to_canonical().into_bytes(),
                    denied.receipt().clone(),
                ),
                Err(Refusal::Silence(silence)) => panic!("a retry found no decision: {silence}"),
            };
            let mut history = self.history.lock().unwrap();
            history.receipts.push(receipt.file().to_vec());
            history.answers.push(Answer {
                attempt: name_of(&operation),
                statement,
            });
            history.retries_across_kills += 1;
        }
    }

    /// Lets every worker end its turn, and returns what all were answered.
    pub(crate) async fn finish(self) -> History {
        self.stopped.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("no worker failed");
        }
        std::mem::take(&mut self.history.lock().unwrap())
    }
}

async fn work(
    gate: Gate,
    worker: usize,
    (history, recording): (Arc<Mutex<History>>, Arc<Recording>),
    stopped: Arc<AtomicBool>,
) {
    for attempt in 0_u64.. {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let attempt = format!("worker-{worker}/attempt-{attempt}");
        let operation = Operation::new("infra.apply")
            .param("workspace", WORKSPACE)
            .bind_sha256("plan", plan_of(&attempt))
            .key(attempt);
        let (asked, permit) = decided(&gate, &operation, &history, &recording).await;
        if let Some(permit) = permit {
            turn(permit, &history, &recording, &asked).await;
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}

/// Asks until there is a decision. The same operation is the same attempt.
async fn decided(
    gate: &Gate,
    operation: &Operation,
    history: &Mutex<History>,
    recording: &Recording,
) -> (Asked, Option<Permit<Granted>>) {
    let attempt = name_of(operation);
    for _ in 0..SILENCES_MAX {
        let asked = recording.asks(&key(), &attempt, plan_of(&attempt));
        let answer = gate.authorize(operation).await;
        recording.decided(&asked, &answer);
        let (receipt, permit) = match answer {
            Ok(permit) => {
                let receipt = permit
                    .decision_receipt()
                    .expect("a grant has a receipt")
                    .clone();
                (receipt, Some(permit))
            }
            Err(Refusal::Denied(denied)) => (denied.receipt().clone(), None),
            Err(Refusal::Silence(_)) => continue,
        };
        let mut history = history.lock().unwrap();
        history.receipts.push(receipt.file().to_vec());
        history.answers.push(Answer {
            attempt: name_of(operation),
            statement: receipt.statement().to_canonical().into_bytes(),
        });
        history.asked.push(operation.clone());
        if let Some(permit) = &permit {
            history.lives.push(Life {
                operation: WORKSPACE.to_owned(),
                permit: permit.id().to_string(),
                fence: permit.fence().get(),
                decided_leaf: receipt.statement().place.leaf_index(),
                issued_at_ms: permit.issued_at().get(),
                expires_at_ms: permit.expires_at().get(),
                redeemed_leaves: Vec::new(),
                ended_leaf: None,
            });
        }
        return (asked, permit);
    }
    panic!(
        "`{}` has no decision after {SILENCES_MAX} deadlines",
        name_of(operation)
    );
}

/// Redeems, acts and completes. What has no answer is asked again: the permit is held until then.
async fn turn(
    permit: Permit<Granted>,
    history: &Mutex<History>,
    recording: &Recording,
    granted: &Asked,
) {
    let id = permit.id().to_string();
    let mut asked = recording.goes_on(granted, Op::Redeem, &id);
    let mut redeeming = permit.redeem().await;
    let redeemed: Permit<Redeemed> = loop {
        recording.redeemed(&asked, &redeeming);
        match redeeming {
            Ok(redeemed) => break redeemed,
            Err(RedeemError::Silence(open)) => {
                asked = recording.goes_on(granted, Op::Redeem, &id);
                redeeming = open.retry().await;
            }
            Err(error) => panic!("a live permit was not redeemed: {error}"),
        }
    };
    note(history, &id, redeemed.receipt(), |life, leaf| {
        life.redeemed_leaves.push(leaf);
    });
    let mut asked = recording.goes_on(granted, Op::Complete, &id);
    let mut completing = redeemed.commit().await;
    let receipt = loop {
        recording.completed(&asked, &completing);
        match completing {
            Ok(receipt) => break receipt,
            Err(CompleteError::Silence(open)) => {
                asked = recording.goes_on(granted, Op::Complete, &id);
                completing = open.retry().await;
            }
            Err(error) => panic!("a redeemed permit was not completed: {error}"),
        }
    };
    note(history, &id, &receipt, |life, leaf| {
        life.ended_leaf = Some(leaf);
    });
}

fn note(
    history: &Mutex<History>,
    id: &str,
    receipt: &holdpoint_client::Receipt,
    change: impl FnOnce(&mut Life, u64),
) {
    let mut history = history.lock().unwrap();
    history.receipts.push(receipt.file().to_vec());
    let leaf = receipt.statement().place.leaf_index();
    let life = history
        .lives
        .iter_mut()
        .find(|life| life.permit == id)
        .expect("it was granted");
    change(life, leaf);
}

fn name_of(operation: &Operation) -> String {
    operation
        .attempt_key()
        .expect("every operation of the race has a key")
        .to_owned()
}

/// The plan of an attempt, which no other has.
fn plan_of(attempt: &str) -> Digest {
    sha256(format!("plan of {attempt}").as_bytes())
}

/// The bounded operation, as a history names it.
fn key() -> String {
    format!("workspace/{WORKSPACE}")
}
