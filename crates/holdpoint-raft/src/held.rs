//! The snapshot that a node has to send: pinned, proven and sealed in its own time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use holdpoint_storage::{Pinned, Snapshot};

use crate::applied_bytes::decode_applied;
use crate::proof::{ProofDoor, TreeSizes};
use crate::snapshot::ProvenSnapshot;
use crate::types::{RaftSnapshot, SnapshotMeta};

/// A snapshot of this node's state, with the sizes that its proof must cover.
#[derive(Debug)]
pub(crate) struct Held {
    files: Files,
    sizes: TreeSizes,
    /// None while its heads are not proven, as far as this node knows.
    proof: Option<Bytes>,
}

#[derive(Debug)]
enum Files {
    Pinned(Pinned),
    Sealed(Snapshot),
    /// Sealing failed, which stops the node.
    Gone,
}

impl Held {
    pub(crate) fn new(pinned: Pinned, sizes: TreeSizes, proof: Option<Bytes>) -> Self {
        Self {
            files: Files::Pinned(pinned),
            sizes,
            proof,
        }
    }

    /// The last entry in it.
    fn index(&self) -> u64 {
        match &self.files {
            Files::Pinned(pinned) => pinned.applied().index,
            Files::Sealed(snapshot) => snapshot.manifest().applied.index,
            Files::Gone => 0,
        }
    }

    pub(crate) fn sizes(&self) -> &TreeSizes {
        &self.sizes
    }

    /// Asks for its proof if it has none; says whether it has one now.
    pub(crate) fn prove(&mut self, door: &ProofDoor) -> bool {
        if self.proof.is_none() {
            self.proof = door.proof(&self.sizes);
        }
        self.proof.is_some()
    }

    /// What can be sent. Without a proof it is refused wherever there is a gate, and asked for again.
    pub(crate) async fn seal(&mut self) -> io::Result<ProvenSnapshot> {
        let sealed = match std::mem::replace(&mut self.files, Files::Gone) {
            Files::Sealed(snapshot) => Ok(snapshot),
            Files::Pinned(pinned) => tokio::task::spawn_blocking(move || pinned.seal())
                .await
                .map_err(io::Error::other)?
                .map_err(io::Error::other),
            Files::Gone => Err(io::Error::other("a snapshot could not be sealed")),
        };
        let snapshot = sealed?;
        self.files = Files::Sealed(snapshot.clone());
        Ok(ProvenSnapshot {
            snapshot,
            proof: self.proof.clone().unwrap_or_default(),
        })
    }
}

/// The last snapshot, shared with whoever builds the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastSnapshot(Arc<Mutex<Option<Held>>>);

impl LastSnapshot {
    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `held`, unless there is a later one.
    pub(crate) fn set(&self, held: Held) {
        let mut last = self.lock();
        if last
            .as_ref()
            .is_none_or(|last| last.index() <= held.index())
        {
            *last = Some(held);
        }
    }

    pub(crate) fn take(&self) -> Option<Held> {
        self.lock().take()
    }
}

/// A snapshot as openraft wants it.
pub(crate) fn with_meta(snapshot: ProvenSnapshot) -> io::Result<RaftSnapshot> {
    let applied = decode_applied(&snapshot.snapshot.manifest().applied)?;
    Ok(RaftSnapshot {
        meta: SnapshotMeta {
            last_log_id: applied.last,
            last_membership: applied.membership,
        },
        snapshot,
    })
}
