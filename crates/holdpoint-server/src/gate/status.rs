//! Where this node stands, as it knows by itself. Waits for no other node.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdpoint_core::command::AnnounceNode;
use holdpoint_core::limits::{FEATURE_LEVEL_MAX, SKEW_MS_MAX};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::{GroupId, Query, View};
use holdpoint_policy::EVALUATOR_VERSION;
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_proto::v1;
use holdpoint_raft::{GroupMembership, GroupStatus, Leadership, MemberPlace};
use holdpoint_receipt::{ClusterId, Digest, Name, NodeId};
use holdpoint_storage::{Incarnation, StoreError};

use super::Gate;
use crate::cosign::NOT_ANNOUNCED;
use crate::evaluate::ReadFault;
use crate::home::Generations;
use crate::members::KnownNode;
use crate::neighbours::Seen;
use crate::policies::{NotLoaded, Policies};
use crate::pool::PoolError;
use crate::recognition::{self, RecognitionError};

/// How the status says that a node signs.
const SIGNS: &str = "ok";

/// What is said of a voter whose keys an operator has retired or marked, or that is not among the signers
/// yet.
const RETIRED: &str = "retired";

/// What a node says of itself.
#[derive(Clone, Debug)]
pub(crate) struct OwnIdentity {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// The node.
    pub(crate) node: NodeId,
    /// The random identity of its data directory.
    pub(crate) incarnation: Incarnation,
    /// Its keys.
    pub(crate) keys: Generations,
    /// Its data directory.
    pub(crate) root: PathBuf,
}

impl OwnIdentity {
    /// What the leader announces for this node.
    pub(crate) fn announcement(&self) -> AnnounceNode {
        let keys = self.keys.present();
        AnnounceNode {
            node: self.node,
            incarnation: *self.incarnation.as_bytes(),
            log_key: *keys.log.as_bytes(),
            cosign_key: *keys.cosign.as_bytes(),
            feature_level_max: FEATURE_LEVEL_MAX,
            evaluator_version: EVALUATOR_VERSION,
        }
    }

    fn to_wire(&self) -> v1::NodeIdentity {
        let said = self.announcement();
        v1::NodeIdentity {
            incarnation: said.incarnation.to_vec(),
            log_key: said.log_key.to_vec(),
            cosign_key: said.cosign_key.to_vec(),
            feature_level_max: said.feature_level_max,
            evaluator_version: said.evaluator_version,
        }
    }
}

/// What this node can do for clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It leads, a majority confirmed that a moment ago, and its clock lets it grant.
    pub(crate) can_decide: bool,
    /// It can decide, or knows who leads.
    pub(crate) takes_part: bool,
}

/// What the applied state says.
#[derive(Default)]
struct Applied {
    feature_level: u32,
    cluster_time_ms: u64,
    policy: Option<(u64, Digest)>,
    policy_name: String,
    tree_size: u64,
    announced: Vec<NodeId>,
    frozen: bool,
    frozen_surfaces: Vec<String>,
    draining_surfaces: Vec<String>,
    waiting: u64,
    pending_approvals: u64,
    conflicts: u64,
    disputes: u64,
    in_doubt: u32,
    signers_needed: u32,
    /// Who may sign.
    signers: BTreeSet<NodeId>,
}

impl Gate {
    /// What this node can do for clients now.
    pub(crate) fn standing(&self) -> Standing {
        let leadership = self.parts.group.leadership();
        let (leads, follows) = match &*leadership.borrow() {
            Leadership::Leads { .. } => (true, false),
            Leadership::Follows(_) => (false, true),
            Leadership::Unknown => (false, false),
        };
        let can_decide = leads
            && self.quorum.is_confirmed()
            && !self.admission.is_closed()
            && *self.parts.group.clock_is_sound().borrow();
        Standing {
            can_decide,
            takes_part: can_decide || follows,
        }
    }

    /// Whether enough keys are announced in what this node has applied, its own among them: what is
    /// decided can be proved.
    pub(crate) async fn can_prove(&self) -> bool {
        if !self.recognised().await.unwrap_or(false) {
            return false;
        }
        let group = self.parts.group.clone();
        let read = self.parts.reads.run(move || {
            let found = group.local_view(|view| {
                let namespace = Name::new(NAMESPACE_DEFAULT).ok();
                let state = Query::new(&view, GroupId::FIRST);
                let log = match namespace {
                    Some(namespace) => state.namespace(&namespace)?,
                    None => None,
                };
                match log {
                    Some(log) => log.epoch_of(log.head()?.size).map(|found| found.is_some()),
                    None => Ok(false),
                }
            });
            found.ok().and_then(Result::ok).unwrap_or(false)
        });
        read.await.unwrap_or(false)
    }

    /// The same, or how the cluster knows this node otherwise.
    pub(crate) async fn recognised(&self) -> Result<bool, RecognitionError> {
        let (group, own) = (self.parts.group.clone(), self.parts.own.clone());
        let read = self
            .parts
            .reads
            .run(move || recognition::recognise(&group, &own));
        // A pool that is full or gone knows nothing.
        read.await.unwrap_or(Ok(false))
    }

    /// The answer to `Cluster.Status`.
    pub(crate) async fn status(&self) -> Result<v1::StatusResponse, PoolError> {
        let (group, policies) = (self.parts.group.clone(), self.policies.clone());
        let own = self.parts.own.clone();
        let applied = self.parts.reads.run(move || {
            // What this node says of itself is as new as the rest. A difference is for its own task.
            recognition::recognise(&group, &own).ok();
            let read = group.local_view(|view| read(&Query::new(&view, GroupId::FIRST), &policies));
            // A store that has stopped says nothing; the rest of the status still does.
            read.ok().and_then(Result::ok).unwrap_or_default()
        });
        let applied = applied.await?;
        let (status, membership) = (self.parts.group.status(), self.parts.members.membership());
        let (version, digest) = match applied.policy {
            Some((version, digest)) => (version, digest.as_bytes().to_vec()),
            None => (0, Vec::new()),
        };
        let failure_tolerance = self.failure_tolerance(&status, &applied);
        Ok(v1::StatusResponse {
            cluster_id: self.parts.own.cluster.to_string(),
            node_id: self.parts.own.node.get(),
            leader_id: status.leader.as_ref().map_or(0, |leader| leader.node),
            term: status.term,
            feature_level: applied.feature_level,
            nodes: self.node_statuses(&status, &applied),
            policy_version: version,
            policy_digest: digest,
            policy_name: applied.policy_name,
            cluster_time_ms: applied.cluster_time_ms,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            tree_size: applied.tree_size,
            failure_tolerance,
            serving: self.standing().can_decide,
            identity: Some(self.parts.own.to_wire()),
            wall_ms: self.parts.clock.wall_ms(),
            time_lead_ms: time_lead_ms(&status),
            frozen: applied.frozen,
            frozen_surfaces: applied.frozen_surfaces,
            draining_surfaces: applied.draining_surfaces,
            waiting: applied.waiting,
            pending_approvals: applied.pending_approvals,
            conflicts: applied.conflicts,
            disputes: applied.disputes,
            audit: Some(self.audit_status()),
            in_doubt: applied.in_doubt,
            proven_size: self.proven_size(),
            signers_needed: applied.signers_needed,
            signers: u32::try_from(applied.signers.len()).unwrap_or(u32::MAX),
            root_mismatches: self.parts.cosigner.standing().mismatches(),
            signing_rounds: self.parts.cosigner.standing().rounds(),
            witnesses: self.witness_statuses(),
            removed_nodes: membership.removed.keys().map(|node| node.get()).collect(),
            membership_changing: membership.is_joint,
        })
    }

    fn node_statuses(&self, status: &GroupStatus, applied: &Applied) -> Vec<v1::NodeStatus> {
        let own = self.parts.own.node;
        let neighbours = self.neighbours.seen();
        let membership = self.parts.members.membership();
        let node = |entry: &KnownNode| {
            let member = status.members.get(&entry.id.get());
            let seen = neighbours.get(&entry.id);
            let is_own = entry.id == own;
            let is_leader = status
                .leader
                .as_ref()
                .is_some_and(|it| it.node == entry.id.get());
            let role = if is_leader {
                "leader"
            } else {
                role(&membership, entry.id, is_own)
            };
            let known = member
                .and_then(|member| member.matched)
                .map(|matched| matched.index);
            let own_applied = status.applied.map(|applied| applied.index);
            v1::NodeStatus {
                id: entry.id.get(),
                client: entry.client.clone(),
                role: role.to_owned(),
                applied: if is_own { own_applied } else { known }.unwrap_or(0),
                lag: if is_own {
                    own_lag(status)
                } else {
                    member.and_then(|member| member.lag)
                },
                clock_offset_ms: if is_own && is_leader {
                    Some(0)
                } else {
                    seen.map(|seen| seen.clock_offset_ms)
                },
                signing: self.signing(entry.id, applied, seen),
                disk_free_percent: if is_own {
                    disk_free_percent(&self.parts.own.root)
                } else {
                    None
                },
            }
        };
        let mut nodes = self.parts.members.nodes();
        if nodes.iter().all(|known| known.id != own) {
            let client = self.parts.group.local().member.client_address.clone();
            nodes.push(KnownNode { id: own, client });
        }
        nodes.iter().map(node).collect()
    }
}

impl Gate {
    /// How many voters answered lately, this node among them if it is one.
    pub(super) fn voters_up(&self) -> usize {
        self.up(&self.parts.members.voters())
    }

    /// How many of `nodes` answered lately, this node among them if it is one.
    fn up(&self, nodes: &BTreeSet<NodeId>) -> usize {
        let seen = self.neighbours.seen();
        let is_up = |node: &&NodeId| **node == self.parts.own.node || seen.contains_key(*node);
        nodes.iter().filter(is_up).count()
    }

    fn proven_size(&self) -> u64 {
        // The name of the first namespace is a constant of ours.
        let default = Name::new(NAMESPACE_DEFAULT).ok();
        let proven = default.and_then(|default| self.parts.cosigner.proven_size(&default));
        proven.unwrap_or(0)
    }

    fn audit_status(&self) -> v1::AuditStatus {
        let audit = self.audit();
        let totals = audit.totals();
        v1::AuditStatus {
            state: self.audit_duty().as_str().to_owned(),
            checked: totals.checked,
            skipped: totals.skipped,
            disagreements: totals.disagreements,
            untold: totals.untold,
            lag: audit.lag(&self.parts.group.applied().borrow().tree_sizes),
            cpu_us: totals.cpu_us,
        }
    }

    fn witness_statuses(&self) -> Vec<v1::WitnessStatus> {
        // The name of the first namespace is a constant of ours.
        let Ok(default) = Name::new(NAMESPACE_DEFAULT) else {
            return Vec::new();
        };
        let newest = self.newest_proven(&default);
        self.parts.witnesses.statuses(&default, newest.as_ref())
    }

    /// Whether a node signs: of this node what it knows, of another what that one said of itself;
    /// empty if it has not said it lately.
    fn signing(&self, node: NodeId, applied: &Applied, seen: Option<&Seen>) -> String {
        if !applied.announced.contains(&node) {
            return NOT_ANNOUNCED.to_owned();
        }
        let is_voter = self.parts.members.voters().contains(&node);
        if is_voter && !applied.signers.is_empty() && !applied.signers.contains(&node) {
            return RETIRED.to_owned();
        }
        if node != self.parts.own.node {
            return seen.map(|seen| seen.signing.clone()).unwrap_or_default();
        }
        let trouble = self.parts.cosigner.standing().trouble();
        let word = trouble.map_or(SIGNS, |trouble| trouble.word());
        word.to_owned()
    }

    /// How many more voters can be lost while decisions go on and are signed, as far as this node knows:
    /// none while nobody leads; counted from those that answer, if it leads; else from none being away.
    fn failure_tolerance(&self, status: &GroupStatus, applied: &Applied) -> u32 {
        let voters = self.parts.members.voters().len();
        let is_leader = status
            .leader
            .as_ref()
            .is_some_and(|it| it.node == status.node);
        let up = if status.leader.is_none() {
            0
        } else if is_leader {
            self.voters_up()
        } else {
            voters
        };
        let majority = voters / 2 + 1;
        let deciding = up.min(voters).saturating_sub(majority);
        let signers_up = if is_leader {
            self.up(&applied.signers)
        } else {
            applied.signers.len()
        };
        let signing = signers_up.saturating_sub(applied.signers_needed as usize);
        u32::try_from(deciding.min(signing)).unwrap_or(0)
    }
}

/// The part of a node that does not lead.
fn role(membership: &GroupMembership, node: NodeId, is_own: bool) -> &'static str {
    if is_own && membership.own == MemberPlace::Removed {
        "removed"
    } else if membership.voters.contains(&node) {
        "voter"
    } else if membership.leaving.contains(&node) {
        "leaving"
    } else if membership.learners.contains(&node) {
        "learner"
    } else {
        "unknown"
    }
}

/// How far cluster time leads the voters' clocks, where that is more than the largest skew.
fn time_lead_ms(status: &GroupStatus) -> u64 {
    let lead = status
        .clock
        .lead_ms
        .and_then(|lead| u64::try_from(lead).ok());
    lead.filter(|lead| *lead > SKEW_MS_MAX).unwrap_or(0)
}

/// What this node has not applied of its own log.
fn own_lag(status: &GroupStatus) -> Option<u64> {
    let applied = status.applied.map_or(0, |applied| applied.index);
    Some(status.last_index?.saturating_sub(applied))
}

/// The free share of the disk that holds `root`.
fn disk_free_percent(root: &Path) -> Option<u32> {
    let disk = rustix::fs::statvfs(root).ok()?;
    let percent = u128::from(disk.f_bavail) * 100 / u128::from(disk.f_blocks.max(1));
    u32::try_from(percent).ok()
}

/// The name that a stored bundle gives itself; empty if this build cannot load it.
pub(super) fn name_of<V: View<Error = StoreError>>(
    namespace: &NamespaceQuery<'_, V>,
    policies: &Policies,
    digest: &Digest,
) -> Result<String, ReadFault> {
    let Some(record) = namespace.bundle(digest)? else {
        return Ok(String::new());
    };
    let policy = policies.get::<NotLoaded>(*digest, || Ok(record.bundle));
    Ok(policy
        .map(|policy| policy.name().to_string())
        .unwrap_or_default())
}

fn read<V: View<Error = StoreError>>(
    state: &Query<'_, V>,
    policies: &Policies,
) -> Result<Applied, ReadFault> {
    let group = state.group()?;
    let announced = state
        .nodes(None)?
        .into_iter()
        .map(|(node, _)| node)
        .collect();
    let mut applied = Applied {
        feature_level: group.map_or(0, |group| group.feature_level),
        cluster_time_ms: state.now()?.get(),
        announced,
        ..Applied::default()
    };
    // The name of the first namespace is a constant of ours.
    let Ok(name) = Name::new(NAMESPACE_DEFAULT) else {
        return Ok(applied);
    };
    if let Some(namespace) = state.namespace(&name)? {
        let record = namespace.record();
        let texts = |names: &[Name]| names.iter().map(ToString::to_string).collect();
        applied.frozen = record.frozen;
        applied.frozen_surfaces = texts(&record.frozen_surfaces);
        applied.draining_surfaces = record
            .drain
            .as_ref()
            .map_or_else(Vec::new, |drain| texts(&drain.surfaces));
        applied.waiting = record.waiters;
        applied.pending_approvals = record.pending;
        applied.conflicts = record.conflicts;
        applied.disputes = record.disputes;
        applied.in_doubt = u32::try_from(namespace.doubt_count()?).unwrap_or(u32::MAX);
        applied.tree_size = namespace.head()?.size;
        if let Some((_, epoch)) = namespace.newest_epoch()? {
            applied.signers_needed = epoch.signers_needed;
            applied.signers = epoch.signers.iter().map(|signer| signer.node).collect();
        }
        applied.policy = namespace
            .record()
            .active
            .map(|it| (it.version.get(), it.digest));
        if let Some((_, digest)) = applied.policy {
            applied.policy_name = name_of(&namespace, policies, &digest)?;
        }
    }
    Ok(applied)
}
