//! The log on disk.
//!
//! One RocksDB with its write-ahead log on, one thread that writes it, and the recent entries in
//! memory for followers and apply.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use holdpoint_core::GroupId;
use rocksdb::DB;

use super::high::High;
use super::load::{database_options, load};
use super::shared::{Shared, State};
use super::window::Window;
use super::writer::Writer;
use super::{Bounds, Done, LOCAL_NAME_BYTES_MAX, LogStore, Op, Purged};
use crate::data_dir::{DataDir, LOG};
use crate::durable;
use crate::error::{DiskError, OpenError};
use crate::fault::{Fault, FaultLatch, StoreError};
use crate::{framing, rocks};

/// Recent entries kept in memory, per group, beyond those that are not durable yet.
pub const CACHE_BYTES: usize = 16 << 20;
/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    cache_bytes: usize,
    write_buffer_bytes: usize,
    is_synced: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            cache_bytes: CACHE_BYTES,
            write_buffer_bytes: rocks::WRITE_BUFFER_BYTES,
            is_synced: true,
        }
    }
}

impl LogOptions {
    /// Keeps this many bytes of recent entries in memory instead of [`CACHE_BYTES`].
    #[must_use]
    pub fn with_cache_bytes(mut self, cache_bytes: usize) -> Self {
        self.cache_bytes = cache_bytes;
        self
    }

    /// Starts a new file of the database after this many bytes, so that a test sees many.
    #[cfg(test)]
    pub(crate) fn with_write_buffer_bytes(mut self, write_buffer_bytes: usize) -> Self {
        self.write_buffer_bytes = write_buffer_bytes;
        self
    }

    /// Acknowledges without a sync: a power loss then takes what was acknowledged.
    ///
    /// Breaks the promise on purpose, so that a power-loss test can prove that it would notice.
    #[cfg(any(test, feature = "fault-sync-off"))]
    #[must_use]
    pub fn fault_sync_off(mut self) -> Self {
        self.is_synced = false;
        self
    }
}

/// The log of a node, on disk. Dropping it writes what is queued and stops the thread.
pub struct RocksLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl fmt::Debug for RocksLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = &self.shared.faults;
        f.debug_struct("RocksLog")
            .field("faults", faults)
            .finish_non_exhaustive()
    }
}

impl RocksLog {
    /// Creates an empty log in a data directory that is being created.
    pub(crate) fn create(root: &Path) -> Result<(), DiskError> {
        let folder = root.join(LOG);
        DB::open(&database_options(true), &folder).map_err(|error| {
            DiskError::at("create the database", &folder)(std::io::Error::other(error))
        })?;
        durable::sync_dir(root)?;
        High::default().write(root)
    }

    pub(crate) fn open(
        dir: &DataDir,
        options: LogOptions,
        faults: FaultLatch,
    ) -> Result<Self, OpenError> {
        let root = dir.root();
        let folder = root.join(LOG);
        if !folder.is_dir() {
            return Err(OpenError::Missing { path: folder });
        }
        let mut high = High::read(root)?;
        high.check_newest_file(&folder)?;
        framing::check_database(&folder)?;
        let mut database_options = database_options(false);
        database_options.set_write_buffer_size(options.write_buffer_bytes);
        let db =
            DB::open(&database_options, &folder).map_err(|error| rocks::refusal(&folder, error))?;
        let groups = load(&db, &folder)?;
        for (group, high) in high.groups() {
            let last = groups.get(&group).and_then(|window| window.bounds.last());
            if last < Some(high) {
                let last = last.unwrap_or(0);
                return Err(OpenError::LogShort {
                    group: group.0,
                    last,
                    high,
                });
            }
        }
        for (group, window) in &groups {
            high.set_last(*group, window.bounds.last());
        }
        // What was read may not be durable yet (a kill, then a start, then a power loss), and from
        // here on it counts as acknowledged.
        db.flush_wal(true)
            .map_err(|error| rocks::refusal(&folder, error))?;
        high.write(root)?;

        let state = State {
            groups: groups.clone(),
            ..State::default()
        };
        let shared = Arc::new(Shared {
            db,
            faults,
            cache_bytes: options.cache_bytes,
            state: Mutex::new(state),
            filled: Condvar::new(),
            drained: Condvar::new(),
            _lock: dir.lock(),
        });
        let writer = Writer::new(
            Arc::clone(&shared),
            root.into(),
            &groups,
            high,
            options.is_synced,
        );
        let writer = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run_or_stop())
            .map_err(DiskError::at("start the writer of", &folder))?;
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }

    fn submit(&self, group: GroupId, op: Op, done: Done) {
        match self.shared.enqueue(group, op, done) {
            Ok(()) => {}
            Err((error, done)) => done(Err(error)),
        }
    }

    fn window<T>(&self, group: GroupId, look: impl FnOnce(&Window) -> T) -> Result<T, StoreError> {
        self.shared.faults.check()?;
        let state = self.shared.lock();
        let none = Window::default();
        Ok(look(state.groups.get(&group).unwrap_or(&none)))
    }
}

impl Drop for RocksLog {
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.filled.notify_all();
        self.shared.drained.notify_all();
        if let Some(writer) = self.writer.take()
            // The last owner may be a callback, on the writer's own thread.
            && writer.thread().id() != thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
    }
}

impl LogStore for RocksLog {
    fn append(&self, group: GroupId, entries: Vec<(u64, Bytes)>, done: Done) {
        self.submit(group, Op::Append(entries), done);
    }

    fn save_vote(&self, group: GroupId, vote: Bytes, done: Done) {
        self.submit(group, Op::Vote(vote), done);
    }

    fn save_committed(&self, group: GroupId, committed: Bytes, done: Done) {
        self.submit(group, Op::Committed(committed), done);
    }

    fn truncate_after(&self, group: GroupId, index: Option<u64>, done: Done) {
        self.submit(group, Op::Truncate(index), done);
    }

    fn purge_to(&self, group: GroupId, purged: Purged, done: Done) {
        self.submit(group, Op::Purge(purged), done);
    }

    fn put_local(&self, group: GroupId, name: &str, value: Bytes, done: Done) {
        assert!(
            name.len() <= LOCAL_NAME_BYTES_MAX,
            "names of records are our own and short"
        );
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
        let plan = self.window(group, |window| window.plan(from, to))?;
        let end = plan.stored.end;
        let mut entries = if plan.stored.is_empty() {
            Vec::new()
        } else {
            self.shared.read_stored(group, plan.stored, bytes_max)?
        };
        let mut bytes_read: usize = entries.iter().map(|(_, bytes)| bytes.len()).sum();
        let next = entries
            .last()
            .map_or(from, |(index, _)| index.saturating_add(1));
        if next < end {
            // Cut by `bytes_max`, or the log was truncated or purged meanwhile.
            if entries.is_empty() {
                self.check_not_held(group, from)?;
            }
            return Ok(entries);
        }
        for (index, bytes) in plan.cached {
            bytes_read = bytes_read.saturating_add(bytes.len());
            if bytes_read > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push((index, bytes));
        }
        Ok(entries)
    }

    fn faults(&self) -> &FaultLatch {
        &self.shared.faults
    }
}

impl RocksLog {
    /// An entry that is held and durable, and that the database does not have, is a fault.
    fn check_not_held(&self, group: GroupId, index: u64) -> Result<(), StoreError> {
        let plan = self.window(group, |window| window.plan(index, index.saturating_add(1)))?;
        if plan.stored.is_empty() {
            return Ok(());
        }
        Err(self.shared.faults.trip(Fault {
            doing: "read the log",
            file: None,
            cause: format!("entry {index} of group {group} is missing"),
        }))
    }
}
