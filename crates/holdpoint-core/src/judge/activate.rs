//! Putting a bundle in force.

use std::collections::BTreeMap;

use holdpoint_receipt::statement::{Body, PolicyStatement, commit};
use holdpoint_receipt::{Digest, Name, Reason};

use super::Verdict;
use super::draft::decoded;
use super::gate::Gate;
use super::statements::evaluator;
use crate::command::ActivatePolicy;
use crate::fault::ApplyError;
use crate::limits::{ACTIVATION_EXPIRIES_MAX, BOUNDS_MAX, SURFACES_MAX};
use crate::outcome::{ActivateOutcome, Outcome};
use crate::outline::{BoundKind, SurfaceOutline};
use crate::record::{ActivationRecord, ActivePolicy, BundleRecord, DisclosureRecord, OnceRecord};
use crate::view::View;
use holdpoint_receipt::PolicyVersion;

pub(super) fn activate_policy<V: View>(
    gate: &mut Gate<'_, V>,
    command: &ActivatePolicy,
) -> Result<Verdict, ApplyError<V::Error>> {
    let active = gate.namespace.active;
    let version = active.map_or_else(PolicyVersion::default, |active| active.version);
    if version != command.expected {
        return Ok(refused(active, Reason::VersionConflict, None));
    }
    if gate
        .draft
        .read::<BundleRecord>(&gate.keys.bundle(&command.digest))?
        .is_none()
    {
        return Ok(refused(active, Reason::BundleUnknown, None));
    }
    let Some(version) = version.next() else {
        return Ok(refused(active, Reason::VersionExhausted, None));
    };
    if !gate.let_expired_go(ACTIVATION_EXPIRIES_MAX)? {
        // What was let go stays so: the next attempt continues.
        let outcome = refusal(active, Reason::BoundsInUse, None);
        return Ok(Verdict::Changed(outcome));
    }
    if let Some(surface) = gate.surface_in_use(active, &command.digest)? {
        let outcome = refusal(active, Reason::BoundsInUse, Some(surface));
        return Ok(Verdict::Changed(outcome));
    }
    let salt = &command.salt;
    let principal = command.principal.as_str().as_bytes();
    let body = PolicyStatement {
        policy_version: version,
        policy_digest: command.digest,
        evaluator: evaluator(command.evaluator_version),
        caller_commitment: commit(salt, "caller_commitment", principal),
    };
    let disclosure = DisclosureRecord {
        salt: *salt,
        request: None,
        evaluation: None,
    };
    let statement = gate.append(Body::Policy(body), &disclosure)?;
    let record = ActivationRecord {
        digest: command.digest,
        activated_at: gate.now(),
        activated_by: command.principal.clone(),
        evaluator_version: command.evaluator_version,
        leaf: statement.leaf,
        fence: gate.namespace.fence,
    };
    gate.draft.write(gate.keys.activation(version), &record)?;
    let digest = command.digest;
    gate.namespace.active = Some(ActivePolicy { version, digest });
    Ok(Verdict::Changed(Outcome::Activated(
        ActivateOutcome::Activated {
            version,
            digest,
            statement,
        },
    )))
}

fn refused(active: Option<ActivePolicy>, reason: Reason, surface: Option<Name>) -> Verdict {
    Verdict::Unchanged(refusal(active, reason, surface))
}

fn refusal(active: Option<ActivePolicy>, reason: Reason, surface: Option<Name>) -> Outcome {
    Outcome::Activated(ActivateOutcome::Refused {
        reason,
        active,
        surface,
    })
}

impl<V: View> Gate<'_, V> {
    /// The surfaces of a registered bundle, in the order of their names.
    pub(super) fn surfaces(
        &self,
        digest: &Digest,
    ) -> Result<Vec<SurfaceOutline>, ApplyError<V::Error>> {
        let rows = self
            .draft
            .first_rows(&self.keys.surfaces(digest), SURFACES_MAX)?;
        rows.iter().map(|(key, row)| decoded(key, row)).collect()
    }

    /// The first surface whose bounds are in use in a way that `next` would not respect.
    ///
    /// Nothing expired may be left: then every row of a surface's live permits is a live permit.
    fn surface_in_use(
        &self,
        active: Option<ActivePolicy>,
        next: &Digest,
    ) -> Result<Option<Name>, ApplyError<V::Error>> {
        let next: BTreeMap<Name, SurfaceOutline> = self
            .surfaces(next)?
            .into_iter()
            .map(|surface| (surface.surface.clone(), surface))
            .collect();
        for surface in next.values() {
            if !self.keeps_tombstones(surface)? {
                return Ok(Some(surface.surface.clone()));
            }
        }
        let Some(active) = active else {
            return Ok(None);
        };
        for surface in self.surfaces(&active.digest)? {
            let name = &surface.surface;
            // Every permit claims every bound of its surface, so any difference concerns all that
            // are live: one added bound as much as one that is removed or means something else.
            let is_kept = next
                .get(name)
                .is_some_and(|next| next.bounds == surface.bounds);
            let live_on = self.keys.live_on(name);
            if !is_kept && !self.draft.first_rows(&live_on, 1)?.is_empty() {
                return Ok(Some(surface.surface));
            }
        }
        Ok(None)
    }

    /// Whether every bound that has tombstones on this surface is still there, `once`, under the
    /// same template. A surface may go, but not come back and forget.
    fn keeps_tombstones(&self, surface: &SurfaceOutline) -> Result<bool, ApplyError<V::Error>> {
        let prefix = self.keys.once_on(&surface.surface);
        // Bounds with tombstones can be neither added nor renamed away, so there are no more rows
        // than a surface has bounds.
        for (key, row) in self.draft.first_rows(&prefix, BOUNDS_MAX)? {
            let once: OnceRecord = decoded(&key, &row)?;
            let is_kept = surface.bounds.iter().any(|bound| {
                self.keys.once(&surface.surface, &bound.name) == key
                    && matches!(bound.kind, BoundKind::Once { .. })
                    && bound.template == once.template
            });
            if !is_kept {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
