//! Puts a history together, one pass for what was shown and one for what was done with it.

use std::collections::BTreeMap;

use super::{Activated, Attempt, Denied, Granted, Step, StepKind, Story};
use crate::history::{Answered, Event, History, Op};

/// A permit's place in the list, by namespace and id.
type Places<'a> = BTreeMap<(&'a str, &'a str), usize>;

pub(super) fn build(history: &History) -> Story<'_> {
    let mut story = Story {
        history,
        permits: Vec::new(),
        denials: Vec::new(),
        activations: Vec::new(),
        open_activations: Vec::new(),
        attempts: BTreeMap::new(),
        strays: Vec::new(),
    };
    let mut by_return: Vec<&Event> = history.events.iter().collect();
    by_return.sort_by_key(|event| (event.return_us, event.call_us));
    collect_attempts(&mut story, &by_return);
    let places = shown(&mut story, &by_return);
    for event in &by_return {
        match event.op {
            Op::Activate => activation(&mut story, event),
            Op::Redeem | Op::Complete | Op::Revoke => with_permit(&mut story, &places, event),
            Op::Read if event.permit.is_some() => with_permit(&mut story, &places, event),
            Op::Authorize | Op::Read => {}
        }
    }
    story
        .permits
        .sort_by_key(|permit| (permit.namespace, permit.fence));
    story
}

fn attempt_of(event: &Event) -> Option<Attempt<'_>> {
    let idem = event.idem.as_deref()?;
    Some((&event.namespace, &event.client, idem))
}

fn collect_attempts<'a>(story: &mut Story<'a>, by_return: &[&'a Event]) {
    for event in by_return.iter().filter(|event| event.op == Op::Authorize) {
        if let Some(attempt) = attempt_of(event) {
            story.attempts.entry(attempt).or_default().push(event);
        }
    }
    for events in story.attempts.values_mut() {
        events.sort_by_key(|event| event.call_us);
    }
}

/// Takes every decision that was shown, each once.
fn shown<'a>(story: &mut Story<'a>, by_return: &[&'a Event]) -> Places<'a> {
    let mut permits: Places<'a> = BTreeMap::new();
    let mut denials: BTreeMap<(Attempt<'a>, &'a str, u64), usize> = BTreeMap::new();
    for event in by_return {
        let (Some(attempt), Some(key)) = (attempt_of(event), event.key.as_deref()) else {
            continue;
        };
        match &event.answer {
            Answered::Permit { permit, .. } => {
                let name = (attempt.0, permit.as_str());
                let known = permits
                    .get(&name)
                    .and_then(|place| story.permits.get_mut(*place));
                if let Some(known) = known {
                    known.shown.push(event);
                } else if let Some(granted) = granted(story, event, attempt, key) {
                    permits.insert(name, story.permits.len());
                    story.permits.push(granted);
                }
            }
            Answered::Deny {
                reason,
                version,
                receipt,
            } => {
                let hash = receipt.as_ref().map_or("", |proof| proof.hash.as_str());
                let name = (attempt, hash, *version);
                let known = denials
                    .get(&name)
                    .and_then(|place| story.denials.get_mut(*place));
                if let Some(known) = known {
                    known.shown.push(event);
                } else {
                    denials.insert(name, story.denials.len());
                    let denied = Denied {
                        namespace: attempt.0,
                        key,
                        attempt,
                        amount: event.amount.unwrap_or(1),
                        reason,
                        version: *version,
                        proof: receipt.as_ref(),
                        asked_us: asked(story, attempt, event),
                        shown_us: event.return_us,
                        shown: vec![event],
                    };
                    story.denials.push(denied);
                }
            }
            _ => {}
        }
    }
    permits
}

fn granted<'a>(
    story: &Story<'a>,
    event: &'a Event,
    attempt: Attempt<'a>,
    key: &'a str,
) -> Option<Granted<'a>> {
    let Answered::Permit {
        permit,
        fence,
        issued_at_ms,
        expires_at_ms,
        version,
        receipt,
    } = &event.answer
    else {
        return None;
    };
    Some(Granted {
        namespace: attempt.0,
        id: permit,
        key,
        attempt,
        amount: event.amount.unwrap_or(1),
        fence: *fence,
        issued_at_ms: *issued_at_ms,
        expires_at_ms: *expires_at_ms,
        version: *version,
        proof: receipt.as_ref(),
        asked_us: asked(story, attempt, event),
        shown_us: event.return_us,
        shown: vec![event],
        steps: Vec::new(),
        looks: Vec::new(),
    })
}

/// The first call that may have made the decision which `shown` is the first to show: its own, or that
/// of a submission whose answer was lost, or of one that was answered later with the same.
fn asked<'a>(story: &Story<'a>, attempt: Attempt<'a>, shown: &Event) -> u64 {
    let same = |event: &&&Event| match (&event.answer, &shown.answer) {
        (Answered::Timeout {}, _) => true,
        (Answered::Permit { permit: one, .. }, Answered::Permit { permit: other, .. }) => {
            one == other
        }
        (Answered::Deny { receipt: one, .. }, Answered::Deny { receipt: other, .. }) => {
            one == other
        }
        _ => false,
    };
    let events = story.attempts.get(&attempt);
    let calls = events.into_iter().flatten().filter(same);
    calls
        .map(|event| event.call_us)
        .fold(shown.call_us, u64::min)
}

fn activation<'a>(story: &mut Story<'a>, event: &'a Event) {
    match &event.answer {
        Answered::Done {
            version: Some(version),
            receipt,
        } => {
            let is_same = |open: &&&Event| {
                open.client == event.client
                    && open.namespace == event.namespace
                    && open.bundle == event.bundle
            };
            let asked_us = story
                .open_activations
                .iter()
                .filter(is_same)
                .map(|open| open.call_us)
                .fold(event.call_us, u64::min);
            story.activations.push(Activated {
                namespace: &event.namespace,
                version: *version,
                proof: receipt.as_ref(),
                asked_us,
                shown_us: event.return_us,
                event,
            });
        }
        Answered::Timeout {} => story.open_activations.push(event),
        _ => {}
    }
}

fn with_permit<'a>(story: &mut Story<'a>, places: &Places<'a>, event: &'a Event) {
    let id = event.permit.as_deref().unwrap_or_default();
    let place = places.get(&(event.namespace.as_str(), id));
    let Some(permit) = place.and_then(|place| story.permits.get_mut(*place)) else {
        story.strays.push(event);
        return;
    };
    let kind = match (event.op, event.outcome) {
        (Op::Redeem, _) => Some(StepKind::Redeem),
        (Op::Complete, Some(outcome)) => Some(StepKind::of(outcome)),
        (Op::Revoke, _) => Some(StepKind::Revoke),
        _ => None,
    };
    match (kind, &event.answer) {
        (Some(kind), Answered::Done { .. } | Answered::Timeout {}) => {
            take_step(permit, kind, event);
        }
        (_, Answered::Refused { .. } | Answered::State { .. } | Answered::Absent {}) => {
            permit.looks.push(event);
        }
        _ => {}
    }
}

fn take_step<'a>(permit: &mut Granted<'a>, kind: StepKind, event: &'a Event) {
    let idem = match kind {
        StepKind::Redeem => event.idem.as_deref().unwrap_or_default(),
        StepKind::Commit | StepKind::Abort | StepKind::Revoke => "",
    };
    let known = permit
        .steps
        .iter_mut()
        .find(|step| step.kind == kind && step.idem == idem);
    let step = if let Some(step) = known {
        step
    } else {
        permit.steps.push(Step {
            kind,
            idem,
            asked_us: event.call_us,
            done: None,
            events: Vec::new(),
        });
        let Some(step) = permit.steps.last_mut() else {
            return;
        };
        step
    };
    step.asked_us = step.asked_us.min(event.call_us);
    step.events.push(event);
    let is_done = matches!(event.answer, Answered::Done { .. });
    // Events come in the order of their answers: the first that acknowledges stays.
    if is_done && step.done.is_none() {
        step.done = Some(event);
    }
}
