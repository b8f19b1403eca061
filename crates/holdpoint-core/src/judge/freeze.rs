//! Freezing: an operator stops grants, of all or of one surface. What was granted goes on.

use holdpoint_receipt::Name;
use holdpoint_receipt::statement::{Body, FrozenStatement, commit};

use super::Verdict;
use super::gate::Gate;
use crate::command::Freeze;
use crate::fault::ApplyError;
use crate::limits::FROZEN_SURFACES_MAX;
use crate::outcome::{ChangeOutcome, Outcome};
use crate::outline::SurfaceOutline;
use crate::rejection::{Bounded, EvaluationProblem, Rejection};
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
        && let Some(rejection) = gate.unfreezable(surface)?
    {
        return Ok(Verdict::reject(rejection));
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

    /// Why `surface` cannot be frozen. One that the active policy does not register may be a slip of
    /// the pen: who thinks that it is frozen must learn that nothing is.
    fn unfreezable(&self, surface: &Name) -> Result<Option<Rejection>, ApplyError<V::Error>> {
        let is_known = match self.namespace.active {
            None => false,
            Some(active) => {
                let key = self.keys.surface(&active.digest, surface);
                self.draft.read::<SurfaceOutline>(&key)?.is_some()
            }
        };
        if !is_known {
            let problem = EvaluationProblem::Surface;
            return Ok(Some(Rejection::Evaluation(problem)));
        }
        let count = self.namespace.frozen_surfaces.len();
        let is_full = count >= FROZEN_SURFACES_MAX;
        Ok(is_full.then_some(Rejection::TooMuch {
            what: Bounded::FrozenSurfaces,
            // usize has at most 64 bits on every target that exists, so this loses nothing.
            count: (count as u64).saturating_add(1),
            count_max: FROZEN_SURFACES_MAX as u64,
        }))
    }
}
