//! Decisions and steps that were answered more than once, as clients saw them.

use std::collections::BTreeMap;

use crate::history::{Answered, Event};
use crate::story::{Attempt, Story};
use crate::verdict::Verdict;

/// What two decisions must agree in, beside the statement: permit, fence, life; or the reason.
type Decision<'a> = (
    Option<(&'a str, u64, u64, u64)>,
    Option<&'a str>,
    Option<(u64, &'a str)>,
);

/// Checks, for each attempt, that all decisions that name one policy version are one decision, with one
/// statement; that no key was decided for two requests; and that one permit is never the answer to two
/// attempts. Acknowledgements of one redemption, outcome or revocation have one statement as well.
///
/// Unknown with too few answers that repeat one.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let mut permits: BTreeMap<(&str, &str), (Attempt<'_>, &Event)> = BTreeMap::new();
    let mut replays: usize = 0;
    for (attempt, events) in &story.attempts {
        let mut first: BTreeMap<u64, &Event> = BTreeMap::new();
        let mut request: Option<&Event> = None;
        for event in events {
            let Some(version) = version_of(event) else {
                continue;
            };
            let earlier = first.get(&version).copied();
            let contradiction = match (earlier, request) {
                (Some(earlier), _) if decision(earlier) != decision(event) => {
                    Some((earlier, "was decided twice under one policy version"))
                }
                (_, Some(earlier)) if earlier.digest != event.digest => {
                    Some((earlier, "was decided for two requests"))
                }
                _ => None,
            };
            if let Some((earlier, what)) = contradiction {
                return twice(story, attempt, what, [earlier, event]);
            }
            replays = replays.saturating_add(usize::from(earlier.is_some()));
            first.entry(version).or_insert(event);
            request = Some(event);
            if let Answered::Permit { permit, .. } = &event.answer {
                let name = (attempt.0, permit.as_str());
                let (other, shown) = *permits.entry(name).or_insert((*attempt, event));
                if other != *attempt {
                    return twice(story, attempt, "has the permit of another", [shown, event]);
                }
            }
        }
    }
    if let Some(verdict) = steps(story, &mut replays) {
        return verdict;
    }
    let demanded = story.history.header.demands.replays_min;
    if replays < demanded {
        return Verdict::Unknown(format!(
            "{replays} answers were repeated, {demanded} are needed"
        ));
    }
    Verdict::Holds
}

/// Checks the acknowledgements of each step of each permit, and counts those that repeat one.
fn steps(story: &Story<'_>, replays: &mut usize) -> Option<Verdict> {
    for permit in &story.permits {
        for step in &permit.steps {
            let told = |event: &&&Event| matches!(event.answer, Answered::Done { .. });
            let mut told = step.events.iter().filter(told).copied();
            let Some(first) = told.next() else { continue };
            for again in told {
                if decision(again) != decision(first) {
                    let (id, past) = (permit.id, step.kind.past());
                    let why = format!("permit {id} was {past} with two statements");
                    return Some(Verdict::shown(story.history, why, [first, again]));
                }
                *replays = replays.saturating_add(1);
            }
        }
    }
    None
}

fn twice(story: &Story<'_>, attempt: &Attempt<'_>, what: &str, events: [&Event; 2]) -> Verdict {
    let (namespace, client, idem) = attempt;
    let why = format!("attempt `{idem}` of `{client}` in `{namespace}` {what}");
    Verdict::shown(story.history, why, events)
}

fn version_of(event: &Event) -> Option<u64> {
    match &event.answer {
        Answered::Permit { version, .. } | Answered::Deny { version, .. } => Some(*version),
        _ => None,
    }
}

fn decision(event: &Event) -> Decision<'_> {
    let proof = event.answer.receipt();
    let proof = proof.map(|proof| (proof.leaf, proof.hash.as_str()));
    match &event.answer {
        Answered::Permit {
            permit,
            fence,
            issued_at_ms,
            expires_at_ms,
            ..
        } => (
            Some((permit, *fence, *issued_at_ms, *expires_at_ms)),
            None,
            proof,
        ),
        Answered::Deny { reason, .. } => (None, Some(reason), proof),
        _ => (None, None, proof),
    }
}
