//! What committed effects leave of `once` bounds.
//!
//! ```text
//! Tombstone     operation                 the permit, and until when its effect counts
//! TombstoneEnd  time, operation           for those that do not count for ever
//! Once          surface, bound            how many there are, and the template of their keys
//! ```

use super::gate::Gate;
use crate::codec::records::Present;
use crate::command::BoundClaim;
use crate::fault::ApplyError;
use crate::key::{Kind, StateKey};
use crate::outline::{BoundKind, SurfaceOutline};
use crate::record::{OnceRecord, PermitRecord, TombstoneRecord};
use crate::view::View;

impl<V: View> Gate<'_, V> {
    /// Leaves a tombstone for a `once` claim of a committed permit. Where an earlier effect counts
    /// (one that came too late to be refused), that one stays.
    pub(super) fn bury(
        &mut self,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        let BoundKind::Once { kept_for_ms } = claim.kind else {
            return Ok(());
        };
        let key = self
            .keys
            .operation(Kind::Tombstone, &permit.surface, &claim.name, &claim.key);
        if let Some(earlier) = self.draft.read::<TombstoneRecord>(&key)? {
            if earlier.counts_at(self.now()) {
                return Ok(());
            }
            self.unbury(&key, &earlier)?;
        }
        let now = self.now();
        let tombstone = TombstoneRecord {
            permit: permit.id,
            fence: permit.fence,
            committed_at: now,
            kept_until: kept_for_ms.map(|kept_for_ms| now.saturating_add(kept_for_ms)),
        };
        if let Some(end) = self.tombstone_end(&key, &tombstone) {
            self.draft.write(end, &Present)?;
        }
        self.draft.write(key, &tombstone)?;
        let template = self.template_of(permit, claim)?;
        let once_key = self.keys.once(&permit.surface, &claim.name);
        let found = self.draft.read::<OnceRecord>(&once_key)?;
        let tombstones = found.map_or(0, |once| once.tombstones).saturating_add(1);
        let once = OnceRecord {
            template,
            tombstones,
        };
        self.draft.write(once_key, &once)
    }

    /// Whether the policy in force still has the bound of `claim` under the template of `permit`:
    /// only then may an effect that nobody waited for leave a tombstone.
    pub(super) fn is_still_once(
        &self,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<bool, ApplyError<V::Error>> {
        let Some(active) = self.namespace.active else {
            return Ok(false);
        };
        let key = self.keys.surface(&active.digest, &permit.surface);
        let Some(surface) = self.draft.read::<SurfaceOutline>(&key)? else {
            return Ok(false);
        };
        let template = self.template_of(permit, claim)?;
        Ok(surface.bounds.iter().any(|bound| {
            bound.name == claim.name
                && matches!(bound.kind, BoundKind::Once { .. })
                && bound.template == template
        }))
    }

    fn template_of(
        &self,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<String, ApplyError<V::Error>> {
        let key = self.keys.surface(&permit.policy.digest, &permit.surface);
        let surface: SurfaceOutline = self.draft.must_read(&key)?;
        let bound = surface.bounds.iter().find(|bound| bound.name == claim.name);
        bound
            .map(|bound| bound.template.clone())
            .ok_or_else(|| ApplyError::contradiction(key, "a claimed bound is not declared"))
    }

    /// Takes a tombstone away that no longer counts.
    pub(super) fn unbury(
        &mut self,
        key: &StateKey,
        tombstone: &TombstoneRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        assert!(
            !tombstone.counts_at(self.now()),
            "an effect that counts is kept"
        );
        let once_key = self.once_of(key)?;
        let mut once: OnceRecord = self.draft.must_read(&once_key)?;
        let Some(tombstones) = once.tombstones.checked_sub(1) else {
            let what = "there are more tombstones than are counted";
            return Err(ApplyError::contradiction(once_key, what));
        };
        once.tombstones = tombstones;
        if tombstones == 0 {
            self.draft.delete(once_key);
        } else {
            self.draft.write(once_key, &once)?;
        }
        if let Some(end) = self.tombstone_end(key, tombstone) {
            self.draft.delete(end);
        }
        self.draft.delete(key.clone());
        Ok(())
    }

    fn tombstone_end(&self, key: &StateKey, tombstone: &TombstoneRecord) -> Option<StateKey> {
        let named = key.parts().map_or(&[][..], |parts| parts.rest);
        let until = tombstone.kept_until?;
        Some(self.keys.end_of(Kind::TombstoneEnd, until, named))
    }

    /// The count that a tombstone is part of: its key starts with the surface and the bound.
    fn once_of(&self, tombstone: &StateKey) -> Result<StateKey, ApplyError<V::Error>> {
        let named = tombstone.parts().map_or(&[][..], |parts| parts.rest);
        let mut ends = (0_usize..).zip(named).filter(|(_, byte)| **byte == 0);
        let end = ends.nth(1).map(|(place, _)| place);
        let both = end.and_then(|end| named.get(..=end));
        both.map(|both| self.keys.named_row(Kind::Once, both))
            .ok_or_else(|| {
                ApplyError::contradiction(tombstone.clone(), "the key names no operation")
            })
    }
}
