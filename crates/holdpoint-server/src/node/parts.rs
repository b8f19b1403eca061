//! What a node is made of, each part from those before it. Starts nothing but threads.

use std::sync::Arc;

use holdpoint_core::{GroupId, Query};
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_raft::{Clock, Founder, Group, GroupConfig, GroupSpec, LocalNode, Member};
use holdpoint_receipt::Name;
use holdpoint_storage::Owner;
use tokio::sync::mpsc;

use crate::audit::{self, Audit, Disputed};
use crate::config::{ClusterFile, NodeEntry};
use crate::cosign::channel::nodes_of;
use crate::cosign::{Cosigner, Ground, Work};
use crate::error::RunError;
use crate::evaluate::Evaluator;
use crate::gate::{Gate, OwnIdentity, Parts};
use crate::home::{Home, HomeError};
use crate::key_files::KeySealing;
use crate::limits::{
    ASKING_MAX, EVALUATIONS_MAX, EXPORTING_MAX, HTTP_READING_MAX, READERS, READING_MAX,
    WATCHING_MAX, WITNESSES_MAX,
};
use crate::members::Members;
use crate::new_keys::NewKeys;
use crate::node_service::Answering;
use crate::pool::Pool;
use crate::shadow::Shadows;
use crate::witnesses::Witnesses;

/// Opens the data directory away from the runtime's threads: recovery may take a while.
pub(super) async fn open_home(
    entry: &NodeEntry,
    owner: Owner,
    sealing: Option<KeySealing>,
) -> Result<Home, RunError> {
    let root = entry.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Home::open(&root, owner, sealing)).await;
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

/// What runs beside the gate, for as long as the node takes part.
#[derive(Debug)]
pub(crate) struct Beside {
    /// Has heads proven.
    pub(crate) proving: Work,
    /// What other nodes dispute.
    pub(crate) disputed: mpsc::Receiver<Disputed>,
}

/// The gate over a group that was started.
pub(super) fn build_gate(
    cluster: &ClusterFile,
    group: Group,
    home: Home,
    clock: Arc<dyn Clock>,
    evaluator: Arc<dyn Evaluator>,
) -> Result<(Gate, Beside), RunError> {
    let Home {
        identity,
        root,
        log,
        state,
        keys,
        ..
    } = home;
    let new_keys = NewKeys::new(identity.node, Arc::clone(&state), keys.clone());
    let own = OwnIdentity {
        cluster: identity.cluster,
        node: identity.node,
        incarnation: identity.incarnation,
        keys: keys.clone(),
        root,
    };
    let ground = Ground {
        group: GroupId::FIRST,
        cluster: identity.cluster,
        node: identity.node,
        keys: keys.ring().clone(),
        state,
        log,
        clock: Arc::clone(&clock),
        nodes: nodes_of(&group),
        applied: group.applied(),
        leadership: group.leadership(),
    };
    let (cosigner, proving, passage) =
        Cosigner::start(ground, namespaces(&group)).map_err(RunError::Thread)?;
    let (heads, gate) = passage;
    let (door, disputed) = audit::door();
    let witnesses = Witnesses::new(cluster.witnesses.clone());
    let answering = Answering::new(heads, new_keys, door, witnesses.clone());
    let is_first = group.serve_nodes(Arc::new(answering));
    let is_only = group.set_proof_gate(gate);
    assert!(is_first && is_only, "a group has one gate");
    let pool = |name, threads, queue| Pool::start(name, threads, queue).map_err(RunError::Thread);
    let shadows = Shadows::start(group.clone()).map_err(RunError::Thread)?;
    let gate = Gate::new(Parts {
        own,
        members: Members::new(cluster, group.membership()),
        group,
        clock,
        cosigner,
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
        evaluator,
        shadows,
        audit: audit_of(cluster)?,
        witnesses,
    });
    Ok((gate, Beside { proving, disputed }))
}

/// The audit of verdicts, with a thread where the cluster wants it.
fn audit_of(cluster: &ClusterFile) -> Result<Audit, RunError> {
    let thread = cluster
        .audit
        .then(|| Pool::start_behind_others("audit"))
        .transpose();
    Ok(Audit::new(thread.map_err(RunError::Thread)?))
}

/// The namespaces that this node has applied, and the one that every cluster has.
fn namespaces(group: &Group) -> Vec<Name> {
    let known = group.local_view(|view| Query::new(&view, GroupId::FIRST).namespaces(None));
    let mut names = known.ok().and_then(Result::ok).unwrap_or_default();
    if names.is_empty() {
        names.extend(Name::new(NAMESPACE_DEFAULT));
    }
    names
}
