//! Signs heads of this node's own applied trees: synchronous, one at a time.
//!
//! A head is signed only if this node's own tree has it, it continues the last head that this node
//! signed, and that it does is on disk before the signature leaves. A tree that contradicts what was
//! signed means divergence or a lost disk: then nothing is ever signed again by this process.
//!
//! It never asks another node, and never signs what it has not applied.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use holdpoint_core::limits::SKEW_MS_MAX;
use holdpoint_core::query::{NamespaceQuery, Query};
use holdpoint_core::{GroupId, View};
use holdpoint_raft::Clock;
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::keys::HeadSignature;
use holdpoint_receipt::{ClusterId, ClusterTime, Digest, Name, NodeId, TreeSize};
use holdpoint_storage::{LogStore, StateStore, StoreError};

use super::epochs::{Due, ParsedEpoch};
use super::error::SignError;
use super::heads::Head;
use super::keyring::Keyring;
use super::memory;
use super::standing::Standing;

/// How far the log may be ahead of this node's clock: the leader's clock may be off by the skew, and
/// this node's too.
const AHEAD_MS_MAX: u64 = 2 * SKEW_MS_MAX;

/// A head that this node is asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignHead {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The head, as the leader's tree has it.
    pub(crate) head: Head,
    /// Which epoch's keys are to sign, by the first size that they sign.
    pub(crate) epoch_from: u64,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// It is signed.
    Signature(HeadSignature),
    /// This node has signed a larger head.
    Larger(Head),
    /// This node has applied no more than so many leaves.
    NotYet(u64),
    /// This node's own tree of that size has another root.
    Mismatch(Digest),
}

/// Who signs.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// The node.
    pub(crate) node: NodeId,
    /// Its keys.
    pub(crate) keys: Keyring,
}

/// Signs heads of one node's applied state.
pub(crate) struct Signer<S, L> {
    group: GroupId,
    identity: Identity,
    state: Arc<S>,
    log: Arc<L>,
    clock: Arc<dyn Clock>,
    standing: Standing,
    /// The last signed head of each namespace, as on disk.
    // INVARIANT: what stands here is durable.
    signed: BTreeMap<Name, Head>,
    /// The epoch that signs, parsed.
    epoch: ParsedEpoch,
    /// Whether others said what this node signed before it was started.
    knows_past: bool,
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
        (state, log): (Arc<S>, Arc<L>),
        clock: Arc<dyn Clock>,
        standing: Standing,
    ) -> Self {
        Self {
            group,
            identity,
            state,
            log,
            clock,
            standing,
            signed: BTreeMap::new(),
            epoch: ParsedEpoch::default(),
            knows_past: false,
        }
    }

    /// Signs `asked`, if it is this node's own and continues what it signed before.
    ///
    /// # Errors
    ///
    /// [`SignError`]; no signature was made.
    pub(crate) fn sign(&mut self, asked: &SignHead) -> Result<Signed, SignError> {
        if let Some(diverged) = self.standing.diverged() {
            return Err(SignError::Diverged(diverged));
        }
        if !self.knows_past {
            return Err(SignError::Starting);
        }
        let state = Arc::clone(&self.state);
        let group = self.group;
        state.read(|view| self.sign_in(&Query::new(view, group), asked))?
    }

    /// What others know that this node signed before it was started: it signs nothing that does not
    /// continue it. Until this is called it signs nothing at all.
    ///
    /// # Errors
    ///
    /// The disk does not take it.
    pub(crate) fn learn_past(&mut self, past: &[(Name, Head)]) -> Result<(), SignError> {
        for (namespace, head) in past {
            let own = self.last_signed(namespace)?;
            if own.is_none_or(|own| own.size < head.size) {
                tracing::warn!(
                    %namespace, size = head.size, own = own.map(|own| own.size),
                    "others know a larger head that this node signed than it does itself"
                );
                self.remember(namespace, *head)?;
            }
        }
        self.knows_past = true;
        Ok(())
    }

    fn sign_in<V: View<Error = StoreError>>(
        &mut self,
        state: &Query<'_, V>,
        asked: &SignHead,
    ) -> Result<Signed, SignError> {
        let SignHead {
            namespace,
            head,
            epoch_from,
        } = asked;
        let log = open(state, namespace)?;
        let applied = log.head()?.size;
        if applied < head.size {
            return Ok(Signed::NotYet(applied));
        }
        let own = root_at(&log, head.size)?;
        if own != head.root {
            return Ok(Signed::Mismatch(own));
        }
        self.require_in_time(state.now()?)?;
        let due = Due::of(&log, head.size, &self.epoch)?.ok_or(SignError::NotAnnounced)?;
        let public = due
            .keys_of(self.identity.node, *epoch_from)
            .ok_or(SignError::NotSigner)?;
        let keys = self.identity.keys.find(&public);
        let keys = keys.ok_or(SignError::NotSigner)?;
        if let Some(last) = self.last_signed(namespace)? {
            self.require_consistent(&log, namespace, last, applied)?;
            if last.size > head.size {
                return Ok(Signed::Larger(last));
            }
        }
        self.remember(namespace, *head)?;
        let checkpoint = Checkpoint {
            origin: Origin::new(&self.identity.cluster, namespace),
            size: TreeSize::new(head.size).map_err(SignError::fault)?,
            root: head.root,
        };
        let at_s = self.clock.wall_ms() / 1_000;
        let Identity { cluster, node, .. } = &self.identity;
        let signature = keys.sign_head(cluster, *node, &checkpoint, at_s);
        Ok(Signed::Signature(signature))
    }

    /// That nothing under the head happened later than this node's clock shows.
    fn require_in_time(&self, now: ClusterTime) -> Result<(), SignError> {
        let ahead_ms = now.get().saturating_sub(self.clock.wall_ms());
        if ahead_ms > AHEAD_MS_MAX {
            return Err(SignError::AheadOfClock { ahead_ms });
        }
        Ok(())
    }

    /// That this node's tree still has the head that it signed last.
    fn require_consistent<V: View<Error = StoreError>>(
        &self,
        log: &NamespaceQuery<'_, V>,
        namespace: &Name,
        last: Head,
        applied: u64,
    ) -> Result<(), SignError> {
        if last.size > applied {
            tracing::warn!(%namespace, signed = last.size, applied, "the applied log is behind a signed head");
            return Err(SignError::Behind {
                namespace: namespace.clone(),
                signed: last.size,
                applied,
            });
        }
        let root = root_at(log, last.size)?;
        if root == last.root {
            return Ok(());
        }
        tracing::error!(
            %namespace, size = last.size, signed_root = %last.root, %root,
            "ALARM: the log of statements contradicts a head that this node signed; it stops signing"
        );
        Err(self.standing.diverge(namespace))
    }

    /// The last head of `namespace` that this node signed.
    pub(crate) fn last_signed(&mut self, namespace: &Name) -> Result<Option<Head>, SignError> {
        if let Some(head) = self.signed.get(namespace) {
            return Ok(Some(*head));
        }
        let head = memory::read(&*self.log, self.group, namespace)?;
        if let Some(head) = head {
            self.signed.insert(namespace.clone(), head);
        }
        Ok(head)
    }

    /// Makes `head` the last signed one, durably.
    fn remember(&mut self, namespace: &Name, head: Head) -> Result<(), SignError> {
        if self.signed.get(namespace) == Some(&head) {
            return Ok(());
        }
        memory::write(&*self.log, self.group, namespace, head)?;
        self.signed.insert(namespace.clone(), head);
        Ok(())
    }
}

/// The root over the first `size` leaves.
pub(super) fn root_at<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    size: u64,
) -> Result<Digest, SignError> {
    let root = log.root_at(size)?;
    root.ok_or_else(|| SignError::fault(format!("the log has no {size} leaves")))
}

/// The namespace, which whoever asks has seen.
pub(super) fn open<'a, V: View<Error = StoreError>>(
    state: &Query<'a, V>,
    namespace: &Name,
) -> Result<NamespaceQuery<'a, V>, SignError> {
    let unknown = || SignError::Fault(format!("there is no namespace `{namespace}`"));
    state.namespace(namespace)?.ok_or_else(unknown)
}
