//! The replicated state of one group: rows, and how far the log is applied to them, in one step.
//!
//! The log is the truth: a commit here waits for no disk, and what a crash takes is applied again.
//! So the log may be purged only up to what [`StateStore::flush`] returned.
//!
//! It never interprets a row, and it never carries anything that belongs to one node: a snapshot of
//! it can be installed anywhere.

mod families;
mod folder;
mod incoming;
mod install;
mod manifest;
pub mod mem;
pub(crate) mod reader;
mod received;
pub mod rocks;
mod snapshot;
mod starts;

use std::fmt;

use holdpoint_core::{View, Write};
use holdpoint_receipt::Digest;

use crate::fault::{FaultLatch, StoreError};

pub use incoming::Incoming;
pub use manifest::{
    MANIFEST_BYTES_MAX, ManifestError, SNAPSHOT_BYTES_MAX, SNAPSHOT_FILES_MAX, SnapshotFile,
    SnapshotManifest,
};
pub use snapshot::{Pinned, Snapshot};

/// How far the log is applied, stored in the same step as the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The index of the last applied entry.
    pub index: u64,
    /// What else the caller keeps with it (its term, the membership), never interpreted here.
    pub bytes: Vec<u8>,
}

/// A state: the real one, and one in memory that loses what is not flushed.
pub trait StateStore: fmt::Debug + Send + Sync + 'static {
    /// A consistent view, unchanged while commits go on.
    type Reader<'a>: View<Error = StoreError>
    where
        Self: 'a;

    /// Answers `query` from one consistent view.
    ///
    /// # Errors
    ///
    /// The store has stopped. What the query itself could not read is in its own answer.
    fn read<R>(&self, query: impl FnOnce(&Self::Reader<'_>) -> R) -> Result<R, StoreError>;

    /// How far the log is applied; `None` before the first commit.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn applied(&self) -> Result<Option<Applied>, StoreError>;

    /// Applies `writes` and `applied` in one step.
    ///
    /// Durable only after a [`flush`](Self::flush): the log has the truth.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn commit(&self, writes: &[Write], applied: &Applied) -> Result<(), StoreError>;

    /// Makes everything committed before the call durable, and returns the index up to which that
    /// is so: the log may be purged up to it.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn flush(&self) -> Result<Option<u64>, StoreError>;

    /// The index up to which the state was durable at the last flush, without flushing.
    fn flushed(&self) -> Option<u64>;

    /// Pins a snapshot of the state as it is now, quickly. [`Pinned::seal`] does the slow rest.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn pin(&self) -> Result<Pinned, StoreError>;

    /// Begins to receive the snapshot that `manifest` describes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Snapshot`] if it is of another group or there is no room to write.
    fn receive(&self, manifest: SnapshotManifest) -> Result<Incoming, StoreError>;

    /// Answers `query` from a complete snapshot that was received here and is not installed. Changes
    /// neither it nor the state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Snapshot`] if it cannot be read.
    fn read_received<R>(
        &self,
        snapshot: &Snapshot,
        query: impl FnOnce(&Self::Reader<'_>) -> R,
    ) -> Result<R, StoreError>;

    /// Replaces the state with a received snapshot, in one durable step: a crash leaves the old
    /// state or the new one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Snapshot`] if it does not hold what its manifest says, or lies behind the
    /// state; nothing has changed then. Anything else is a fault.
    fn install(&self, snapshot: Snapshot) -> Result<Applied, StoreError>;

    /// A digest over every row, the same as [`holdpoint_core::MapView::state_hash`] of them. Reads
    /// all of the state.
    ///
    /// # Errors
    ///
    /// The store has stopped, also because a row could not be read.
    fn state_hash(&self) -> Result<Digest, StoreError>;

    /// Where the first fault is found.
    fn faults(&self) -> &FaultLatch;
}

#[cfg(test)]
pub(crate) mod tests;
