//! The state behind one object-safe seam.
//!
//! [`StateStore`] hands out a view of its own type; here it becomes [`StateView`], so that a group
//! does not carry the store's type around. The log needs no such step.

use std::fmt;

use holdpoint_core::view::Row;
use holdpoint_core::{StateKey, View, Write};
use holdpoint_receipt::Digest;
use holdpoint_storage::state::Incoming;
use holdpoint_storage::{
    Applied, FaultLatch, Pinned, Snapshot, SnapshotManifest, StateStore, StoreError,
};

/// A consistent view of the replicated state, unchanged while it is borrowed.
#[derive(Clone, Copy)]
pub struct StateView<'a>(&'a dyn View<Error = StoreError>);

impl fmt::Debug for StateView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateView").finish_non_exhaustive()
    }
}

impl View for StateView<'_> {
    type Error = StoreError;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.0.scan(prefix, after, limit)
    }

    fn scan_before(
        &self,
        prefix: &[u8],
        end: &StateKey,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.0.scan_before(prefix, end, limit)
    }

    fn foresee(&self, keys: &[StateKey]) -> Result<(), StoreError> {
        self.0.foresee(keys)
    }
}

/// [`StateStore`] without its type. See there for what each does.
pub(crate) trait StateDisk: fmt::Debug + Send + Sync + 'static {
    fn with_view(&self, query: &mut dyn FnMut(StateView<'_>)) -> Result<(), StoreError>;
    fn applied(&self) -> Result<Option<Applied>, StoreError>;
    fn commit(&self, writes: &[Write], applied: &Applied) -> Result<(), StoreError>;
    fn flush(&self) -> Result<Option<u64>, StoreError>;
    fn pin(&self) -> Result<Pinned, StoreError>;
    fn receive(&self, manifest: SnapshotManifest) -> Result<Incoming, StoreError>;
    fn with_received(
        &self,
        snapshot: &Snapshot,
        query: &mut dyn FnMut(StateView<'_>),
    ) -> Result<(), StoreError>;
    fn install(&self, snapshot: Snapshot) -> Result<Applied, StoreError>;
    fn state_hash(&self) -> Result<Digest, StoreError>;
    fn faults(&self) -> &FaultLatch;
}

impl<S: StateStore> StateDisk for S {
    fn with_view(&self, query: &mut dyn FnMut(StateView<'_>)) -> Result<(), StoreError> {
        self.read(|view| query(StateView(view)))
    }

    fn applied(&self) -> Result<Option<Applied>, StoreError> {
        StateStore::applied(self)
    }

    fn commit(&self, writes: &[Write], applied: &Applied) -> Result<(), StoreError> {
        StateStore::commit(self, writes, applied)
    }

    fn flush(&self) -> Result<Option<u64>, StoreError> {
        StateStore::flush(self)
    }

    fn pin(&self) -> Result<Pinned, StoreError> {
        StateStore::pin(self)
    }

    fn receive(&self, manifest: SnapshotManifest) -> Result<Incoming, StoreError> {
        StateStore::receive(self, manifest)
    }

    fn with_received(
        &self,
        snapshot: &Snapshot,
        query: &mut dyn FnMut(StateView<'_>),
    ) -> Result<(), StoreError> {
        self.read_received(snapshot, |view| query(StateView(view)))
    }

    fn install(&self, snapshot: Snapshot) -> Result<Applied, StoreError> {
        StateStore::install(self, snapshot)
    }

    fn state_hash(&self) -> Result<Digest, StoreError> {
        StateStore::state_hash(self)
    }

    fn faults(&self) -> &FaultLatch {
        StateStore::faults(self)
    }
}

impl dyn StateDisk {
    /// Answers `query` from one consistent view.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    pub(crate) fn read<R>(&self, query: impl FnOnce(StateView<'_>) -> R) -> Result<R, StoreError> {
        let (mut query, mut answer) = (Some(query), None);
        self.with_view(&mut |view| answer = query.take().map(|query| query(view)))?;
        // A store that read nothing and reported nothing does not exist.
        answer.ok_or(StoreError::Closed)
    }
}
