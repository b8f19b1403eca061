//! `keys/`: small secret files, one per signing key.
//!
//! Bytes in, bytes out: how a key is encoded is not this crate's business.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{DataDir, KEYS};
use crate::durable;
use crate::error::DiskError;

/// Mode of the folder.
const FOLDER_MODE: u32 = 0o700;
/// Mode bits that let anybody but the owner in.
pub(crate) const OTHERS: u32 = 0o077;

/// A key file. Each node has these two, and neither signs what the other does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// `node.key`: co-signs tree heads.
    Node,
    /// `log.key`: signs the log's checkpoints.
    Log,
}

impl KeyFile {
    const fn file_name(self) -> &'static str {
        match self {
            Self::Node => "node.key",
            Self::Log => "log.key",
        }
    }
}

/// Why a key file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is a key of this name already; a key is never overwritten.
    #[error("`{}` exists already and is not overwritten", path.display())]
    Exists {
        /// The key file.
        path: PathBuf,
    },
    /// Others can read it.
    #[error(
        "`{}` can be read by others (mode {mode:o}); it may be known to them: replace the key, or \
         run `chmod 600` if you are sure that nobody has read it",
        path.display()
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The disk refused.
    #[error(transparent)]
    Fault(#[from] DiskError),
}

impl DataDir {
    /// Writes `key` with mode 0600, durably.
    ///
    /// # Errors
    ///
    /// [`KeyError::Exists`] if there is one, else a fault of the disk.
    pub fn write_key(&self, key: KeyFile, secret: &[u8]) -> Result<(), KeyError> {
        let path = self.key_path(key);
        if path.exists() {
            return Err(KeyError::Exists { path });
        }
        let folder = self.root().join(KEYS);
        durable::ensure_dir(&folder, self.root())?;
        restrict(&folder)?;
        durable::replace_file(&folder, key.file_name(), secret, durable::MODE_SECRET)?;
        Ok(())
    }

    /// Reads `key`, `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`KeyError::Exposed`] if others can read it, else a fault of the disk.
    pub fn read_key(&self, key: KeyFile) -> Result<Option<Vec<u8>>, KeyError> {
        let path = self.key_path(key);
        let Some(secret) = durable::read_if_there(&path)? else {
            return Ok(None);
        };
        let metadata = fs::metadata(&path).map_err(DiskError::at("read", &path))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        Ok(Some(secret))
    }

    /// Where `key` is.
    #[must_use]
    pub fn key_path(&self, key: KeyFile) -> PathBuf {
        self.root().join(KEYS).join(key.file_name())
    }
}

/// Lets nobody but the owner into the folder.
pub(super) fn restrict(folder: &Path) -> Result<(), DiskError> {
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
        .map_err(DiskError::at("restrict", folder))
}
