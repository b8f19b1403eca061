//! Registering bundles.

use super::Verdict;
use super::gate::Gate;
use super::outline::problem;
use crate::command::PutPolicy;
use crate::fault::ApplyError;
use crate::limits::{BUNDLE_BYTES_MAX, BUNDLES_MAX};
use crate::outcome::{Outcome, PutOutcome};
use crate::outline::SurfaceOutline;
use crate::record::BundleRecord;
use crate::rejection::{Bounded, Rejection};
use crate::view::View;
use holdpoint_receipt::Reason;

pub(super) fn put_policy<V: View>(
    gate: &mut Gate<'_, V>,
    command: &PutPolicy,
) -> Result<Verdict, ApplyError<V::Error>> {
    let bytes = command.bundle.len();
    if bytes > BUNDLE_BYTES_MAX {
        return Ok(Verdict::reject(Rejection::TooMuch {
            what: Bounded::BundleBytes,
            // usize has at most 64 bits on every target that exists, so this loses nothing.
            count: bytes as u64,
            count_max: BUNDLE_BYTES_MAX as u64,
        }));
    }
    if let Some(problem) = problem(&command.outline) {
        return Ok(Verdict::reject(Rejection::Outline(problem)));
    }
    let digest = command.digest;
    let key = gate.keys.bundle(&digest);
    if let Some(known) = gate.draft.read::<BundleRecord>(&key)? {
        if known.bundle != command.bundle || !is_same_outline(gate, command)? {
            return Ok(Verdict::reject(Rejection::DigestTaken));
        }
        let outcome = PutOutcome::Put {
            digest,
            replay: true,
        };
        return Ok(Verdict::Unchanged(Outcome::PolicyPut(outcome)));
    }
    if gate.namespace.bundles >= BUNDLES_MAX {
        let reason = Reason::BundleLimit;
        let outcome = PutOutcome::Refused { reason };
        return Ok(Verdict::Unchanged(Outcome::PolicyPut(outcome)));
    }
    gate.namespace.bundles = gate.namespace.bundles.saturating_add(1);
    let record = BundleRecord {
        bundle: command.bundle.clone(),
        put_at: gate.now(),
        put_by: command.principal.clone(),
    };
    gate.draft.write(key, &record)?;
    for surface in &command.outline.surfaces {
        gate.draft
            .write(gate.keys.surface(&digest, &surface.surface), surface)?;
    }
    let outcome = PutOutcome::Put {
        digest,
        replay: false,
    };
    Ok(Verdict::Changed(Outcome::PolicyPut(outcome)))
}

/// Whether the outline of a registered bundle is the one that `command` brings.
fn is_same_outline<V: View>(
    gate: &Gate<'_, V>,
    command: &PutPolicy,
) -> Result<bool, ApplyError<V::Error>> {
    let registered: Vec<SurfaceOutline> = gate.surfaces(&command.digest)?;
    Ok(registered == command.outline.surfaces)
}
