//! Cluster time follows the voters' clocks, and no single one. The clocks of these tests stand still
//! until a test moves them, so times are exact.

use crate::support::commands::{
    activate_policy, authorize, cluster_time, permit_of, permit_state, put_policy,
};
use crate::support::{Cluster, PATIENCE};
use holdpoint_core::record::PermitState;
use holdpoint_receipt::ClusterTime;

const MINUTE_MS: u64 = 60_000;
const JUMP_MS: i64 = 120_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Where steering may be after `ms` at most, either way.
fn twentieth(ms: u64) -> u64 {
    ms / 20 + 1
}

async fn lone() -> Cluster {
    let mut cluster = Cluster::new(&[1]);
    cluster.start(1).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn time_passes_as_it_really_does() {
    let cluster = Cluster::of_three().await;
    assert_eq!(cluster.tick().await, cluster.world.now_ms());
    for ms in [1, 999, 5_000, 5_001, 30_000, 3_600_000] {
        cluster.world.advance_ms(ms);
        assert_eq!(
            cluster.tick().await,
            cluster.world.now_ms(),
            "{ms} ms later"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jump_of_one_followers_wall_clock_moves_nothing() {
    let cluster = Cluster::of_three().await;
    let leader = cluster.leader().await;
    let follower = (1..=3).find(|node| *node != leader).unwrap();
    for jump in [JUMP_MS, -JUMP_MS, DAY_MS, -DAY_MS] {
        cluster.clock(follower).set_offset_ms(jump);
        assert_eq!(cluster.tick().await, cluster.world.now_ms());
        cluster.world.advance_ms(MINUTE_MS);
        assert_eq!(cluster.tick().await, cluster.world.now_ms(), "{jump} ms");
        assert!(*cluster.group(leader).clock_is_sound().borrow());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_lives_exactly_as_long_when_the_leaders_wall_clock_jumps() {
    for jump in [JUMP_MS, -JUMP_MS] {
        let cluster = Cluster::of_three().await;
        cluster.propose(&put_policy()).await;
        cluster.propose(&activate_policy()).await;
        let now = ClusterTime::new(cluster.tick().await).unwrap();
        let end = now.saturating_add(MINUTE_MS);
        let permit = permit_of(cluster.propose(&authorize("k", now, end, 1)).await);
        let leader = cluster.leader().await;
        cluster.clock(leader).set_offset_ms(jump);
        // A next leader counts from when it applied the last entry.
        cluster.settled().await;
        cluster.world.advance_ms(MINUTE_MS - 1);
        cluster.tick().await;
        cluster.settled().await;
        let is = |state| {
            let mut groups = cluster.groups.values();
            groups.any(|group| permit_state(group, permit) == Some(state))
        };
        assert!(is(PermitState::Issued), "{jump} ms");
        cluster.world.advance_ms(1);
        cluster.tick().await;
        assert!(is(PermitState::Expired), "{jump} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_whose_wall_clock_jumps_says_so_and_lets_another_voter_lead() {
    for jump in [JUMP_MS, -JUMP_MS] {
        let cluster = Cluster::of_three().await;
        cluster.tick().await;
        let leader = cluster.leader().await;
        let mut sound = cluster.group(leader).clock_is_sound();
        assert!(*sound.borrow_and_update());
        cluster.clock(leader).set_offset_ms(jump);
        sound.wait_for(|is_sound| !is_sound).await.unwrap();
        let next = cluster.leader_after(leader).await;
        cluster.world.advance_ms(MINUTE_MS);
        assert_eq!(cluster.tick().await, cluster.world.now_ms());
        let status = cluster.group(next).status();
        assert!(status.clock.is_sound(), "{}", status.clock);
        // Who does not lead knows nothing of its clock.
        sound.wait_for(|is_sound| *is_sound).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_steps_ahead_with_a_majority() {
    let cluster = Cluster::of_three().await;
    cluster.tick().await;
    for clock in cluster.clocks.values() {
        clock.set_offset_ms(JUMP_MS);
    }
    let ahead = JUMP_MS.unsigned_abs();
    assert_eq!(cluster.tick().await, cluster.world.now_ms() + ahead);
    cluster.world.advance_ms(MINUTE_MS);
    assert_eq!(cluster.tick().await, cluster.world.now_ms() + ahead);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_waits_for_a_majority_that_went_back() {
    let cluster = Cluster::of_three().await;
    let start = cluster.tick().await;
    for clock in cluster.clocks.values() {
        clock.set_offset_ms(-JUMP_MS);
    }
    cluster.tick().await;
    cluster.world.advance_ms(10_000);
    assert_eq!(
        cluster.tick().await,
        start + 1_000,
        "at a tenth of its pace"
    );
    let lead = JUMP_MS - 9_000;
    let leader = cluster.leader().await;
    assert_eq!(cluster.group(leader).status().clock.lead_ms, Some(lead));
    // Nothing outlives its end as the clocks show it, and nothing ends earlier than without a jump.
    let mut before = start;
    while cluster.tick().await > cluster.world.now_ms() - JUMP_MS.unsigned_abs() {
        let now = cluster.tick().await;
        assert!(now >= before, "never back");
        assert!(now >= cluster.world.now_ms() - JUMP_MS.unsigned_abs());
        assert!(now <= cluster.world.now_ms());
        before = now;
        cluster.world.advance_ms(30_000);
    }
    cluster.world.advance_ms(MINUTE_MS);
    let clocks = cluster.world.now_ms() - JUMP_MS.unsigned_abs();
    assert_eq!(cluster.tick().await, clocks, "it goes on with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_of_one_wall_clock_moves_nothing() {
    for per_mille in [10_000, 500] {
        for of_leader in [true, false] {
            let cluster = Cluster::of_three().await;
            cluster.tick().await;
            let leader = cluster.leader().await;
            let other = (1..=3).find(|node| *node != leader).unwrap();
            let wrong = if of_leader { leader } else { other };
            cluster.clock(wrong).set_rate(per_mille);
            for _ in 0..5 {
                cluster.world.advance_ms(7_000);
                let now = cluster.tick().await;
                assert_eq!(now, cluster.world.now_ms(), "{per_mille} {of_leader}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_clock_moves_nothing_while_another_voter_is_away() {
    for jump in [JUMP_MS, -JUMP_MS] {
        let mut cluster = Cluster::of_three().await;
        cluster.tick().await;
        let leader = cluster.leader().await;
        cluster
            .stop((1..=3).find(|node| *node != leader).unwrap())
            .await;
        let other = *cluster.groups.keys().find(|node| **node != leader).unwrap();
        cluster.clock(other).set_offset_ms(jump);
        assert_eq!(cluster.tick().await, cluster.world.now_ms());
        for ms in [1_000, MINUTE_MS, 2 * MINUTE_MS] {
            cluster.world.advance_ms(ms);
            assert_eq!(cluster.tick().await, cluster.world.now_ms(), "{jump} {ms}");
        }
        // Of two clocks nobody knows which is wrong: the leader goes on, and so does the next.
        assert!(*cluster.group(leader).clock_is_sound().borrow(), "{jump}");
        cluster.settled().await;
        cluster.world.advance_ms(MINUTE_MS);
        let moved = cluster.group(leader).transfer_leader(other, PATIENCE);
        moved.await.unwrap();
        assert_eq!(cluster.tick().await, cluster.world.now_ms(), "{jump}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_on_where_it_was_when_leadership_moves_between_wrong_clocks() {
    let cluster = Cluster::of_three().await;
    cluster.tick().await;
    cluster.clock(1).set_offset_ms(DAY_MS);
    cluster.clock(2).set_offset_ms(-400);
    let mut before = 0;
    for to in [1, 2, 3, 1, 2, 3] {
        let leader = cluster.leader().await;
        if leader != to {
            let moved = cluster.group(leader).transfer_leader(to, PATIENCE);
            moved.await.unwrap();
        }
        cluster.world.advance_ms(MINUTE_MS);
        let now = cluster.tick().await;
        assert!(now >= before, "never back: {before} {now}");
        assert!(now.abs_diff(cluster.world.now_ms()) <= 400, "{now}");
        before = now;
    }
    let hashes = cluster.settled().await;
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_of_a_lone_voter_is_followed_slowly() {
    for jump in [JUMP_MS, -JUMP_MS] {
        let cluster = lone().await;
        cluster.tick().await;
        cluster.clock(1).set_offset_ms(jump);
        assert_eq!(cluster.tick().await, cluster.world.now_ms(), "{jump}");
        let status = cluster.group(1).status().clock;
        assert_eq!((status.lead_ms, status.is_waiting), (Some(-jump), false));
        for ms in [1_000, 30_000, 10 * MINUTE_MS] {
            cluster.world.advance_ms(ms);
            let (now, real) = (cluster.tick().await, cluster.world.now_ms());
            assert!(
                now.abs_diff(real) <= twentieth(11 * MINUTE_MS),
                "{jump} {ms}"
            );
        }
        let group = cluster.group(1);
        assert!(*group.clock_is_sound().borrow(), "there is no other clock");
        cluster.world.advance_ms(60 * MINUTE_MS);
        let shown = cluster.world.now_ms().saturating_add_signed(jump);
        assert_eq!(cluster.tick().await, shown, "in the end it is believed");
        assert_eq!(cluster_time(group).get(), shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_of_a_lone_wall_clock_changes_time_by_a_twentieth_at_most() {
    for per_mille in [10_000, 500] {
        let cluster = lone().await;
        let start = cluster.tick().await;
        cluster.clock(1).set_rate(per_mille);
        for minutes in 1..=5 {
            cluster.world.advance_ms(MINUTE_MS);
            let now = cluster.tick().await;
            let passed = minutes * MINUTE_MS;
            let off = (now - start).abs_diff(passed);
            assert!(off <= twentieth(passed), "{per_mille}: {off} of {passed}");
        }
    }
}
