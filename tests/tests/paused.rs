//! A leader that stands still for longer than a permit lives, with its clients' connections open.

use std::time::Duration;

use chaos::checkers::{fenced, single_valued};
use chaos::history::Life;
use holdpoint_client::{Granted, Operation, Permit};
use holdpoint_receipt::Reason;
use holdpoint_tests::bundle;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{PATIENCE, decided, gate, granted, granted_leaf, redeemed};

/// Questions that reach the leader while it stands still.
const ASKED_MEANWHILE: usize = 16;

fn brief(key: &str) -> Operation {
    Operation::new("lock.brief")
        .param("key", "the-one")
        .key(key)
}

fn life(permit: &Permit<Granted>) -> Life {
    Life {
        operation: "lock/the-one".to_owned(),
        permit: permit.id().to_string(),
        fence: permit.fence().get(),
        decided_leaf: granted_leaf(permit),
        issued_at_ms: permit.issued_at().get(),
        expires_at_ms: permit.expires_at().get(),
        redeemed_leaves: Vec::new(),
        ended_leaf: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_stood_still_for_longer_than_a_permit_lives_grants_nothing_of_stale_time() {
    let cluster = Cluster::deciding(&bundle::life());
    let leader = cluster.wait_for_leader();
    // Connected to that node before it stands still.
    let at_leader = gate(&[cluster.endpoint(leader)], "early").await;
    let others: Vec<String> = cluster.endpoints();
    let others: Vec<String> = others
        .into_iter()
        .filter(|endpoint| *endpoint != cluster.endpoint(leader))
        .collect();
    let early = granted(&at_leader, &brief("early")).await;
    let mut lives = vec![life(&early)];

    cluster.pause(leader);
    let mut meanwhile = tokio::task::JoinSet::new();
    for place in 0..ASKED_MEANWHILE {
        let gate = at_leader.clone();
        meanwhile.spawn(async move {
            let operation = brief(&format!("meanwhile-{place}"));
            decided(&gate, &operation, Duration::ZERO).await
        });
    }
    // The others elect a leader, and the key comes free by their time.
    let elsewhere = gate(&others, "late").await;
    let late = until("the key came free", PATIENCE, || async {
        let key = format!("late-{:?}", std::time::Instant::now());
        let asked = decided(&elsewhere, &brief(&key), Duration::ZERO).await;
        asked.map_err(|denied| denied.to_string())
    })
    .await;
    assert!(late.issued_at() >= early.expires_at());
    lives.push(life(&late));
    late.set_aside();

    cluster.resume(leader);
    // What it held is over, whoever is asked.
    assert_eq!(redeemed(early).await.unwrap_err(), Reason::Expired);
    while let Some(answered) = meanwhile.join_next().await {
        if let Ok(permit) = answered.unwrap() {
            lives.push(life(&permit));
            permit.set_aside();
        }
    }
    let holds = single_valued::check(&lives, 2);
    assert!(holds.holds(), "G1 {holds}");
    let holds = fenced::check(&lives, 2);
    assert!(holds.holds(), "G6 {holds}");

    // And it goes on as one of three.
    let after = until("the key came free again", PATIENCE, || async {
        let key = format!("after-{:?}", std::time::Instant::now());
        let asked = decided(&at_leader, &brief(&key), Duration::ZERO).await;
        asked.map_err(|denied| denied.to_string())
    })
    .await;
    match redeemed(after).await {
        Ok(permit) => permit.leave_in_doubt(),
        Err(Reason::Expired) => {}
        Err(reason) => panic!("a live permit was not redeemed: {reason}"),
    }
}
