//! The data directory of one node.
//!
//! ```text
//! identity.json   whose data this is; written last, so its presence means "initialised"
//! LOCK            held by the process that uses the directory
//! log/            database: vote, entries, what belongs to this node alone
//! log.high        lower bounds of the last durable entry, to notice a log that lost its end
//! state-N/        database: the replicated state; N rises with every installed snapshot
//! CURRENT         the name of the state directory in use
//! incoming/       a snapshot being received; emptied at every start
//! outgoing/       snapshots being sent; emptied at every start
//! keys/           signing keys, readable by the owner only
//! ```
//!
//! It never interprets a key, an entry or a record, and never looks for a directory by itself.

mod identity;
mod keys;
mod lock;
mod pointer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdpoint_core::GroupId;
use holdpoint_receipt::{ClusterId, NodeId};

use crate::durable;
use crate::error::{CreateError, DiskError, OpenError};
use crate::fault::FaultLatch;
use crate::log::rocks::{LogOptions, RocksLog};
use crate::state::rocks::RocksState;

pub use identity::{FORMAT, Identity, Incarnation};
pub use keys::{Generation, KeyFile, KeyFolder};
pub(crate) use lock::DirLock;
pub(crate) use pointer::{StateNumber, read_pointer, write_pointer};

pub(crate) const LOG: &str = "log";
pub(crate) const INCOMING: &str = "incoming";
pub(crate) const OUTGOING: &str = "outgoing";
const KEYS: &str = "keys";
/// Exists while a directory is being created. What is found beside it was never used.
const CREATING: &str = "CREATING";

/// Whose data directory is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node in it.
    pub node: NodeId,
}

/// A data directory that this process has for itself.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
    identity: Identity,
    lock: Arc<DirLock>,
}

impl DataDir {
    /// Makes `root` the data directory of `identity`: durable, or not there at all.
    ///
    /// A creation that a crash interrupted is started over.
    ///
    /// # Errors
    ///
    /// [`CreateError`] if the directory is in use, is a data directory already or holds anything
    /// else, or if the disk refuses.
    pub fn create(root: &Path, identity: Identity) -> Result<Self, CreateError> {
        fs::create_dir_all(root).map_err(DiskError::at("create", root))?;
        let lock = DirLock::take(root)?.ok_or_else(|| CreateError::Locked { root: root.into() })?;
        if root.join(identity::FILE).exists() {
            return Err(CreateError::AlreadyInitialised { root: root.into() });
        }
        clear_interrupted_creation(root)?;
        if let Some(found) = anything_but_the_lock(root)? {
            return Err(CreateError::NotEmpty {
                root: root.into(),
                found,
            });
        }
        // Requests stand in it in plain text.
        keys::restrict(root)?;
        durable::replace_file(root, CREATING, b"", durable::MODE_PLAIN)?;
        for folder in [INCOMING, OUTGOING, KEYS] {
            durable::ensure_dir(&root.join(folder), root)?;
        }
        keys::restrict(&root.join(KEYS))?;
        RocksLog::create(root)?;
        RocksState::create(root, StateNumber::FIRST)?;
        write_pointer(root, StateNumber::FIRST)?;
        identity.write(root)?;
        durable::remove_any(&root.join(CREATING))?;
        durable::sync_dir(root)?;
        durable::sync_dir(durable::parent_of(root))?;
        Ok(Self {
            root: root.into(),
            identity,
            lock: Arc::new(lock),
        })
    }

    /// Takes the data directory `root` for this process, if it is there and belongs to `owner`.
    ///
    /// Without `owner` any identity will do (a tool that looks at a directory has none to expect).
    ///
    /// # Errors
    ///
    /// [`OpenError`] says which of the many ways it is not ours, not there or not whole.
    pub fn open(root: &Path, owner: Option<Owner>) -> Result<Self, OpenError> {
        if !root.is_dir() {
            return Err(OpenError::NotInitialised { root: root.into() });
        }
        let Some(identity) = Identity::read(root)? else {
            return Err(match anything_but_the_lock(root)? {
                Some(_) if !root.join(CREATING).exists() => {
                    OpenError::IdentityMissing { root: root.into() }
                }
                _ => OpenError::NotInitialised { root: root.into() },
            });
        };
        if let Some(owner) = owner {
            identity.check(root, owner)?;
        }
        let lock = DirLock::take(root)?.ok_or_else(|| OpenError::Locked { root: root.into() })?;
        keys::shut_others_out(root)?;
        for name in names_in(root)? {
            // What an interrupted replacement left beside the file it was to replace.
            if name == CREATING || name.ends_with(durable::STAGED) {
                durable::remove_any(&root.join(name))?;
            }
        }
        keys::clear_interrupted(&root.join(KEYS))?;
        for folder in [INCOMING, OUTGOING] {
            durable::remove_any(&root.join(folder))?;
            durable::ensure_dir(&root.join(folder), root)?;
        }
        Ok(Self {
            root: root.into(),
            identity,
            lock: Arc::new(lock),
        })
    }

    /// Whose data this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens the log, after checking every file that it will be read from.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a file is damaged or missing, the log has a hole, or ends before an entry
    /// that was durable. It names the file.
    pub fn open_log(&self, options: LogOptions, faults: FaultLatch) -> Result<RocksLog, OpenError> {
        RocksLog::open(self, options, faults)
    }

    /// Opens the replicated state of `group`, and removes what interrupted snapshots left.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a file is damaged or missing. It names the file. Damage inside a sorted
    /// file may show only when it is read.
    pub fn open_state(&self, group: GroupId, faults: FaultLatch) -> Result<RocksState, OpenError> {
        RocksState::open(self, group, faults)
    }

    pub(crate) fn lock(&self) -> Arc<DirLock> {
        Arc::clone(&self.lock)
    }
}

/// Empties a directory whose creation a crash interrupted.
fn clear_interrupted_creation(root: &Path) -> Result<(), DiskError> {
    if !root.join(CREATING).exists() {
        return Ok(());
    }
    for name in names_in(root)? {
        if name != lock::FILE && name != CREATING {
            durable::remove_any(&root.join(name))?;
        }
    }
    durable::sync_dir(root)?;
    durable::remove_any(&root.join(CREATING))
}

fn anything_but_the_lock(root: &Path) -> Result<Option<String>, DiskError> {
    Ok(names_in(root)?.into_iter().find(|name| name != lock::FILE))
}

/// The names in a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, DiskError> {
    let names = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut names = names.map_err(DiskError::at("list", folder))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
pub(crate) mod tests;
