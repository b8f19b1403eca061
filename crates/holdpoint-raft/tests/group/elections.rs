//! Who leads, and how leadership moves.

use std::time::Duration;

use holdpoint_raft::{Leadership, ProposeError, Role, TransferError};

use crate::support::commands::announce;
use crate::support::{Cluster, PATIENCE, WAIT, error, until};

#[tokio::test(flavor = "multi_thread")]
async fn followers_name_the_leader_and_its_addresses() {
    let cluster = Cluster::of_three().await;
    let leader = cluster.leader().await;
    let follower = (1..=3).find(|node| *node != leader).unwrap();
    let mut leadership = cluster.group(follower).leadership();
    let told = leadership
        .wait_for(|now| now.leader().is_some())
        .await
        .unwrap()
        .clone();
    let Leadership::Follows(hint) = told else {
        panic!("not a follower: {told:?}");
    };
    assert_eq!(hint.node, leader);
    assert_eq!(hint.member.client_address, format!("client-{leader}"));
    let refused = error(cluster.group(follower).propose(announce(1), WAIT).await);
    let ProposeError::NotLeader {
        leader: Some(named),
        may_have_committed: false,
    } = refused
    else {
        panic!("not a hint: {refused:?}");
    };
    assert_eq!(named, hint);
    let status = cluster.group(leader).status();
    assert_eq!((status.role, status.node), (Role::Leader, leader));
    assert_eq!(status.members.len(), 3);
    assert!(status.members.values().all(|member| member.is_voter));
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_to_the_voter_that_it_is_handed_to() {
    let cluster = Cluster::of_three().await;
    let leader = cluster.leader().await;
    cluster.propose(&announce(1)).await;
    let to = (1..=3).find(|node| *node != leader).unwrap();
    cluster
        .group(leader)
        .transfer_leader(to, PATIENCE)
        .await
        .unwrap();
    until("the other leads", || {
        cluster.group(to).leadership().borrow().leads().map(|_| ())
    })
    .await;
    cluster.propose(&announce(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_to_voters_only_and_by_the_leader_only() {
    let cluster = Cluster::of_three().await;
    let leader = cluster.leader().await;
    let follower = (1..=3).find(|node| *node != leader).unwrap();
    let refused = cluster.group(leader).transfer_leader(9, WAIT).await;
    assert_eq!(refused, Err(TransferError::NotVoter { node: 9 }));
    let refused = cluster.group(follower).transfer_leader(leader, WAIT).await;
    assert_eq!(refused, Err(TransferError::NotLeader));
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_is_stopped_hands_over_and_the_others_go_on() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    cluster.leader_after(leader).await;
    cluster.propose(&announce(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_group_refuses_and_says_that_nothing_was_appended() {
    let mut cluster = Cluster::new(&[1]);
    cluster.start(1).await;
    cluster.propose(&announce(1)).await;
    let group = cluster.group(1).clone();
    cluster.stop(1).await;
    let refused = error(group.propose(announce(2), Duration::from_secs(1)).await);
    assert!(matches!(
        refused,
        ProposeError::ShuttingDown {
            may_have_committed: false
        }
    ));
}
