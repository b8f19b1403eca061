//! The audit of verdicts over real processes: every decision is evaluated a second time by somebody else,
//! and honest nodes find nothing.
//!
//! A leader that lies is in the server's own tests: no process that ships can be told to.

use std::time::Duration;

use holdpoint_client::{AuditReport, Gate, Operation};
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::repository;
use holdpoint_tests::worker::{decided, gate};

const PATIENCE: Duration = Duration::from_mins(1);
/// Decisions before the leader is killed, and after.
const DECISIONS: u64 = 40;

/// Decisions of every kind: granted, forbidden, and refused by a bound.
async fn decide(gate: &Gate, from: u64) {
    for number in from..from + DECISIONS {
        let operation = match number % 4 {
            0 => Operation::new("demo.echo").param("message", "forbidden"),
            1 => Operation::new("infra.apply")
                .param("workspace", "staging")
                .param("plan_sha256", format!("{number:064x}")),
            _ => Operation::new("demo.echo").param("message", "hello"),
        };
        let operation = operation.key(format!("attempt-{number}"));
        // A denial is a decision too.
        let _ = decided(gate, &operation, Duration::ZERO).await;
    }
}

/// What the nodes that run say of their audits, by node.
async fn audits(gate: &Gate) -> Vec<(u64, AuditReport)> {
    let status = gate.status().await;
    let reports = status.reports();
    reports
        .map(|report| (report.node_id.get(), report.audit.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_is_checked_by_another_node_although_the_leader_is_killed() {
    let mut cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let worker = gate(&cluster.endpoints(), "worker").await;
    decide(&worker, 0).await;
    let killed = cluster.wait_for_leader();
    cluster.kill(killed);
    decide(&worker, DECISIONS).await;
    let checked = until("what was decided was checked", PATIENCE, || async {
        let audits = audits(&worker).await;
        let checked: u64 = audits.iter().map(|(_, audit)| audit.checked_count).sum();
        let is_done = audits.iter().all(|(_, audit)| audit.lag == 0) && audits.len() == 2;
        // Whoever decides counts nothing, so each decision is checked by one survivor at least.
        if is_done && checked >= 2 * DECISIONS {
            Ok(audits)
        } else {
            Err(format!("{audits:?}"))
        }
    })
    .await;
    for (node, audit) in checked {
        assert_eq!(audit.state, "on", "node {node}");
        assert_eq!(audit.skipped_count, 0, "node {node}");
        assert_eq!(audit.disagreement_count, 0, "node {node}");
    }
    let found = worker.status().await;
    assert!(found.reports().all(|report| report.dispute_count == 0));

    // The one that was away looks at what was decided meanwhile.
    cluster.start(killed);
    until("the node that was away caught up", PATIENCE, || async {
        let audits = audits(&worker).await;
        let own = audits.iter().find(|(node, _)| *node == killed);
        match own {
            Some((_, audit)) if audit.lag == 0 && audit.checked_count >= DECISIONS => Ok(()),
            own => Err(format!("{own:?}")),
        }
    })
    .await;
}
