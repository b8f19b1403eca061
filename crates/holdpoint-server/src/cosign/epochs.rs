//! Which nodes must sign a head: those of its epoch, and across a change of keys those before it as well.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use holdpoint_core::View;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::EpochRecord;
use holdpoint_receipt::keys::{Epoch, NodePublicKeys};
use holdpoint_receipt::{NodeId, PublicKey, TreeSize};
use holdpoint_storage::StoreError;

use super::error::SignError;

/// The epochs whose nodes must sign a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The epoch of the head's size.
    pub(crate) epoch: Epoch,
    /// The last one that was handed over, if the head's own was not yet: then both must sign.
    pub(crate) earlier: Option<Epoch>,
}

/// The epoch that was parsed last. It changes seldom, and every key of it is a point of the curve that
/// parsing has to find and check.
#[derive(Debug, Default)]
pub(crate) struct ParsedEpoch(Mutex<Option<(u64, EpochRecord, Epoch)>>);

impl ParsedEpoch {
    /// As [`epoch`], which it asks only for what it has not parsed.
    fn epoch(&self, from: u64, record: &EpochRecord) -> Result<Epoch, SignError> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known, parsed)) = last.as_ref()
            && (*at, known) == (from, record)
        {
            return Ok(parsed.clone());
        }
        let parsed = epoch(from, record)?;
        *last = Some((from, record.clone(), parsed.clone()));
        Ok(parsed)
    }
}

/// A signature that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whose.
    pub(crate) node: NodeId,
    /// Under which keys.
    pub(crate) keys: NodePublicKeys,
    /// The epoch that names these keys, by the first size that it signs.
    pub(crate) epoch_from: u64,
    /// It counts for the head's epoch.
    pub(crate) in_epoch: bool,
    /// It counts for the earlier epoch.
    pub(crate) in_earlier: bool,
}

impl Due {
    /// The epochs that sign heads of `size` leaves of `log`; none before the first is open.
    pub(crate) fn of<V: View<Error = StoreError>>(
        log: &NamespaceQuery<'_, V>,
        size: u64,
        parsed: &ParsedEpoch,
    ) -> Result<Option<Self>, SignError> {
        let Some((from, record)) = log.epoch_of(size)? else {
            return Ok(None);
        };
        let handover = log.handover()?;
        let Some(handover) = handover.filter(|handover| handover.tree_size_from == from) else {
            let epoch = parsed.epoch(from, &record)?;
            return Ok(Some(Self {
                epoch,
                earlier: None,
            }));
        };
        let handover = handover.counting_at(&log.revocations()?, size);
        let (before, old) = &handover.old;
        Ok(Some(Self {
            epoch: epoch(from, &handover.new)?,
            earlier: Some(epoch(*before, old)?),
        }))
    }

    /// Every signature that counts.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let empty = BTreeMap::new();
        let earlier = self.earlier.as_ref().map_or(&empty, |epoch| &epoch.nodes);
        let of_epoch = self.epoch.nodes.iter().map(|(node, keys)| Wanted {
            node: *node,
            keys: *keys,
            epoch_from: self.epoch.tree_size_from.get(),
            in_epoch: true,
            in_earlier: earlier.get(node) == Some(keys),
        });
        let others = earlier
            .iter()
            .filter(|(node, keys)| self.epoch.nodes.get(node) != Some(*keys));
        let of_earlier = others.map(|(node, keys)| Wanted {
            node: *node,
            keys: *keys,
            epoch_from: self
                .earlier
                .as_ref()
                .map_or(0, |epoch| epoch.tree_size_from.get()),
            in_epoch: false,
            in_earlier: true,
        });
        of_epoch.chain(of_earlier).collect()
    }

    /// The keys of `node` in the epoch that starts at `from`, if heads of this size are signed by it.
    pub(crate) fn keys_of(&self, node: NodeId, from: u64) -> Option<NodePublicKeys> {
        [Some(&self.epoch), self.earlier.as_ref()]
            .into_iter()
            .flatten()
            .find(|epoch| epoch.tree_size_from.get() == from)
            .and_then(|epoch| epoch.nodes.get(&node).copied())
    }
}

/// The epoch as receipts verify it. `from` is the first size that it signs.
///
/// # Errors
///
/// A key in it is none: a fault of the state.
pub(super) fn epoch(from: u64, record: &EpochRecord) -> Result<Epoch, SignError> {
    let mut nodes = BTreeMap::new();
    for signer in &record.signers {
        let key = |bytes| PublicKey::from_bytes(bytes).map_err(SignError::fault);
        let keys = NodePublicKeys {
            log: key(&signer.log_key)?,
            cosign: key(&signer.cosign_key)?,
        };
        nodes.insert(signer.node, keys);
    }
    Ok(Epoch {
        tree_size_from: TreeSize::new(from).map_err(SignError::fault)?,
        signers_needed: record.signers_needed,
        nodes,
    })
}
