//! Where callers and the writer of the log meet: the queue, and what is known in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use holdpoint_core::GroupId;
use rocksdb::{DB, Direction, IteratorMode, ReadOptions};

use super::key::LogKey;
use super::window::Window;
use super::writer::{Job, Queue};
use super::{Done, Op};
use crate::data_dir::DirLock;
use crate::fault::{Fault, FaultLatch, StoreError};
use crate::rocks;

/// What callers and the writer share.
pub(super) struct Shared {
    pub(super) db: DB,
    pub(super) faults: FaultLatch,
    pub(super) cache_bytes: usize,
    pub(super) state: Mutex<State>,
    /// Something waits, or the log is closing.
    pub(super) filled: Condvar,
    /// The queue has room again.
    pub(super) drained: Condvar,
    /// After `db`, so that the directory is free only once the database is closed.
    pub(super) _lock: Arc<DirLock>,
}

/// What the lock protects.
#[derive(Default)]
pub(super) struct State {
    pub(super) groups: BTreeMap<GroupId, Window>,
    pub(super) queue: Queue,
    pub(super) write_count: u64,
    pub(super) is_closing: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a broken invariant: what it left is not used any further.
        self.state
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<_>| {
                self.faults.trip(Fault {
                    doing: "go on with the log",
                    file: None,
                    cause: "a thread panicked while it changed it".to_owned(),
                });
                poisoned.into_inner()
            })
    }

    /// Fixes the place of a write in the order of all writes, and makes its effect readable.
    pub(super) fn enqueue(
        &self,
        group: GroupId,
        mut op: Op,
        done: Done,
    ) -> Result<(), (StoreError, Done)> {
        let mut state = self.lock();
        while state.queue.is_full() && !state.is_closing {
            state = self
                .drained
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if let Err(error) = self.faults.check() {
            return Err((error, done));
        }
        if state.is_closing {
            return Err((StoreError::Closed, done));
        }
        let write = state.write_count.saturating_add(1);
        let window = state.groups.entry(group).or_default();
        // A purge below an earlier one says the earlier one again.
        if let (Op::Purge(purged), Some(earlier)) = (&mut op, &window.bounds.purged)
            && purged.index < earlier.index
        {
            *purged = earlier.clone();
        }
        if let Err(error) = window.accept(&op, write) {
            return Err((error, done));
        }
        state.write_count = write;
        state.queue.push(Job {
            write,
            group,
            op,
            done,
        });
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for writes; `None` once the log is closing and nothing waits any more.
    pub(super) fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        while state.queue.is_empty() && !state.is_closing {
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let batch = state.queue.take_batch();
        drop(state);
        self.drained.notify_all();
        (!batch.is_empty()).then_some(batch)
    }

    /// Refuses everything from now on, and drops what waits: nobody writes any more.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_closing = true;
        let dropped = state.queue.clear();
        drop(state);
        self.drained.notify_all();
        drop(dropped);
    }

    /// Lets go of cached entries that the database now has.
    pub(super) fn complete(&self, batch: &[Job]) {
        let Some(last) = batch.last() else {
            return;
        };
        let mut state = self.lock();
        for job in batch {
            if let (Op::Append(_), Some(window)) = (&job.op, state.groups.get_mut(&job.group)) {
                window.shrink(self.cache_bytes, last.write);
            }
        }
    }

    /// Reads entries that are not cached.
    pub(super) fn read_stored(
        &self,
        group: GroupId,
        range: std::ops::Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(LogKey::Entry(range.end).encode(group));
        let start = LogKey::Entry(range.start).encode(group);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let mut entries = Vec::new();
        let mut bytes_read = 0_usize;
        for (row, index) in self.db.iterator_opt(mode, options).zip(range) {
            let (key, value) =
                row.map_err(|error| self.faults.trip(rocks::fault("read the log", &error)))?;
            bytes_read = bytes_read.saturating_add(value.len());
            if LogKey::decode(&key) != Some((group, LogKey::Entry(index)))
                || (bytes_read > bytes_max && !entries.is_empty())
            {
                break;
            }
            entries.push((index, Bytes::from(value)));
        }
        Ok(entries)
    }
}
