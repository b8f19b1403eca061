//! Who signs, and the epochs in which they do.
//!
//! ```text
//! signers   the voters that have announced themselves and are not retired
//! needed    a majority of the voters, or as many more as an operator requires and there are
//! ```
//!
//! An epoch opens whenever one of the two changes and there are enough signers: with a statement in
//! each namespace's log, after which the next head is the new signers'. If there are not enough, the
//! epoch before stays: nothing can be proven then until enough have announced themselves.

use holdpoint_receipt::statement::{Body, KeysChange, KeysStatement, commit};
use holdpoint_receipt::{Caller, Name, NodeId, Salt, TreeSize};

use super::draft::Draft;
use super::gate::Gate;
use crate::epochs::key_set;
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::limits::{EPOCHS_KEPT_BACK, EPOCHS_MAX};
use crate::outcome::Statement;
use crate::query::Query;
use crate::record::{
    DisclosureRecord, EpochRecord, GroupRecord, NodeRecord, SignerRecord, TreeRecord,
};
use crate::view::{Overlay, View};

/// Why who signs may have changed.
pub(crate) struct Cause {
    /// What was done.
    pub(crate) change: KeysChange,
    /// The node that it was done to, where it is one.
    pub(crate) node: Option<NodeId>,
    /// Who asked for it; none if nobody did.
    pub(crate) by: Option<(Salt, Caller)>,
}

/// Who would sign now.
pub(super) struct Lineup {
    signers: Vec<SignerRecord>,
    /// A majority of the voters.
    least: u32,
    /// What an operator requires.
    required: u32,
}

impl Lineup {
    pub(super) fn of<V: View>(
        draft: &Draft<'_, V>,
        group: &GroupRecord,
    ) -> Result<Self, ApplyError<V::Error>> {
        let keys = KeySpace::group(draft.at.group);
        let mut signers = Vec::with_capacity(group.voters.len());
        for voter in &group.voters {
            let node = draft.read::<NodeRecord>(&keys.node(*voter))?;
            if let Some(node) = node.filter(|node| !node.retired) {
                signers.push(SignerRecord {
                    node: *voter,
                    log_key: node.log_key,
                    cosign_key: node.cosign_key,
                });
            }
        }
        // There are at most `VOTERS_MAX` voters.
        let majority = group.voters.len().div_euclid(2).saturating_add(1);
        Ok(Self {
            signers,
            least: u32::try_from(majority).unwrap_or(u32::MAX),
            required: group.signers_required.unwrap_or(0),
        })
    }

    fn count(&self) -> u32 {
        u32::try_from(self.signers.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are as many as must sign, also by what an operator requires.
    pub(super) fn is_enough(&self) -> bool {
        self.count() >= self.least.max(self.required)
    }

    /// How many must sign; none if there are fewer than a majority of the voters. What an operator
    /// requires falls to what there is: voters may have gone.
    fn needed(&self) -> Option<u32> {
        let count = self.count();
        (count >= self.least).then(|| self.least.max(self.required.min(count)))
    }
}

/// Opens the epochs that follow from what `draft` says of the group and its nodes. Gives the
/// statements of those that did.
pub(crate) fn open_epochs<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    cause: &Cause,
) -> Result<Vec<(Name, Statement)>, ApplyError<V::Error>> {
    let lineup = Lineup::of(draft, group)?;
    let mut statements = Vec::new();
    for name in names(draft)? {
        let opened = within(draft, group, &name, |gate| {
            if gate.open_epoch(&lineup)? {
                gate.state_keys(cause).map(Some)
            } else {
                Ok(None)
            }
        })?;
        statements.extend(opened.map(|statement| (name, statement)));
    }
    Ok(statements)
}

/// Whether [`open_epochs`] would have no room for an epoch that must open.
pub(super) fn is_full<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
) -> Result<bool, ApplyError<V::Error>> {
    let lineup = Lineup::of(draft, group)?;
    let Some(needed) = lineup.needed() else {
        return Ok(false);
    };
    for name in names(draft)? {
        let is_full = within(draft, group, &name, |gate| {
            let is_same = gate.is_epoch_of(needed, &lineup.signers)?;
            Ok(!is_same && gate.namespace.epochs >= EPOCHS_MAX)
        })?;
        if is_full {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every namespace of the group.
pub(super) fn names<V: View>(draft: &Draft<'_, V>) -> Result<Vec<Name>, ApplyError<V::Error>> {
    Query::new(draft.view(), draft.at.group).all_namespaces()
}

/// Does something in one namespace of a draft about the group.
pub(super) fn within<V: View, T>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    name: &Name,
    change: impl FnOnce(&mut Gate<'_, Overlay<'_, V>>) -> Result<T, ApplyError<V::Error>>,
) -> Result<T, ApplyError<V::Error>> {
    let Some(mut gate) = Gate::open(draft.inner(), group, name)? else {
        let key = KeySpace::namespace(draft.at.group, name).single(Kind::Namespace);
        return Err(ApplyError::contradiction(
            key,
            "its name is known, and it is not there",
        ));
    };
    let value = change(&mut gate)?;
    let changes = gate.close()?;
    assert!(changes.offers.is_empty(), "no bound was freed");
    draft.commit(changes.writes);
    Ok(value)
}

impl<V: View> Gate<'_, V> {
    /// The newest epoch and its first tree size; none before the first.
    pub(super) fn newest_epoch(&self) -> Result<Option<(u64, EpochRecord)>, ApplyError<V::Error>> {
        let Some(from) = self.namespace.newest_epoch else {
            return Ok(None);
        };
        let key = self.keys.at_leaf(Kind::Epoch, from);
        Ok(Some((from, self.draft.must_read(&key)?)))
    }

    /// Whether a change of keys must wait: there are no signers yet, or the newest have not taken
    /// over from those before.
    pub(super) fn are_keys_pending(&self) -> Result<bool, ApplyError<V::Error>> {
        Ok(match self.newest_epoch()? {
            None => true,
            Some((from, epoch)) => from > 0 && epoch.handover.is_none(),
        })
    }

    /// Whether only announcements and changes of membership may still open an epoch.
    pub(super) fn are_epochs_kept_back(&self) -> bool {
        self.namespace.epochs >= EPOCHS_MAX.saturating_sub(EPOCHS_KEPT_BACK)
    }

    fn is_epoch_of(
        &self,
        needed: u32,
        signers: &[SignerRecord],
    ) -> Result<bool, ApplyError<V::Error>> {
        let newest = self.newest_epoch()?;
        Ok(newest
            .is_some_and(|(_, epoch)| epoch.signers_needed == needed && epoch.signers == signers))
    }

    /// Opens an epoch if others sign now, or another number of them must. The caller states it at the
    /// next leaf.
    pub(super) fn open_epoch(&mut self, lineup: &Lineup) -> Result<bool, ApplyError<V::Error>> {
        let Some(needed) = lineup.needed() else {
            return Ok(false);
        };
        if self.is_epoch_of(needed, &lineup.signers)? || self.namespace.epochs >= EPOCHS_MAX {
            return Ok(false);
        }
        let leaf = self.leaves()?;
        let newest = self.namespace.newest_epoch;
        // The head that ends with the statement is the first that others sign.
        let from = newest.map_or(0, |_| leaf.saturating_add(1));
        assert!(newest < Some(from), "epochs rise");
        let epoch = EpochRecord {
            signers_needed: needed,
            signers: lineup.signers.clone(),
            leaf,
            handover: None,
        };
        let key = self.keys.at_leaf(Kind::Epoch, from);
        self.draft.write(key, &epoch)?;
        self.namespace.newest_epoch = Some(from);
        self.namespace.epochs = self.namespace.epochs.saturating_add(1);
        Ok(true)
    }

    /// States the key set as it is now, at the next leaf.
    pub(super) fn state_keys(&mut self, cause: &Cause) -> Result<Statement, ApplyError<V::Error>> {
        let leaf = self.leaves()?;
        let missing = |key| ApplyError::contradiction(key, "there are no signers to state");
        let own = self.keys.single(Kind::Namespace);
        let Some((from, epoch)) = self.newest_epoch()? else {
            return Err(missing(own));
        };
        let view = self.draft.view();
        let Some(set) = key_set(view, &self.keys, self.cluster, &self.name)? else {
            return Err(missing(own));
        };
        let at = self.draft.at;
        let from = TreeSize::new(from).map_err(|_beyond| ApplyError::Position(at))?;
        let is_founding = from.get() == 0 && epoch.leaf == leaf;
        let by = cause.by.as_ref();
        let body = KeysStatement {
            keys_digest: set.digest(),
            signers_needed: epoch.signers_needed,
            tree_size_from: from,
            change: if is_founding {
                KeysChange::Founded
            } else {
                cause.change
            },
            node: cause.node.filter(|_| !is_founding),
            caller_commitment: by
                .map(|(salt, by)| commit(salt, "caller_commitment", by.as_str().as_bytes())),
        };
        // Where nobody asked, nothing is committed to, and so nothing needs a salt.
        let salt = by.map_or(Salt::from_bytes([0; 32]), |(salt, _)| *salt);
        let disclosure = DisclosureRecord::of_salt(salt);
        let statement = self.append(Body::Keys(body), &disclosure)?;
        assert_eq!(statement.leaf, leaf, "it stands where it says");
        Ok(statement)
    }

    /// Leaves of the namespace's log.
    pub(super) fn leaves(&self) -> Result<u64, ApplyError<V::Error>> {
        let tree = self
            .draft
            .read::<TreeRecord>(&self.keys.single(Kind::Tree))?;
        Ok(tree.map_or(0, |tree| tree.size))
    }
}
