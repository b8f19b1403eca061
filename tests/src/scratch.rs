//! A directory that is gone when its test is.

use std::path::{Path, PathBuf};

/// A temporary directory with the few verbs that tests need.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    /// A fresh directory.
    ///
    /// # Panics
    ///
    /// If the machine gives none.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without a directory cannot go on"
    )]
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
        }
    }

    /// A fresh directory in `folder`, for what must be on a certain disk.
    ///
    /// # Panics
    ///
    /// If it cannot be made there.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without a directory cannot go on"
    )]
    pub fn within(folder: &Path) -> Self {
        Self {
            directory: tempfile::tempdir_in(folder).expect("a temporary directory can be made"),
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path inside it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes `content` to `name`, with the directories above it, and returns its path.
    ///
    /// # Panics
    ///
    /// If the disk refuses.
    #[expect(
        clippy::expect_used,
        reason = "a test whose input cannot be written cannot go on"
    )]
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("the directory can be made");
        }
        std::fs::write(&path, content).expect("the file can be written");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
