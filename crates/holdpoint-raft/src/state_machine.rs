//! The replicated state as openraft wants it: committed entries become outcomes and rows.
//!
//! Each entry is one step on the store: its rows, how far the log is applied, and the membership.
//! What a command means is decided in `holdpoint-core`; an error here is a fault of this node's own
//! storage and stops the node. Every responder is called, or dropped with the node that stops.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut};
use futures_util::{Stream, StreamExt};
use holdpoint_core::{GroupId, LogPosition, Outcome};
use holdpoint_receipt::ClusterTime;
use holdpoint_storage::{Applied, Pinned, Snapshot, StoreError};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::{Notify, watch};

use crate::applied::{self, Teller};
use crate::blocking::may_block;
use crate::clock::Clock;
use crate::committed::Committed;
use crate::disk::StateDisk;
use crate::member;
use crate::payload::Proposal;
use crate::timekeeper::Seen;
use crate::types::{
    LogEntry, LogId, Payload, RaftSnapshot, SnapshotMeta, StoredMembership, TypeConfig, log_id,
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
    /// The last snapshot. Its files go away with it.
    snapshot: LastSnapshot,
    /// Whether the state was replaced by a snapshot in this process.
    installed: bool,
    progress: Arc<Progress>,
}

/// The last snapshot, shared with whoever builds the next.
#[derive(Clone, Debug, Default)]
struct LastSnapshot(Arc<Mutex<Option<Snapshot>>>);

impl LastSnapshot {
    fn lock(&self) -> MutexGuard<'_, Option<Snapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault(error: StoreError) -> io::Error {
    io::Error::other(error)
}

/// What the state keeps beside the applied index.
///
/// ```text
/// term (8, big endian) | membership with its position
/// ```
fn encode_applied(id: &LogId, membership: &StoredMembership) -> Applied {
    let mut bytes = Vec::new();
    bytes.put_u64(term_of(id));
    bytes.extend_from_slice(&member::encode_stored(membership));
    Applied {
        index: id.index,
        bytes,
    }
}

/// The inverse. Nothing beside the index means that nothing is applied.
pub(crate) fn decode_applied(applied: &Applied) -> io::Result<(Option<LogId>, StoredMembership)> {
    let mut bytes = applied.bytes.as_slice();
    if bytes.is_empty() {
        return Ok((None, StoredMembership::default()));
    }
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let term = bytes
        .try_get_u64()
        .map_err(|error| invalid(error.to_string()))?;
    let membership = member::decode_stored(bytes).map_err(|error| invalid(error.to_string()))?;
    Ok((Some(log_id(term, applied.index)), membership))
}

impl StateMachine {
    /// Takes up the state where its store is.
    ///
    /// # Errors
    ///
    /// The store has stopped, or what it keeps beside the applied index does not decode.
    pub(crate) fn open(
        state: Arc<dyn StateDisk>,
        group: GroupId,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        let applied = state.applied().map_err(fault)?.unwrap_or_default();
        let (last, membership) = decode_applied(&applied)?;
        let machine = Self {
            state,
            group,
            membership,
            snapshot: LastSnapshot::default(),
            installed: false,
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
        Ok(())
    }

    fn apply_entry(&mut self, entry: &LogEntry) -> io::Result<Vec<Committed<Outcome>>> {
        let id = entry.log_id;
        let meant = match &entry.payload {
            Payload::Blank => None,
            Payload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(id), membership.clone());
                None
            }
            Payload::Normal(proposal) => Some(self.judge(id, proposal)?),
        };
        let applied = encode_applied(&id, &self.membership);
        let writes = meant.as_ref().map_or(&[][..], |meant| &meant.writes);
        self.state.commit(writes, &applied).map_err(fault)?;
        if let Some(meant) = &meant {
            self.progress.see(meant.now);
        }
        self.progress.teller.entry(id.index, meant.as_ref());
        self.progress.applied.send_replace(Some(id));
        let outcomes = meant.map(|meant| meant.outcomes).unwrap_or_default();
        Ok(self.committed(id, outcomes))
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

    fn pin(&self) -> io::Result<Builder> {
        let pinned = may_block(|| self.state.pin()).map_err(fault)?;
        self.progress.bytes.store(0, Ordering::Relaxed);
        Ok(Builder {
            pinned: Some(Ok(pinned)),
            last: self.snapshot.clone(),
        })
    }
}

fn with_meta(snapshot: Snapshot) -> io::Result<RaftSnapshot> {
    let (last_log_id, last_membership) = decode_applied(&snapshot.manifest().applied)?;
    Ok(RaftSnapshot {
        meta: SnapshotMeta {
            last_log_id,
            last_membership,
        },
        snapshot,
    })
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let applied = self.state.applied().map_err(fault)?.unwrap_or_default();
        decode_applied(&applied)
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

    /// Pins the state as it is: what is applied from now on is not in the snapshot.
    async fn get_snapshot_builder(&mut self) -> Builder {
        self.pin().unwrap_or_else(|error| Builder {
            pinned: Some(Err(error)),
            last: self.snapshot.clone(),
        })
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        snapshot: Snapshot,
    ) -> Result<(), io::Error> {
        let applied = may_block(|| self.state.install(snapshot)).map_err(fault)?;
        let (last, membership) = decode_applied(&applied)?;
        self.membership = membership;
        // The installed files are in use now and cannot be sent; the next one asked for is built.
        *self.snapshot.lock() = None;
        self.installed = true;
        self.tell_state(last)
    }

    /// The last snapshot built. A state that was installed counts as one: it is built when asked
    /// for, so that a leader can always send what its purged log cannot.
    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        let last = self.snapshot.lock().clone();
        if let Some(snapshot) = last {
            return with_meta(snapshot).map(Some);
        }
        if self.installed {
            return self.pin()?.build_snapshot().await.map(Some);
        }
        Ok(None)
    }
}

/// Makes a snapshot of what was pinned when it was created.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Taken by the first build; a builder is used once.
    pinned: Option<io::Result<Pinned>>,
    last: LastSnapshot,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let pinned = self
            .pinned
            .take()
            .ok_or_else(|| io::Error::other("a snapshot is built once"))??;
        // Hashes every file: minutes for a large state.
        let sealed = tokio::task::spawn_blocking(move || pinned.seal()).await;
        let snapshot = sealed.map_err(io::Error::other)?.map_err(fault)?;
        *self.last.lock() = Some(snapshot.clone());
        with_meta(snapshot)
    }
}
