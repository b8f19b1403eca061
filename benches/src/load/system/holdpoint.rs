//! Holdpoint: three nodes as the tests start them, asked through the client crate.

use std::path::Path;
use std::time::Duration;

use holdpoint_client::{
    CallError, CompleteError, Gate, Granted, Operation, Permit, RedeemError, Refusal,
};
use holdpoint_receipt::sha256;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::repository;
use holdpoint_tests::scratch::Scratch;

use super::{Claim, Inside, NoAnswer, System, Worker};
use crate::Fault;

/// The bundle with twenty policies.
const BUNDLE: &str = "benches/policies";
/// Who asks, as the bundle knows it.
const CALLER: &str = "bench";
/// How long a worker waits for the hot key.
const TURN_WITHIN: Duration = Duration::from_mins(2);

/// Three nodes, and the gates that the workers share.
#[derive(Debug)]
pub(crate) struct Holdpoint {
    cluster: Cluster,
    gates: Vec<Gate>,
}

impl Holdpoint {
    /// Starts three nodes in `folder`, puts the bundle in force and connects `connections` gates, each
    /// with a stream of its own.
    pub(crate) async fn start(
        folder: &Path,
        connections: usize,
        deadline: Duration,
    ) -> Result<Self, Fault> {
        let scratch = Scratch::within(folder);
        let started = tokio::task::spawn_blocking(move || {
            Cluster::deciding_in(scratch, &repository::root().join(BUNDLE))
        });
        let cluster = started.await?;
        let mut gates = Vec::new();
        for _ in 0..connections.max(1) {
            let gate = Gate::builder()
                .endpoints(cluster.endpoints())
                .caller(CALLER)
                .deadline(deadline);
            gates.push(gate.connect().await?);
        }
        Ok(Self { cluster, gates })
    }

    /// The newest term and the largest tree that a node reports.
    pub(crate) async fn term(&self) -> u64 {
        let Some(gate) = self.gates.first() else {
            return 0;
        };
        let status = gate.with_deadline(Duration::from_secs(5)).status().await;
        status
            .reports()
            .map(|report| report.term)
            .max()
            .unwrap_or(0)
    }
}

impl System for Holdpoint {
    type Worker = Caller;

    fn processes(&self) -> Vec<u32> {
        self.cluster.processes()
    }

    async fn worker(&self, number: usize) -> Result<Caller, Fault> {
        let place = number.checked_rem(self.gates.len()).unwrap_or_default();
        let gate = self.gates.get(place).ok_or("no gate is connected")?;
        Ok(Caller { gate: gate.clone() })
    }
}

/// A worker that asks the gate.
#[derive(Debug)]
pub(crate) struct Caller {
    gate: Gate,
}

impl Worker for Caller {
    type Attempt = Operation;
    type Permit = Permit<Granted>;

    fn attempt(&self, key: &str, number: u64) -> Operation {
        Operation::new("job.run")
            .param("key", key)
            .param("environment", "staging")
            .param("commit", format!("commit-{number}"))
            .param("adds", 12)
            .param("destroys", 0)
            .bind_sha256("plan", sha256(&number.to_be_bytes()))
    }

    async fn claim(&mut self, attempt: &Operation) -> Result<Claim<Self::Permit>, NoAnswer> {
        match self.gate.authorize(attempt).await {
            Ok(permit) => Ok(Claim::Granted(permit)),
            Err(Refusal::Denied(denied)) if denied.refused_bound().is_some() => Ok(Claim::Held),
            Err(refusal) => Err(said(&refusal)),
        }
    }

    fn set_aside(permit: Self::Permit) {
        permit.set_aside();
    }

    async fn give_back(&mut self, permit: Self::Permit) -> Result<(), NoAnswer> {
        let id = permit.id();
        permit.set_aside();
        match self.gate.revoke(id).await {
            Ok(_) => Ok(()),
            Err(error @ (CallError::Refused(_) | CallError::Silence(_))) => {
                Err(NoAnswer(error.reason().to_string()))
            }
        }
    }

    async fn fulfil(&mut self, permit: Self::Permit) -> Result<(), NoAnswer> {
        let redeemed = permit
            .redeem()
            .await
            .map_err(|error| not_redeemed(&error))?;
        let completed = redeemed.commit().await;
        completed.map(drop).map_err(|error| not_completed(&error))
    }

    async fn hand_over(&mut self, attempt: &Operation, inside: &Inside) -> Result<(), NoAnswer> {
        let granted = self.gate.authorize(attempt).wait(TURN_WITHIN).await;
        let permit = granted.map_err(|refusal| said(&refusal))?;
        let redeemed = permit
            .redeem()
            .await
            .map_err(|error| not_redeemed(&error))?;
        drop(inside.enter());
        let completed = redeemed.commit().await;
        completed.map(drop).map_err(|error| not_completed(&error))
    }
}

/// The reason, and for a SILENCE whether a decision may exist all the same.
fn said(refusal: &Refusal) -> NoAnswer {
    NoAnswer(match refusal {
        Refusal::Denied(denied) => format!("DENY {}", denied.reason()),
        Refusal::Silence(silence) => {
            format!("SILENCE {} {}", silence.reason(), silence.decided())
        }
    })
}

fn not_redeemed(error: &RedeemError) -> NoAnswer {
    NoAnswer(format!("redeem {}", error.reason()))
}

fn not_completed(error: &CompleteError) -> NoAnswer {
    NoAnswer(format!("complete {}", error.reason()))
}
