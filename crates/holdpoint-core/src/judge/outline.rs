//! What an outline must be like, and what it changes.

use crate::limits::{
    ACTIONS_MAX, BOUNDS_MAX, COMPLETE_WITHIN_MS_MAX, EXECUTORS_MAX, PERMIT_FOR_MS_MAX,
    PERMIT_FOR_MS_MIN, SURFACES_MAX, WORD_BYTES_MAX,
};
use crate::outline::{BoundKind, PolicyOutline, SurfaceOutline};
use crate::rejection::OutlineProblem;

/// What is wrong with `outline`; none if nothing is.
pub(super) fn problem(outline: &PolicyOutline) -> Option<OutlineProblem> {
    if outline.surfaces.is_empty() {
        return Some(OutlineProblem::Empty);
    }
    if outline.surfaces.len() > SURFACES_MAX {
        return Some(OutlineProblem::TooMany);
    }
    if !rises(outline.surfaces.iter().map(|surface| &surface.surface)) {
        return Some(OutlineProblem::Order);
    }
    outline.surfaces.iter().find_map(problem_of_surface)
}

fn problem_of_surface(surface: &SurfaceOutline) -> Option<OutlineProblem> {
    if surface.actions.is_empty() {
        return Some(OutlineProblem::Empty);
    }
    let is_within = surface.actions.len() <= ACTIONS_MAX
        && surface.bounds.len() <= BOUNDS_MAX
        && surface.executors.len() <= EXECUTORS_MAX;
    if !is_within {
        return Some(OutlineProblem::TooMany);
    }
    let is_ordered =
        rises(surface.actions.iter()) && rises(surface.bounds.iter().map(|bound| &bound.name));
    if !is_ordered {
        return Some(OutlineProblem::Order);
    }
    if surface
        .bounds
        .iter()
        .any(|bound| bound.template.len() > WORD_BYTES_MAX)
    {
        return Some(OutlineProblem::Template);
    }
    let is_counted = surface.bounds.iter().any(|bound| {
        matches!(
            bound.kind,
            BoundKind::Capacity { .. } | BoundKind::Budget { .. }
        )
    });
    if is_counted {
        return Some(OutlineProblem::Bound);
    }
    let is_living = (PERMIT_FOR_MS_MIN..=PERMIT_FOR_MS_MAX).contains(&surface.permit_for_ms)
        && (PERMIT_FOR_MS_MIN..=COMPLETE_WITHIN_MS_MAX).contains(&surface.complete_within_ms);
    (!is_living).then_some(OutlineProblem::Lifetime)
}

/// Whether each item is greater than the one before.
fn rises<T: PartialOrd>(items: impl Iterator<Item = T>) -> bool {
    items.is_sorted_by(|before, after| before < after)
}
