//! G4: an answered decision, and every later step of its permit, survives.
//!
//! Source: `SPEC` section 5 (G4); etcd's robustness tests and Jepsen's set workload, which ask for
//! everything that was acknowledged once more at the end. It never takes an answer that was lost for one
//! that was given.

use std::collections::BTreeMap;

use crate::history::{Answered, Event, Op, PermitState};
use crate::story::{Granted, Step, StepKind, Story};
use crate::verdict::Verdict;

/// Checks that no question which was asked after an acknowledgement was answered as if there were none:
/// a permit that is unknown, a state or a refusal that its steps exclude, a leaf that says something else
/// or, after healing, is gone.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let mut seen_again: usize = 0;
    for permit in &story.permits {
        for look in &permit.looks {
            if look.call_us > permit.shown_us {
                if is_unknown(look) {
                    return lost(
                        story,
                        permit,
                        permit.shown.first().copied(),
                        look,
                        "granted",
                    );
                }
                seen_again = seen_again.saturating_add(1);
            }
            for step in &permit.steps {
                let is_later = step.done_us().is_some_and(|done_us| look.call_us > done_us);
                if is_later && denies(look, step) {
                    return lost(story, permit, step.done, look, step.kind.past());
                }
            }
        }
        let again = permit
            .shown
            .iter()
            .filter(|event| event.call_us > permit.shown_us);
        seen_again = seen_again.saturating_add(again.count());
    }
    if let Err(broken) = leaves(story, &mut seen_again) {
        return broken;
    }
    let demanded = story.history.header.demands.seen_again_min;
    if seen_again < demanded {
        return Verdict::Unknown(format!(
            "{seen_again} acknowledged answers were seen again, {demanded} are needed"
        ));
    }
    Verdict::Holds
}

fn lost(
    story: &Story<'_>,
    permit: &Granted<'_>,
    acknowledged: Option<&Event>,
    look: &Event,
    past: &str,
) -> Verdict {
    let said = match &look.answer {
        Answered::State { .. } | Answered::Absent {} => "a later read",
        _ => "a later answer",
    };
    let why = format!(
        "permit {} was {past}, and {said} does not know of it",
        permit.id
    );
    Verdict::shown(story.history, why, acknowledged.into_iter().chain([look]))
}

fn is_unknown(look: &Event) -> bool {
    match &look.answer {
        Answered::Absent {} => true,
        Answered::Refused { reason } => reason == "UNKNOWN_PERMIT",
        _ => false,
    }
}

/// Whether an answer cannot be given once `step` has happened.
fn denies(look: &Event, step: &Step<'_>) -> bool {
    match &look.answer {
        Answered::Absent {} => true,
        Answered::State { state } => match step.kind {
            StepKind::Redeem => matches!(
                state,
                PermitState::Issued
                    | PermitState::Expired
                    | PermitState::Revoked
                    | PermitState::Superseded
            ),
            StepKind::Commit => *state != PermitState::Committed,
            StepKind::Abort => *state != PermitState::Aborted,
            StepKind::Revoke => *state != PermitState::Revoked,
        },
        Answered::Refused { reason } => match (step.kind, look.op) {
            // Both ask for a permit that is still as it was granted, and neither is told what it is.
            (StepKind::Redeem | StepKind::Commit | StepKind::Abort, Op::Redeem | Op::Revoke) => {
                matches!(
                    reason.as_str(),
                    "EXPIRED" | "REVOKED" | "SUPERSEDED" | "STALE_POLICY" | "UNKNOWN_PERMIT"
                )
            }
            (StepKind::Redeem | StepKind::Commit | StepKind::Abort, _) => {
                matches!(
                    reason.as_str(),
                    "NOT_REDEEMED" | "EXPIRED" | "UNKNOWN_PERMIT"
                )
            }
            (StepKind::Revoke, Op::Redeem) => matches!(
                reason.as_str(),
                "ALREADY_REDEEMED" | "EXPIRED" | "STALE_POLICY" | "UNKNOWN_PERMIT"
            ),
            (StepKind::Revoke, _) => reason == "UNKNOWN_PERMIT",
        },
        _ => false,
    }
}

/// What nodes have at the leaves of acknowledged statements.
fn leaves(story: &Story<'_>, seen_again: &mut usize) -> Result<(), Verdict> {
    let mut stated: BTreeMap<(&str, u64), (&str, &Event)> = BTreeMap::new();
    for (namespace, proof, event) in story.proofs() {
        let entry = stated
            .entry((namespace, proof.leaf))
            .or_insert((&proof.hash, event));
        if event.return_us < entry.1.return_us {
            *entry = (&proof.hash, event);
        }
    }
    let healed_us = story.history.healed_us();
    for event in &story.history.events {
        let (leaf, hash) = match (&event.answer, event.leaf) {
            (Answered::Leaf { leaf, hash }, _) => (*leaf, Some(hash.as_str())),
            (Answered::Absent {}, Some(leaf)) => (leaf, None),
            _ => continue,
        };
        let Some((stated_hash, acknowledged)) = stated.get(&(event.namespace.as_str(), leaf))
        else {
            continue;
        };
        if acknowledged.return_us >= event.call_us {
            continue;
        }
        // A node may lag behind, until it has had the time to catch up.
        let is_excused = hash.is_none() && healed_us.is_none_or(|healed| event.call_us < healed);
        if hash == Some(*stated_hash) {
            *seen_again = seen_again.saturating_add(1);
        } else if !is_excused {
            let why = format!(
                "leaf {leaf} of `{}` was acknowledged, and {} later",
                event.namespace,
                hash.map_or("is gone", |_| "says something else")
            );
            return Err(Verdict::shown(story.history, why, [*acknowledged, event]));
        }
    }
    Ok(())
}
