//! `keys/`: small secret files, one per signing key.
//!
//! ```text
//! log.key                  node.key                  the generation made with the directory
//! 0123456789abcdef.log.key 0123456789abcdef.node.key a later one, by the name that it was given
//! ```
//!
//! Bytes in, bytes out ([`crate::read_secret`] reads them): how a key is encoded, and which generation
//! is in use, is not this crate's business. A key is never overwritten by another, only encrypted otherwise, or wiped.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DataDir, DirLock, KEYS, names_in};
use crate::durable;
use crate::error::DiskError;
use crate::secret::{self, KeyError};

/// Mode of the folder.
const FOLDER_MODE: u32 = 0o700;

/// The bits of a mode that are about everybody else.
const OTHERS: u32 = 0o007;

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

    const BOTH: [Self; 2] = [Self::Node, Self::Log];
}

/// One of the pairs of keys that a node has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// The pair that was made with the directory.
    First,
    /// A later one, by eight bytes that whoever made it chose.
    Later([u8; 8]),
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::Later(name) => write!(f, "{:016x}", u64::from_be_bytes(*name)),
        }
    }
}

impl Generation {
    fn file_name(self, file: KeyFile) -> String {
        match self {
            Self::First => file.file_name().to_owned(),
            Self::Later(_) => format!("{self}.{}", file.file_name()),
        }
    }

    /// What a file in the folder is; none if it is no key.
    fn of_file(name: &str) -> Option<(Self, KeyFile)> {
        let is = |(generation, file): &(Self, KeyFile)| generation.file_name(*file) == name;
        let first = KeyFile::BOTH.map(|file| (Self::First, file));
        let later = name.split_once('.').and_then(|(hex, _)| {
            let bytes = u64::from_str_radix(hex, 16).ok()?.to_be_bytes();
            Some(KeyFile::BOTH.map(|file| (Self::Later(bytes), file)))
        });
        let known = first.into_iter().chain(later.into_iter().flatten());
        known.into_iter().find(is)
    }
}

/// The key folder of a data directory, which stays this process's own for as long as this lives.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    root: PathBuf,
    /// Held, never read.
    _lock: Arc<DirLock>,
}

impl DataDir {
    /// The folder of the keys.
    #[must_use]
    pub fn keys(&self) -> KeyFolder {
        KeyFolder {
            root: self.root.clone(),
            _lock: Arc::clone(&self.lock),
        }
    }
}

impl KeyFolder {
    /// Writes `key` of `generation` with mode 0600, durably.
    ///
    /// # Errors
    ///
    /// [`KeyError::Exists`] if there is one, else a fault of the disk.
    pub fn write(
        &self,
        generation: Generation,
        key: KeyFile,
        secret: &[u8],
    ) -> Result<(), KeyError> {
        let path = self.path(generation, key);
        if path.exists() {
            return Err(KeyError::Exists { path });
        }
        let folder = self.folder();
        durable::ensure_dir(&folder, &self.root)?;
        restrict(&folder)?;
        durable::replace_file(
            &folder,
            &generation.file_name(key),
            secret,
            durable::MODE_SECRET,
        )?;
        Ok(())
    }

    /// Every generation of which there is a file, and which of its two keys there are.
    ///
    /// # Errors
    ///
    /// A fault of the disk.
    pub fn generations(&self) -> Result<BTreeMap<Generation, Vec<KeyFile>>, DiskError> {
        let mut found: BTreeMap<Generation, Vec<KeyFile>> = BTreeMap::new();
        let folder = self.folder();
        if !folder.is_dir() {
            return Ok(found);
        }
        for name in names_in(&folder)? {
            if let Some((generation, file)) = Generation::of_file(&name) {
                found.entry(generation).or_default().push(file);
            }
        }
        Ok(found)
    }

    /// Overwrites the keys of `generation` with zeros and removes them, durably. Those that are gone
    /// are no error.
    ///
    /// A disk that writes elsewhere than it was told to may still hold the old bytes.
    ///
    /// # Errors
    ///
    /// A fault of the disk; what was not removed is still whole or all zeros.
    pub fn wipe(&self, generation: Generation) -> Result<(), DiskError> {
        for key in KeyFile::BOTH {
            secret::wipe(&self.path(generation, key))?;
        }
        durable::sync_dir(&self.folder())
    }

    /// Where `key` of `generation` is.
    #[must_use]
    pub fn path(&self, generation: Generation, key: KeyFile) -> PathBuf {
        self.folder().join(generation.file_name(key))
    }

    /// Where the keys are.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.join(KEYS)
    }
}

/// Wipes what an interrupted replacement left beside the key that it was to replace.
pub(super) fn clear_interrupted(folder: &Path) -> Result<(), DiskError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for name in names_in(folder)? {
        if name.ends_with(durable::STAGED) {
            secret::wipe(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Takes the rights of everybody away who is neither the owner nor of the owner's group, which an operator
/// may have let in.
pub(super) fn shut_others_out(folder: &Path) -> Result<(), DiskError> {
    let found = fs::metadata(folder).map_err(DiskError::at("look at", folder))?;
    let mode = found.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(mode & !OTHERS))
        .map_err(DiskError::at("restrict", folder))
}

/// Lets nobody but the owner into the folder.
pub(super) fn restrict(folder: &Path) -> Result<(), DiskError> {
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
        .map_err(DiskError::at("restrict", folder))
}
