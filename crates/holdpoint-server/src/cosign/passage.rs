//! Which snapshots may leave this node, and which may come in: only what proven heads cover.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use holdpoint_core::{GroupId, Query};
use holdpoint_raft::{ProofGate, StateView};
use holdpoint_receipt::{ClusterId, Name};
use holdpoint_storage::{LogStore, StateStore};

use super::heads::ProvenHeads;
use super::{install, memory};

/// Lets snapshots pass. It reads this node's own state and what it remembers; it waits for nothing.
pub(crate) struct Passage<S, L> {
    pub(super) group: GroupId,
    pub(super) cluster: ClusterId,
    pub(super) state: Arc<S>,
    pub(super) log: Arc<L>,
    pub(super) heads: ProvenHeads,
}

impl<S, L> fmt::Debug for Passage<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passage")
    }
}

impl<S: StateStore, L: LogStore> ProofGate for Passage<S, L> {
    fn may_snapshot(&self, tree_sizes: &BTreeMap<Name, u64>) -> Option<Vec<u8>> {
        let proof = self.state.read(|view| {
            let state = Query::new(view, self.group);
            install::prove(&state, tree_sizes, |namespace, size| {
                self.heads.covering(namespace, size)
            })
        });
        match proof {
            Ok(Ok(proof)) => proof,
            Ok(Err(error)) => {
                tracing::warn!(error, "a snapshot cannot be proven yet");
                None
            }
            // The store has stopped, and with it the node.
            Err(_) => None,
        }
    }

    fn may_install(
        &self,
        proof: &[u8],
        received: StateView<'_>,
        own: StateView<'_>,
    ) -> Result<(), String> {
        let received = Query::new(&received, self.group);
        let own = Query::new(&own, self.group);
        install::check(&self.cluster, proof, &received, &own, |namespace| {
            memory::read(&*self.log, self.group, namespace)
                .ok()
                .flatten()
        })
    }
}
