//! What surely counted at each grant, as clients saw it.

use std::collections::BTreeMap;

use crate::history::{Answered, Bound, Event};
use crate::story::{Granted, Step, StepKind, Story};
use crate::verdict::Verdict;

/// Checks, at every grant, that what surely counted before it left room for it.
///
/// A permit whose completion or revocation has no answer may be over, and is left out. Unknown with too
/// few permits.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let mut counted: BTreeMap<(&str, &str), Vec<&Granted<'_>>> = BTreeMap::new();
    for permit in &story.permits {
        let Some(bound) = story.history.bound_of(permit.key) else {
            continue;
        };
        let before = counted.entry((permit.namespace, permit.key)).or_default();
        before.retain(|earlier| counts(story, bound, earlier, permit));
        let (sum, claimed, limit) = match bound {
            Bound::Exclusive {} | Bound::Once {} => (before.len() as u64, 1, 1),
            Bound::Capacity { limit } => (before.len() as u64, 1, *limit),
            Bound::Budget { limit, .. } => (amounts(before), permit.amount, *limit),
        };
        if sum.saturating_add(claimed) > limit {
            let why = format!(
                "`{}` in `{}`: permit {} (fence {}) for {claimed} was granted where {limit} may count \
                 and {sum} did: {}",
                permit.key,
                permit.namespace,
                permit.id,
                permit.fence,
                said(before)
            );
            let shown = before.iter().flat_map(|earlier| life_of(earlier));
            return Verdict::shown(story.history, why, shown.chain(life_of(permit)));
        }
        before.push(permit);
    }
    let demanded = story.history.header.demands.permits_min;
    if story.permits.len() < demanded {
        let found = story.permits.len();
        return Verdict::Unknown(format!("{found} permits, {demanded} are needed"));
    }
    Verdict::Holds
}

fn amounts(permits: &[&Granted<'_>]) -> u64 {
    permits
        .iter()
        .fold(0, |sum, permit| sum.saturating_add(permit.amount))
}

fn said(permits: &[&Granted<'_>]) -> String {
    let named = permits.iter().map(|permit| {
        format!(
            "{} (fence {}, {} ms to {} ms)",
            permit.id, permit.fence, permit.issued_at_ms, permit.expires_at_ms
        )
    });
    named.collect::<Vec<_>>().join(", ")
}

/// The answers that tell a permit's life.
fn life_of<'a>(permit: &Granted<'a>) -> Vec<&'a Event> {
    let steps = permit.steps.iter().filter_map(|step| step.done);
    permit
        .shown
        .first()
        .copied()
        .into_iter()
        .chain(steps)
        .collect()
}

/// Whether `earlier` surely counts when `later` is granted, whatever became of lost answers.
fn counts(story: &Story<'_>, bound: &Bound, earlier: &Granted<'_>, later: &Granted<'_>) -> bool {
    if let Bound::Budget { window_ms, .. } = bound {
        let window = |at_ms: u64| at_ms.checked_div(*window_ms);
        if window(earlier.issued_at_ms) != window(later.issued_at_ms) {
            return false;
        }
    }
    let keeps_committed = matches!(bound, Bound::Once {} | Bound::Budget { .. });
    let maybe_over = |kind: StepKind| earlier.steps_of(kind).any(|step| !is_after(step, later));
    let mut commits = earlier.steps_of(StepKind::Commit);
    let is_committed = commits.any(|step| step.done.is_some());
    if (maybe_over(StepKind::Abort) && !is_committed)
        || (maybe_over(StepKind::Commit) && !keeps_committed)
    {
        return false;
    }
    if earlier.was_redeemed() {
        return true;
    }
    // Unredeemed as far as anybody knows: time or a revocation may have ended it, or a retry.
    earlier.expires_at_ms > later.issued_at_ms
        && !maybe_over(StepKind::Revoke)
        && !maybe_superseded(story, earlier, later)
}

/// Whether `step` surely came after `later` was granted.
fn is_after(step: &Step<'_>, later: &Granted<'_>) -> bool {
    match (step.proof(), later.proof) {
        (Some(step), Some(later)) => step.leaf > later.leaf,
        _ => step.asked_us > later.shown_us,
    }
}

fn maybe_superseded(story: &Story<'_>, earlier: &Granted<'_>, later: &Granted<'_>) -> bool {
    if earlier.attempt == later.attempt {
        return earlier.version != later.version;
    }
    if !story.policy_may_change(earlier.namespace) {
        return false;
    }
    let submissions = story.attempts.get(&earlier.attempt);
    submissions.into_iter().flatten().any(|event| {
        // Its answer is lost or another decision: either replaced this one, if the policy had changed.
        let replaced = match &event.answer {
            Answered::Permit { permit, .. } => permit != earlier.id,
            Answered::Deny { version, .. } => *version != earlier.version,
            answer => answer.is_ambiguous(),
        };
        replaced && event.call_us <= later.shown_us
    })
}
