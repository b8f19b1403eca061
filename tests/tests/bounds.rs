//! 32 workers against a budget and a capacity on three nodes, one of which dies in between.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::checkers::budget::{self, Limit};
use chaos::history::{Charge, End, Exhausted};
use holdpoint_client::{Denied, Gate, Granted, Operation, Outcome, Permit, Receipt};
use holdpoint_receipt::Reason;
use holdpoint_tests::bundle;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{
    COMMITTED, PATIENCE, decided, gate, granted_leaf, leaf, redeemed, revoked, settled,
};
use tokio::task::JoinSet;

const WORKERS: usize = 32;
/// Permits of each kind before the race may end.
const PERMITS_MIN: usize = 100;
const REFUSALS_MIN: usize = 20;
/// Attempts after which the workers turn to a fresh purse, because the old one is used up for a day.
const ATTEMPTS_PER_PURSE: usize = 6;
const BUDGET: Limit = Limit {
    amount_max: 1_000,
    window_ms: Some(24 * 60 * 60 * 1_000),
};
const CAPACITY: Limit = Limit {
    amount_max: 3,
    window_ms: None,
};

#[derive(Default)]
struct History {
    budget: (Vec<Charge>, Vec<Exhausted>),
    capacity: (Vec<Charge>, Vec<Exhausted>),
}

impl History {
    const fn of(&mut self, is_budget: bool) -> &mut (Vec<Charge>, Vec<Exhausted>) {
        if is_budget {
            &mut self.budget
        } else {
            &mut self.capacity
        }
    }
}

type Shared = Arc<Mutex<History>>;

async fn work(gate: Gate, worker: usize, history: Shared, stopped: Arc<AtomicBool>) {
    for attempt in 0_usize.. {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let is_budget = !attempt.is_multiple_of(2);
        let key = format!("worker-{worker}/attempt-{attempt}");
        let operation = if is_budget {
            let purse = attempt / ATTEMPTS_PER_PURSE;
            let amount = u64::try_from((worker * 37 + attempt * 53) % 160).unwrap();
            Operation::new("spend")
                .param("purse", format!("{purse}"))
                .param("amount", amount)
        } else {
            Operation::new("slot.take").param("pool", format!("{}", worker % 4))
        };
        match decided(&gate, &operation.key(key), Duration::ZERO).await {
            Ok(permit) => {
                let charge = use_up(&gate, permit, worker / 2 + attempt / 2).await;
                history.lock().unwrap().of(is_budget).0.push(charge);
            }
            Err(denied) => {
                let refused = exhausted(&denied);
                history.lock().unwrap().of(is_budget).1.push(refused);
            }
        }
    }
}

/// Ends the permit in one of four ways: committed, aborted, revoked, or left to expire.
async fn use_up(gate: &Gate, permit: Permit<Granted>, way: usize) -> Charge {
    let [bound] = permit.bounds() else {
        panic!("a permit with one bound has {:?}", permit.bounds());
    };
    let mut charge = Charge {
        operation: bound.key.clone(),
        permit: permit.id().to_string(),
        amount: bound.amount,
        decided_leaf: granted_leaf(&permit),
        issued_at_ms: permit.issued_at().get(),
        expires_at_ms: permit.expires_at().get(),
        redeemed_leaf: None,
        end: None,
    };
    let end = |receipt: &Receipt, is_committed| {
        Some(End {
            leaf: leaf(receipt),
            is_committed,
        })
    };
    match way % 4 {
        0 => permit.set_aside(),
        1 => {
            let id = permit.id();
            permit.set_aside();
            match revoked(gate, id).await {
                Ok(receipt) => charge.end = end(&receipt, false),
                Err(reason) => assert_eq!(reason, Reason::Expired),
            }
        }
        way => match redeemed(permit).await {
            Ok(redeemed) => {
                charge.redeemed_leaf = Some(leaf(redeemed.receipt()));
                let is_committed = way == 2;
                let outcome = if is_committed {
                    COMMITTED
                } else {
                    Outcome::Aborted
                };
                charge.end = end(&settled(redeemed, outcome).await, is_committed);
            }
            // It took longer than the permit lives.
            Err(reason) => assert_eq!(reason, Reason::Expired),
        },
    }
    charge
}

fn exhausted(denied: &Denied) -> Exhausted {
    assert_eq!(denied.reason(), Reason::BoundExhausted, "{denied}");
    let [refused] = denied.refused_bounds() else {
        panic!("one bound was refused: {denied}");
    };
    let statement = denied.receipt().statement();
    Exhausted {
        operation: refused.bound.key.clone(),
        amount: refused.bound.amount,
        leaf: leaf(denied.receipt()),
        at_ms: statement.issued_at.get(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_never_exceed_their_limit_and_nothing_that_fits_is_refused_while_a_leader_is_killed() {
    let mut cluster = Cluster::deciding(&bundle::life());
    let endpoints = cluster.endpoints();
    let history = Shared::default();
    let stopped = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let mut endpoints = endpoints.clone();
        endpoints.rotate_left(worker % 3);
        let gate = gate(&endpoints, &format!("worker-{worker}")).await;
        workers.spawn(work(
            gate,
            worker,
            Arc::clone(&history),
            Arc::clone(&stopped),
        ));
    }
    until_permits(&history, PERMITS_MIN / 2).await;
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    until_permits(&history, PERMITS_MIN * 3 / 4).await;
    cluster.start(leader);
    until_permits(&history, PERMITS_MIN).await;
    stopped.store(true, Ordering::Relaxed);
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }

    let history = history.lock().unwrap();
    for (limit, (charges, exhausted)) in [(BUDGET, &history.budget), (CAPACITY, &history.capacity)]
    {
        eprintln!("{} permits, {} refusals", charges.len(), exhausted.len());
        let holds = budget::check(charges, exhausted, limit, (PERMITS_MIN, REFUSALS_MIN));
        assert!(holds.holds(), "G1 {holds}");
        // A limit that is a little less must be seen to be broken, or the history shows nothing.
        let less = Limit {
            amount_max: limit.amount_max * 2 / 3,
            ..limit
        };
        let broken = budget::check(charges, &[], less, (0, 0));
        assert!(!broken.holds(), "the race never came near its limit");
    }
}

async fn until_permits(history: &Shared, permits: usize) {
    until("permits were granted", PATIENCE, || async {
        let history = history.lock().unwrap();
        let found = history.budget.0.len().min(history.capacity.0.len());
        if found >= permits {
            Ok(())
        } else {
            Err(format!("{found} of {permits} permits"))
        }
    })
    .await;
}
