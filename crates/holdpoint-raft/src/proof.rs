//! What may leave this node as a snapshot, and what may come in as one: asked of whoever knows which
//! heads are proven.
//!
//! The log is purged only up to what a snapshot covers, so a gate that lets no snapshot pass beyond the
//! proven heads also keeps every entry behind them. Nothing here verifies a signature.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use holdpoint_receipt::Name;
use tokio::sync::Notify;

use crate::disk::StateView;
use crate::limits;

/// Leaves in the log of statements of each namespace.
pub(crate) type TreeSizes = BTreeMap<Name, u64>;

/// Knows which heads are proven, and what a proof is worth.
///
/// Calls come from the task that applies the log and from those that serve peers: they may read and
/// compute, and must not wait for anything.
pub trait ProofGate: Send + Sync {
    /// Whether a state whose logs of statements have these sizes may leave as a snapshot: none if a
    /// larger head is not proven yet, else the proof that the snapshot carries, at most
    /// [`limits::PROOF_BYTES_MAX`] bytes. A namespace that is not named has no statements.
    ///
    /// A snapshot that is refused is kept and asked for again after [`Group::proof_moved`].
    ///
    /// [`Group::proof_moved`]: crate::Group::proof_moved
    fn may_snapshot(&self, tree_sizes: &BTreeMap<Name, u64>) -> Option<Vec<u8>>;

    /// Whether the state `received`, which is complete and has the digests that it should, may take the
    /// place of `own`, given the `proof` that came with it. Nothing is switched before this returns.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence for the operators of both nodes.
    fn may_install(
        &self,
        proof: &[u8],
        received: StateView<'_>,
        own: StateView<'_>,
    ) -> Result<(), String>;
}

/// The gate, once there is one. Without, everything passes.
#[derive(Default)]
pub(crate) struct ProofDoor {
    gate: OnceLock<Arc<dyn ProofGate>>,
    /// The sizes in a snapshot that is pinned and waits to be proven.
    awaited: Mutex<Option<TreeSizes>>,
    moved: Notify,
}

impl fmt::Debug for ProofDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofDoor")
            .field("has_gate", &self.gate.get().is_some())
            .field("awaited", &*self.awaited())
            .finish_non_exhaustive()
    }
}

impl ProofDoor {
    /// Takes the first gate that is given; says whether this is it.
    pub(crate) fn set(&self, gate: Arc<dyn ProofGate>) -> bool {
        let is_first = self.gate.set(gate).is_ok();
        self.moved();
        is_first
    }

    /// Something may be proven by now that was not.
    pub(crate) fn moved(&self) {
        self.moved.notify_one();
    }

    /// The proof for a snapshot of these sizes; none if it may not leave.
    pub(crate) fn proof(&self, sizes: &TreeSizes) -> Option<Bytes> {
        let Some(gate) = self.gate.get() else {
            return Some(Bytes::new());
        };
        let proof = gate.may_snapshot(sizes)?;
        if proof.len() > limits::PROOF_BYTES_MAX {
            // A receiver would refuse it.
            tracing::error!(bytes = proof.len(), "the proof of a snapshot is too long");
            return None;
        }
        Some(Bytes::from(proof))
    }

    /// Asks the gate whether `received` may take the place of `own`.
    pub(crate) fn may_install(
        &self,
        proof: &[u8],
        received: StateView<'_>,
        own: StateView<'_>,
    ) -> Result<(), String> {
        match self.gate.get() {
            Some(gate) => gate.may_install(proof, received, own),
            None => Ok(()),
        }
    }

    fn awaited(&self) -> MutexGuard<'_, Option<TreeSizes>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A snapshot of these sizes waits to be proven; none does if there are none.
    pub(crate) fn await_proof(&self, sizes: Option<TreeSizes>) {
        *self.awaited() = sizes;
    }

    /// Returns when a snapshot that waited may leave.
    pub(crate) async fn until_proven(&self) {
        loop {
            self.moved.notified().await;
            let awaited = self.awaited().clone();
            if awaited.is_some_and(|sizes| self.proof(&sizes).is_some()) {
                return;
            }
        }
    }
}
