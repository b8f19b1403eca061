//! Receives a snapshot: written as it comes, believed only when every checksum holds.
//!
//! It never touches the state in use, and a fault of the disk here is no fault of the store:
//! nothing that was ever acknowledged rests on these files.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;

use holdpoint_receipt::Hasher;

use super::folder::Folder;
use super::snapshot::{Content, Snapshot};
use super::{SnapshotFile, SnapshotManifest};
use crate::durable;
use crate::fault::{FaultLatch, StoreError};

/// A snapshot on its way in. Dropping it removes what has come so far.
pub struct Incoming {
    manifest: Arc<SnapshotManifest>,
    sink: Sink,
    /// The file that is being written, by its place in the manifest.
    place: usize,
    written: u64,
    hasher: Hasher,
    faults: FaultLatch,
}

pub(super) enum Sink {
    Folder { folder: Folder, file: Option<File> },
    Memory(Vec<(String, Vec<u8>)>),
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("place", &self.place)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

fn refused(problem: impl std::fmt::Display) -> StoreError {
    StoreError::Snapshot(problem.to_string())
}

impl Incoming {
    pub(super) fn new(
        manifest: SnapshotManifest,
        sink: Sink,
        faults: FaultLatch,
    ) -> Result<Self, StoreError> {
        let manifest = Arc::new(manifest);
        let mut incoming = Self {
            manifest,
            sink,
            place: 0,
            written: 0,
            hasher: Hasher::new(),
            faults,
        };
        incoming.close_complete_files()?;
        Ok(incoming)
    }

    /// What is to come.
    #[must_use]
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// The place in the manifest and the offset at which the next bytes belong. Past the last file,
    /// everything has come.
    #[must_use]
    pub fn expected(&self) -> (usize, u64) {
        (self.place, self.written)
    }

    /// Takes the next bytes of the file at `place`. They must continue what has come, file by file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Snapshot`] if they come out of order, are too many, do not have the digest that
    /// the manifest says, or cannot be written. Drop the snapshot then and begin anew.
    pub fn write(&mut self, place: usize, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if (place, offset) != self.expected() {
            let (place_expected, offset_expected) = self.expected();
            return Err(refused(format!(
                "bytes for file {place} at {offset} came, those for file {place_expected} at \
                 {offset_expected} are next"
            )));
        }
        let manifest = Arc::clone(&self.manifest);
        let Some(file) = manifest.files.get(place) else {
            return Err(refused("bytes came after the last file"));
        };
        let written = offset.saturating_add(bytes.len() as u64);
        if written > file.length {
            return Err(refused(format!(
                "`{}` is longer than {} bytes",
                file.name, file.length
            )));
        }
        self.hasher.update(bytes);
        self.sink.write(file, bytes)?;
        self.written = written;
        self.close_complete_files()
    }

    /// Closes the file that is complete, and empty ones after it.
    fn close_complete_files(&mut self) -> Result<(), StoreError> {
        let manifest = Arc::clone(&self.manifest);
        while let Some(file) = manifest.files.get(self.place)
            && file.length == self.written
        {
            if std::mem::take(&mut self.hasher).finish() != file.digest {
                return Err(refused(format!(
                    "`{}` does not have the digest it should",
                    file.name
                )));
            }
            self.sink.write(file, &[])?;
            self.sink.close(file)?;
            self.place = self.place.saturating_add(1);
            self.written = 0;
        }
        Ok(())
    }

    /// Ends the receipt: every file is there, and durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Snapshot`] if something is missing or cannot be made durable.
    pub fn finish(self) -> Result<Snapshot, StoreError> {
        if let Some(file) = self.manifest.files.get(self.place) {
            return Err(refused(format!(
                "it ends before all of `{}` has come",
                file.name
            )));
        }
        let content = match self.sink {
            Sink::Folder { folder, .. } => {
                durable::sync_dir(folder.path())
                    .map_err(|error| refused(format!("{error}: {}", error.source)))?;
                Content::Folder(Arc::new(folder))
            }
            Sink::Memory(files) => Content::Memory(Arc::new(files)),
        };
        Ok(Snapshot {
            manifest: self.manifest,
            content,
            faults: self.faults,
        })
    }
}

impl Sink {
    fn write(&mut self, file: &SnapshotFile, bytes: &[u8]) -> Result<(), StoreError> {
        match self {
            Self::Memory(files) => match files.last_mut() {
                Some((name, content)) if *name == file.name => content.extend_from_slice(bytes),
                _ => files.push((file.name.clone(), bytes.to_vec())),
            },
            Self::Folder { folder, file: open } => {
                let target = match open {
                    Some(target) => target,
                    // The name was checked: it leads to no other folder.
                    None => open.insert(
                        OpenOptions::new()
                            .write(true)
                            .create_new(true)
                            .open(folder.path().join(&file.name))
                            .map_err(refused)?,
                    ),
                };
                target.write_all(bytes).map_err(refused)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, file: &SnapshotFile) -> Result<(), StoreError> {
        if let Self::Folder { file: open, .. } = self
            && let Some(target) = open.take()
        {
            let named = |error| refused(format!("`{}`: {error}", file.name));
            target.sync_all().map_err(named)?;
        }
        Ok(())
    }
}

/// Refuses a manifest that is over a limit or of another group.
pub(super) fn check(
    manifest: &SnapshotManifest,
    group: holdpoint_core::GroupId,
) -> Result<(), StoreError> {
    manifest.check().map_err(refused)?;
    if manifest.group == group {
        Ok(())
    } else {
        Err(refused(format!(
            "it is of group {}, not of group {group}",
            manifest.group
        )))
    }
}
