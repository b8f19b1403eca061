//! The Raft log of all groups of a node: one ordered, durable stream of votes, entries and what
//! belongs to this node alone.
//!
//! Calls take effect in the order in which they were made. A call returns as soon as its place in
//! that order is fixed and its effect can be read; its [`Done`] is called when the effect is durable.
//!
//! It never looks into an entry, a vote or a record, and never decides what to purge.

mod bounds;
pub(crate) mod high;
pub(crate) mod key;
mod load;
pub mod mem;
pub mod rocks;
mod shared;
mod window;
mod writer;

use std::fmt;
use std::sync::mpsc;

use bytes::Bytes;
use holdpoint_core::GroupId;

use crate::fault::{FaultLatch, StoreError};

pub use bounds::{Bounds, Purged};

/// Longest name of a node-local record.
pub const LOCAL_NAME_BYTES_MAX: usize = 64;

/// Called once, when a write is durable or certainly will not become so in this process.
///
/// It runs on the writer's thread and must not block: send a message, wake a task.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A log: the real one, and one in memory that loses its unsynced tail.
pub trait LogStore: fmt::Debug + Send + Sync + 'static {
    /// Appends entries, which must continue the log without a hole.
    ///
    /// Waits while too much is queued for the disk. `done` may get [`StoreError::Gap`].
    fn append(&self, group: GroupId, entries: Vec<(u64, Bytes)>, done: Done);

    /// Replaces the vote.
    fn save_vote(&self, group: GroupId, vote: Bytes, done: Done);

    /// Remembers what is committed. `done` does not wait for the disk: the next durable write makes
    /// it durable too. Losing it is safe.
    fn save_committed(&self, group: GroupId, committed: Bytes, done: Done);

    /// Removes every entry after `index`, or every entry if `None`.
    fn truncate_after(&self, group: GroupId, index: Option<u64>, done: Done);

    /// Removes every entry up to and with `purged.index`, which may lie past the last entry.
    fn purge_to(&self, group: GroupId, purged: Purged, done: Done);

    /// Sets a record that belongs to this node alone, such as the last head that it signed.
    ///
    /// `name` has at most [`LOCAL_NAME_BYTES_MAX`] bytes.
    fn put_local(&self, group: GroupId, name: &str, value: Bytes, done: Done);

    /// The last vote, durable or not.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn vote(&self, group: GroupId) -> Result<Option<Bytes>, StoreError>;

    /// What was last said to be committed.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn committed(&self, group: GroupId) -> Result<Option<Bytes>, StoreError>;

    /// The last value of a node-local record, durable or not.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn local(&self, group: GroupId, name: &str) -> Result<Option<Bytes>, StoreError>;

    /// Which entries there are, durable or not.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    fn bounds(&self, group: GroupId) -> Result<Bounds, StoreError>;

    /// The entries from `from` up to and without `to`, in order and without a hole.
    ///
    /// Ends early where the log ends, and once `bytes_max` bytes are reached (but not before the
    /// first entry). Empty if the first is not held.
    ///
    /// # Errors
    ///
    /// The store has stopped, also because an entry could not be read.
    fn read_range(
        &self,
        group: GroupId,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError>;

    /// Where the first fault is found.
    fn faults(&self) -> &FaultLatch;
}

/// Makes one call of a [`LogStore`] and waits until it is done.
///
/// # Errors
///
/// What `done` was called with; [`StoreError::Closed`] if it was dropped.
pub fn wait(call: impl FnOnce(Done)) -> Result<(), StoreError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    call(Box::new(move |result| {
        // The receiver waits below for as long as this call runs.
        let _ = sender.send(result);
    }));
    receiver.recv().unwrap_or(Err(StoreError::Closed))
}

/// One write, as it waits for its turn.
#[derive(Debug)]
pub(crate) enum Op {
    Append(Vec<(u64, Bytes)>),
    Vote(Bytes),
    Committed(Bytes),
    Truncate(Option<u64>),
    Purge(Purged),
    Local(String, Bytes),
}

impl Op {
    /// What it adds to a batch, in entries and bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        match self {
            Self::Append(entries) => (
                entries.len(),
                entries.iter().map(|(_, bytes)| bytes.len()).sum(),
            ),
            Self::Vote(bytes)
            | Self::Committed(bytes)
            | Self::Purge(Purged { bytes, .. })
            | Self::Local(_, bytes) => (1, bytes.len()),
            Self::Truncate(_) => (1, 0),
        }
    }
}

#[cfg(test)]
mod tests;
