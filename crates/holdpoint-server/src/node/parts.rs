//! What a node is made of, each part from those before it. Starts nothing but threads.

use std::sync::Arc;

use holdpoint_core::GroupId;
use holdpoint_raft::{Clock, Founder, Group, GroupConfig, GroupSpec, LocalNode, Member};
use holdpoint_storage::Owner;

use crate::config::{ClusterFile, NodeEntry};
use crate::cosign::{Cosigner, Identity, Signer};
use crate::error::RunError;
use crate::gate::{Gate, OwnIdentity, Parts};
use crate::home::{Home, HomeError};
use crate::limits::{
    ASKING_MAX, EVALUATIONS_MAX, EXPORTING_MAX, HTTP_READING_MAX, READERS, READING_MAX,
    WATCHING_MAX, WITNESSES_MAX,
};
use crate::members::Members;
use crate::pool::Pool;
use crate::shadow::Shadows;
use crate::witnesses::Witnesses;

/// Opens the data directory away from the runtime's threads: recovery may take a while.
pub(super) async fn open_home(entry: &NodeEntry, owner: Owner) -> Result<Home, RunError> {
    let root = entry.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Home::open(&root, owner)).await;
    let opened: Result<Home, HomeError> =
        opened.map_err(|_| RunError::Task("the data directory was being opened"))?;
    Ok(opened?)
}

/// What this node's group is started with.
pub(super) fn group_spec(
    cluster: &ClusterFile,
    entry: &NodeEntry,
    home: &Home,
    is_dev: bool,
) -> GroupSpec {
    GroupSpec {
        local: LocalNode {
            cluster: cluster.cluster,
            group: GroupId::FIRST,
            node: entry.id,
            member: Member {
                incarnation: home.identity.incarnation,
                peer_address: entry.peer.to_string(),
                client_address: entry.client.to_string(),
            },
        },
        founders: cluster
            .nodes
            .iter()
            .map(|node| Founder {
                node: node.id,
                peer_address: node.peer.to_string(),
            })
            .collect(),
        epoch: 0,
        is_dev,
        config: GroupConfig::default(),
    }
}

/// The gate over a group that was started.
pub(super) fn build_gate(
    cluster: &ClusterFile,
    group: Group,
    home: Home,
    clock: Arc<dyn Clock>,
) -> Result<Gate, RunError> {
    let Home {
        identity,
        root,
        log,
        state,
        keys,
        key_paths,
        ..
    } = home;
    let own = OwnIdentity {
        cluster: identity.cluster,
        node: identity.node,
        incarnation: identity.incarnation,
        keys: keys.public(),
        key_paths,
        root,
    };
    let signer = Identity {
        cluster: identity.cluster,
        node: identity.node,
        keys,
    };
    let signer = Signer::new(GroupId::FIRST, signer, state, log, Arc::clone(&clock));
    let pool = |name, threads, queue| Pool::start(name, threads, queue).map_err(RunError::Thread);
    let shadows = Shadows::start(group.clone()).map_err(RunError::Thread)?;
    Ok(Gate::new(Parts {
        own,
        members: Members::new(cluster),
        group,
        clock,
        cosigner: Cosigner::start(signer).map_err(RunError::Thread)?,
        evaluations: pool("evaluate", EVALUATIONS_MAX, ASKING_MAX)?,
        reads: pool(
            "read",
            READERS,
            ASKING_MAX
                + READING_MAX
                + WATCHING_MAX
                + HTTP_READING_MAX
                + EXPORTING_MAX
                + WITNESSES_MAX,
        )?,
        shadows,
        witnesses: Witnesses::new(cluster.witnesses.clone()),
    }))
}
