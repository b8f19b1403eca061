//! Workers that wait for their turn on three nodes, while leaders are killed or stand still and a worker
//! vanishes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::checkers::{fenced, in_turn, single_valued};
use chaos::history::{Life, Turn};
use holdpoint_client::{Gate, Granted, Operation, Permit};
use holdpoint_tests::bundle;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{
    COMMITTED, PATIENCE, decided, gate, granted, granted_leaf, leaf, redeemed, settled,
    until_waiting,
};
use tokio::task::JoinSet;

const WORKERS: u32 = 64;
/// Which of them vanishes while it waits.
const VANISHING: u32 = 9;
/// Turns after which the leader is lost, and how.
const LOSSES: [(usize, Loss); 3] = [
    (12, Loss::Killed),
    (28, Loss::StandsStill),
    (44, Loss::Killed),
];
/// Turns that follow without it.
const TURNS_WITHOUT: usize = 8;
/// How long a worker waits at most.
const WAIT: Duration = Duration::from_mins(4);
/// Workers that want two bounds each, which overlap in a ring.
const IN_A_RING: usize = 16;

/// What becomes of a leader.
#[derive(Clone, Copy)]
enum Loss {
    Killed,
    /// Its clients' connections stay open.
    StandsStill,
}

#[derive(Default)]
struct History {
    lives: Vec<Life>,
    turns: Vec<Turn>,
}

type Shared = Arc<Mutex<History>>;

fn lock(worker: u32) -> Operation {
    Operation::new("lock.take")
        .param("key", "the-one")
        .key(format!("worker-{worker}"))
}

/// Takes what was granted to its end, and notes it.
async fn turn(permit: Permit<Granted>, waiter: String, ticket: u64, history: &Shared) {
    let decided_leaf = granted_leaf(&permit);
    let operations: Vec<String> = permit.bounds().iter().map(|it| it.key.clone()).collect();
    let mut life = Life {
        operation: String::new(),
        permit: permit.id().to_string(),
        fence: permit.fence().get(),
        decided_leaf,
        issued_at_ms: permit.issued_at().get(),
        expires_at_ms: permit.expires_at().get(),
        redeemed_leaves: Vec::new(),
        ended_leaf: None,
    };
    let redeemed = redeemed(permit).await.unwrap();
    life.redeemed_leaves.push(leaf(redeemed.receipt()));
    life.ended_leaf = Some(leaf(&settled(redeemed, COMMITTED).await));
    let mut history = history.lock().unwrap();
    for operation in operations {
        history.lives.push(Life {
            operation: operation.clone(),
            ..life.clone()
        });
        history.turns.push(Turn {
            operation,
            waiter: waiter.clone(),
            ticket,
            decided_leaf,
        });
    }
}

async fn wait_for_turn(gate: Gate, worker: u32, history: Shared) {
    match decided(&gate, &lock(worker), WAIT).await {
        Ok(permit) => {
            turn(permit, format!("worker-{worker}"), worker.into(), &history).await;
        }
        Err(denied) => panic!("worker {worker} waited in vain: {denied}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_have_their_turn_in_order_while_leaders_are_lost_and_one_vanishes() {
    let mut cluster = Cluster::deciding(&bundle::life());
    let endpoints = cluster.endpoints();
    let asking = gate(&endpoints, "holder").await;
    let history = Shared::default();
    let held = granted(&asking, &lock(WORKERS)).await;
    let held = redeemed(held).await.unwrap();

    // One after the other, so that the order of their tickets is known.
    let mut workers = JoinSet::new();
    let mut vanishing = None;
    for worker in 0..WORKERS {
        if worker == VANISHING {
            let key = format!("worker-{worker}");
            vanishing = Some(cluster.waiter(&[
                "--surface",
                "lock.take",
                "--param",
                "key=the-one",
                "--key",
                &key,
            ]));
        } else {
            let mut endpoints = endpoints.clone();
            endpoints.rotate_left(usize::try_from(worker).unwrap() % 3);
            let gate = gate(&endpoints, &format!("caller-{worker}")).await;
            workers.spawn(wait_for_turn(gate, worker, Arc::clone(&history)));
        }
        until_waiting(&asking, "lock.take", "lock", "lock/the-one", worker + 1).await;
    }
    // SIGKILL: nobody says good-bye.
    drop(vanishing);
    settled(held, COMMITTED).await;

    for (turns, loss) in LOSSES {
        until_turns(&history, turns).await;
        let leader = cluster.wait_for_leader();
        match loss {
            Loss::Killed => cluster.kill(leader),
            Loss::StandsStill => cluster.pause(leader),
        }
        until_turns(&history, turns + TURNS_WITHOUT).await;
        match loss {
            Loss::Killed => cluster.start(leader),
            Loss::StandsStill => cluster.resume(leader),
        }
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    until_waiting(&asking, "lock.take", "lock", "lock/the-one", 0).await;

    let turns_min = usize::try_from(WORKERS).unwrap() - 1;
    {
        let history = history.lock().unwrap();
        let holds = single_valued::check(&history.lives, turns_min);
        assert!(holds.holds(), "G1 {holds}");
        let holds = fenced::check(&history.lives, turns_min);
        assert!(holds.holds(), "G6 {holds}");
        let holds = in_turn::check(&history.turns, turns_min);
        assert!(holds.holds(), "{holds}");
    }
    nobody_blocks_anybody_in_a_ring(&endpoints).await;
}

async fn until_turns(history: &Shared, turns: usize) {
    until("workers had their turns", PATIENCE, || async {
        match history.lock().unwrap().turns.len() {
            found if found >= turns => Ok(()),
            found => Err(format!("{found} of {turns} turns")),
        }
    })
    .await;
}

/// Each wants one of two left and one of two right bounds: {A,B} against {B,A} in every combination.
async fn nobody_blocks_anybody_in_a_ring(endpoints: &[String]) {
    let history = Shared::default();
    let mut workers = JoinSet::new();
    for worker in 0..IN_A_RING {
        let gate = gate(endpoints, &format!("ring-{worker}")).await;
        let history = Arc::clone(&history);
        let operation = Operation::new("pair.take")
            .param("left", format!("{}", worker % 2))
            .param("right", format!("{}", worker / 2 % 2))
            .key(format!("ring-{worker}"));
        workers.spawn(async move {
            match decided(&gate, &operation, WAIT).await {
                Ok(permit) => turn(permit, String::new(), 0, &history).await,
                Err(denied) => panic!("worker {worker} of the ring waited in vain: {denied}"),
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    let holds = single_valued::check(&history.lock().unwrap().lives, 2 * IN_A_RING);
    assert!(holds.holds(), "G1 {holds}");
}
