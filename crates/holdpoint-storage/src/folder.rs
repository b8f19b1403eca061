//! A folder of small files that one process has for itself, and secrets in files of their own.
//!
//! For a program that is no node, such as a witness. Each file is there whole or not at all, also after
//! a power loss. What is in the files is not this crate's business.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::data_dir::{DirLock, KeyError, OTHERS};
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
        durable::sync_dir(parent_of(root))?;
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

/// Writes a secret to a file that is not there yet, with mode 0600, durably.
///
/// # Errors
///
/// [`KeyError::Exists`] if it is there, else a fault of the disk.
pub fn write_secret(path: &Path, secret: &[u8]) -> Result<(), KeyError> {
    if path.exists() {
        return Err(KeyError::Exists { path: path.into() });
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        let unnamed = io::Error::from(io::ErrorKind::InvalidFilename);
        DiskError::at("write", path)(unnamed)
    })?;
    durable::replace_file(parent_of(path), name, secret, durable::MODE_SECRET)?;
    Ok(())
}

/// Reads a secret; none if the file is not there.
///
/// # Errors
///
/// [`KeyError::Exposed`] if others can read it, else a fault of the disk.
pub fn read_secret(path: &Path) -> Result<Option<Vec<u8>>, KeyError> {
    let Some(secret) = durable::read_if_there(path)? else {
        return Ok(None);
    };
    let metadata = fs::metadata(path).map_err(DiskError::at("read", path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        let path = path.into();
        return Err(KeyError::Exposed { path, mode });
    }
    Ok(Some(secret))
}

/// The folder that a path is in: of a name alone, the one that the process runs in.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
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

    #[test]
    fn secret_is_for_its_owner_only_and_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.key");
        assert_eq!(read_secret(&path).unwrap(), None);
        write_secret(&path, b"secret").unwrap();
        assert_eq!(
            read_secret(&path).unwrap().as_deref(),
            Some(b"secret".as_slice())
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let exists = write_secret(&path, b"other").unwrap_err();
        assert!(matches!(exists, KeyError::Exists { .. }), "{exists}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = read_secret(&path).unwrap_err();
        assert!(matches!(exposed, KeyError::Exposed { .. }), "{exposed}");
    }
}
