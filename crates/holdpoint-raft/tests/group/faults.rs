//! A store that fails stops its node, and says why.

use std::sync::Arc;

use holdpoint_core::GroupId;
use holdpoint_raft::{
    Founder, Group, GroupConfig, GroupFault, GroupSpec, LocalNode, Member, SystemClock,
};
use holdpoint_storage::{Incarnation, MemLog, MemState, Syncs};
use tokio::time::timeout;

use crate::support::commands::announce;
use crate::support::net::TestNet;
use crate::support::{CLUSTER, PATIENCE, WAIT, node_id, peer_address, until};

/// A node of its own on stores in memory.
async fn alone(log: &MemLog, state: &MemState) -> Group {
    let incarnation = Incarnation::from_bytes([1; 16]);
    let member = Member {
        incarnation,
        peer_address: peer_address(1),
        client_address: String::new(),
    };
    let spec = GroupSpec {
        local: LocalNode {
            cluster: CLUSTER,
            group: GroupId::FIRST,
            node: node_id(1),
            member,
        },
        founders: vec![Founder {
            node: node_id(1),
            peer_address: peer_address(1),
        }],
        epoch: 0,
        is_dev: true,
        config: GroupConfig::default(),
    };
    let net = TestNet::new().at(&peer_address(1));
    let clock = Arc::new(SystemClock::new());
    Group::start(
        spec,
        net,
        clock,
        Arc::new(log.clone()),
        Arc::new(state.clone()),
    )
    .await
    .unwrap()
}

async fn leading(group: &Group) {
    until("a leader", || group.leadership().borrow().leads()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_fails_stops_the_group_with_its_cause() {
    let (log, state) = (MemLog::new(Syncs::AtOnce), MemState::new(GroupId::FIRST));
    let group = alone(&log, &state).await;
    leading(&group).await;
    group.propose(announce(1), WAIT).await.unwrap();
    let _after = state.crash();
    let fault = timeout(PATIENCE, group.fault()).await.unwrap();
    assert!(matches!(*fault, GroupFault::Store(_)), "{fault}");
    let refused = group.propose(announce(2), WAIT).await.unwrap_err();
    assert!(refused.may_have_committed(), "{refused}");
    assert!(group.status().fault.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_takes_from_the_state_is_applied_again_from_the_log() {
    let (log, state) = (MemLog::new(Syncs::AtOnce), MemState::new(GroupId::FIRST));
    let group = alone(&log, &state).await;
    leading(&group).await;
    for node in 1..=10 {
        group.propose(announce(node), WAIT).await.unwrap();
    }
    let (before, index) = (group.state_hash().unwrap(), group.applied_index());
    // The power goes: nothing was flushed, and everything acknowledged was in the log.
    let (log, state) = (log.crash(), state.crash());
    group.shutdown().await;
    assert_eq!(
        holdpoint_storage::StateStore::applied(&state).unwrap(),
        None
    );
    let group = alone(&log, &state).await;
    until("everything is applied again", || {
        (group.applied_index() >= index).then_some(())
    })
    .await;
    leading(&group).await;
    assert_eq!(
        group.state_hash().unwrap(),
        before,
        "a new leader's empty entry changes no row"
    );
}
