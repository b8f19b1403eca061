//! Which entries a log holds, and how each write moves that.

use bytes::Bytes;

use crate::fault::StoreError;

/// The last purged entry of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Its index.
    pub index: u64,
    /// What the caller wants to know about it later.
    pub bytes: Bytes,
}

/// Which entries of a group the log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// First and last index held, or `None` if there is no entry.
    pub held: Option<(u64, u64)>,
    /// The last purged entry. Everything up to it is gone.
    pub purged: Option<Purged>,
}

impl Bounds {
    /// The index of the last entry that was ever held and not truncated.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        let held = self.held.map(|(_, last)| last);
        held.max(self.purged.as_ref().map(|purged| purged.index))
    }

    /// The index that an append must start with; `None` if any will do.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.last().map(|last| last.saturating_add(1))
    }

    /// The first index that may be held.
    pub(crate) fn floor(&self) -> u64 {
        self.purged
            .as_ref()
            .map_or(0, |purged| purged.index.saturating_add(1))
    }

    /// Takes entries that continue the log.
    pub(crate) fn append(&mut self, indexes: impl Iterator<Item = u64>) -> Result<(), StoreError> {
        let mut after = self.clone();
        for found in indexes {
            if let Some(expected) = after.next().filter(|expected| *expected != found) {
                return Err(StoreError::Gap { expected, found });
            }
            let first = after.held.map_or(found, |(first, _)| first);
            after.held = Some((first, found));
        }
        *self = after;
        Ok(())
    }

    /// Drops every entry after `after`, or every entry.
    pub(crate) fn truncate(&mut self, after: Option<u64>) {
        self.held = self.held.and_then(|(first, last)| {
            let kept = after.filter(|after| *after >= first)?;
            Some((first, last.min(kept)))
        });
    }

    /// Drops every entry up to and with `purged`, unless more are purged already.
    pub(crate) fn purge(&mut self, purged: &Purged) {
        if purged.index < self.floor() {
            return;
        }
        self.purged = Some(purged.clone());
        let floor = self.floor();
        self.held = self
            .held
            .filter(|(_, last)| *last >= floor)
            .map(|(first, last)| (first.max(floor), last));
    }
}
