//! The signing itself: synchronous, one batch at a time, over one view.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use holdpoint_core::query::{LogHead, NamespaceQuery, Query};
use holdpoint_core::{GroupId, View};
use holdpoint_raft::Clock;
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::merkle::verify_consistency;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{
    ClusterId, Name, NodeId, NodeSecretKeys, Proof, Receipt, Statement, TreeSize,
};
use holdpoint_storage::{LogStore, StateStore, StoreError};

use super::Wanted;
use super::memory::{self, Head, MemoryError};
use crate::evaluate::ReadFault;

/// Why a statement has no receipt now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignError {
    /// This node's tree contradicts what it signed earlier: it has diverged, or its disk is not the
    /// one that it was. It never signs again; an operator must look.
    #[error(
        "this node's log of `{0}` contradicts a head that it signed; it signs nothing any more"
    )]
    Diverged(Name),
    /// This node has applied less than it once signed. It catches up, or lost a part of its log.
    #[error(
        "this node signed a head of `{namespace}` with {signed} leaves and has applied {applied}"
    )]
    Behind {
        /// The namespace.
        namespace: Name,
        /// Leaves of the last signed head.
        signed: u64,
        /// Leaves applied.
        applied: u64,
    },
    /// The cluster does not know this node's keys yet, so nobody could verify what it signs.
    #[error("this node's keys are not announced to the cluster yet")]
    NotAnnounced,
    /// There is no such statement.
    #[error("the log of `{namespace}` has no statement at leaf {leaf}")]
    NoStatement {
        /// The namespace.
        namespace: Name,
        /// The leaf.
        leaf: u64,
    },
    /// The state or the log cannot be read or written.
    #[error("{0}")]
    Fault(String),
    /// The signing thread has ended.
    #[error("this node is stopping")]
    Stopped,
}

impl SignError {
    /// The same in a word or two, as the status shows it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Diverged(_) => "diverged",
            Self::Behind { .. } => "behind",
            Self::NotAnnounced => NOT_ANNOUNCED,
            Self::NoStatement { .. } | Self::Fault(_) => "fault",
            Self::Stopped => "stopping",
        }
    }
}

/// How the status says that nobody could verify what a node signs.
pub(crate) const NOT_ANNOUNCED: &str = "keys not announced";

impl From<StoreError> for SignError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<ReadFault> for SignError {
    fn from(fault: ReadFault) -> Self {
        Self::Fault(fault.to_string())
    }
}

impl From<MemoryError> for SignError {
    fn from(error: MemoryError) -> Self {
        Self::Fault(error.to_string())
    }
}

/// Who signs.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// The node.
    pub(crate) node: NodeId,
    /// Its two keys.
    pub(crate) keys: NodeSecretKeys,
}

/// Makes receipts under heads of one node's applied state.
pub(crate) struct Signer<S, L> {
    group: GroupId,
    identity: Identity,
    state: Arc<S>,
    log: Arc<L>,
    clock: Arc<dyn Clock>,
    /// The last signed head of each namespace, as on disk.
    // INVARIANT: what stands here is durable.
    signed: BTreeMap<Name, Signed>,
    /// Set once, at the first contradiction.
    diverged: Option<Name>,
}

/// A head that was signed, and the note if this process signed it.
#[derive(Clone)]
struct Signed {
    head: Head,
    note: Option<Note>,
}

impl<S, L> fmt::Debug for Signer<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl<S: StateStore, L: LogStore> Signer<S, L> {
    pub(crate) fn new(
        group: GroupId,
        identity: Identity,
        state: Arc<S>,
        log: Arc<L>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let signed = BTreeMap::new();
        Self {
            group,
            identity,
            state,
            log,
            clock,
            signed,
            diverged: None,
        }
    }

    /// The receipts of `wanted`, in its order, from one view and with one head for each namespace.
    pub(crate) fn receipts(&mut self, wanted: &[Wanted]) -> Vec<Result<Vec<u8>, SignError>> {
        let state = Arc::clone(&self.state);
        let group = self.group;
        let answers = state.read(|view| {
            let state = Query::new(view, group);
            let mut notes = BTreeMap::new();
            let receipt = |wanted: &Wanted| {
                let note = notes
                    .entry(wanted.namespace.clone())
                    .or_insert_with(|| self.signed_head(&state, &wanted.namespace));
                self.receipt(&state, wanted, note.as_ref().map_err(Clone::clone)?)
            };
            wanted.iter().map(receipt).collect::<Vec<_>>()
        });
        answers.unwrap_or_else(|error| vec![Err(error.into()); wanted.len()])
    }

    /// The newest head of each namespace that this process signed.
    pub(super) fn notes(&self) -> impl Iterator<Item = (&Name, &Note)> {
        let signed = self.signed.iter();
        signed.filter_map(|(namespace, signed)| Some((namespace, signed.note.as_ref()?)))
    }

    /// The head of `namespace` in `look`, signed. Durable before it is returned.
    fn signed_head<V: View<Error = StoreError>>(
        &mut self,
        state: &Query<'_, V>,
        namespace: &Name,
    ) -> Result<(Head, Note), SignError> {
        if let Some(diverged) = &self.diverged {
            return Err(SignError::Diverged(diverged.clone()));
        }
        self.require_announced(state)?;
        let log = open(state, namespace)?;
        let LogHead { size, root } = log.head()?;
        let head = Head { size, root };
        let last = self.last_signed(namespace)?;
        if let Some(Signed {
            head: signed,
            note: Some(note),
        }) = &last
            && *signed == head
        {
            return Ok((head, note.clone()));
        }
        if let Some(last) = &last {
            self.require_consistent(&log, namespace, last.head, head)?;
        }
        if last.is_none_or(|last| last.head != head) {
            memory::write(&*self.log, self.group, namespace, head)?;
        }
        let note = self.sign(namespace, head)?;
        let signed = Signed {
            head,
            note: Some(note.clone()),
        };
        self.signed.insert(namespace.clone(), signed);
        Ok((head, note))
    }

    fn last_signed(&mut self, namespace: &Name) -> Result<Option<Signed>, SignError> {
        if let Some(signed) = self.signed.get(namespace) {
            return Ok(Some(signed.clone()));
        }
        let head = memory::read(&*self.log, self.group, namespace)?;
        Ok(head.map(|head| Signed { head, note: None }))
    }

    /// That `head` continues `last`: no smaller, and over the same leaves.
    fn require_consistent<V: View<Error = StoreError>>(
        &mut self,
        log: &NamespaceQuery<'_, V>,
        namespace: &Name,
        last: Head,
        head: Head,
    ) -> Result<(), SignError> {
        if head.size < last.size {
            let (signed, applied) = (last.size, head.size);
            tracing::warn!(%namespace, signed, applied, "the applied log is behind a signed head");
            return Err(SignError::Behind {
                namespace: namespace.clone(),
                signed,
                applied,
            });
        }
        let is_consistent = if head.size == last.size {
            head.root == last.root
        } else if last.size == 0 {
            true
        } else {
            let proof = log.consistency(last.size, head.size)?.unwrap_or_default();
            verify_consistency(last.size, head.size, &last.root, &head.root, &proof).is_ok()
        };
        if is_consistent {
            return Ok(());
        }
        tracing::error!(
            %namespace, signed_size = last.size, signed_root = %last.root,
            size = head.size, root = %head.root,
            "ALARM: the log of statements contradicts a head that this node signed; it stops signing"
        );
        self.diverged = Some(namespace.clone());
        Err(SignError::Diverged(namespace.clone()))
    }

    fn require_announced<V: View<Error = StoreError>>(
        &self,
        state: &Query<'_, V>,
    ) -> Result<(), SignError> {
        let public = self.identity.keys.public();
        let known = state.node(self.identity.node)?;
        let is_announced = known.is_some_and(|known| {
            known.log_key == *public.log.as_bytes() && known.cosign_key == *public.cosign.as_bytes()
        });
        if is_announced {
            Ok(())
        } else {
            Err(SignError::NotAnnounced)
        }
    }

    /// Signs a head that is remembered.
    fn sign(&self, namespace: &Name, head: Head) -> Result<Note, SignError> {
        let Identity {
            cluster,
            node,
            keys,
        } = &self.identity;
        let checkpoint = Checkpoint {
            origin: Origin::new(cluster, namespace),
            size: TreeSize::new(head.size).map_err(|error| SignError::Fault(error.to_string()))?,
            root: head.root,
        };
        let signature = keys.sign_head(cluster, *node, &checkpoint, self.clock.wall_ms() / 1_000);
        Note::new(checkpoint.to_text(), vec![signature.log, signature.cosign])
            .map_err(|error| SignError::Fault(error.to_string()))
    }

    /// The receipt file of one statement under a signed head of the same view.
    fn receipt<V: View<Error = StoreError>>(
        &self,
        state: &Query<'_, V>,
        wanted: &Wanted,
        signed: &(Head, Note),
    ) -> Result<Vec<u8>, SignError> {
        let Wanted { namespace, leaf } = wanted;
        let (head, note) = signed;
        let missing = || SignError::NoStatement {
            namespace: namespace.clone(),
            leaf: *leaf,
        };
        let log = open(state, namespace)?;
        let statement = log.statement(*leaf)?.ok_or_else(missing)?;
        let statement = Statement::parse(&statement.bytes)
            .map_err(|error| SignError::Fault(error.to_string()))?;
        let tree_size =
            TreeSize::new(head.size).map_err(|error| SignError::Fault(error.to_string()))?;
        let hashes = log.inclusion(*leaf, head.size)?.ok_or_else(missing)?;
        let proof = Proof {
            leaf_index: *leaf,
            tree_size,
            hashes,
        };
        let receipt = Receipt {
            statement,
            proof,
            checkpoint: note.clone(),
        };
        self.check(&receipt);
        Ok(receipt.to_file().into_bytes())
    }

    /// In debug builds: what leaves verifies under this node's own keys.
    fn check(&self, receipt: &Receipt) {
        debug_assert!(
            verify_own(&self.identity, receipt).is_ok(),
            "a receipt that this node makes verifies under its own keys"
        );
    }
}

/// The namespace, which whoever wants a receipt of it has seen.
fn open<'a, V: View<Error = StoreError>>(
    state: &Query<'a, V>,
    namespace: &Name,
) -> Result<NamespaceQuery<'a, V>, SignError> {
    let unknown = || SignError::Fault(format!("there is no namespace `{namespace}`"));
    state.namespace(namespace)?.ok_or_else(unknown)
}

/// Verifies a receipt with a key set of this node alone.
fn verify_own(identity: &Identity, receipt: &Receipt) -> Result<(), String> {
    use holdpoint_receipt::keys::{Epoch, KeySet};
    let epoch = Epoch {
        tree_size_from: TreeSize::new(0).map_err(|error| error.to_string())?,
        signers_needed: 1,
        nodes: BTreeMap::from([(identity.node, identity.keys.public())]),
    };
    let namespace = receipt.statement.namespace.clone();
    let keys = KeySet::new(identity.cluster, namespace, vec![epoch], vec![])
        .map_err(|error| error.to_string())?;
    holdpoint_receipt::verify::verify_parsed(receipt.clone(), &keys)
        .map(|_| ())
        .map_err(|error| error.to_string())
}
