//! Reads of who signs a namespace's log: epochs, marks on keys, the published set.

use holdpoint_receipt::KeySet;

use super::{NamespaceQuery, Query, missing, read};
use crate::epochs::{before, epochs, key_set, marks, without_marked};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::record::{DisputeRecord, EpochRecord, GroupRecord, KeyRevocationRecord};
use crate::view::View;

/// A change of signers that is not signed by those before and after it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The first tree size of the epoch that the log is handed over to: the newest.
    pub tree_size_from: u64,
    /// Who hands over: the last epoch that was handed over to, or the first. Nothing can be proven
    /// under an epoch between the two.
    pub old: (u64, EpochRecord),
    /// Who takes over.
    pub new: EpochRecord,
}

impl Handover {
    /// The two epochs without the signers whose keys do not count under a head of `size` leaves.
    #[must_use]
    pub fn counting_at(mut self, marks: &[(u64, KeyRevocationRecord)], size: u64) -> Self {
        self.old.1 = without_marked(&self.old.1, marks, size);
        self.new = without_marked(&self.new, marks, size);
        self
    }
}

impl<V: View> Query<'_, V> {
    /// How many nodes an operator requires to sign a head; none for a majority of the voters.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn signers_required(&self) -> Result<Option<u32>, ApplyError<V::Error>> {
        let group = read::<GroupRecord, V>(self.view, &self.keys().single(Kind::Group))?;
        Ok(group.and_then(|group| group.signers_required))
    }
}

impl<V: View> NamespaceQuery<'_, V> {
    /// Every epoch by its first tree size, the oldest first; at most [`crate::limits::EPOCHS_MAX`].
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged. The same for every read below.
    pub fn epochs(&self) -> Result<Vec<(u64, EpochRecord)>, ApplyError<V::Error>> {
        epochs(self.view, &self.keys)
    }

    /// The newest epoch with its first tree size; none before there is one. One read.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::epochs`].
    pub fn newest_epoch(&self) -> Result<Option<(u64, EpochRecord)>, ApplyError<V::Error>> {
        let Some(from) = self.record.newest_epoch else {
            return Ok(None);
        };
        let key = self.keys.at_leaf(Kind::Epoch, from);
        match read(self.view, &key)? {
            Some(epoch) => Ok(Some((from, epoch))),
            None => Err(missing(key)),
        }
    }

    /// The epoch whose signers sign a head of `size` leaves, with its first tree size; none before
    /// there is one. One read if it is the newest.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::epochs`].
    pub fn epoch_of(&self, size: u64) -> Result<Option<(u64, EpochRecord)>, ApplyError<V::Error>> {
        match self.newest_epoch()? {
            Some((from, _)) if size < from => {
                let mut latest_first = self.epochs()?.into_iter().rev();
                Ok(latest_first.find(|(from, _)| *from <= size))
            }
            newest => Ok(newest),
        }
    }

    /// The newest epoch, if it waits for its handover: until then nothing is proven under it.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::epochs`].
    pub fn handover(&self) -> Result<Option<Handover>, ApplyError<V::Error>> {
        let is_pending = |(from, epoch): &(u64, EpochRecord)| *from > 0 && epoch.handover.is_none();
        let Some((tree_size_from, new)) = self.newest_epoch()?.filter(is_pending) else {
            return Ok(None);
        };
        let all = self.epochs()?;
        let old = before(&all, all.len().saturating_sub(1)).cloned();
        let key = self.keys.at_leaf(Kind::Epoch, 0);
        Ok(Some(Handover {
            tree_size_from,
            old: old.ok_or_else(|| missing(key))?,
            new,
        }))
    }

    /// Every mark on compromised keys by the leaf of its statement, the oldest first; at most
    /// [`crate::limits::KEY_REVOCATIONS_MAX`].
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::epochs`].
    pub fn revocations(&self) -> Result<Vec<(u64, KeyRevocationRecord)>, ApplyError<V::Error>> {
        marks(self.view, &self.keys)
    }

    /// What is published of all of them; none before there is an epoch. It decodes every key, so it
    /// is not for every call.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::epochs`].
    pub fn key_set(&self) -> Result<Option<KeySet>, ApplyError<V::Error>> {
        let group = Query::new(self.view, self.group).group()?;
        match group {
            Some(group) => key_set(self.view, &self.keys, group.cluster, &self.name),
            None => Ok(None),
        }
    }

    /// Who disputes the decision at `leaf`, if a node does.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::epochs`].
    pub fn dispute(&self, leaf: u64) -> Result<Option<DisputeRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys.at_leaf(Kind::Dispute, leaf))
    }
}
