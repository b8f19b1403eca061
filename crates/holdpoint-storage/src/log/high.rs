//! `log.high`: what the log must at least hold, kept outside the log's own folder.
//!
//! The database cannot notice that its newest log file was deleted, or its folder replaced by an
//! older copy: it opens with less. This file names a lower bound of the last durable entry per
//! group and the newest log file at that time. It is written at every start, every
//! [`ENTRIES_BETWEEN`] entries, before a truncation below it, and at a clean stop.
//!
//! It cannot notice the loss of entries appended since it was last written from files that are
//! still there, nor an older copy of the whole data directory. The peers' knowledge of what this
//! node acknowledged is what finds those.

use std::collections::BTreeMap;
use std::path::Path;

use holdpoint_core::GroupId;
use serde::{Deserialize, Serialize};

use crate::data_dir::LOG;
use crate::durable;
use crate::error::{DiskError, OpenError};
use crate::framing;

pub(crate) const FILE: &str = "log.high";

/// Entries after which the file is written again.
pub(crate) const ENTRIES_BETWEEN: u64 = 4_096;

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct High {
    /// The number of the newest log file. A later one may have replaced it, an earlier one not.
    newest_file: u64,
    /// Lower bound of the last durable entry, by group.
    last: BTreeMap<u32, u64>,
}

impl High {
    pub(crate) fn read(root: &Path) -> Result<Self, OpenError> {
        let file = root.join(FILE);
        let Some(bytes) = durable::read_if_there(&file)? else {
            return Err(OpenError::Missing { path: file });
        };
        serde_json::from_slice(&bytes).map_err(|error| OpenError::DamagedFile {
            file,
            problem: error.to_string(),
        })
    }

    /// Writes the file, after looking up the newest log file.
    pub(crate) fn write(&mut self, root: &Path) -> Result<(), DiskError> {
        let files = framing::log_files(&root.join(LOG))?;
        self.newest_file = files.last().map_or(0, |(number, _)| *number);
        let mut text = serde_json::to_vec(self)
            .map_err(|error| DiskError::at("write", &root.join(FILE))(error.into()))?;
        text.push(b'\n');
        durable::replace_file(root, FILE, &text, durable::MODE_PLAIN)
    }

    /// The bound of `group`.
    pub(crate) fn last(&self, group: GroupId) -> Option<u64> {
        self.last.get(&group.0).copied()
    }

    pub(crate) fn set_last(&mut self, group: GroupId, last: Option<u64>) {
        match last {
            Some(last) => self.last.insert(group.0, last),
            None => self.last.remove(&group.0),
        };
    }

    /// Every group with its bound.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (GroupId, u64)> {
        self.last
            .iter()
            .map(|(group, last)| (GroupId(*group), *last))
    }

    /// Refuses a folder whose newest log file is gone.
    ///
    /// The database creates a log file before it removes an older one, so there is always one that
    /// is at least as new as any that ever was.
    pub(crate) fn check_newest_file(&self, folder: &Path) -> Result<(), OpenError> {
        let files = framing::log_files(folder)?;
        if files.last().map_or(0, |(number, _)| *number) >= self.newest_file {
            return Ok(());
        }
        Err(OpenError::Missing {
            path: folder.join(format!("{:06}.log", self.newest_file)),
        })
    }
}
