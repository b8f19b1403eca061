//! Freezing: an operator stops grants, of all or of one surface. What was granted goes on.

use holdpoint_receipt::statement::{Body, FrozenStatement, commit};
use holdpoint_receipt::{Name, Reason};

use super::Verdict;
use super::gate::Gate;
use crate::command::Freeze;
use crate::fault::ApplyError;
use crate::limits::FROZEN_SURFACES_MAX;
use crate::outcome::{ChangeOutcome, Outcome};
use crate::outline::SurfaceOutline;
use crate::rejection::{Bounded, Rejection};
use crate::view::View;

pub(super) fn freeze<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Freeze,
) -> Result<Verdict, ApplyError<V::Error>> {
    let found = match &command.surface {
        None => gate.namespace.frozen,
        Some(surface) => gate.namespace.frozen_surfaces.contains(surface),
    };
    if found == command.frozen {
        let done = ChangeOutcome::Done {
            statement: None,
            replay: true,
        };
        return Ok(Verdict::Unchanged(Outcome::Changed(done)));
    }
    if let Some(surface) = &command.surface
        && command.frozen
    {
        if !gate.is_registered(surface)? {
            let reason = Reason::UnknownSurface;
            let refused = ChangeOutcome::Refused { reason };
            return Ok(Verdict::Unchanged(Outcome::Changed(refused)));
        }
        let count = gate.namespace.frozen_surfaces.len();
        if count >= FROZEN_SURFACES_MAX {
            return Ok(Verdict::reject(Rejection::TooMuch {
                what: Bounded::FrozenSurfaces,
                // usize has at most 64 bits on every target that exists, so this loses nothing.
                count: (count as u64).saturating_add(1),
                count_max: FROZEN_SURFACES_MAX as u64,
            }));
        }
    }
    match &command.surface {
        None => gate.namespace.frozen = command.frozen,
        Some(surface) => {
            let surfaces = &mut gate.namespace.frozen_surfaces;
            match surfaces.binary_search(surface) {
                Ok(place) => drop(surfaces.remove(place)),
                Err(place) => surfaces.insert(place, surface.clone()),
            }
        }
    }
    let principal = command.principal.as_str().as_bytes();
    let body = FrozenStatement {
        surface: command.surface.clone(),
        frozen: command.frozen,
        caller_commitment: commit(&command.salt, "caller_commitment", principal),
        disputed_leaf: None,
    };
    let statement = gate.append_plain(Body::Frozen(body), command.salt)?;
    let done = ChangeOutcome::Done {
        statement: Some(statement),
        replay: false,
    };
    Ok(Verdict::Changed(Outcome::Changed(done)))
}

impl<V: View> Gate<'_, V> {
    /// Whether an operator has stopped grants on `surface`.
    pub(super) fn is_frozen(&self, surface: &Name) -> bool {
        self.namespace.frozen || self.namespace.frozen_surfaces.contains(surface)
    }

    /// Whether the active policy registers `surface`. To freeze another may be a slip of the pen: who
    /// thinks that it is frozen must learn that nothing is.
    fn is_registered(&self, surface: &Name) -> Result<bool, ApplyError<V::Error>> {
        let Some(active) = self.namespace.active else {
            return Ok(false);
        };
        let key = self.keys.surface(&active.digest, surface);
        Ok(self.draft.read::<SurfaceOutline>(&key)?.is_some())
    }
}
