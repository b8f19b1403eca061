//! A log in memory whose unsynced tail a crash takes.
//!
//! For simulation and tests: it breaks exactly where a disk does, when it is told to. It has no
//! thread: whoever drives it says when the disk syncs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use holdpoint_core::GroupId;

use super::window::Window;
use super::{Bounds, Done, LogStore, Op, Purged};
use crate::fault::{Fault, FaultLatch, StoreError};

/// When a [`MemLog`] makes writes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncs {
    /// Before the call returns.
    AtOnce,
    /// When [`MemLog::sync`] is called.
    WhenTold,
}

/// A log in memory. Clones share it, so one outlives the simulated process that uses it.
#[derive(Clone)]
pub struct MemLog {
    syncs: Syncs,
    faults: FaultLatch,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What calls see.
    seen: BTreeMap<GroupId, Window>,
    /// What a crash leaves.
    durable: BTreeMap<GroupId, Window>,
    unsynced: Vec<(GroupId, Op, Done)>,
}

impl fmt::Debug for MemLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemLog")
            .field("syncs", &self.syncs)
            .finish_non_exhaustive()
    }
}

impl MemLog {
    /// An empty log.
    #[must_use]
    pub fn new(syncs: Syncs) -> Self {
        Self {
            syncs,
            faults: FaultLatch::new(),
            state: Arc::default(),
        }
    }

    /// Makes every write so far durable, and then answers for each.
    pub fn sync(&self) {
        let mut answers = Vec::new();
        let mut state = self.lock();
        for (group, op, done) in std::mem::take(&mut state.unsynced) {
            // Never refused: what calls see accepted the same writes in the same order.
            answers.push((done, state.durable.entry(group).or_default().accept(&op, 0)));
        }
        drop(state);
        for (done, result) in answers {
            done(result);
        }
    }

    /// Loses every write that is not durable, together with its answer, and stops this handle, as a
    /// power loss does.
    ///
    /// The log that is returned is what the next start of the node finds.
    #[must_use]
    pub fn crash(&self) -> Self {
        self.faults.trip(Fault {
            doing: "go on with the log",
            file: None,
            cause: "the simulated power is gone".to_owned(),
        });
        let mut state = self.lock();
        let lost = std::mem::take(&mut state.unsynced);
        state.seen = state.durable.clone();
        drop(state);
        drop(lost);
        Self {
            syncs: self.syncs,
            faults: FaultLatch::new(),
            state: Arc::clone(&self.state),
        }
    }

    /// How many writes a crash would lose now.
    #[must_use]
    pub fn unsynced_count(&self) -> usize {
        self.lock().unsynced.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, group: GroupId, op: Op, done: Done) {
        if let Err(error) = self.faults.check() {
            return done(Err(error));
        }
        let mut state = self.lock();
        if let Err(error) = state.seen.entry(group).or_default().accept(&op, 0) {
            drop(state);
            return done(Err(error));
        }
        state.unsynced.push((group, op, done));
        drop(state);
        if self.syncs == Syncs::AtOnce {
            self.sync();
        }
    }

    fn window<T>(&self, group: GroupId, look: impl FnOnce(&Window) -> T) -> Result<T, StoreError> {
        self.faults.check()?;
        Ok(look(self.lock().seen.entry(group).or_default()))
    }
}

impl LogStore for MemLog {
    fn append(&self, group: GroupId, entries: Vec<(u64, Bytes)>, done: Done) {
        self.submit(group, Op::Append(entries), done);
    }

    fn save_vote(&self, group: GroupId, vote: Bytes, done: Done) {
        self.submit(group, Op::Vote(vote), done);
    }

    fn save_committed(&self, group: GroupId, committed: Bytes, done: Done) {
        // As on disk: in its place in the order, and answered without waiting for the sync.
        self.submit(group, Op::Committed(committed), Box::new(|_| {}));
        done(self.faults.check());
    }

    fn truncate_after(&self, group: GroupId, index: Option<u64>, done: Done) {
        self.submit(group, Op::Truncate(index), done);
    }

    fn purge_to(&self, group: GroupId, purged: Purged, done: Done) {
        self.submit(group, Op::Purge(purged), done);
    }

    fn put_local(&self, group: GroupId, name: &str, value: Bytes, done: Done) {
        self.submit(group, Op::Local(name.to_owned(), value), done);
    }

    fn vote(&self, group: GroupId) -> Result<Option<Bytes>, StoreError> {
        self.window(group, |window| window.vote.clone())
    }

    fn committed(&self, group: GroupId) -> Result<Option<Bytes>, StoreError> {
        self.window(group, |window| window.committed.clone())
    }

    fn local(&self, group: GroupId, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.window(group, |window| window.locals.get(name).cloned())
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds, StoreError> {
        self.window(group, |window| window.bounds.clone())
    }

    fn read_range(
        &self,
        group: GroupId,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        // Nothing is ever evicted here, so everything held is cached.
        let plan = self.window(group, |window| window.plan(from, to))?;
        let mut bytes_read = 0_usize;
        let within = plan
            .cached
            .into_iter()
            .enumerate()
            .take_while(|(place, (_, bytes))| {
                bytes_read = bytes_read.saturating_add(bytes.len());
                *place == 0 || bytes_read <= bytes_max
            });
        Ok(within.map(|(_, entry)| entry).collect())
    }

    fn faults(&self) -> &FaultLatch {
        &self.faults
    }
}
