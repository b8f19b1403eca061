//! `LOCK`: one process to a data directory.
//!
//! The kernel drops the lock with the process, so a kill leaves nothing to clean up.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::DiskError;

pub(super) const FILE: &str = "LOCK";

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// `None` if another process (or another opener in this one) has it.
    pub(crate) fn take(root: &Path) -> Result<Option<Self>, DiskError> {
        let path = root.join(FILE);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(DiskError::at("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(DiskError::at("lock", &path)(io::Error::from(error))),
        }
    }
}
