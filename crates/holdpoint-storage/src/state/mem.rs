//! A state in memory that a crash takes back to its last flush.
//!
//! For simulation and tests: it breaks exactly where the one on disk does, when it is told to.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_core::view::Row;
use holdpoint_core::{GroupId, MapView, StateKey, View, Write};
use holdpoint_receipt::Digest;

use super::incoming::{self, Sink};
use super::manifest::MEMORY_FILE;
use super::snapshot::Content;
use super::{Applied, Incoming, Pinned, Snapshot, SnapshotManifest, StateStore};
use crate::fault::{Fault, FaultLatch, StoreError};

/// A state in memory. Clones share it, so one outlives the simulated process that uses it.
#[derive(Clone)]
pub struct MemState {
    group: GroupId,
    faults: FaultLatch,
    content: Arc<Mutex<Shared>>,
}

#[derive(Clone, Default)]
struct Version {
    /// Copied only when it changes while a reader or the flushed version shares it.
    rows: Arc<MapView>,
    applied: Option<Applied>,
}

#[derive(Default)]
struct Shared {
    seen: Version,
    flushed: Version,
}

impl fmt::Debug for MemState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemState")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl MemState {
    /// An empty state.
    #[must_use]
    pub fn new(group: GroupId) -> Self {
        Self {
            group,
            faults: FaultLatch::new(),
            content: Arc::default(),
        }
    }

    /// Loses every commit that is not flushed, and stops this handle, as a power loss does.
    ///
    /// The state that is returned is what the next start of the node finds.
    #[must_use]
    pub fn crash(&self) -> Self {
        self.faults.trip(Fault {
            doing: "go on with the state",
            file: None,
            cause: "the simulated power is gone".to_owned(),
        });
        let mut content = self.lock();
        content.seen = content.flushed.clone();
        drop(content);
        Self {
            group: self.group,
            faults: FaultLatch::new(),
            content: Arc::clone(&self.content),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A view of a [`MemState`].
#[derive(Debug)]
pub struct MemReader<'a>(&'a MapView);

fn never<T>(result: Result<T, Infallible>) -> Result<T, StoreError> {
    result.map_err(|never| match never {})
}

impl View for MemReader<'_> {
    type Error = StoreError;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StoreError> {
        never(self.0.get(key))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        never(self.0.scan(prefix, after, limit))
    }
}

impl StateStore for MemState {
    type Reader<'a> = MemReader<'a>;

    fn read<R>(&self, query: impl FnOnce(&MemReader<'_>) -> R) -> Result<R, StoreError> {
        self.faults.check()?;
        // A query may call back into the state, so it does not hold the lock.
        let rows = Arc::clone(&self.lock().seen.rows);
        Ok(query(&MemReader(&rows)))
    }

    fn applied(&self) -> Result<Option<Applied>, StoreError> {
        self.faults.check()?;
        Ok(self.lock().seen.applied.clone())
    }

    fn commit(&self, writes: &[Write], applied: &Applied) -> Result<(), StoreError> {
        self.faults.check()?;
        let mut content = self.lock();
        Arc::make_mut(&mut content.seen.rows).commit(writes);
        content.seen.applied = Some(applied.clone());
        Ok(())
    }

    fn flush(&self) -> Result<Option<u64>, StoreError> {
        self.faults.check()?;
        let mut content = self.lock();
        content.flushed = content.seen.clone();
        drop(content);
        Ok(self.flushed())
    }

    fn flushed(&self) -> Option<u64> {
        self.lock()
            .flushed
            .applied
            .as_ref()
            .map(|applied| applied.index)
    }

    fn pin(&self) -> Result<Pinned, StoreError> {
        self.flush()?;
        let content = self.lock();
        let mut file = Vec::new();
        for (key, value) in content.seen.rows.iter() {
            for part in [key.as_bytes(), value] {
                file.extend_from_slice(&(part.len() as u64).to_be_bytes());
                file.extend_from_slice(part);
            }
        }
        Ok(Pinned {
            group: self.group,
            applied: content.seen.applied.clone().unwrap_or_default(),
            content: Content::Memory(Arc::new(vec![(MEMORY_FILE.to_owned(), file)])),
            faults: self.faults.clone(),
        })
    }

    fn receive(&self, manifest: SnapshotManifest) -> Result<Incoming, StoreError> {
        self.faults.check()?;
        incoming::check(&manifest, self.group)?;
        Incoming::new(manifest, Sink::Memory(Vec::new()), self.faults.clone())
    }

    fn read_received<R>(
        &self,
        snapshot: &Snapshot,
        query: impl FnOnce(&MemReader<'_>) -> R,
    ) -> Result<R, StoreError> {
        self.faults.check()?;
        let rows = rows_of(snapshot)?;
        Ok(query(&MemReader(&rows)))
    }

    fn install(&self, snapshot: Snapshot) -> Result<Applied, StoreError> {
        self.faults.check()?;
        let rows = rows_of(&snapshot)?;
        let applied = snapshot.manifest.applied.clone();
        let version = Version {
            rows: Arc::new(rows),
            applied: Some(applied.clone()),
        };
        *self.lock() = Shared {
            seen: version.clone(),
            flushed: version,
        };
        Ok(applied)
    }

    fn state_hash(&self) -> Result<Digest, StoreError> {
        self.faults.check()?;
        Ok(self.lock().seen.rows.state_hash())
    }

    fn faults(&self) -> &FaultLatch {
        &self.faults
    }
}

fn rows_of(snapshot: &Snapshot) -> Result<MapView, StoreError> {
    let Content::Memory(files) = &snapshot.content else {
        return Err(StoreError::Snapshot("it is not in memory".to_owned()));
    };
    let mut rows = MapView::new();
    for (_, file) in files.iter() {
        let writes = decode_rows(file)
            .ok_or_else(|| StoreError::Snapshot("a row is cut short".to_owned()))?;
        rows.commit(&writes);
    }
    Ok(rows)
}

fn decode_rows(mut file: &[u8]) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    let part = |file: &mut &[u8]| {
        let (length, rest) = file.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        *file = rest;
        Some(part.to_vec())
    };
    while !file.is_empty() {
        let key = StateKey::from_bytes(part(&mut file)?);
        writes.push(Write::Put {
            key,
            value: part(&mut file)?,
        });
    }
    Some(writes)
}
