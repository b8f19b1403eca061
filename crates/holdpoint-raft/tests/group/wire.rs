//! The shipped network on loopback.

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use holdpoint_core::GroupId;
use holdpoint_proto::peer::v1::{WantHead, WantHeadAnswer, want_head_answer};
use holdpoint_raft::{
    Founder, Group, GroupConfig, GroupSpec, LocalNode, Member, NodeAnswer, NodeQuestion,
    NodeService, SystemClock, TonicNet, serve_peers,
};
use holdpoint_receipt::NodeId;
use holdpoint_storage::{DataDir, FaultLatch, Identity, Incarnation, LogOptions};
use tokio::net::TcpListener;

use crate::support::commands::announce;
use crate::support::{CLUSTER, WAIT, node_id, until};

/// Starts the node that `own` is and answers its peers on `listener`.
async fn start(folder: &Path, own: &Founder, founders: &[Founder], listener: TcpListener) -> Group {
    let byte = u8::try_from(own.node.get()).unwrap();
    let incarnation = Incarnation::from_bytes([byte; 16]);
    let identity = Identity {
        cluster: CLUSTER,
        node: own.node,
        incarnation,
    };
    let directory = DataDir::create(&folder.join(own.node.to_string()), identity).unwrap();
    let faults = FaultLatch::new();
    let log = directory
        .open_log(LogOptions::default(), faults.clone())
        .unwrap();
    let state = directory.open_state(GroupId::FIRST, faults).unwrap();
    let member = Member {
        incarnation,
        peer_address: own.peer_address.clone(),
        client_address: String::new(),
    };
    let (cluster, group) = (CLUSTER, GroupId::FIRST);
    let spec = GroupSpec {
        local: LocalNode {
            cluster,
            group,
            node: own.node,
            member,
        },
        founders: founders.to_vec(),
        epoch: 0,
        is_dev: false,
        config: GroupConfig::default(),
    };
    let (net, clock) = (Arc::new(TonicNet::new()), Arc::new(SystemClock::new()));
    let group = Group::start(spec, net, clock, Arc::new(log), Arc::new(state))
        .await
        .unwrap();
    let handler = group.peer_handler();
    tokio::spawn(async move { serve_peers(listener, handler, std::future::pending()).await });
    group
}

/// Answers with who asks.
struct Echo;

impl NodeService for Echo {
    fn answer(&self, from: NodeId, _question: NodeQuestion) -> BoxFuture<'static, NodeAnswer> {
        let note = from.to_string().into();
        let answer = Some(want_head_answer::Answer::Note(note));
        future::ready(NodeAnswer::WantHead(WantHeadAnswer { answer })).boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_elect_and_commit_over_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<String> = listeners
        .iter()
        .map(|it| it.local_addr().unwrap().to_string())
        .collect();
    let founders: Vec<Founder> = (1..)
        .zip(&addresses)
        .map(|(node, address)| Founder {
            node: node_id(node),
            peer_address: address.clone(),
        })
        .collect();
    let mut groups = Vec::new();
    for (founder, listener) in founders.iter().zip(listeners) {
        groups.push(start(folder.path(), founder, &founders, listener).await);
    }
    let leader = until("a leader", || {
        groups
            .iter()
            .find(|group| group.leadership().borrow().leads().is_some())
    })
    .await;
    for node in 1..=50 {
        leader.propose(announce(node), WAIT).await.unwrap();
    }
    let read = leader.read_index(WAIT).await.unwrap();
    until("the others follow", || {
        groups
            .iter()
            .all(|group| group.applied_index() >= Some(read.index()))
            .then_some(())
    })
    .await;
    // Questions of other nodes have a connection of their own.
    for other in groups.iter().filter(|it| it.local() != leader.local()) {
        assert!(other.serve_nodes(Arc::new(Echo)));
        let question = NodeQuestion::WantHead(WantHead::default());
        let node = other.local().node;
        let answer = leader.ask_node(node, question, WAIT).await.unwrap();
        let from = leader.local().node;
        assert_eq!(
            answer,
            Echo.answer(from, NodeQuestion::WantHead(WantHead::default()))
                .await
        );
    }
    for group in &groups {
        group.shutdown().await;
    }
}
