//! A snapshot of the state: pinned quickly, sealed in peace, then read piece by piece.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use holdpoint_core::GroupId;
use holdpoint_receipt::{Digest, Hasher, sha256};

use super::folder::Folder;
use super::{Applied, SnapshotFile, SnapshotManifest};
use crate::data_dir::names_in;
use crate::durable;
use crate::error::DiskError;
use crate::fault::{Fault, FaultLatch, StoreError};

/// Bytes read at a time to hash a file.
const HASH_BYTES: usize = 256 << 10;

/// A snapshot whose content is fixed, and that nobody else may see yet.
#[derive(Debug)]
pub struct Pinned {
    pub(super) group: GroupId,
    pub(super) applied: Applied,
    pub(super) content: Content,
    pub(super) faults: FaultLatch,
}

/// Where the files of a snapshot are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// In a folder that goes away with the snapshot.
    Folder(Arc<Folder>),
    /// In memory, in the order of the manifest.
    Memory(Arc<Vec<(String, Vec<u8>)>>),
}

impl Pinned {
    /// How far the log is applied in it.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Makes the snapshot durable and computes its manifest. Reads all of it: call it where waiting
    /// is allowed, while commits go on.
    ///
    /// # Errors
    ///
    /// A fault of the disk.
    pub fn seal(self) -> Result<Snapshot, StoreError> {
        let files = match &self.content {
            Content::Folder(folder) => seal_folder(folder.path())
                .map_err(|error| self.faults.trip(fault("seal a snapshot", error)))?,
            Content::Memory(files) => files
                .iter()
                .map(|(name, bytes)| SnapshotFile {
                    name: name.clone(),
                    length: bytes.len() as u64,
                    digest: sha256(bytes),
                })
                .collect(),
        };
        let manifest = SnapshotManifest {
            group: self.group,
            applied: self.applied,
            files,
        };
        Ok(Snapshot {
            manifest: Arc::new(manifest),
            content: self.content,
            faults: self.faults,
        })
    }
}

/// A complete, durable snapshot. Clones share its files, which go away with the last one.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) manifest: Arc<SnapshotManifest>,
    pub(super) content: Content,
    pub(super) faults: FaultLatch,
}

impl Snapshot {
    /// What it consists of.
    #[must_use]
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// At most `bytes_max` bytes of the file at this place of the manifest, from `offset` on; empty
    /// at its end.
    ///
    /// # Errors
    ///
    /// A fault of the disk; [`StoreError::Snapshot`] if there is no such file.
    pub fn read(&self, place: usize, offset: u64, bytes_max: usize) -> Result<Vec<u8>, StoreError> {
        let Some(file) = self.manifest.files.get(place) else {
            return Err(StoreError::Snapshot(format!("it has no file {place}")));
        };
        let left = file.length.saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes_max);
        match &self.content {
            Content::Memory(files) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = files
                    .get(place)
                    .and_then(|(_, bytes)| bytes.get(start..start.checked_add(length)?));
                Ok(bytes.unwrap_or_default().to_vec())
            }
            Content::Folder(folder) => {
                let path = folder.path().join(&file.name);
                let mut bytes = vec![0; length];
                File::open(&path)
                    .and_then(|file| file.read_exact_at(&mut bytes, offset))
                    .map_err(DiskError::at("read", &path))
                    .map_err(|error| self.faults.trip(fault("read a snapshot", error)))?;
                Ok(bytes)
            }
        }
    }
}

/// Makes every file of the folder durable, and lists them.
fn seal_folder(folder: &Path) -> Result<Vec<SnapshotFile>, DiskError> {
    let mut files = Vec::new();
    for name in names_in(folder)? {
        let path = folder.join(&name);
        durable::sync_file(&path)?;
        let (length, digest) = hash_file(&path).map_err(DiskError::at("read", &path))?;
        files.push(SnapshotFile {
            name,
            length,
            digest,
        });
    }
    durable::sync_dir(folder)?;
    Ok(files)
}

fn hash_file(path: &Path) -> io::Result<(u64, Digest)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; HASH_BYTES];
    let mut length = 0_u64;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((length, hasher.finish()));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        length = length.saturating_add(count as u64);
    }
}

pub(super) fn fault(doing: &'static str, error: DiskError) -> Fault {
    let cause = format!("{error}: {}", error.source);
    Fault {
        doing,
        file: Some(error.path),
        cause,
    }
}
