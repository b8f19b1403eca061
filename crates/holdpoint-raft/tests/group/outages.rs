//! Time after a start, after an outage, and after a leader was away.

use std::time::Duration;

use holdpoint_core::record::PermitState;
use holdpoint_core::{Outcome, outcome::AuthorizeOutcome};
use holdpoint_receipt::{ClusterTime, Reason};

use crate::support::commands::{
    activate_policy, announce, authorize, permit_of, permit_state, put_policy,
};
use crate::support::{Cluster, WAIT};

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

fn time(ms: u64) -> ClusterTime {
    ClusterTime::new(ms).unwrap()
}

/// Founds a cluster whose wall clocks are off by so much, and returns it with its first time.
async fn founded(offsets_ms: &[i64]) -> (Cluster, u64) {
    let nodes: Vec<u64> = (1..).zip(offsets_ms).map(|(node, _)| node).collect();
    let mut cluster = Cluster::new(&nodes);
    for (node, offset_ms) in nodes.iter().zip(offsets_ms) {
        cluster.clock(*node).set_offset_ms(*offset_ms);
    }
    for node in nodes {
        cluster.start(node).await;
    }
    let now = cluster.tick().await;
    (cluster, now)
}

async fn stop_all(cluster: &mut Cluster) {
    for node in cluster.founders.clone() {
        cluster.stop(node).await;
    }
}

async fn start_all(cluster: &mut Cluster) {
    for node in cluster.founders.clone() {
        cluster.start(node).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_clock_a_year_off_does_not_found_a_cluster_in_that_year() {
    for wrong in [YEAR_MS, -YEAR_MS] {
        let (cluster, now) = founded(&[wrong, 0, 0]).await;
        assert_eq!(now, cluster.world.now_ms());
        // Whoever leads, its first entry has the time of a majority.
        cluster.world.advance_ms(HOUR_MS);
        assert_eq!(cluster.tick().await, cluster.world.now_ms());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lone_voter_is_founded_in_the_time_of_its_clock() {
    let (cluster, now) = founded(&[0]).await;
    assert_eq!(now, cluster.world.now_ms());
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_of_eight_hours_ends_what_ended_meanwhile_and_stops_no_grant() {
    for founders in [&[0, 0, 0][..], &[0]] {
        let (mut cluster, now) = founded(founders).await;
        cluster.propose(&put_policy()).await;
        cluster.propose(&activate_policy()).await;
        let attempt = authorize("before", time(now), time(now + 60_000), 1);
        let before = permit_of(cluster.propose(&attempt).await);
        stop_all(&mut cluster).await;
        cluster.world.advance_ms(8 * HOUR_MS);
        start_all(&mut cluster).await;
        let now = cluster.tick().await;
        assert_eq!(now, cluster.world.now_ms());
        let attempt = authorize("after", time(now), time(now + 60_000), 2);
        let after = permit_of(cluster.propose(&attempt).await);
        let group = cluster.group(cluster.leader().await);
        assert_eq!(permit_state(group, before), Some(PermitState::Expired));
        assert_eq!(permit_state(group, after), Some(PermitState::Issued));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_of_every_node_ends_with_the_clocks_before_the_next_entry() {
    let (cluster, _) = founded(&[0, 0, 0]).await;
    for hours in [1, 8] {
        cluster.world.advance_ms(hours * HOUR_MS);
        // Nobody has read a clock since then, and no entry is made without.
        cluster.propose(&announce(1)).await;
        let groups = cluster.groups.values();
        let times = groups.map(|group| crate::support::commands::cluster_time(group).get());
        assert_eq!(times.max(), Some(cluster.world.now_ms()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_away_for_longer_than_any_permit_grants_nothing_on_its_old_time() {
    let (cluster, now) = founded(&[0, 0, 0]).await;
    cluster.propose(&put_policy()).await;
    cluster.propose(&activate_policy()).await;
    let old = cluster.leader().await;
    let attempt = authorize("held", time(now), time(now + 60_000), 1);
    let held = permit_of(cluster.propose(&attempt).await);
    cluster.isolate(old);
    cluster.world.advance_ms(25 * HOUR_MS);
    let next = cluster.leader_after(old).await;
    let now = cluster.tick_on(next).await.unwrap();
    assert_eq!(now, cluster.world.now_ms());
    assert_eq!(
        permit_state(cluster.group(next), held),
        Some(PermitState::Expired)
    );
    // It still takes itself for the leader, or knows better: neither a grant nor a read.
    let wait = Duration::from_secs(1);
    let late = authorize("late", time(now - 24 * HOUR_MS), time(now + 60_000), 2);
    assert!(cluster.group(old).propose(late, wait).await.is_err());
    assert!(cluster.group(old).read_index(wait).await.is_err());
    cluster.net.heal();
    // What it proposed alone is gone: the attempt is new, and its evaluation is of another day.
    let late = authorize("late", time(now - 24 * HOUR_MS), time(now + 60_000), 3);
    let outcome = cluster.group(next).propose(late, WAIT).await.unwrap();
    let Outcome::Authorized(AuthorizeOutcome::NotCurrent { reason, .. }) = outcome.value() else {
        panic!("decided on old time: {outcome:?}");
    };
    assert_eq!(*reason, Reason::FactsMoved);
    let hashes = cluster.settled().await;
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_clocks_were_ahead_are_made_up_for_and_said() {
    let ahead = i64::try_from(HOUR_MS).unwrap();
    for offsets in [&[ahead, ahead, ahead][..], &[ahead]] {
        let (mut cluster, before) = founded(offsets).await;
        stop_all(&mut cluster).await;
        for clock in cluster.clocks.values() {
            clock.set_offset_ms(0);
        }
        start_all(&mut cluster).await;
        assert_eq!(cluster.tick().await, before, "never back");
        assert_eq!(cluster.tick().await, before);
        let status = cluster.group(cluster.leader().await).status().clock;
        assert_eq!((status.lead_ms, status.is_waiting), (Some(ahead), true));
        let said = status.to_string();
        let expected = "cluster time is ahead of the median by 3600.000 s";
        assert!(said.starts_with(expected), "{said}");
        let caught_up = status.catches_up_in().unwrap();
        cluster
            .world
            .advance_ms(u64::try_from(caught_up.as_millis()).unwrap());
        assert_eq!(cluster.tick().await, cluster.world.now_ms());
        cluster.tick().await;
        let status = cluster.group(cluster.leader().await).status().clock;
        assert_eq!(
            (status.lead_ms, status.to_string()),
            (Some(0), String::new())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_of_a_lone_voter_believes_its_clock() {
    let (mut cluster, _) = founded(&[0]).await;
    cluster.clock(1).set_offset_ms(120_000);
    assert_eq!(cluster.tick().await, cluster.world.now_ms());
    let said = cluster.group(1).status().clock.to_string();
    assert!(said.starts_with("cluster time is behind"), "{said}");
    cluster.stop(1).await;
    cluster.start(1).await;
    assert_eq!(cluster.tick().await, cluster.world.now_ms() + 120_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_between_entries_is_known_without_one() {
    let (cluster, now) = founded(&[0, 0, 0]).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    assert_eq!(group.cluster_now(), Some(time(now)));
    cluster.world.advance_ms(700);
    assert_eq!(group.cluster_now(), Some(time(now + 700)));
    let follower = (1..=3).find(|node| *node != leader).unwrap();
    assert_eq!(cluster.group(follower).cluster_now(), None);
}
