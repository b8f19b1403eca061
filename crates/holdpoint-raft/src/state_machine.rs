//! The replicated state as openraft wants it: committed entries become outcomes and rows.
//!
//! Each entry is one step on the store: its rows, how far the log is applied, and the membership.
//! What a command means is decided in `holdpoint-core`; an error here is a fault of this node's own
//! storage and stops the node. Every responder is called, or dropped with the node that stops.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use holdpoint_core::{GroupId, LogPosition, Outcome};
use holdpoint_receipt::{ClusterTime, NodeId};
use holdpoint_storage::StoreError;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::{Notify, watch};

use crate::applied::{self, Teller};
use crate::applied_bytes::{AppliedState, decode_applied, encode_applied};
use crate::blocking::may_block;
use crate::clock::Clock;
use crate::committed::Committed;
use crate::disk::StateDisk;
use crate::held::{Held, LastSnapshot, with_meta};
use crate::member::Member;
use crate::membership::Former;
use crate::payload::Proposal;
use crate::peers::Peers;
use crate::proof::{ProofDoor, TreeSizes};
use crate::snapshot::ProvenSnapshot;
use crate::timekeeper::Seen;
use crate::types::{
    LogEntry, LogId, Membership, Payload, RaftSnapshot, SnapshotMeta, StoredMembership, TypeConfig,
    term_of,
};

/// What others want to know about the progress of apply.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The last applied entry.
    pub(crate) applied: watch::Sender<Option<LogId>>,
    /// Tells those outside this crate.
    pub(crate) teller: Teller,
    clock: Arc<dyn Clock>,
    /// The newest cluster time applied, and when.
    seen: Mutex<Seen>,
    /// Bytes applied since the last snapshot.
    bytes: AtomicU64,
    /// As many bytes make a snapshot due.
    bytes_max: u64,
    /// Rung when a snapshot is due by bytes.
    pub(crate) snapshot_due: Notify,
}

impl Progress {
    pub(crate) fn new(bytes_max: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            applied: watch::Sender::new(None),
            teller: Teller::default(),
            clock,
            seen: Mutex::default(),
            bytes: AtomicU64::new(0),
            bytes_max,
            snapshot_due: Notify::new(),
        }
    }

    /// Cluster time as it was last applied here.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, time: ClusterTime) {
        let at = self.clock.monotonic();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { time, at };
    }

    fn add(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before < self.bytes_max && before.saturating_add(bytes) >= self.bytes_max {
            self.snapshot_due.notify_one();
        }
    }
}

/// The state of one group.
#[derive(Debug)]
pub(crate) struct StateMachine {
    state: Arc<dyn StateDisk>,
    group: GroupId,
    membership: StoredMembership,
    /// Who was a member once.
    former: Former,
    /// Told of them.
    peers: Arc<Peers>,
    /// The last snapshot. Its files go away with it.
    snapshot: LastSnapshot,
    /// A snapshot that may not leave yet: pinned where it was due, so that it is proven soon however
    /// much is applied meanwhile.
    waiting: Option<Held>,
    door: Arc<ProofDoor>,
    progress: Arc<Progress>,
}

fn fault(error: StoreError) -> io::Error {
    io::Error::other(error)
}

impl StateMachine {
    /// Takes up the state where its store is.
    ///
    /// # Errors
    ///
    /// The store has stopped, or what it keeps beside the applied index does not decode.
    pub(crate) fn open(
        state: Arc<dyn StateDisk>,
        peers: Arc<Peers>,
        door: Arc<ProofDoor>,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        let applied = state.applied().map_err(fault)?.unwrap_or_default();
        let AppliedState {
            last,
            membership,
            former,
        } = decode_applied(&applied)?;
        let machine = Self {
            state,
            group: peers.local().group,
            membership,
            former,
            peers,
            snapshot: LastSnapshot::default(),
            waiting: None,
            door,
            progress,
        };
        machine.tell_state(last)?;
        Ok(machine)
    }

    /// Tells that the state is another one, whose last entry is `last`.
    fn tell_state(&self, last: Option<LogId>) -> io::Result<()> {
        let index = last.map(|id| id.index);
        let read = self
            .state
            .read(|view| applied::Applied::read(&view, self.group, index));
        let told = read
            .map_err(fault)?
            .map_err(|error| io::Error::other(error.to_string()))?;
        self.progress.see(told.now);
        self.progress.teller.replaced(told);
        self.progress.applied.send_replace(last);
        self.peers.set_former(&self.former);
        Ok(())
    }

    fn apply_entry(&mut self, entry: &LogEntry) -> io::Result<Vec<Committed<Outcome>>> {
        let id = entry.log_id;
        let meant = match &entry.payload {
            Payload::Blank => None,
            Payload::Membership(membership) => self.change_members(id, membership)?,
            Payload::Normal(proposal) => Some(self.judge(id, proposal)?),
        };
        let applied = encode_applied(&id, &self.membership, &self.former);
        let writes = meant.as_ref().map_or(&[][..], |meant| &meant.writes);
        self.state.commit(writes, &applied).map_err(fault)?;
        if let (Payload::Normal(_), Some(meant)) = (&entry.payload, &meant) {
            self.progress.see(meant.now);
        }
        self.progress.teller.entry(entry, meant.as_ref());
        self.progress.applied.send_replace(Some(id));
        let outcomes = meant.map(|meant| meant.outcomes).unwrap_or_default();
        Ok(self.committed(id, outcomes))
    }

    /// Takes over `membership`. A set of voters that is in force by itself also means something to the
    /// state: the keys that may sign change with it.
    fn change_members(
        &mut self,
        id: LogId,
        membership: &Membership,
    ) -> io::Result<Option<holdpoint_core::Applied>> {
        let stays = |node: &u64| membership.get_node(node).is_some();
        let before = self.membership.membership().nodes();
        let gone = before.filter(|(node, _)| !stays(node));
        let gone = gone.map(|(node, member): (&u64, &Member)| (*node, member.incarnation));
        let had = self.former.len();
        self.former.extend(gone.collect::<Former>());
        if self.former.len() != had {
            self.peers.set_former(&self.former);
        }
        self.membership = StoredMembership::new(Some(id), membership.clone());
        if membership.get_joint_config().len() != 1 {
            return Ok(None);
        }
        let voters = membership.voter_ids();
        let voters: BTreeSet<NodeId> = voters.filter_map(|it| NodeId::new(it).ok()).collect();
        let voters: Vec<NodeId> = voters.into_iter().collect();
        let (term, index) = (term_of(&id), id.index);
        let meant = self
            .state
            .read(|view| holdpoint_core::apply_membership(&view, self.group, term, index, &voters));
        meant
            .map_err(fault)?
            .map(Some)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    fn judge(&self, id: LogId, proposal: &Proposal) -> io::Result<holdpoint_core::Applied> {
        let entry = proposal
            .entry()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let (term, index) = (term_of(&id), id.index);
        let applied = self
            .state
            .read(|view| holdpoint_core::apply(&view, term, index, entry));
        let applied = applied
            .map_err(fault)?
            .map_err(|error| io::Error::other(error.to_string()))?;
        assert_eq!(
            applied.outcomes.len(),
            entry.commands.len(),
            "every command has an outcome"
        );
        self.progress.add(proposal.payload_bytes());
        Ok(applied)
    }

    /// The one place that makes [`Committed`] values.
    fn committed(&self, id: LogId, outcomes: Vec<Outcome>) -> Vec<Committed<Outcome>> {
        let at = |place| LogPosition {
            group: self.group,
            term: term_of(&id),
            index: id.index,
            place,
        };
        (0..)
            .zip(outcomes)
            .map(|(place, outcome)| Committed::at(at(place), outcome))
            .collect()
    }

    /// The sizes of the logs of statements, as the state is.
    fn tree_sizes(&self) -> TreeSizes {
        self.progress.teller.subscribe().borrow().tree_sizes.clone()
    }

    fn pin(&self, proof: Option<Bytes>) -> io::Result<Held> {
        let pinned = may_block(|| self.state.pin()).map_err(fault)?;
        self.progress.bytes.store(0, Ordering::Relaxed);
        Ok(Held::new(pinned, self.tree_sizes(), proof))
    }

    /// The snapshot to build now; none if it may not leave before its heads are proven.
    fn next_snapshot(&mut self) -> io::Result<Option<Held>> {
        let mut held = match self.waiting.take() {
            Some(held) => held,
            None => self.pin(None)?,
        };
        if held.prove(&self.door) {
            self.door.await_proof(None);
            return Ok(Some(held));
        }
        self.door.await_proof(Some(held.sizes().clone()));
        self.waiting = Some(held);
        Ok(None)
    }

    fn builder(&self, held: io::Result<Held>) -> Builder {
        Builder {
            held: Some(held),
            last: self.snapshot.clone(),
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = ProvenSnapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let applied = self.state.applied().map_err(fault)?.unwrap_or_default();
        let applied = decode_applied(&applied)?;
        Ok((applied.last, applied.membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let outcomes = may_block(|| self.apply_entry(&entry))?;
            if let Some(responder) = responder {
                responder.send(outcomes);
            }
        }
        Ok(())
    }

    /// Pins the state as it is: what is applied from now on is not in the snapshot. Where its heads are
    /// not proven yet nothing is built; the pin stays, and is asked for again once they are.
    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        if force {
            return Some(self.get_snapshot_builder().await);
        }
        let held = self.next_snapshot().transpose()?;
        Some(self.builder(held))
    }

    /// At a start, for a log that reaches back behind nothing: nobody knows yet what is proven, so the
    /// proof is asked for when the snapshot is sent.
    async fn get_snapshot_builder(&mut self) -> Builder {
        self.builder(self.pin(None))
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        snapshot: ProvenSnapshot,
    ) -> Result<(), io::Error> {
        let ProvenSnapshot { snapshot, proof } = snapshot;
        let applied = may_block(|| self.state.install(snapshot)).map_err(fault)?;
        let applied = decode_applied(&applied)?;
        self.membership = applied.membership;
        self.former = applied.former;
        self.tell_state(applied.last)?;
        // What was pinned belongs to the state before. The installed files are in use now and cannot
        // be sent, so the same state is pinned once more: its proof holds for exactly this.
        self.waiting = None;
        self.door.await_proof(None);
        let pinned = self.pin(Some(proof))?;
        self.snapshot.set(pinned);
        Ok(())
    }

    /// The last snapshot built or installed. A leader must always have one to send once its log does
    /// not reach back to the beginning.
    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        let Some(mut held) = self.snapshot.take() else {
            return Ok(None);
        };
        held.prove(&self.door);
        let snapshot = held.seal().await?;
        self.snapshot.set(held);
        with_meta(snapshot).map(Some)
    }
}

/// Makes a snapshot of what was pinned when it was created.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Taken by the first build; a builder is used once.
    held: Option<io::Result<Held>>,
    last: LastSnapshot,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = ProvenSnapshot;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let mut held = self
            .held
            .take()
            .ok_or_else(|| io::Error::other("a snapshot is built once"))??;
        // Hashes every file: minutes for a large state.
        let snapshot = held.seal().await?;
        self.last.set(held);
        with_meta(snapshot)
    }
}
