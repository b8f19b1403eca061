//! The state on disk.
//!
//! One RocksDB without a write-ahead log. The rows and how far the log is applied are in column
//! families that are flushed together, so a crash takes all back to the same entry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use holdpoint_core::view::Row;
use holdpoint_core::{GroupId, StateKey, View, Write};
use holdpoint_receipt::Digest;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, FlushOptions, WriteBatch, WriteOptions};

use super::families::{self, Families, Family};
use super::folder::Folder;
use super::incoming::Sink;
use super::reader::RocksReader;
use super::snapshot::Content;
use super::starts::Starts;
use super::{Applied, Incoming, Pinned, Snapshot, SnapshotManifest, StateStore};
use crate::data_dir::{DataDir, DirLock, INCOMING, OUTGOING, StateNumber, names_in, read_pointer};
use crate::durable;
use crate::error::{DiskError, OpenError};
use crate::fault::{Fault, FaultLatch, StoreError};
use crate::{framing, rocks};

const DOING: &str = "write the state";

/// What a row takes of a batch beside its key and value, at most: a tag, its family and two lengths.
const ROW_BYTES: usize = 16;

/// Room for `writes` in a batch, so that it does not grow: it copies all of itself each time.
fn batch_bytes(writes: &[Write]) -> usize {
    let sizes = writes.iter().map(|write| match write {
        Write::Put { key, value } => key.as_bytes().len().saturating_add(value.len()),
        Write::Delete { key } => key.as_bytes().len(),
    });
    sizes.fold(1_024, |sum, size| {
        sum.saturating_add(size).saturating_add(ROW_BYTES)
    })
}

/// The state of one group, on disk.
pub struct RocksState {
    pub(super) root: PathBuf,
    pub(super) group: GroupId,
    pub(super) faults: FaultLatch,
    pub(super) current: RwLock<Arc<StateDb>>,
    /// Held by whoever changes the state, or needs it not to change.
    progress: Mutex<Progress>,
    folder_count: AtomicU64,
    _lock: Arc<DirLock>,
}

/// How far commits and flushes are.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) applied: Option<Applied>,
    pub(super) flushed: Option<u64>,
}

/// An open state directory. A retired one is removed once its last reader is gone.
pub(super) struct StateDb {
    pub(super) db: DB,
    pub(super) starts: Starts,
    pub(super) number: StateNumber,
    /// After `db`: the database is closed before its folder goes.
    pub(super) folder: Folder,
}

impl fmt::Debug for RocksState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksState")
            .field("group", &self.group)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl StateDb {
    pub(super) fn open(root: &Path, number: StateNumber) -> Result<Self, OpenError> {
        let folder = root.join(number.to_string());
        framing::check_database(&folder)?;
        families::check(&folder)?;
        let db = families::open(&folder, false).map_err(|error| rocks::refusal(&folder, error))?;
        Ok(Self {
            db,
            starts: Starts::default(),
            number,
            folder: Folder::kept(folder),
        })
    }

    /// How far the log is applied here, on disk.
    pub(super) fn read_applied(&self, group: GroupId) -> Result<Option<Applied>, OpenError> {
        let folder = self.folder.path();
        let damaged = |problem: &str| OpenError::DamagedFile {
            file: folder.to_owned(),
            problem: problem.to_owned(),
        };
        let families = Families::of(&self.db).ok_or_else(|| damaged("a column family is gone"))?;
        let value = self
            .db
            .get_cf(families.applied, group.0.to_be_bytes())
            .map_err(|error| rocks::refusal(folder, error))?;
        let Some(value) = value else {
            return Ok(None);
        };
        let (index, bytes) = value
            .split_first_chunk::<8>()
            .ok_or_else(|| damaged("the record of the last applied entry is short"))?;
        Ok(Some(Applied {
            index: u64::from_be_bytes(*index),
            bytes: bytes.to_vec(),
        }))
    }
}

impl RocksState {
    /// Creates an empty state in a data directory that is being created.
    pub(crate) fn create(root: &Path, number: StateNumber) -> Result<(), DiskError> {
        let folder = root.join(number.to_string());
        families::open(&folder, true).map_err(|error| {
            DiskError::at("create the database", &folder)(std::io::Error::other(error))
        })?;
        durable::sync_dir(root)
    }

    pub(crate) fn open(
        dir: &DataDir,
        group: GroupId,
        faults: FaultLatch,
    ) -> Result<Self, OpenError> {
        let root = dir.root();
        let number = read_pointer(root)?;
        for name in names_in(root)? {
            // What an interrupted installation left: older, or never put in use.
            if StateNumber::parse(&name).is_some_and(|other| other != number) {
                durable::remove_any(&root.join(name))?;
            }
        }
        let current = StateDb::open(root, number)?;
        let applied = current.read_applied(group)?;
        // Without a write-ahead log, what is found at the start is what was flushed.
        let flushed = applied.as_ref().map(|applied| applied.index);
        Ok(Self {
            root: root.to_owned(),
            group,
            faults,
            current: RwLock::new(Arc::new(current)),
            progress: Mutex::new(Progress { applied, flushed }),
            folder_count: AtomicU64::new(0),
            _lock: dir.lock(),
        })
    }

    pub(super) fn current(&self) -> Arc<StateDb> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for a folder that no other has had since the start.
    fn new_folder(&self, parent: &str) -> PathBuf {
        let count = self.folder_count.fetch_add(1, Ordering::Relaxed);
        self.root.join(parent).join(count.to_string())
    }

    pub(super) fn disk_fault(&self, doing: &'static str, error: DiskError) -> StoreError {
        self.faults.trip(super::snapshot::fault(doing, error))
    }

    fn families<'a>(&self, db: &'a DB) -> Result<Families<'a>, StoreError> {
        Families::of(db).ok_or_else(|| {
            self.faults.trip(Fault {
                doing: DOING,
                file: None,
                cause: "a column family is gone".to_owned(),
            })
        })
    }
}

impl StateStore for RocksState {
    type Reader<'a> = RocksReader<'a>;

    fn read<R>(&self, query: impl FnOnce(&RocksReader<'_>) -> R) -> Result<R, StoreError> {
        self.faults.check()?;
        let current = self.current();
        let families = self.families(&current.db)?;
        Ok(query(&RocksReader::new(
            &current.db,
            families,
            &current.starts,
            &self.faults,
        )))
    }

    fn applied(&self) -> Result<Option<Applied>, StoreError> {
        self.faults.check()?;
        Ok(self.progress().applied.clone())
    }

    fn commit(&self, writes: &[Write], applied: &Applied) -> Result<(), StoreError> {
        self.faults.check()?;
        let mut progress = self.progress();
        if let Some(earlier) = &progress.applied {
            assert!(
                applied.index >= earlier.index,
                "the applied index never goes back"
            );
        }
        let current = self.current();
        let db = &current.db;
        let families = self.families(db)?;
        let mut batch = WriteBatch::with_capacity_bytes(batch_bytes(writes));
        for write in writes {
            match write {
                Write::Put { key, value } => {
                    batch.put_cf(families.get(Family::of(key)), key.as_bytes(), value);
                }
                Write::Delete { key } => {
                    batch.delete_cf(families.get(Family::of(key)), key.as_bytes());
                }
            }
        }
        let value = [&applied.index.to_be_bytes(), applied.bytes.as_slice()].concat();
        batch.put_cf(families.applied, self.group.0.to_be_bytes(), value);
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        current.starts.begin(writes);
        db.write_opt(batch, &options)
            .map_err(|error| self.faults.trip(rocks::fault(DOING, &error)))?;
        current.starts.end();
        if let Some(fault) = rocks::background_fault(DOING, db) {
            return Err(self.faults.trip(fault));
        }
        progress.applied = Some(applied.clone());
        Ok(())
    }

    fn flush(&self) -> Result<Option<u64>, StoreError> {
        self.faults.check()?;
        let (index, current) = {
            let progress = self.progress();
            (
                progress.applied.as_ref().map(|applied| applied.index),
                self.current(),
            )
        };
        // Commits go on meanwhile: the flush takes at least everything before it.
        let families = self.families(&current.db)?;
        let mut options = FlushOptions::default();
        options.set_wait(true);
        current
            .db
            .flush_cfs_opt(&families.all(), &options)
            .map_err(|error| self.faults.trip(rocks::fault("flush the state", &error)))?;
        let mut progress = self.progress();
        progress.flushed = progress.flushed.max(index);
        Ok(progress.flushed)
    }

    fn flushed(&self) -> Option<u64> {
        self.progress().flushed
    }

    fn pin(&self) -> Result<Pinned, StoreError> {
        self.faults.check()?;
        let path = self.new_folder(OUTGOING);
        let mut progress = self.progress();
        let current = self.current();
        // Flushes first, and links the files: nothing is copied.
        Checkpoint::new(&current.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(&path))
            .map_err(|error| self.faults.trip(rocks::fault("pin a snapshot", &error)))?;
        let applied = progress.applied.clone().unwrap_or_default();
        progress.flushed = progress
            .flushed
            .max(progress.applied.as_ref().map(|it| it.index));
        drop(progress);
        let content = Content::Folder(Arc::new(Folder::temporary(path)));
        Ok(Pinned {
            group: self.group,
            applied,
            content,
            faults: self.faults.clone(),
        })
    }

    fn receive(&self, manifest: SnapshotManifest) -> Result<Incoming, StoreError> {
        self.faults.check()?;
        super::incoming::check(&manifest, self.group)?;
        let path = self.new_folder(INCOMING);
        std::fs::create_dir(&path)
            .map_err(|error| StoreError::Snapshot(format!("`{}`: {error}", path.display())))?;
        let sink = Sink::Folder {
            folder: Folder::temporary(path),
            file: None,
        };
        Incoming::new(manifest, sink, self.faults.clone())
    }

    fn read_received<R>(
        &self,
        snapshot: &Snapshot,
        query: impl FnOnce(&RocksReader<'_>) -> R,
    ) -> Result<R, StoreError> {
        self.read_received_folder(snapshot, query)
    }

    fn install(&self, snapshot: Snapshot) -> Result<Applied, StoreError> {
        self.install_folder(&snapshot)
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone has one lifetime, and every one is asked for"
    )]
    fn state_hash(&self) -> Result<Digest, StoreError> {
        self.read(|reader| reader.state_hash())?
    }

    fn faults(&self) -> &FaultLatch {
        &self.faults
    }
}

/// Each call reads at its own moment; use [`StateStore::read`] where two must agree.
impl View for RocksState {
    type Error = StoreError;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|reader| reader.get(key))?
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.read(|reader| reader.scan(prefix, after, limit))?
    }
}
