//! Reads a received snapshot where it lies, before anything is switched.
//!
//! Nothing is written: not to it, and not to the state in use. A snapshot that cannot be read is refused
//! and is no fault of the store.

use std::path::Path;

use super::families::{self, Families};
use super::reader::RocksReader;
use super::rocks::RocksState;
use super::snapshot::{Content, Snapshot};
use super::starts::Starts;
use crate::data_dir::INCOMING;
use crate::fault::{FaultLatch, StoreError};
use crate::{framing, rocks};

impl RocksState {
    pub(super) fn read_received_folder<R>(
        &self,
        snapshot: &Snapshot,
        query: impl FnOnce(&RocksReader<'_>) -> R,
    ) -> Result<R, StoreError> {
        self.faults.check()?;
        let Content::Folder(folder) = &snapshot.content else {
            return Err(refused("it is not in a folder"));
        };
        let folder = folder.path();
        if folder.parent() != Some(&self.root.join(INCOMING)) {
            return Err(refused("it was not received here"));
        }
        read_folder(folder, query)
    }
}

fn read_folder<R>(
    folder: &Path,
    query: impl FnOnce(&RocksReader<'_>) -> R,
) -> Result<R, StoreError> {
    framing::check_database(folder).map_err(refused)?;
    families::check(folder).map_err(refused)?;
    let db =
        families::open_read_only(folder).map_err(|error| refused(rocks::refusal(folder, error)))?;
    let families = Families::of(&db).ok_or_else(|| refused("a column family is gone"))?;
    // A latch of its own: damage here is the sender's or the network's.
    let faults = FaultLatch::new();
    let starts = Starts::default();
    let answer = query(&RocksReader::new(&db, families, &starts, &faults));
    match faults.check() {
        Ok(()) => Ok(answer),
        Err(damage) => Err(refused(damage)),
    }
}

fn refused(problem: impl std::fmt::Display) -> StoreError {
    StoreError::Snapshot(problem.to_string())
}
