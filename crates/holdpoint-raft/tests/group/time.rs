//! Cluster time follows the voters' clocks, and no single one.

use crate::support::commands::{announce, cluster_time};
use crate::support::{Cluster, until};

/// A day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn jump_of_the_leaders_wall_clock_moves_no_time_and_is_noticed() {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    let before = cluster_time(group);
    assert!(*group.clock_is_sound().borrow());
    cluster.clocks[&leader].set_offset_ms(DAY_MS);
    let mut sound = group.clock_is_sound();
    sound.wait_for(|is_sound| !is_sound).await.unwrap();
    cluster.propose(&announce(2)).await;
    let after = cluster_time(group);
    assert!(
        after.saturating_since(before) < 60_000,
        "{before} to {after}"
    );
    assert!(!group.status().clock_is_sound);
    cluster.clocks[&leader].set_offset_ms(0);
    sound.wait_for(|is_sound| *is_sound).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_a_majority_agrees_on_is_stepped_to() {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let leader = cluster.leader().await;
    let before = cluster_time(cluster.group(leader));
    for clock in cluster.clocks.values() {
        clock.set_offset_ms(DAY_MS);
    }
    let mut node = 2;
    let start = std::time::Instant::now();
    // The next reading of the clocks shows it.
    loop {
        cluster.propose(&announce(node)).await;
        node += 1;
        let step = cluster_time(cluster.group(leader)).saturating_since(before);
        if step >= DAY_MS.unsigned_abs() {
            break;
        }
        assert!(
            start.elapsed() < crate::support::PATIENCE,
            "time was not stepped"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    until("every node has it", || {
        let all = cluster.groups.values();
        let mut steps = all.map(|group| cluster_time(group).saturating_since(before));
        steps
            .all(|step| step >= DAY_MS.unsigned_abs())
            .then_some(())
    })
    .await;
}
