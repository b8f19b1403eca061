//! Bundles beside the one in force: those that are only watched, and those that nothing names.

use holdpoint_receipt::{Digest, PolicyVersion, Reason};

use super::Verdict;
use super::gate::Gate;
use crate::command::{DeletePolicy, SetShadow};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::limits::{DELETE_ROWS_MAX, SHADOWS_MAX};
use crate::outcome::{ChangeOutcome, Outcome};
use crate::record::{ActivationRecord, BundleRecord, BundleUseRecord};
use crate::rejection::{Bounded, Rejection};
use crate::view::View;

pub(super) fn set_shadow<V: View>(
    gate: &mut Gate<'_, V>,
    command: &SetShadow,
) -> Result<Verdict, ApplyError<V::Error>> {
    let count = command.digests.len();
    if count > SHADOWS_MAX {
        return Ok(Verdict::reject(Rejection::TooMuch {
            what: Bounded::Shadows,
            // usize has at most 64 bits on every target that exists, so this loses nothing.
            count: count as u64,
            count_max: SHADOWS_MAX as u64,
        }));
    }
    if !command.digests.is_sorted_by(|before, after| before < after) {
        return Ok(Verdict::reject(Rejection::Shadows));
    }
    for digest in &command.digests {
        let key = gate.keys.bundle(digest);
        if gate.draft.read::<BundleRecord>(&key)?.is_none() {
            return Ok(refused(Reason::BundleUnknown));
        }
    }
    if gate.namespace.shadows == command.digests {
        return Ok(Verdict::Unchanged(done(true)));
    }
    gate.namespace.shadows.clone_from(&command.digests);
    Ok(Verdict::Changed(done(false)))
}

pub(super) fn delete_policy<V: View>(
    gate: &mut Gate<'_, V>,
    command: &DeletePolicy,
) -> Result<Verdict, ApplyError<V::Error>> {
    let digest = &command.digest;
    let key = gate.keys.bundle(digest);
    if gate.draft.read::<BundleRecord>(&key)?.is_none() {
        return Ok(refused(Reason::BundleUnknown));
    }
    if gate.is_named(digest)? {
        return Ok(refused(Reason::BundleInUse));
    }
    if gate.has_permits(digest)? {
        // What was looked at in vain stays so: the next attempt continues.
        let reason = Reason::BundleInUse;
        let outcome = Outcome::Changed(ChangeOutcome::Refused { reason });
        return Ok(Verdict::Changed(outcome));
    }
    for surface in gate.surfaces(digest)? {
        let key = gate.keys.surface(digest, &surface.surface);
        gate.draft.delete(key);
    }
    gate.draft.delete(gate.keys.bundle_use(digest));
    gate.draft.delete(key.clone());
    let Some(left) = gate.namespace.bundles.checked_sub(1) else {
        return Err(ApplyError::contradiction(key, "it was not counted"));
    };
    gate.namespace.bundles = left;
    Ok(Verdict::Changed(done(false)))
}

fn done(replay: bool) -> Outcome {
    let statement = None;
    Outcome::Changed(ChangeOutcome::Done { statement, replay })
}

fn refused(reason: Reason) -> Verdict {
    Verdict::Unchanged(Outcome::Changed(ChangeOutcome::Refused { reason }))
}

impl<V: View> Gate<'_, V> {
    /// Whether a setting of the namespace names a bundle, or a statement that is kept for itself.
    /// What is kept for a permit is [`Gate::has_permits`].
    fn is_named(&self, digest: &Digest) -> Result<bool, ApplyError<V::Error>> {
        let namespace = &self.namespace;
        let active = namespace.active.map(|active| active.digest);
        let drain = namespace.drain.as_ref().map(|drain| drain.digest);
        if active == Some(*digest) || drain == Some(*digest) || namespace.shadows.contains(digest) {
            return Ok(true);
        }
        let key = self.keys.bundle_use(digest);
        let Some(BundleUseRecord { named_before }) = self.draft.read(&key)? else {
            return Ok(false);
        };
        // Statements go from the oldest on, so the last that names it is looked at.
        let Some(last) = named_before.checked_sub(1) else {
            return Err(ApplyError::contradiction(key, "nothing stands before it"));
        };
        Ok(last >= self.namespace.swept.statements)
    }

    /// Whether a permit is kept that was granted under a bundle, or may be. An activation under which
    /// none is kept is not looked at again: none will come.
    fn has_permits(&mut self, digest: &Digest) -> Result<bool, ApplyError<V::Error>> {
        let prefix = self.keys.bundle_activations(digest);
        let limit = DELETE_ROWS_MAX.saturating_add(1);
        let rows = self.draft.first_rows(&prefix, limit)?;
        for (place, (key, _)) in rows.iter().enumerate() {
            let version = key.as_bytes().get(prefix.len()..);
            let version = version.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            let version = version.map(u64::from_be_bytes).map(PolicyVersion::new);
            let Some(Ok(version)) = version else {
                let what = "the key does not name what its kind says";
                return Err(ApplyError::contradiction(key.clone(), what));
            };
            if place == DELETE_ROWS_MAX || self.has_permits_of(version)? {
                return Ok(true);
            }
            self.draft.delete(key.clone());
        }
        Ok(false)
    }

    /// Whether a permit is kept whose fence was given out under `version`, which another followed.
    fn has_permits_of(&self, version: PolicyVersion) -> Result<bool, ApplyError<V::Error>> {
        let key = self.keys.activation(version);
        let begins: ActivationRecord = self.draft.must_read(&key)?;
        let Some(next) = version.next() else {
            return Err(ApplyError::contradiction(key, "it is still in force"));
        };
        let ends: ActivationRecord = self.draft.must_read(&self.keys.activation(next))?;
        let after = self.keys.fence(begins.fence);
        let prefix = self.keys.prefix(Kind::Fence);
        let first = self.draft.rows_after(&prefix, Some(&after), 1)?;
        Ok(first
            .first()
            .is_some_and(|(key, _)| *key <= self.keys.fence(ends.fence)))
    }
}
