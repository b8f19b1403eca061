//! A folder that goes away with its last user.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::durable;

/// Removes its folder when it is dropped, if it is armed.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    is_armed: AtomicBool,
}

impl Folder {
    /// A folder that stays.
    pub(super) fn kept(path: PathBuf) -> Self {
        Self {
            path,
            is_armed: AtomicBool::new(false),
        }
    }

    /// A folder that goes.
    pub(super) fn temporary(path: PathBuf) -> Self {
        Self {
            path,
            is_armed: AtomicBool::new(true),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets it go with its last user.
    pub(super) fn retire(&self) {
        self.is_armed.store(true, Ordering::Release);
    }

    /// Lets it stay: somebody else has it now.
    pub(super) fn keep(&self) {
        self.is_armed.store(false, Ordering::Release);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_armed.load(Ordering::Acquire)
            && let Err(error) = durable::remove_any(&self.path)
        {
            // The next start removes it.
            tracing::warn!(folder = %self.path.display(), %error, "a folder could not be removed");
        }
    }
}
