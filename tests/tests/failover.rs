//! One exclusive key, 64 workers, three nodes, and a leader that is killed again and again.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

mod race;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos::checkers::{self, convergent, fenced, single_valued};
use chaos::history::History;
use chaos::report::{Overall, overall, table};
use holdpoint_client::{Gate, Operation, Refusal};
use holdpoint_receipt::{KeySet, verify};
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::repository;
use holdpoint_tests::worker::gate;
use race::Race;

/// What runs this test again.
const REPRODUCE: &str = "cargo test -p holdpoint-tests --test failover";
const KILLS: usize = 5;
const WORKERS: usize = 64;
const PERMITS_MIN: usize = 100;
const RETRIES_MIN: usize = 20;
/// So many more after the last node came back that the race went on without it.
const PERMITS_AFTER: usize = 10;
/// SPEC G10: decisions go on within this time of a kill, as a rule. An election whose votes were split,
/// or one on a machine that does much else, takes longer.
const DECIDES_AGAIN_WITHIN: Duration = Duration::from_secs(5);
/// No kill may cost more than this.
const DECIDES_AGAIN_AT_LAST: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_racing_for_one_key_while_leaders_are_killed_never_hold_two_permits() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let endpoints = cluster.endpoints();
    let race = Race::start(&endpoints, WORKERS).await;

    let (mut waits, mut marks) = (Vec::new(), Vec::new());
    for kill in 1..=KILLS {
        // The race goes on while the leader dies: the kill hits requests in flight.
        let permits = PERMITS_MIN * kill / (KILLS + 1) + 1;
        until(
            "the race had winners before the kill",
            Duration::from_mins(2),
            || async {
                let found = race.permits();
                if found >= permits {
                    Ok(())
                } else {
                    Err(format!("{found} of {permits} permits"))
                }
            },
        )
        .await;
        let answered = race.answered(RETRIES_MIN);
        let leader = cluster.wait_for_leader();
        cluster.kill(leader);
        let killed = Instant::now();
        marks.push(race.recording.killed(leader));
        let waited = decides_again(&endpoints, kill, killed).await;
        eprintln!("kill {kill}: node {leader} led; decided again after {waited:?}");
        waits.push(waited);
        race.ask_again(&endpoints, answered).await;
        cluster.start(leader);
        marks.push(race.recording.healed());
    }

    // Some of those that follow were asked for after the last node came back.
    let wanted = race.permits().max(PERMITS_MIN) + PERMITS_AFTER;
    until(
        "the race had all its winners",
        Duration::from_mins(2),
        || async {
            let found = race.permits();
            if found >= wanted {
                Ok(())
            } else {
                Err(format!("{found} of {wanted} permits"))
            }
        },
    )
    .await;
    let recording = Arc::clone(&race.recording);
    let history = race.finish().await;
    explained(&recording.history(REPRODUCE, marks));
    waits.sort_unstable();
    let median = waits.get(KILLS / 2).copied().unwrap();
    assert!(median <= DECIDES_AGAIN_WITHIN, "{waits:?} after the kills");

    let holds = single_valued::check(&history.lives, PERMITS_MIN);
    assert!(holds.holds(), "G1 {holds}");
    let holds = fenced::check(&history.lives, PERMITS_MIN);
    assert!(holds.holds(), "G6 {holds}");
    let holds = convergent::check(&history.answers, RETRIES_MIN);
    assert!(holds.holds(), "G3 {holds}");
    let across = history.retries_across_kills;
    assert!(
        across >= RETRIES_MIN,
        "{across} attempts were repeated across a kill"
    );
    every_receipt_verifies(&endpoints, &history.receipts).await;
}

/// Asks for a fresh key until there is a decision, and asserts that it came in time.
async fn decides_again(endpoints: &[String], kill: usize, killed: Instant) -> Duration {
    // An election on a loaded machine may take longer than one call waits.
    let gate = gate(endpoints, "probe").await;
    let gate = gate.with_deadline(Duration::from_secs(20));
    let operation = Operation::new("infra.apply")
        .param("workspace", format!("probe-{kill}"))
        .param("plan_sha256", "00".repeat(32));
    match gate.authorize(&operation).await {
        Ok(permit) => {
            permit.set_aside();
        }
        Err(Refusal::Denied(_)) => {}
        Err(Refusal::Silence(silence)) => panic!("no decision after the kill: {silence}"),
    }
    let waited = killed.elapsed();
    assert!(
        waited <= DECIDES_AGAIN_AT_LAST,
        "the first decision came {waited:?} after the kill"
    );
    waited
}

/// Asks every checker about what the workers saw, operation by operation.
fn explained(history: &History) {
    let findings = checkers::check_all(history);
    let operations = history.events.len();
    eprintln!("{operations} operations\n{}", table(&findings));
    if overall(&findings) != Overall::Holds {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failover.jsonl");
        history.write(File::create(&file).unwrap()).unwrap();
        panic!("the history is kept: `chaos check {}`", file.display());
    }
}

async fn every_receipt_verifies(endpoints: &[String], receipts: &[Vec<u8>]) {
    let gate = Gate::connect(endpoints).await.unwrap();
    let keys = KeySet::parse(&gate.export_keys().await.unwrap()).unwrap();
    assert!(
        receipts.len() >= PERMITS_MIN * 3,
        "{} receipts",
        receipts.len()
    );
    for receipt in receipts {
        verify(receipt, &keys).expect("every receipt verifies with the published keys");
    }
}
