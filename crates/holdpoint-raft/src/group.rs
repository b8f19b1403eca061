//! A group: the handle that the rest of the node holds, and the tasks behind it.

mod change_members;
mod handover;
mod start;
mod tasks;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use holdpoint_core::{Command, Outcome};
use holdpoint_receipt::{ClusterTime, Digest, NodeId};
use holdpoint_storage::StoreError;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::applied::{Applied, AppliedHook};
use crate::batcher;
use crate::blocking::may_block;
use crate::change_members::Changer;
use crate::clock_status::ClockStatus;
use crate::committed::Committed;
use crate::disk::{StateDisk, StateView};
use crate::error::{GroupFault, ProposeError, ReadError};
use crate::inbound::Inbound;
use crate::leadership::{Leader, Leadership};
use crate::membership::GroupMembership;
use crate::net::PeerHandler;
use crate::node_channel::{AskNodeError, NodeAnswer, NodeAsker, NodeQuestion, NodeService};
use crate::peers::{LocalNode, Peers};
use crate::proof::{ProofDoor, ProofGate};
use crate::reads::{ReadGuard, ReadQueue};
use crate::state_machine::Progress;
use crate::status::{self, GroupStatus};
use crate::timekeeper::Timekeeper;
use crate::types::Raft;

pub use start::{Founder, GroupSpec};

/// A Raft group as this node takes part in it. Cheap to clone; clones are one group.
#[derive(Clone)]
pub struct Group {
    inner: Arc<Inner>,
}

struct Inner {
    peers: Arc<Peers>,
    state: Arc<dyn StateDisk>,
    inbound: Arc<Inbound>,
    asker: NodeAsker,
    door: Arc<ProofDoor>,
    changer: Arc<Changer>,
    /// The group, whether this node has joined it or not.
    raft: Raft,
    /// Set once this node has joined; shared with what answers peers.
    joined: Arc<OnceLock<Raft>>,
    leadership: Arc<watch::Sender<Leadership>>,
    timekeeper: Arc<Timekeeper>,
    progress: Arc<Progress>,
    fault: Arc<watch::Sender<Option<Arc<GroupFault>>>>,
    /// Becomes `true` when this node stops taking part.
    stopped: watch::Sender<bool>,
    /// Taken away at shutdown: what is not queued then is refused.
    queues: Mutex<Option<Queues>>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Clone)]
struct Queues {
    proposals: batcher::Queue,
    reads: ReadQueue,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.inner.peers.local();
        f.debug_struct("Group")
            .field("group", &local.group)
            .field("node", &local.node)
            .finish_non_exhaustive()
    }
}

impl Group {
    /// Waits until a quorum has made `command` durable and it is applied here, at most `wait`, and
    /// returns its outcome.
    ///
    /// At most [`limits::PROPOSALS_MAX`](crate::limits::PROPOSALS_MAX) calls wait at once, each at
    /// most [`limits::WAIT_MAX`](crate::limits::WAIT_MAX). They commit in the order of the log,
    /// which need not be the order of the calls.
    ///
    /// # Errors
    ///
    /// [`ProposeError::may_have_committed`] says whether the command will certainly never take
    /// effect. Where it may, repeat it with the same idempotency key.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, and the command unless an entry has it already, which
    /// cannot be told from here.
    ///
    /// Raft §8 (client interaction) is why the key, and not the connection, identifies a retry.
    pub async fn propose(
        &self,
        command: Command,
        wait: Duration,
    ) -> Result<Committed<Outcome>, ProposeError> {
        match self.queues() {
            Some(queues) => queues.proposals.propose(command, wait).await,
            None => Err(ProposeError::ShuttingDown {
                may_have_committed: false,
            }),
        }
    }

    /// Waits for a state that has everything that was committed before this call, at most `wait`.
    ///
    /// A majority of voters confirms that this node leads (ReadIndex, Raft §6.4); no clock is
    /// trusted. At most [`limits::READS_MAX`](crate::limits::READS_MAX) calls wait at once and share
    /// their rounds.
    ///
    /// # Errors
    ///
    /// [`ReadError`]. A read has no effect, so each may be repeated.
    pub async fn read_index(&self, wait: Duration) -> Result<ReadGuard, ReadError> {
        let queues = self.queues().ok_or(ReadError::ShuttingDown)?;
        let index = queues.reads.confirm(wait).await?;
        Ok(ReadGuard::new(Arc::clone(&self.inner.state), index))
    }

    /// Answers `query` from this node's own state, which may be older than what others have shown.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    pub fn local_view<R>(&self, query: impl FnOnce(StateView<'_>) -> R) -> Result<R, StoreError> {
        may_block(|| self.inner.state.read(query))
    }

    /// A digest over every row of this node's own state. Reads all of it; for tests and inspection.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    pub fn state_hash(&self) -> Result<Digest, StoreError> {
        may_block(|| self.inner.state.state_hash())
    }

    /// Where this node and its group stand. Waits for nothing.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let local = self.inner.peers.local();
        let own = Leader {
            node: local.node.get(),
            member: local.member.clone(),
        };
        let metrics = self.inner.raft.metrics().borrow_watched().clone();
        let leadership = self.inner.leadership.borrow().clone();
        let clock = match leadership.leads() {
            Some(_) => self.inner.timekeeper.watch().status(),
            None => ClockStatus::default(),
        };
        GroupStatus {
            clock,
            fault: self.inner.fault.borrow().as_ref().map(ToString::to_string),
            ..status::of_metrics(&metrics, &leadership, &own)
        }
    }

    /// This node.
    #[must_use]
    pub fn local(&self) -> &LocalNode {
        self.inner.peers.local()
    }

    /// Who leads, from now on.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.subscribe()
    }

    /// Whether this node's wall clock is within [`limits::SKEW_MS_MAX`](crate::limits::SKEW_MS_MAX)
    /// of the voters' median. A leader whose clock is not must not grant.
    #[must_use]
    pub fn clock_is_sound(&self) -> watch::Receiver<bool> {
        self.inner.timekeeper.watch().is_sound()
    }

    /// Where cluster time is now: not after the time of the next entry, and near it. None unless this
    /// node leads; without an entry, the state shows an older time.
    #[must_use]
    pub fn cluster_now(&self) -> Option<ClusterTime> {
        let term = self.inner.leadership.borrow().leads()?;
        self.inner.timekeeper.now(term)
    }

    /// The index of the last entry that this node applied, from now on.
    #[must_use]
    pub fn applied_index(&self) -> Option<u64> {
        self.inner.progress.applied.borrow().map(|id| id.index)
    }

    /// How far this node has applied the log, from now on, whether it leads or not: wakes at each
    /// entry, after its rows are in the state.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.inner.progress.teller.subscribe()
    }

    /// Calls `hook` for each entry with commands that this node applies from now on, leader or not, and
    /// for each that sets who votes. The first hook stays; returns whether this is it.
    ///
    /// It runs on the task that applies, after the entry's rows are in the state and before any
    /// caller is answered: it may read the state and must not wait for anything, [`Group::applied`]
    /// least of all. What a snapshot brings
    /// passes it by, as does what is applied before this call: [`Group::applied`] tells of both, so
    /// who must miss nothing reads the state when the index there moved further than the hook saw.
    #[must_use = "only the first hook counts"]
    pub fn on_applied(&self, hook: AppliedHook) -> bool {
        self.inner.progress.teller.set_hook(hook)
    }

    /// Who belongs to the group, from now on.
    #[must_use]
    pub fn membership(&self) -> watch::Receiver<GroupMembership> {
        self.inner.peers.membership()
    }

    /// Asks the member `node` and waits at most `wait` for its answer, which is of the question's kind.
    /// This node itself may be asked, too.
    ///
    /// At most [`limits::NODE_QUESTIONS_ASKED_MAX`](crate::limits::NODE_QUESTIONS_ASKED_MAX) calls wait
    /// at once. Nothing is asked twice: who wants to, asks again.
    ///
    /// # Errors
    ///
    /// [`AskNodeError::may_have_acted`] says whether the node certainly did nothing.
    pub async fn ask_node(
        &self,
        node: NodeId,
        question: NodeQuestion,
        wait: Duration,
    ) -> Result<NodeAnswer, AskNodeError> {
        self.inner.asker.ask(node, question, wait).await
    }

    /// Has `service` answer what other nodes ask from now on. The first one stays; returns whether this
    /// is it. Until there is one, this node refuses such questions.
    #[must_use = "only the first service counts"]
    pub fn serve_nodes(&self, service: Arc<dyn NodeService>) -> bool {
        self.inner.asker.counter.open(service)
    }

    /// Has `gate` say from now on which snapshots may leave and which may be installed. The first one
    /// stays; returns whether this is it. Until there is one, all may.
    #[must_use = "only the first gate counts"]
    pub fn set_proof_gate(&self, gate: Arc<dyn ProofGate>) -> bool {
        self.inner.door.set(gate)
    }

    /// Tells the group that more is proven than before: a snapshot that waits for it is asked for
    /// again. Cheap; to be called with each head that is proven.
    pub fn proof_moved(&self) {
        self.inner.door.moved();
    }

    /// What answers the peers of this node: for its accept loop.
    #[must_use]
    pub fn peer_handler(&self) -> Arc<dyn PeerHandler> {
        Arc::clone(&self.inner.inbound) as Arc<dyn PeerHandler>
    }

    /// Whether this node has joined its group: before, it takes no part and answers nobody.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.inner.joined.get().is_some()
    }

    /// Resolves once the group has stopped by a fault, with its cause. The process must end then.
    pub async fn fault(&self) -> Arc<GroupFault> {
        let mut fault = self.inner.fault.subscribe();
        loop {
            let now = fault.borrow_and_update().clone();
            match now {
                Some(fault) => return fault,
                // The sender lives as long as this handle.
                None => {
                    let _ = fault.changed().await;
                }
            }
        }
    }

    fn queues(&self) -> Option<Queues> {
        self.inner
            .queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
