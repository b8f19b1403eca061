//! What an outline must be like, and what it changes.

use crate::limits::{
    ACTIONS_MAX, AMOUNT_MAX, BOUNDS_MAX, COMPLETE_WITHIN_MS_MAX, EXECUTORS_MAX, ONCE_KEPT_MS_MAX,
    ONCE_KEPT_MS_MIN, PERMIT_FOR_MS_MAX, PERMIT_FOR_MS_MIN, RELEASE_AFTER_MS_MAX, SURFACES_MAX,
    WINDOW_MS_MAX, WINDOW_MS_MIN, WORD_BYTES_MAX,
};
use crate::outline::{BoundKind, BoundOutline, PolicyOutline, SurfaceOutline};
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
    if !surface.bounds.iter().all(is_bounded) {
        return Some(OutlineProblem::Bound);
    }
    let is_living = (PERMIT_FOR_MS_MIN..=PERMIT_FOR_MS_MAX).contains(&surface.permit_for_ms)
        && (PERMIT_FOR_MS_MIN..=COMPLETE_WITHIN_MS_MAX).contains(&surface.complete_within_ms);
    if !is_living || !may_release(surface) {
        return Some(OutlineProblem::Lifetime);
    }
    // An effect that still may be committed must not be forgotten before it is.
    let shortest_ms = surface
        .permit_for_ms
        .saturating_add(surface.complete_within_ms);
    let is_kept = surface.bounds.iter().all(|bound| match bound.kind {
        BoundKind::Once { kept_for_ms } => kept_for_ms.is_none_or(|kept| kept >= shortest_ms),
        BoundKind::Exclusive | BoundKind::Capacity { .. } | BoundKind::Budget { .. } => true,
    });
    (!is_kept).then_some(OutlineProblem::Lifetime)
}

/// Whether a bound's numbers are within their limits, and it sums a parameter if and only if it is a
/// budget.
fn is_bounded(bound: &BoundOutline) -> bool {
    let field_bytes = bound.field.as_ref().map(String::len);
    let is_limited = |limit| (1..=AMOUNT_MAX).contains(&limit);
    match bound.kind {
        BoundKind::Exclusive => field_bytes.is_none(),
        BoundKind::Once { kept_for_ms } => {
            let is_kept = |kept| (ONCE_KEPT_MS_MIN..=ONCE_KEPT_MS_MAX).contains(&kept);
            field_bytes.is_none() && kept_for_ms.is_none_or(is_kept)
        }
        BoundKind::Capacity { limit } => field_bytes.is_none() && is_limited(limit),
        BoundKind::Budget { limit, window_ms } => {
            field_bytes.is_some_and(|bytes| (1..=WORD_BYTES_MAX).contains(&bytes))
                && is_limited(limit)
                && (WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(&window_ms)
        }
    }
}

/// Whether the surface gives bounds up only where that can be: not where an effect must not happen
/// twice, and not where executors need not redeem.
fn may_release(surface: &SurfaceOutline) -> bool {
    let is_once = |kind| matches!(kind, BoundKind::Once { .. });
    surface.release_after_ms.is_none_or(|release_after_ms| {
        (1..=RELEASE_AFTER_MS_MAX).contains(&release_after_ms)
            && !surface.offline
            && !surface.bounds.iter().any(|bound| is_once(bound.kind))
    })
}

/// Whether each item is greater than the one before.
fn rises<T: PartialOrd>(items: impl Iterator<Item = T>) -> bool {
    items.is_sorted_by(|before, after| before < after)
}
