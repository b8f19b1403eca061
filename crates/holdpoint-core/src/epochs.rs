//! The key set of a namespace's log, read from its rows.
//!
//! A published key set is made of every epoch and of every mark on keys. Nothing here changes a row,
//! and nothing verifies a signature.

use std::collections::BTreeMap;

use holdpoint_receipt::keys::{Epoch, KeySetError, NodePublicKeys, Revocation};
use holdpoint_receipt::{ClusterId, KeySet, Name, NodeId, PublicKey, TreeSize};

use crate::codec::records::Record;
use crate::fault::{ApplyError, Corruption};
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::{EPOCHS_MAX, KEY_REVOCATIONS_MAX};
use crate::record::{EpochRecord, KeyRevocationRecord, SignerRecord};
use crate::view::View;

/// Epochs by their first tree size, the oldest first.
pub(crate) type Epochs = Vec<(u64, EpochRecord)>;

/// Marks on keys by the leaves of their statements, the oldest first.
pub(crate) type Marks = Vec<(u64, KeyRevocationRecord)>;

/// Every epoch of a namespace's log.
pub(crate) fn epochs<V: View>(view: &V, keys: &KeySpace) -> Result<Epochs, ApplyError<V::Error>> {
    // No more are opened.
    let limit = usize::try_from(EPOCHS_MAX).unwrap_or(usize::MAX);
    numbered(view, &keys.prefix(Kind::Epoch), limit)
}

/// Every mark on keys of a namespace's log.
pub(crate) fn marks<V: View>(view: &V, keys: &KeySpace) -> Result<Marks, ApplyError<V::Error>> {
    let prefix = keys.prefix(Kind::KeyRevocation);
    numbered(view, &prefix, KEY_REVOCATIONS_MAX)
}

/// The rows of a kind that a number names.
fn numbered<R: Record, V: View>(
    view: &V,
    prefix: &[u8],
    limit: usize,
) -> Result<Vec<(u64, R)>, ApplyError<V::Error>> {
    let rows = view.scan(prefix, None, limit).map_err(ApplyError::View)?;
    let read = |(key, row): (StateKey, Vec<u8>)| {
        let number = key.as_bytes().get(prefix.len()..);
        let number = number.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let Some(number) = number.map(u64::from_be_bytes) else {
            return Err(ApplyError::contradiction(key, "the key names no number"));
        };
        match R::from_bytes(&row) {
            Ok(record) => Ok((number, record)),
            Err(error) => {
                let corruption = Corruption::Codec(error);
                Err(ApplyError::Corrupt { key, corruption })
            }
        }
    };
    rows.into_iter().map(read).collect()
}

/// The key set that these epochs and marks are; none without an epoch.
pub(crate) fn key_set<V: View>(
    view: &V,
    keys: &KeySpace,
    cluster: ClusterId,
    name: &Name,
) -> Result<Option<KeySet>, ApplyError<V::Error>> {
    let epochs = epochs(view, keys)?;
    if epochs.is_empty() {
        return Ok(None);
    }
    published(cluster, name, &epochs, &marks(view, keys)?)
        .map(Some)
        .map_err(|_unfit| {
            let key = keys.single(Kind::Namespace);
            ApplyError::contradiction(key, "its epochs are not a key set")
        })
}

/// What is published of these epochs and marks.
pub(crate) fn published(
    cluster: ClusterId,
    name: &Name,
    epochs: &[(u64, EpochRecord)],
    marks: &[(u64, KeyRevocationRecord)],
) -> Result<KeySet, Unfit> {
    let mut points = Points::default();
    let mut all = Vec::with_capacity(epochs.len());
    for (from, epoch) in epochs {
        all.push(points.epoch(*from, epoch)?);
    }
    let mut revoked = Vec::with_capacity(marks.len());
    for (leaf, mark) in marks {
        revoked.push(Revocation {
            node: mark.signer.node,
            keys: points.pair(&mark.signer)?,
            valid_to: TreeSize::new(mark.valid_to).map_err(|_beyond| Unfit)?,
            recorded_at: *leaf,
        });
    }
    KeySet::new(cluster, name.clone(), all, revoked).map_err(|_error: KeySetError| Unfit)
}

/// Rows that are no key set. [`crate::judge()`] lets no such rows come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// One epoch as key sets have it.
pub(crate) fn published_epoch(from: u64, epoch: &EpochRecord) -> Result<Epoch, Unfit> {
    Points::default().epoch(from, epoch)
}

/// Both keys of a node, if they are keys that sign for us: in their one encoding, not weak, and two.
pub(crate) fn pair(signer: &SignerRecord) -> Option<NodePublicKeys> {
    Points::default().pair(signer).ok()
}

/// Keys that were decoded already: to decode one takes some ten microseconds, and most epochs have
/// the keys of the epoch before.
#[derive(Default)]
struct Points(BTreeMap<[u8; 32], PublicKey>);

impl Points {
    fn key(&mut self, bytes: &[u8; 32]) -> Result<PublicKey, Unfit> {
        if let Some(key) = self.0.get(bytes) {
            return Ok(*key);
        }
        let key = PublicKey::from_bytes(bytes).map_err(|_unfit| Unfit)?;
        self.0.insert(*bytes, key);
        Ok(key)
    }

    fn pair(&mut self, signer: &SignerRecord) -> Result<NodePublicKeys, Unfit> {
        if signer.log_key == signer.cosign_key {
            return Err(Unfit);
        }
        Ok(NodePublicKeys {
            log: self.key(&signer.log_key)?,
            cosign: self.key(&signer.cosign_key)?,
        })
    }

    fn epoch(&mut self, from: u64, epoch: &EpochRecord) -> Result<Epoch, Unfit> {
        let mut nodes: BTreeMap<NodeId, NodePublicKeys> = BTreeMap::new();
        for signer in &epoch.signers {
            nodes.insert(signer.node, self.pair(signer)?);
        }
        Ok(Epoch {
            tree_size_from: TreeSize::new(from).map_err(|_beyond| Unfit)?,
            signers_needed: epoch.signers_needed,
            nodes,
        })
    }
}

/// The epoch that hands over to the one at `place`: the last that was handed over to itself, or the
/// first. Epochs between have never proved anything.
pub(crate) fn before(all: &[(u64, EpochRecord)], place: usize) -> Option<&(u64, EpochRecord)> {
    let earlier = all.get(..place)?;
    let mut latest_first = earlier.iter().rev();
    let handed_over = latest_first.find(|(_, epoch)| epoch.handover.is_some());
    handed_over.or_else(|| earlier.first())
}

/// An epoch without the signers whose keys do not count under a head of `size` leaves.
pub(crate) fn without_marked(
    epoch: &EpochRecord,
    marks: &[(u64, KeyRevocationRecord)],
    size: u64,
) -> EpochRecord {
    let counts = |signer: &SignerRecord| {
        let mut marks = marks.iter();
        !marks.any(|(_, mark)| mark.signer == *signer && mark.valid_to < size)
    };
    let mut valid = epoch.clone();
    valid.signers.retain(counts);
    valid
}
