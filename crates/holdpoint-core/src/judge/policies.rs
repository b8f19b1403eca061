//! Bundles beside the one in force: those that are only watched, and those that nothing names.

use holdpoint_receipt::{Digest, Reason};

use super::Verdict;
use super::gate::Gate;
use crate::command::{DeletePolicy, SetShadow};
use crate::fault::ApplyError;
use crate::limits::SHADOWS_MAX;
use crate::outcome::{ChangeOutcome, Outcome};
use crate::record::{BundleRecord, BundleUseRecord};
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
    /// Whether something that is kept names a bundle: a setting of the namespace, or a statement.
    ///
    /// A permit needs no look of its own: while it is kept, so is the statement of its decision,
    /// which names the bundle too.
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
}
