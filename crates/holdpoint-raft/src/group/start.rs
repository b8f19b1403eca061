//! How a group starts: its parts, its tasks, and the moment from which it takes part.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use holdpoint_core::command::Bootstrap;
use holdpoint_core::limits::VOTERS_MAX;
use holdpoint_receipt::NodeId;
use holdpoint_storage::{LogStore, StateStore, StoreError};
use openraft::Config;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{Group, Inner, Queues};
use crate::applied_bytes::decode_applied;
use crate::batcher::{self, Batcher};
use crate::change_members::Changer;
use crate::clock::Clock;
use crate::clocks::Asker;
use crate::config::GroupConfig;
use crate::disk::StateDisk;
use crate::error::{GroupFault, StartError};
use crate::greeting::{Greeter, Joined, OwnLog};
use crate::inbound::Inbound;
use crate::leadership::{self, Leadership};
use crate::limits;
use crate::log_store::Log;
use crate::member::ADDRESS_BYTES_MAX;
use crate::membership::{GroupMembership, MemberPlace};
use crate::net::Net;
use crate::node_channel::{Counter, NodeAsker};
use crate::outbound::Links;
use crate::peers::{LocalNode, Peers};
use crate::proof::ProofDoor;
use crate::reads::{self, Confirmer};
use crate::state_machine::{Progress, StateMachine};
use crate::term::Ground;
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
        let mut others = spec.others()?;
        let group = spec.local.group;
        let config = spec
            .config
            .to_raft(format!("{}/{group}", spec.local.cluster))?;
        let state: Arc<dyn StateDisk> = state;
        let log = Log::new(log, Arc::clone(&state), group);
        let peers = Arc::new(Peers::new(spec.local.clone()));
        let progress = Arc::new(Progress::new(
            spec.config.snapshot_bytes,
            Arc::clone(&clock),
        ));
        let links = Links {
            net: Arc::clone(&net),
            peers: Arc::clone(&peers),
        };
        let door = Arc::new(ProofDoor::default());
        let raft = take_up(config, links, log.clone(), &state, &door, &progress).await?;
        // Whom the membership names counts, not whom the cluster's file named once.
        others.retain(|node, _| peers.removed(*node).is_none());
        others.extend(peers.other_members());
        let own = Arc::new(OwnLog {
            log,
            state: Arc::clone(&state),
        });
        let joined = Arc::new(OnceLock::new());
        let greeter = Greeter {
            peers: Arc::clone(&peers),
            net: Arc::clone(&net),
            own: Arc::clone(&own),
            others,
        };
        let stopped = watch::Sender::new(false);
        let counter = Arc::new(Counter::new());
        let inbound = Inbound {
            peers: Arc::clone(&peers),
            clock: Arc::clone(&clock),
            state: Arc::clone(&state),
            raft: Arc::clone(&joined),
            own,
            counter: Arc::clone(&counter),
            door: Arc::clone(&door),
            stopped: stopped.subscribe(),
        };
        let asker = NodeAsker {
            peers: Arc::clone(&peers),
            net: Arc::clone(&net),
            counter,
            places: Semaphore::new(limits::NODE_QUESTIONS_ASKED_MAX),
        };
        let leadership = Arc::new(watch::Sender::new(Leadership::Unknown));
        let changer = Arc::new(Changer {
            raft: raft.clone(),
            peers: Arc::clone(&peers),
            leadership: leadership.subscribe(),
            turn: tokio::sync::Mutex::new(()),
            silent_after: spec.config.election_max * limits::SILENT_AFTER_ELECTIONS,
        });
        let timekeeper = Arc::new(Timekeeper::new(Arc::clone(&clock)));
        let (proposals, queued) = batcher::queue();
        let (reads, reads_queued) = reads::queue();
        let inner = Inner {
            peers,
            state,
            inbound: Arc::new(inbound),
            asker,
            door,
            changer,
            raft,
            joined,
            leadership,
            timekeeper,
            progress,
            fault: Arc::new(watch::Sender::new(None)),
            stopped,
            queues: Mutex::new(Some(Queues { proposals, reads })),
            tasks: Mutex::new(JoinSet::new()),
        };
        let parts = Parts {
            net,
            clock,
            greeter,
            queued,
            reads_queued,
            bootstrap: spec.bootstrap(),
            clock_period: spec.config.clock_period,
        };
        inner.spawn_tasks(parts);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// Takes up the log and the state where they are, and learns the members. openraft does nothing yet.
async fn take_up(
    config: Config,
    links: Links,
    log: Log,
    state: &Arc<dyn StateDisk>,
    door: &Arc<ProofDoor>,
    progress: &Arc<Progress>,
) -> Result<Raft, StartError> {
    let peers = Arc::clone(&links.peers);
    let machine = StateMachine::open(
        Arc::clone(state),
        Arc::clone(&peers),
        Arc::clone(door),
        Arc::clone(progress),
    )
    .map_err(StartError::Disk)?;
    let raft = Raft::build(
        peers.local().node.get(),
        Arc::new(config),
        links,
        log,
        machine,
    )
    .await
    .map_err(|error| StartError::Log(error.to_string()))?;
    // What was committed and not flushed is applied again by now.
    let applied = state.applied().map_err(unreadable)?.unwrap_or_default();
    let applied = decode_applied(&applied).map_err(StartError::Disk)?;
    peers.set_membership(&applied.membership);
    peers.set_former(&applied.former);
    Ok(raft)
}

fn unreadable(error: StoreError) -> StartError {
    StartError::Disk(io::Error::other(error))
}

/// What only the tasks need.
struct Parts {
    net: Arc<dyn Net>,
    clock: Arc<dyn Clock>,
    greeter: Greeter,
    queued: batcher::Queued,
    reads_queued: tokio::sync::mpsc::Receiver<tokio::sync::oneshot::Sender<reads::Answer>>,
    bootstrap: Bootstrap,
    clock_period: Duration,
}

impl Inner {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(task);
    }

    fn spawn_tasks(&self, parts: Parts) {
        let Parts {
            net,
            clock,
            greeter,
            queued,
            reads_queued,
            bootstrap,
            clock_period,
        } = parts;
        let raft = self.raft.clone();
        self.watch_for_faults();
        self.spawn(join(
            greeter,
            raft.clone(),
            Arc::clone(&self.joined),
            Arc::clone(&self.fault),
        ));
        let (peers, told) = (Arc::clone(&self.peers), Arc::clone(&self.leadership));
        self.spawn(leadership::follow(raft.clone(), peers.clone(), told));
        let asker = Asker {
            peers,
            net,
            clock,
            timekeeper: Arc::clone(&self.timekeeper),
            period: clock_period,
        };
        self.spawn(asker.run(raft.clone(), self.leadership.subscribe()));
        let group = self.peers.local().group;
        let ground = Ground {
            group,
            state: Arc::clone(&self.state),
            timekeeper: Arc::clone(&self.timekeeper),
            bootstrap,
            progress: Arc::clone(&self.progress),
        };
        let leadership = self.leadership.subscribe();
        self.spawn(
            Batcher {
                raft: raft.clone(),
                group,
                ground,
                leadership,
                queued,
            }
            .run(),
        );
        let leadership = self.leadership.subscribe();
        self.spawn(
            Confirmer {
                raft: raft.clone(),
                leadership,
                queued: reads_queued,
            }
            .run(),
        );
        self.spawn(Arc::clone(&self.changer).finish_what_was_begun());
        self.spawn(rest_once_removed(raft.clone(), self.peers.membership()));
        let (progress, door) = (Arc::clone(&self.progress), Arc::clone(&self.door));
        self.spawn(snapshot_in_time(raft, progress, door));
    }

    /// Reports the first fault of the store, and openraft's own end.
    fn watch_for_faults(&self) {
        let fault = Arc::clone(&self.fault);
        // The latch keeps its watchers, so this must not hold the store that holds the latch.
        self.state.faults().watch(move |first| {
            let first = Arc::clone(first);
            report(&fault, GroupFault::Store(StoreError::Poisoned { first }));
        });
        let (fault, raft) = (Arc::clone(&self.fault), self.raft.clone());
        self.spawn(async move {
            let mut metrics = raft.metrics();
            loop {
                let running = metrics.borrow_and_update().running_state.clone();
                if let Err(fatal) = running {
                    if !matches!(fatal, openraft::errors::Fatal::Stopped) {
                        report(&fault, GroupFault::Stopped(fatal.to_string()));
                    }
                    return;
                }
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Keeps the first fault.
fn report(told: &watch::Sender<Option<Arc<GroupFault>>>, fault: GroupFault) {
    told.send_if_modified(|first| {
        let is_first = first.is_none();
        if is_first {
            tracing::error!(%fault, "the group stops");
            *first = Some(Arc::new(fault));
        }
        is_first
    });
}

/// Joins the group, then goes on asking whom this node could not reach.
async fn join(
    greeter: Greeter,
    raft: Raft,
    joined: Arc<OnceLock<Raft>>,
    fault: Arc<watch::Sender<Option<Arc<GroupFault>>>>,
) {
    let taking_part = match greeter.join().await {
        Ok(taking_part) => taking_part,
        Err(refused) => return report(&fault, refused),
    };
    raft.run();
    if let Joined::Found(members) = taking_part {
        tracing::info!(voters = ?members.keys(), "founding the group");
        match raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return report(&fault, GroupFault::Stopped(error.to_string())),
        }
    }
    // From here on, frames of peers reach openraft.
    let _ = joined.set(raft);
    if let Err(refused) = greeter.greet_until_all_answered().await {
        report(&fault, refused);
    }
}

/// Keeps a node that was removed from asking for votes. Its own log may never say that it was.
async fn rest_once_removed(raft: Raft, mut membership: watch::Receiver<GroupMembership>) {
    let is_removed = |told: &GroupMembership| told.own == MemberPlace::Removed;
    if membership.wait_for(is_removed).await.is_ok() {
        raft.runtime_config().elect(false);
        tracing::error!(
            "this node was removed from the group, for ever: it takes no part any more"
        );
    }
}

/// Asks for a snapshot when enough bytes were applied, or when one that waited is proven; openraft
/// itself counts entries.
async fn snapshot_in_time(raft: Raft, progress: Arc<Progress>, door: Arc<ProofDoor>) {
    loop {
        tokio::select! {
            () = progress.snapshot_due.notified() => {}
            () = door.until_proven() => {}
        }
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
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
