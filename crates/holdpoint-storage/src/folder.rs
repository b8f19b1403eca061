//! A folder of small files that one process has for itself.
//!
//! For a program that is no node, such as a witness. Each file is there whole or not at all, also after
//! a power loss. What is in the files is not this crate's business.

use std::fs;
use std::path::{Path, PathBuf};

use crate::data_dir::DirLock;
use crate::durable;
use crate::error::DiskError;

/// Why a folder was not opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("`{}` is in use by another process", root.display())]
    Locked {
        /// The folder.
        root: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Fault(#[from] DiskError),
}

/// A folder of small files, locked for as long as it lives.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    _lock: DirLock,
}

impl Folder {
    /// Takes the folder `root` for this process, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// [`FolderError`]
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(root).map_err(DiskError::at("create", root))?;
        durable::sync_dir(durable::parent_of(root))?;
        let lock = DirLock::take(root)?;
        let lock = lock.ok_or_else(|| FolderError::Locked { root: root.into() })?;
        Ok(Self {
            root: root.into(),
            _lock: lock,
        })
    }

    /// The content of a file; none if it is not there.
    ///
    /// # Errors
    ///
    /// A fault of the disk.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        durable::read_if_there(&self.root.join(name))
    }

    /// Gives a file this content. Once it returns, no crash takes it back.
    ///
    /// # Errors
    ///
    /// A fault of the disk. The file has its old content then, or the new one.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        durable::replace_file(&self.root, name, bytes, durable::MODE_PLAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_replaced_and_found_again_by_the_next_who_opens_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("state");
        let folder = Folder::open(&root).unwrap();
        assert_eq!(folder.read("a").unwrap(), None);
        folder.replace("a", b"1").unwrap();
        folder.replace("a", b"2").unwrap();
        let locked = Folder::open(&root).unwrap_err();
        assert!(matches!(locked, FolderError::Locked { .. }), "{locked}");
        drop(folder);
        let again = Folder::open(&root).unwrap();
        assert_eq!(again.read("a").unwrap().as_deref(), Some(b"2".as_slice()));
    }
}
