//! Nodes come and go while the group decides.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdpoint_core::{GroupId, Query};
use holdpoint_raft::{ChangeMembersError, Group, GroupFault, GroupMembership, MemberPlace};
use holdpoint_receipt::{Name, NodeId};
use tokio::time::timeout;

use crate::support::commands::{activate_policy, announce, put_policy};
use crate::support::{Cluster, PATIENCE, WAIT, node_id, peer_address, until};

fn ids(nodes: &[u64]) -> BTreeSet<NodeId> {
    nodes.iter().map(|node| node_id(*node)).collect()
}

fn told(cluster: &Cluster, node: u64) -> GroupMembership {
    cluster.group(node).membership().borrow().clone()
}

/// Waits until every running node says that `voters` vote, and nobody else.
async fn until_voters(cluster: &Cluster, voters: &[u64]) {
    let voters = ids(voters);
    until("the voters are these", || {
        let mut nodes = cluster.groups.keys();
        let agrees = |told: GroupMembership| told.voters == voters && !told.is_joint;
        nodes.all(|node| agrees(told(cluster, *node))).then_some(())
    })
    .await;
}

/// Repeats a change at whoever leads until it is made, as an operator does.
async fn change<'a, F>(cluster: &'a Cluster, what: impl Fn(&'a Group) -> F)
where
    F: Future<Output = Result<(), ChangeMembersError>>,
{
    let start = Instant::now();
    loop {
        let leader = cluster.leader().await;
        let Err(error) = what(cluster.group(leader)).await else {
            return;
        };
        assert!(
            start.elapsed() < PATIENCE,
            "the membership does not change: {error}"
        );
    }
}

async fn add(cluster: &Cluster, node: u64) {
    change(cluster, |group| group.add_learner(node_id(node), WAIT)).await;
}

async fn promote(cluster: &Cluster, node: u64) {
    let nodes = [node_id(node)];
    change(cluster, |group| group.promote(&nodes, WAIT)).await;
}

async fn remove(cluster: &Cluster, node: u64) {
    change(cluster, |group| group.remove(node_id(node), WAIT)).await;
}

/// A fourth node that votes.
async fn of_four() -> Cluster {
    let mut cluster = Cluster::of_three().await;
    cluster.start(4).await;
    add(&cluster, 4).await;
    promote(&cluster, 4).await;
    until_voters(&cluster, &[1, 2, 3, 4]).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_node_waits_until_it_is_added_gets_a_snapshot_and_votes_once_it_is_promoted() {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    cluster.config.snapshot_entries = 20;
    cluster.config.entries_kept = 5;
    for node in [1, 2, 3] {
        cluster.start(node).await;
    }
    for node in 1..=60 {
        cluster.propose(&announce(node)).await;
    }
    let leader = cluster.leader().await;
    until("the log is purged", || {
        cluster.group(leader).status().purged
    })
    .await;
    cluster.start(4).await;
    assert!(!cluster.group(4).has_joined(), "nobody added it yet");
    assert_eq!(told(&cluster, 4).own, MemberPlace::Outside);
    add(&cluster, 4).await;
    add(&cluster, 4).await;
    cluster.propose(&announce(61)).await;
    let hashes = cluster.settled().await;
    assert!(hashes.len() == 4 && hashes.iter().all(|hash| *hash == hashes[0]));
    let membership = told(&cluster, 4);
    assert_eq!(membership.own, MemberPlace::Learner);
    assert_eq!(membership.learners, ids(&[4]));
    assert_eq!(membership.voters, ids(&[1, 2, 3]));
    let member = membership.members.get(&node_id(4)).unwrap();
    assert_eq!(member.peer_address, peer_address(4));
    let term = cluster.group(4).status().term;
    promote(&cluster, 4).await;
    promote(&cluster, 4).await;
    until_voters(&cluster, &[1, 2, 3, 4]).await;
    assert_eq!(told(&cluster, 4).own, MemberPlace::Voter);
    assert_eq!(cluster.group(4).status().term, term, "nobody had to elect");
    // Its vote counts: with one of the others away, three of four go on.
    let away = cluster.follower().await;
    let away = if away == 4 { 3 } else { away };
    cluster.isolate(away);
    cluster.propose(&announce(62)).await;
    cluster.net.heal();
    cluster.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn learner_counts_in_no_majority() {
    let mut cluster = Cluster::of_three().await;
    cluster.start(4).await;
    add(&cluster, 4).await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader).clone();
    for other in (1..=3).filter(|other| *other != leader) {
        cluster.isolate(other);
    }
    let wait = Duration::from_secs(2);
    assert!(group.propose(announce(2), wait).await.is_err());
    assert!(group.read_index(wait).await.is_err());
    cluster.net.heal();
    cluster.propose(&announce(3)).await;
    cluster.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_with_its_reason() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let leader_before = leader;
    let group = cluster.group(leader).clone();
    let refused = cluster.group(follower).add_learner(node_id(4), WAIT).await;
    let Err(ChangeMembersError::NotLeader { leader: Some(hint) }) = refused else {
        panic!("not a hint: {refused:?}");
    };
    assert_eq!(hint.node, leader);
    let node = node_id(4);
    let unknown = ChangeMembersError::UnknownNode { node };
    assert_eq!(group.add_learner(node, WAIT).await, Err(unknown));
    let stranger = ChangeMembersError::NotMember { node };
    assert_eq!(group.promote(&[node], WAIT).await, Err(stranger.clone()));
    assert_eq!(group.remove(node, WAIT).await, Err(stranger));

    // It greeted, and gets nothing of the log.
    cluster.start(4).await;
    until("it greeted", || {
        cluster
            .net
            .has_asked(&peer_address(4), &peer_address(leader))
            .then_some(())
    })
    .await;
    cluster.isolate(4);
    add(&cluster, 4).await;
    let behind = ChangeMembersError::NotCaughtUp { node, lag: None };
    let wait = Duration::from_millis(200);
    assert_eq!(group.promote(&[node], wait).await, Err(behind));
    cluster.net.heal();

    // Of the two that would be left one is away.
    let third = (1..=3).find(|it| *it != leader && *it != follower).unwrap();
    cluster.isolate(third);
    group.transfer_leader(follower, PATIENCE).await.unwrap();
    let leader = cluster.leader().await;
    let other = node_id(if leader == follower {
        leader_before
    } else {
        follower
    });
    let no_majority = ChangeMembersError::NoMajority {
        voter_count: 2,
        there_count: 1,
    };
    cluster.propose(&announce(2)).await;
    let refused = cluster.group(leader).remove(other, WAIT).await;
    assert_eq!(refused, Err(no_majority));
    assert!(!told(&cluster, leader).is_joint);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_was_removed_says_so_disturbs_nobody_and_its_id_is_never_used_again() {
    let mut cluster = of_four().await;
    let gone = cluster.follower().await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    cluster.stop(gone).await;
    remove(&cluster, gone).await;
    remove(&cluster, gone).await;
    let left: Vec<u64> = (1..=4).filter(|node| *node != gone).collect();
    until_voters(&cluster, &left).await;
    let leader = cluster.leader().await;
    let term = cluster.group(leader).status().term;

    // It comes back with the log that it had, in which it votes.
    cluster.start(gone).await;
    until("it notices", || {
        (told(&cluster, gone).own == MemberPlace::Removed).then_some(())
    })
    .await;
    let asked = cluster.net.pre_votes_of(&peer_address(gone));
    for node in 2..=30 {
        cluster.propose(&announce(node)).await;
    }
    let rested = cluster.net.pre_votes_of(&peer_address(gone));
    assert!(rested <= asked + 1, "it asks for votes");
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.group(leader).status().term, term);
    assert!(told(&cluster, leader).removed.contains_key(&node_id(gone)));

    let node = node_id(gone);
    let used = ChangeMembersError::UsedBefore { node };
    let group = cluster.group(leader);
    assert_eq!(group.add_learner(node, WAIT).await, Err(used.clone()));
    // Neither with an empty directory.
    cluster.stop(gone).await;
    cluster.wipe(gone).await;
    cluster.start(gone).await;
    let fault = timeout(PATIENCE, cluster.group(gone).fault())
        .await
        .unwrap();
    assert!(
        matches!(*fault, GroupFault::IdentityRefused { .. }),
        "{fault}"
    );
    assert_eq!(
        cluster.group(leader).add_learner(node, WAIT).await,
        Err(used)
    );
    // Who was not there remembers it, too: it is in the log and in snapshots.
    let other = cluster.follower().await;
    if other != gone {
        cluster.stop(other).await;
        cluster.start(other).await;
        assert!(told(&cluster, other).removed.contains_key(&node));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promotion_that_lost_its_leader_half_way_is_finished_by_the_next() {
    let mut cluster = Cluster::of_three().await;
    cluster.start(4).await;
    add(&cluster, 4).await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    let leader = cluster.leader().await;
    let kept = cluster.follower().await;
    let kept = if kept == 4 { 3 } else { kept };
    until("the leader knows how far the new node is", || {
        let status = cluster.group(leader).status();
        status.members.get(&4)?.matched
    })
    .await;
    half_way(&cluster, leader, kept, async |group| {
        let wait = Duration::from_millis(500);
        group.promote(&[node_id(4)], wait).await
    })
    .await;
    cluster.kill(leader).await;
    cluster.leader_after(leader).await;
    until_voters(&cluster, &[1, 2, 3, 4]).await;
    cluster.start(leader).await;
    promote(&cluster, 4).await;
    cluster.propose(&announce(2)).await;
    let hashes = cluster.settled().await;
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_that_lost_its_leader_half_way_is_finished_by_the_next() {
    let mut cluster = of_four().await;
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
    let leader = cluster.leader().await;
    let others: Vec<u64> = (1..=4).filter(|node| *node != leader).collect();
    let (kept, gone) = (others[0], others[1]);
    half_way(&cluster, leader, kept, async |group| {
        group
            .remove(node_id(gone), Duration::from_millis(500))
            .await
    })
    .await;
    cluster.kill(leader).await;
    cluster.leader_after(leader).await;
    cluster.start(leader).await;
    let left: Vec<u64> = (1..=4).filter(|node| *node != gone).collect();
    let voters = ids(&left);
    until("the removal is through", || {
        let mut left = left.iter().map(|node| told(&cluster, *node));
        left.all(|told| told.voters == voters && !told.is_joint)
            .then_some(())
    })
    .await;
    cluster.propose(&announce(2)).await;
    until("it notices", || {
        (told(&cluster, gone).own == MemberPlace::Removed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn voters_in_the_state_and_those_who_sign_follow_the_membership_on_every_node() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&put_policy()).await;
    cluster.propose(&activate_policy()).await;
    for node in 1..=4 {
        cluster.propose(&announce(node)).await;
    }
    cluster.settled().await;
    cluster.start(4).await;
    add(&cluster, 4).await;
    cluster.settled().await;
    let signers = |group: &Group| {
        let read = group.local_view(|view| {
            let query = Query::new(&view, GroupId::FIRST);
            let voters = query.group().unwrap().unwrap().voters;
            let log = query.namespace(&Name::new("default").unwrap()).unwrap();
            let log = log.unwrap();
            let (_, epoch) = log.epochs().unwrap().pop().unwrap();
            let signers: Vec<NodeId> = epoch.signers.iter().map(|it| it.node).collect();
            assert_eq!(signers, voters, "who votes and is announced signs");
            (voters, log.head().unwrap().size)
        });
        read.unwrap()
    };
    let (before, size) = signers(cluster.group(1));
    assert_eq!(before, [1, 2, 3].map(node_id), "a learner does not sign");
    promote(&cluster, 4).await;
    remove(&cluster, 4).await;
    cluster.stop(4).await;
    cluster.propose(&announce(5)).await;
    cluster.settled().await;
    for group in cluster.groups.values() {
        let (after, grown) = signers(group);
        assert_eq!(
            (&after, grown),
            (&before, size + 2),
            "each change is stated"
        );
        let told = group.applied().borrow().clone();
        assert_eq!(told.tree_sizes.values().copied().max(), Some(grown));
    }
}

/// Begins a change that reaches only `kept`, which has it in its log and cannot commit it.
async fn half_way(
    cluster: &Cluster,
    leader: u64,
    kept: u64,
    change: impl AsyncFnOnce(&Group) -> Result<(), ChangeMembersError>,
) {
    for other in (1..=4).filter(|other| *other != leader && *other != kept) {
        cluster.part(leader, other);
    }
    cluster.net.cut(&peer_address(kept), &peer_address(leader));
    let unknown = change(cluster.group(leader)).await;
    let is_unknown = matches!(unknown, Err(ChangeMembersError::MayHaveHappened { .. }));
    assert!(is_unknown, "{unknown:?}");
    until("the change is half way", || {
        told(cluster, kept).is_joint.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_is_to_go_hands_over_and_the_next_one_removes_it() {
    let cluster = of_four().await;
    let leader = cluster.leader().await;
    let refused = cluster.group(leader).remove(node_id(leader), WAIT).await;
    assert!(
        matches!(refused, Err(ChangeMembersError::NotLeader { .. })),
        "{refused:?}"
    );
    cluster.leader_after(leader).await;
    remove(&cluster, leader).await;
    until("it notices", || {
        (told(&cluster, leader).own == MemberPlace::Removed).then_some(())
    })
    .await;
    cluster.propose(&announce(1)).await;
}

/// Proposes without a pause, at whoever leads, and counts what is committed.
fn traffic(groups: Arc<Mutex<Vec<Group>>>, count: Arc<Mutex<u64>>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for node in (1..=200).cycle() {
            let groups = groups.lock().unwrap().clone();
            let leads = |group: &&Group| group.leadership().borrow().leads().is_some();
            let done = match groups.iter().find(leads) {
                Some(group) => group.propose(announce(node), WAIT).await.is_ok(),
                None => false,
            };
            if done {
                *count.lock().unwrap() += 1;
            } else {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_nodes_are_replaced_one_after_the_other_while_the_group_decides() {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    cluster.config.snapshot_entries = 100;
    cluster.config.entries_kept = 20;
    for node in [1, 2, 3] {
        cluster.start(node).await;
    }
    let groups: Arc<Mutex<Vec<Group>>> = Arc::default();
    let count: Arc<Mutex<u64>> = Arc::default();
    let running = |cluster: &Cluster| {
        *groups.lock().unwrap() = cluster.groups.values().cloned().collect();
    };
    running(&cluster);
    let traffic = traffic(Arc::clone(&groups), Arc::clone(&count));
    let mut voters = vec![1, 2, 3];
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        let before = *count.lock().unwrap();
        cluster.start(new).await;
        running(&cluster);
        add(&cluster, new).await;
        promote(&cluster, new).await;
        remove(&cluster, old).await;
        voters.retain(|node| *node != old);
        voters.push(new);
        cluster.stop(old).await;
        running(&cluster);
        until_voters(&cluster, &voters).await;
        until("the group decides on", || {
            (*count.lock().unwrap() > before + 20).then_some(())
        })
        .await;
    }
    traffic.abort();
    assert!(traffic.await.unwrap_err().is_cancelled());
    groups.lock().unwrap().clear();
    let hashes = cluster.settled().await;
    assert!(hashes.len() == 3 && hashes.iter().all(|hash| *hash == hashes[0]));
    // None of those who founded the group is there any more, and it starts again.
    for node in [4, 5, 6] {
        cluster.stop(node).await;
    }
    for node in [4, 5, 6] {
        cluster.start(node).await;
    }
    cluster.propose(&announce(1)).await;
    cluster.settled().await;
}
