//! The cluster as each of its nodes sees it.
//!
//! Every node is asked separately and once; nothing here waits for a quorum, follows a leader or hides
//! a node that does not answer.

mod audit;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use holdpoint_proto::v1;
use holdpoint_receipt::{ClusterId, ClusterTime, Digest, NodeId, PolicyVersion};

use crate::believe::AnswerError;
use crate::call::Nodes;
use crate::connection::Connection;
use crate::endpoints::{Address, Slot};
use crate::failure::{Failure, Refused};
use crate::fault::{Decided, Fault};
use crate::gate::{ConnectError, Gate, GateBuilder};
use crate::info::{digest, malformed, time, version};

pub use audit::AuditReport;

/// Which nodes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that were named, and no others.
    Named,
    /// Those that were named, and those that their answers name.
    Learned,
}

/// What one node answered, or why it did not.
#[derive(Debug)]
pub struct NodeAnswer {
    /// Where it was asked.
    pub address: Address,
    /// Its report, or why there is none.
    pub report: Result<NodeReport, StatusError>,
    /// How long it took.
    pub took: Duration,
}

/// Why a node gave no report.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It did not answer, or not in a way that can be read.
    #[error("{0}")]
    Fault(Fault),
    /// It does not talk to us.
    #[error(transparent)]
    Refused(Refused),
}

/// What one node knows. Not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Identity of the cluster.
    pub cluster_id: ClusterId,
    /// The answering node.
    pub node_id: NodeId,
    /// The leader as this node knows it; none while there is none.
    pub leader_id: Option<NodeId>,
    /// This node's term.
    pub term: u64,
    /// Replicated feature level.
    pub feature_level: u32,
    /// Every member, as this node knows it.
    pub members: Vec<Member>,
    /// Policy in force in `default`; none when none is.
    pub policy: Option<PolicyInForce>,
    /// Cluster time of the applied state.
    pub cluster_time: ClusterTime,
    /// Version of the answering program.
    pub build: String,
    /// Size of the log of statements of `default`.
    pub tree_size: u64,
    /// How many more losses decisions survive.
    pub failure_tolerance: u32,
    /// How many nodes must sign before anything leaves; 0 before enough are announced.
    pub signers_needed: u32,
    /// Whether this node can decide.
    pub is_serving: bool,
    /// Milliseconds that cluster time leads the voters' clocks, where that is more than the largest
    /// skew; 0 otherwise. Until the clocks have caught up, new attempts may end at once.
    pub time_lead_ms: u64,
    /// Whether an operator stopped all grants.
    pub is_frozen: bool,
    /// Surfaces on which an operator stopped grants, sorted.
    pub frozen_surfaces: Vec<String>,
    /// Surfaces that drain their permits for an activation.
    pub draining_surfaces: Vec<String>,
    /// Attempts that wait for bounds.
    pub waiting_count: u64,
    /// Requests that are listed for approval.
    pub pending_approval_count: u64,
    /// Outcomes that contradicted a recorded one, or came after a release.
    pub conflict_count: u64,
    /// Decisions that nodes have disputed: they evaluated them otherwise than the leader did.
    pub dispute_count: u64,
    /// How this node audits what leaders decided.
    pub audit: AuditReport,
    /// Permits in doubt, at most 1,000 are counted.
    pub in_doubt_count: u32,
    /// The witnesses of the cluster file; how far each is, the leader knows.
    pub witnesses: Vec<WitnessReport>,
    /// Nodes that were members once. None of these ids is ever used again.
    pub removed_nodes: Vec<NodeId>,
    /// Whether a change of the membership is half way; the leader finishes it.
    pub is_membership_changing: bool,
}

/// A program apart from the cluster that signs its heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessReport {
    /// Its name in the cluster file.
    pub name: String,
    /// The size of the last head of `default` that it signed, where the answering node knows one.
    pub signed_size: Option<u64>,
    /// Leaves of the newest proven head that it has not signed.
    pub lag: Option<u64>,
    /// Seconds for which it has not signed the newest proven head.
    pub lag_seconds: Option<u64>,
    /// What kept it from signing when it was last asked; empty when nothing did.
    pub trouble: String,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInForce {
    /// Its version.
    pub version: PolicyVersion,
    /// Its bundle.
    pub digest: Digest,
    /// The name that the bundle gives itself.
    pub name: String,
}

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// `host:port` for clients.
    pub client: String,
    /// `leader`, `voter`, `learner`, `leaving`, `removed` or `unknown`.
    pub role: String,
    /// Last applied (answering node) or acknowledged (others, known by the leader only) log index.
    pub applied: u64,
    /// Entries behind the leader's last, where the answering node knows it.
    pub lag: Option<u64>,
    /// Milliseconds that its clock is ahead of the leader's, where the answering node knows it.
    pub clock_offset_ms: Option<i64>,
    /// `ok`, or why it does not sign.
    pub signing: String,
    /// Free share of its disk in per cent, where the answering node knows it.
    pub disk_free_percent: Option<u32>,
}

/// What every node answered.
#[derive(Debug)]
pub struct ClusterStatus {
    /// One for every node, in the order in which they were named or learned.
    pub nodes: Vec<NodeAnswer>,
}

impl ClusterStatus {
    /// The reports that came.
    pub fn reports(&self) -> impl Iterator<Item = &NodeReport> {
        self.nodes
            .iter()
            .filter_map(|node| node.report.as_ref().ok())
    }

    /// The report of the leader of the newest term, if that node itself answered.
    #[must_use]
    pub fn leader(&self) -> Option<&NodeReport> {
        let leads = |report: &&NodeReport| report.leader_id == Some(report.node_id);
        self.reports()
            .filter(leads)
            .max_by_key(|report| report.term)
    }
}

impl Gate {
    /// Asks every known node, and those that their answers name, once each and all at once.
    ///
    /// Takes at most twice the gate's deadline, and never fails: a node that does not answer is
    /// reported with the reason.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn status(&self) -> ClusterStatus {
        ask_all(self.nodes(), self.deadline(), Reach::Learned).await
    }
}

impl GateBuilder {
    /// Asks nodes for their status without building a gate: no keys, no namespace, no leader.
    ///
    /// Takes at most twice the deadline. A node that does not answer is reported with the reason.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which endpoint does not fit.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn status(&self, reach: Reach) -> Result<ClusterStatus, ConnectError> {
        let (nodes, wait) = self.to_nodes()?;
        Ok(ask_all(&nodes, wait, reach).await)
    }
}

async fn ask_all(nodes: &Nodes, wait: Duration, reach: Reach) -> ClusterStatus {
    let first = nodes.known();
    let mut answers = ask_each(nodes, &first, wait).await;
    if reach == Reach::Learned {
        let asked: BTreeSet<Slot> = first.iter().map(|(slot, _)| *slot).collect();
        let second = learned(nodes, &answers, &asked);
        answers.extend(ask_each(nodes, &second, wait).await);
    }
    merge_doubles(&mut answers);
    ClusterStatus { nodes: answers }
}

async fn ask_each(nodes: &Nodes, each: &[(Slot, Address)], wait: Duration) -> Vec<NodeAnswer> {
    join_all(
        each.iter()
            .map(|(slot, address)| ask_one(nodes, *slot, address, wait)),
    )
    .await
}

async fn ask_one(nodes: &Nodes, slot: Slot, address: &Address, wait: Duration) -> NodeAnswer {
    let ask = |connection: Arc<Connection>, _| async move {
        let message = connection.request(v1::StatusRequest {});
        let answer = connection.cluster().status(message).await?.into_inner();
        NodeReport::from_wire(answer).map_err(Failure::disbelieve)
    };
    let began = nodes.now();
    let report = nodes.once(slot, began.saturating_add(wait), &ask).await;
    let took = nodes.now().saturating_sub(began);
    let report = report.map_err(|failure| match failure {
        Failure::Again { fault, .. } => StatusError::Fault(fault),
        Failure::Final(refused) => StatusError::Refused(Refused {
            decided: Decided::Never,
            ..refused
        }),
    });
    NodeAnswer {
        address: address.clone(),
        report,
        took,
    }
}

/// The nodes that answers name and that were not asked: neither under this address nor under another.
fn learned(nodes: &Nodes, answers: &[NodeAnswer], asked: &BTreeSet<Slot>) -> Vec<(Slot, Address)> {
    let reports = || {
        answers
            .iter()
            .filter_map(|answer| answer.report.as_ref().ok())
    };
    let answered: BTreeSet<NodeId> = reports().map(|report| report.node_id).collect();
    let mut fresh: Vec<(Slot, Address)> = Vec::new();
    for member in reports().flat_map(|report| &report.members) {
        let Ok(address) = member.client.parse::<Address>() else {
            continue;
        };
        let Some(slot) = nodes.learn(address.clone()) else {
            continue;
        };
        let is_known = answered.contains(&member.id)
            || asked.contains(&slot)
            || fresh.iter().any(|(known, _)| *known == slot);
        if !is_known {
            fresh.push((slot, address));
        }
    }
    fresh
}

/// A node that answered under two addresses is one node.
fn merge_doubles(answers: &mut Vec<NodeAnswer>) {
    let mut seen = BTreeSet::new();
    answers.retain(|answer| match &answer.report {
        Ok(report) => seen.insert(report.node_id),
        Err(_) => true,
    });
}

impl NodeReport {
    fn from_wire(answer: v1::StatusResponse) -> Result<Self, AnswerError> {
        let leader_id = match answer.leader_id {
            0 => None,
            id => Some(node("leader_id", id)?),
        };
        let policy = match answer.policy_version {
            0 => None,
            given => Some(PolicyInForce {
                version: version(given)?,
                digest: digest("policy_digest", &answer.policy_digest)?,
                name: answer.policy_name,
            }),
        };
        let cluster_id = answer.cluster_id.parse();
        Ok(Self {
            cluster_id: cluster_id.map_err(|error| malformed("cluster_id", error))?,
            node_id: node("node_id", answer.node_id)?,
            leader_id,
            term: answer.term,
            feature_level: answer.feature_level,
            members: answer
                .nodes
                .into_iter()
                .map(Member::from_wire)
                .collect::<Result<_, _>>()?,
            policy,
            cluster_time: time("cluster_time_ms", answer.cluster_time_ms)?,
            build: answer.build,
            tree_size: answer.tree_size,
            failure_tolerance: answer.failure_tolerance,
            signers_needed: answer.signers_needed,
            is_serving: answer.serving,
            time_lead_ms: answer.time_lead_ms,
            is_frozen: answer.frozen,
            frozen_surfaces: answer.frozen_surfaces,
            draining_surfaces: answer.draining_surfaces,
            waiting_count: answer.waiting,
            pending_approval_count: answer.pending_approvals,
            conflict_count: answer.conflicts,
            dispute_count: answer.disputes,
            audit: answer.audit.map(AuditReport::from).unwrap_or_default(),
            in_doubt_count: answer.in_doubt,
            witnesses: answer
                .witnesses
                .into_iter()
                .map(|witness| WitnessReport {
                    name: witness.name,
                    signed_size: witness.signed_size,
                    lag: witness.lag,
                    lag_seconds: witness.lag_seconds,
                    trouble: witness.trouble,
                })
                .collect(),
            removed_nodes: answer
                .removed_nodes
                .into_iter()
                .map(|id| node("removed_nodes", id))
                .collect::<Result<_, _>>()?,
            is_membership_changing: answer.membership_changing,
        })
    }
}

impl Member {
    fn from_wire(member: v1::NodeStatus) -> Result<Self, AnswerError> {
        Ok(Self {
            id: node("nodes.id", member.id)?,
            client: member.client,
            role: member.role,
            applied: member.applied,
            lag: member.lag,
            clock_offset_ms: member.clock_offset_ms,
            signing: member.signing,
            disk_free_percent: member.disk_free_percent,
        })
    }
}

fn node(field: &'static str, id: u64) -> Result<NodeId, AnswerError> {
    NodeId::new(id).map_err(|error| malformed(field, error))
}
