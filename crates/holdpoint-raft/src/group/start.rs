//! How a group starts: its parts, and the moment from which it takes part.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use holdpoint_core::command::Bootstrap;
use holdpoint_core::limits::VOTERS_MAX;
use holdpoint_receipt::NodeId;
use holdpoint_storage::{LogStore, StateStore, StoreError};
use openraft::Config;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::tasks::Parts;
use super::{Group, Inner, Queues};
use crate::applied_bytes::decode_applied;
use crate::batcher;
use crate::change_members::Changer;
use crate::clock::Clock;
use crate::config::GroupConfig;
use crate::disk::StateDisk;
use crate::error::StartError;
use crate::greeting::{Greeter, OwnLog};
use crate::inbound::Inbound;
use crate::leadership::Leadership;
use crate::limits;
use crate::log_store::Log;
use crate::member::ADDRESS_BYTES_MAX;
use crate::net::Net;
use crate::node_channel::{Counter, NodeAsker};
use crate::outbound::Links;
use crate::peers::{LocalNode, Peers};
use crate::proof::ProofDoor;
use crate::reads;
use crate::state_machine::{Progress, StateMachine};
use crate::timekeeper::Timekeeper;
use crate::types::Raft;

/// A voter that the group is founded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    /// Its id.
    pub node: NodeId,
    /// Where it answers peers, `host:port`.
    pub peer_address: String,
}

/// What a group is started with.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// This node.
    pub local: LocalNode,
    /// The voters that the group is founded with, this node among them. Each node is started with
    /// the same; once the group exists, its membership counts and not this.
    pub founders: Vec<Founder>,
    /// The epoch of the cluster's fences; 0 unless it was restored from another history.
    pub epoch: u64,
    /// Whether the cluster is a single node for development.
    pub is_dev: bool,
    /// Settings.
    pub config: GroupConfig,
}

impl GroupSpec {
    /// The other founders, after checking that all go together.
    fn others(&self) -> Result<BTreeMap<u64, String>, StartError> {
        let nodes: BTreeSet<u64> = self
            .founders
            .iter()
            .map(|founder| founder.node.get())
            .collect();
        if nodes.len() != self.founders.len() {
            return Err(StartError::Founders("a node is named twice"));
        }
        if nodes.len() > VOTERS_MAX {
            return Err(StartError::Founders("there are more than 31"));
        }
        let own = self.local.node.get();
        if !nodes.contains(&own) {
            return Err(StartError::Founders("this node is not among them"));
        }
        let member = &self.local.member;
        let addresses = self.founders.iter().map(|founder| &founder.peer_address);
        let mut addresses = addresses.chain([&member.peer_address, &member.client_address]);
        if addresses.any(|address| address.len() > ADDRESS_BYTES_MAX) {
            return Err(StartError::Founders("an address is longer than 255 bytes"));
        }
        let others = self
            .founders
            .iter()
            .filter(|founder| founder.node.get() != own);
        Ok(others
            .map(|founder| (founder.node.get(), founder.peer_address.clone()))
            .collect())
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            cluster: self.local.cluster,
            epoch: self.epoch,
            voters: self.founders.iter().map(|founder| founder.node).collect(),
            is_dev: self.is_dev,
        }
    }
}

impl Group {
    /// Starts a group on its log and state. Returns before this node has joined it: until then, and
    /// for ever if the cluster knows it otherwise (see [`Group::fault`]), it answers peers only who
    /// it is.
    ///
    /// Must be called within a tokio runtime, which runs the group's tasks.
    ///
    /// # Errors
    ///
    /// [`StartError`]: nothing was started.
    pub async fn start<L: LogStore, S: StateStore>(
        spec: GroupSpec,
        net: Arc<dyn Net>,
        clock: Arc<dyn Clock>,
        log: Arc<L>,
        state: Arc<S>,
    ) -> Result<Self, StartError> {
        let others = spec.others()?;
        let group = spec.local.group;
        let config = spec
            .config
            .to_raft(format!("{}/{group}", spec.local.cluster))?;
        let state: Arc<dyn StateDisk> = state;
        let log = Log::new(log, Arc::clone(&state), group);
        let shared = Shared::new(&spec, net, clock, state);
        let raft = shared.take_up(config, log.clone()).await?;
        let own = Arc::new(OwnLog {
            log,
            state: Arc::clone(&shared.state),
        });
        let joined = Arc::new(OnceLock::new());
        let stopped = watch::Sender::new(false);
        let greeter = shared.greeter(&own, others);
        let inbound = shared.inbound(own, &joined, stopped.subscribe());
        let leadership = Arc::new(watch::Sender::new(Leadership::Unknown));
        let changer = Arc::new(Changer {
            raft: raft.clone(),
            peers: Arc::clone(&shared.peers),
            leadership: leadership.subscribe(),
            turn: tokio::sync::Mutex::new(()),
            silent_after: spec.config.election_max * limits::SILENT_AFTER_ELECTIONS,
        });
        let (proposals, queued) = batcher::queue();
        let (reads, reads_queued) = reads::queue();
        let inner = Inner {
            inbound: Arc::new(inbound),
            asker: shared.asker(),
            changer,
            raft,
            joined,
            leadership,
            timekeeper: Arc::new(Timekeeper::new(Arc::clone(&shared.clock))),
            peers: shared.peers,
            state: shared.state,
            door: shared.door,
            progress: shared.progress,
            fault: Arc::new(watch::Sender::new(None)),
            stopped,
            queues: Mutex::new(Some(Queues { proposals, reads })),
            tasks: Mutex::new(JoinSet::new()),
        };
        inner.spawn_tasks(Parts {
            net: shared.net,
            clock: shared.clock,
            greeter,
            queued,
            reads_queued,
            bootstrap: spec.bootstrap(),
            clock_period: spec.config.clock_period,
        });
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// What the parts of a group have in common.
struct Shared {
    peers: Arc<Peers>,
    net: Arc<dyn Net>,
    clock: Arc<dyn Clock>,
    state: Arc<dyn StateDisk>,
    progress: Arc<Progress>,
    door: Arc<ProofDoor>,
    counter: Arc<Counter>,
}

impl Shared {
    fn new(
        spec: &GroupSpec,
        net: Arc<dyn Net>,
        clock: Arc<dyn Clock>,
        state: Arc<dyn StateDisk>,
    ) -> Self {
        let progress = Progress::new(spec.config.snapshot_bytes, Arc::clone(&clock));
        Self {
            peers: Arc::new(Peers::new(spec.local.clone())),
            net,
            clock,
            state,
            progress: Arc::new(progress),
            door: Arc::default(),
            counter: Arc::new(Counter::new()),
        }
    }

    /// Takes up the log and the state where they are, and learns the members. openraft does nothing
    /// yet.
    async fn take_up(&self, config: Config, log: Log) -> Result<Raft, StartError> {
        let (peers, state) = (&self.peers, &self.state);
        let machine = StateMachine::open(
            Arc::clone(state),
            Arc::clone(peers),
            Arc::clone(&self.door),
            Arc::clone(&self.progress),
        );
        let machine = machine.map_err(StartError::Disk)?;
        let links = Links {
            net: Arc::clone(&self.net),
            peers: Arc::clone(peers),
        };
        let node = peers.local().node.get();
        let raft = Raft::build(node, Arc::new(config), links, log, machine)
            .await
            .map_err(|error| StartError::Log(error.to_string()))?;
        // What was committed and not flushed is applied again by now.
        let applied = state.applied().map_err(unreadable)?.unwrap_or_default();
        let applied = decode_applied(&applied).map_err(StartError::Disk)?;
        peers.set_membership(&applied.membership);
        peers.set_former(&applied.former);
        Ok(raft)
    }

    /// Greets `others`, the nodes of the cluster's file. Whom the membership names counts more: the
    /// file may be older.
    fn greeter(&self, own: &Arc<OwnLog>, mut others: BTreeMap<u64, String>) -> Greeter {
        let peers = &self.peers;
        others.retain(|node, _| peers.removed(*node).is_none());
        others.extend(peers.other_members());
        Greeter {
            peers: Arc::clone(peers),
            net: Arc::clone(&self.net),
            own: Arc::clone(own),
            others,
            heard_of: Arc::default(),
        }
    }

    fn inbound(
        &self,
        own: Arc<OwnLog>,
        joined: &Arc<OnceLock<Raft>>,
        stopped: watch::Receiver<bool>,
    ) -> Inbound {
        Inbound {
            peers: Arc::clone(&self.peers),
            clock: Arc::clone(&self.clock),
            state: Arc::clone(&self.state),
            raft: Arc::clone(joined),
            own,
            counter: Arc::clone(&self.counter),
            door: Arc::clone(&self.door),
            stopped,
        }
    }

    fn asker(&self) -> NodeAsker {
        NodeAsker {
            peers: Arc::clone(&self.peers),
            net: Arc::clone(&self.net),
            counter: Arc::clone(&self.counter),
            places: Semaphore::new(limits::NODE_QUESTIONS_ASKED_MAX),
        }
    }
}

fn unreadable(error: StoreError) -> StartError {
    StartError::Disk(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use holdpoint_core::GroupId;
    use holdpoint_receipt::ClusterId;

    use super::*;
    use crate::member::Member;

    fn check(founders: &[u64], address: &str, expected: Option<&str>) {
        let id = |node| NodeId::new(node).unwrap();
        let founder = |node: &u64| Founder {
            node: id(*node),
            peer_address: address.to_owned(),
        };
        let spec = GroupSpec {
            local: LocalNode {
                cluster: ClusterId::from_bytes([7; 16]),
                group: GroupId::FIRST,
                node: id(1),
                member: Member::default(),
            },
            founders: founders.iter().map(founder).collect(),
            epoch: 0,
            is_dev: false,
            config: GroupConfig::default(),
        };
        let refused = spec.others().err().map(|error| error.to_string());
        let expected = expected.map(|why| format!("the cluster's nodes do not go together: {why}"));
        assert_eq!(refused, expected);
    }

    #[test]
    fn founders_must_be_different_nodes_and_this_one_among_them() {
        check(&[1, 2, 3], "a:1", None);
        check(&[1, 2, 2], "a:1", Some("a node is named twice"));
        check(&[2, 3], "a:1", Some("this node is not among them"));
        check(
            &[1],
            &"a".repeat(256),
            Some("an address is longer than 255 bytes"),
        );
        let many: Vec<u64> = (1..=32).collect();
        check(&many, "a:1", Some("there are more than 31"));
    }
}
