//! Small files and folders that are there after a power loss.
//!
//! Everything goes through `std`'s calls into the C library, so that a fault-injecting library
//! loaded before it (as the crash tests do) sees every sync and every rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::DiskError;

/// Mode of files that hold secrets.
pub(crate) const MODE_SECRET: u32 = 0o600;
/// Mode of other files.
pub(crate) const MODE_PLAIN: u32 = 0o644;

/// Ends the name of a file that is to replace another.
pub(crate) const STAGED: &str = ".tmp";

/// Makes the entries of the folder `path` (files created, renamed, removed) durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), DiskError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(DiskError::at("sync", path))
}

/// Makes the content of the file `path` durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), DiskError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(DiskError::at("sync", path))
}

/// Creates the folder `path`, durably, if it is not there.
pub(crate) fn ensure_dir(path: &Path, parent: &Path) -> Result<(), DiskError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(DiskError::at("create", path)(error)),
        Ok(()) => sync_dir(parent),
    }
}

/// Replaces `folder/name` in one durable step: after a crash the file has its old content or all of
/// `bytes`.
pub(crate) fn replace_file(
    folder: &Path,
    name: &str,
    bytes: &[u8],
    mode: u32,
) -> Result<(), DiskError> {
    let staged = folder.join(format!("{name}{STAGED}"));
    let path = folder.join(name);
    write_new(&staged, bytes, mode).map_err(DiskError::at("write", &staged))?;
    fs::rename(&staged, &path).map_err(DiskError::at("replace", &path))?;
    sync_dir(folder)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A leftover may have another mode, so it is removed rather than overwritten.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a small file, `None` if it is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at("read", path)(error)),
    }
}

/// Removes a file or a whole folder, if it is there. Not durable by itself.
pub(crate) fn remove_any(path: &Path) -> Result<(), DiskError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::at("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// The folder that a path is in: of a name alone, the one that the process runs in.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
