//! Puts a received snapshot in the place of the state.
//!
//! ```text
//! incoming/7  ──rename──▶  state-4  ──open, compare──▶  CURRENT = state-4  ──▶  state-3 removed
//! ```
//!
//! A crash before `CURRENT` is replaced leaves the old state in use, and one after it the new; the
//! next start removes whichever is not named. The log, the identity and the keys are not touched.

use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::Applied;
use super::folder::Folder;
use super::rocks::{RocksState, StateDb};
use super::snapshot::{Content, Snapshot};
use crate::data_dir::{INCOMING, write_pointer};
use crate::durable;
use crate::error::DiskError;
use crate::fault::StoreError;

const DOING: &str = "install a snapshot";

impl RocksState {
    pub(super) fn install_folder(&self, snapshot: &Snapshot) -> Result<Applied, StoreError> {
        self.faults.check()?;
        let refused = |problem: String| StoreError::Snapshot(problem);
        let Content::Folder(folder) = &snapshot.content else {
            return Err(refused("it is not in a folder".to_owned()));
        };
        if folder.path().parent() != Some(&self.root.join(INCOMING)) {
            return Err(refused("it was not received here".to_owned()));
        }
        let expected = &snapshot.manifest.applied;
        let mut progress = self.progress();
        let index = progress.applied.as_ref().map(|applied| applied.index);
        if Some(expected.index) < index {
            let at = index.unwrap_or_default();
            return Err(refused(format!(
                "it ends at {}, the state is at {at}",
                expected.index
            )));
        }
        let old = self.current();
        let number = old.number.next();
        let target = self.root.join(number.to_string());
        self.move_into_place(folder, &target)
            .map_err(|error| refused(format!("{error}: {}", error.source)))?;
        let new = match StateDb::open(&self.root, number) {
            Ok(new) => new,
            Err(error) => {
                // Never in use; the next start would remove it too.
                drop(Folder::temporary(target));
                return Err(refused(error.to_string()));
            }
        };
        let found = new.read_applied(self.group);
        if !matches!(&found, Ok(Some(found)) if found == expected) {
            new.folder.retire();
            return Err(refused(
                "it is not applied as far as its manifest says".to_owned(),
            ));
        }
        // From here on nobody can say which of the two a restart would find, until it is durable.
        write_pointer(&self.root, number).map_err(|error| self.disk_fault(DOING, error))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        progress.applied = Some(expected.clone());
        progress.flushed = Some(expected.index);
        // Removed once its last reader is gone.
        old.folder.retire();
        Ok(expected.clone())
    }

    fn move_into_place(&self, folder: &Folder, target: &Path) -> Result<(), DiskError> {
        durable::remove_any(target)?;
        fs::rename(folder.path(), target).map_err(DiskError::at("move", folder.path()))?;
        folder.keep();
        durable::sync_dir(&self.root)
    }
}
