//! A node's data directory, opened for this process: identity, stores and keys.
//!
//! A directory that is absent or empty is made; anything else must be this node's own and whole.
//! The first keys are made once, together with the directory; others only when the cluster asks for
//! them ([`generations`]). A node that lost its keys must come back under another id.

mod generations;
mod named;
mod stored;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdpoint_core::GroupId;
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::{
    CreateError, DataDir, DiskError, FaultLatch, Identity, Incarnation, LogOptions, LogStore,
    OpenError, Owner, RocksLog, RocksState, StoreError,
};

use crate::key_files::{KeyFileError, KeySealing};
use crate::random::{self, NoRandomness};

use stored::Stored;

pub(crate) use generations::{Generations, key_id};
pub(crate) use named::NamedKeys;
pub use stored::reencrypt_keys;

/// A node's data directory.
#[derive(Debug)]
pub(crate) struct Home {
    /// Whose it is.
    pub(crate) identity: Identity,
    /// Where it is.
    pub(crate) root: PathBuf,
    /// Whether it was made just now.
    pub(crate) is_new: bool,
    /// The log.
    pub(crate) log: Arc<RocksLog>,
    /// The replicated state.
    pub(crate) state: Arc<RocksState>,
    /// The node's keys.
    pub(crate) keys: Generations,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// It is not this node's, or not whole.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A key cannot be read or written.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The disk does not list, or does not forget, key files.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A key file is gone and the node has a past.
    #[error(
        "`{}` is missing, and this node has signed with it; restore the file, or add the node again \
         under a new id and an empty directory",
        path.display()
    )]
    LostKey {
        /// The file.
        path: PathBuf,
    },
    /// The store stopped at once.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing random can be drawn.
    #[error("the system gives no random bytes")]
    Randomness,
}

impl From<NoRandomness> for HomeError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

impl Home {
    /// Opens the data directory `root` of `owner`, and makes it if there is none. Its keys are
    /// encrypted under `sealing`, if there is one.
    ///
    /// # Errors
    ///
    /// [`HomeError`] says what is wrong with it. Nothing of another node's was changed.
    pub(crate) fn open(
        root: &Path,
        owner: Owner,
        sealing: Option<KeySealing>,
    ) -> Result<Self, HomeError> {
        let (dir, is_new) = match DataDir::open(root, Some(owner)) {
            Err(OpenError::NotInitialised { .. }) => (create(root, owner)?, true),
            opened => (opened?, false),
        };
        // Before anything is recovered, which may take long: a node without its keys is none.
        let stored = Stored::read(dir.keys(), sealing)?;
        // One latch for both: a fault in either stops the node, and its group tells.
        let faults = FaultLatch::new();
        let log = dir.open_log(LogOptions::default(), faults.clone())?;
        let state = dir.open_state(GroupId::FIRST, faults)?;
        let bounds = log.bounds(GroupId::FIRST)?;
        let is_fresh = bounds.last().is_none() && log.vote(GroupId::FIRST)?.is_none();
        let keys = Generations::open(stored, is_fresh)?;
        Ok(Self {
            identity: *dir.identity(),
            root: dir.root().to_owned(),
            is_new,
            log: Arc::new(log),
            state: Arc::new(state),
            keys,
        })
    }
}

/// Whose directory `root` is; none if it is nobody's yet.
///
/// # Errors
///
/// It is somebody's, and damaged or in use.
pub(crate) fn cluster_of(root: &Path) -> Result<Option<ClusterId>, OpenError> {
    match DataDir::open(root, None) {
        Ok(dir) => Ok(Some(dir.identity().cluster)),
        Err(OpenError::NotInitialised { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether no process uses the directory, this one included: the threads that do end by themselves,
/// a moment after the last handle is dropped.
pub(crate) fn is_released(root: &Path) -> bool {
    !matches!(DataDir::open(root, None), Err(OpenError::Locked { .. }))
}

/// A cluster identity that nobody has.
pub(crate) fn new_cluster() -> Result<ClusterId, NoRandomness> {
    random::bytes().map(ClusterId::from_bytes)
}

fn create(root: &Path, owner: Owner) -> Result<DataDir, HomeError> {
    let incarnation = Incarnation::from_bytes(random::bytes()?);
    let Owner { cluster, node } = owner;
    Ok(DataDir::create(
        root,
        Identity {
            cluster,
            node,
            incarnation,
        },
    )?)
}

/// Node 1, which a cluster of one node has.
pub(crate) fn only_node() -> NodeId {
    NodeId::new(1).unwrap_or_else(|_| unreachable!("1 is a node id"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use holdpoint_receipt::keys::is_sealed;

    use super::*;
    use crate::key_files::SealingFile;

    fn owner(cluster: u8, node: u64) -> Owner {
        let cluster = ClusterId::from_bytes([cluster; 16]);
        Owner {
            cluster,
            node: NodeId::new(node).unwrap(),
        }
    }

    #[test]
    fn directory_is_made_once_and_its_keys_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("node-1");
        let first = Home::open(&root, owner(1, 1), None).unwrap();
        assert!(first.is_new);
        let (identity, keys) = (first.identity, first.keys.present());
        let mode = |file: &str| {
            std::fs::metadata(root.join("keys").join(file))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode("log.key"), mode("node.key")), (0o600, 0o600));
        drop(first);
        let second = Home::open(&root, owner(1, 1), None).unwrap();
        assert!(!second.is_new);
        assert_eq!((second.identity, second.keys.present()), (identity, keys));
    }

    #[test]
    fn directory_of_another_node_or_cluster_is_refused_and_named() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("node-1");
        drop(Home::open(&root, owner(1, 1), None).unwrap());
        let error = Home::open(&root, owner(1, 2), None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("belongs to node 1, not to node 2"),
            "{error}"
        );
        let error = Home::open(&root, owner(2, 1), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("belongs to cluster"), "{error}");
    }

    #[test]
    fn directory_in_use_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let _used = Home::open(scratch.path(), owner(1, 1), None).unwrap();
        let error = Home::open(scratch.path(), owner(1, 1), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("in use by another process"), "{error}");
    }

    #[test]
    fn damaged_key_is_refused_and_its_file_named() {
        let scratch = tempfile::tempdir().unwrap();
        drop(Home::open(scratch.path(), owner(1, 1), None).unwrap());
        let file = scratch.path().join("keys/log.key");
        std::fs::write(&file, "not a key").unwrap();
        let error = Home::open(scratch.path(), owner(1, 1), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("log.key` does not hold a key"), "{error}");
    }

    fn passphrase(folder: &Path, words: &str) -> KeySealing {
        let path = folder.join(format!("{words}.txt"));
        std::fs::write(&path, words).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        SealingFile::Passphrase(path).read().unwrap()
    }

    #[test]
    fn keys_of_a_directory_are_encrypted_at_the_next_start_and_new_ones_from_the_first() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("node-1");
        let sealing = passphrase(scratch.path(), "one two three");
        let plain = Home::open(&root, owner(1, 1), None).unwrap();
        let present = plain.keys.present();
        drop(plain);
        let open = || Home::open(&root, owner(1, 1), Some(sealing.clone()));
        let home = open().unwrap();
        assert_eq!(home.keys.present(), present);
        let made = home.keys.unnamed(|pair| *pair == present).unwrap();
        drop(home);
        for file in std::fs::read_dir(root.join("keys")).unwrap() {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            assert!(is_sealed(&text));
        }
        let home = open().unwrap();
        assert_eq!(home.keys.count(), 2);
        assert!(home.keys.ring().find(&made).is_some());
        drop(home);
        let new = passphrase(scratch.path(), "four five six");
        let changed = reencrypt_keys(&root, Some(&sealing), Some(&new)).unwrap();
        assert_eq!(changed.len(), 4);
        let error = open().unwrap_err().to_string();
        assert!(error.contains("is encrypted, and not under"), "{error}");
        let home = Home::open(&root, owner(1, 1), Some(new)).unwrap();
        assert_eq!(home.keys.present(), present);
        let used = reencrypt_keys(&root, None, None).unwrap_err().to_string();
        assert!(used.contains("in use by another process"), "{used}");
    }
}
