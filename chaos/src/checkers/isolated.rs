//! G9: no request reads or changes another namespace.
//!
//! Source: `SPEC` section 2 ("Nothing crosses namespaces") and section 5. It never asks what a caller may
//! do in its own namespace: roles are what the tests of the doors are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Answered, Event};
use crate::story::Story;
use crate::verdict::Verdict;

/// Checks that no permit, statement or log shows in two namespaces, that no step of a permit takes effect
/// in another, and that nothing is denied for a holder that only another namespace has.
///
/// Unknown unless permits were granted in at least two namespaces.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    if let Some(broken) = shared_names(story).or_else(|| foreign_steps(story)) {
        return broken;
    }
    if let Some(broken) = foreign_holders(story) {
        return broken;
    }
    let granting: BTreeSet<&str> = story
        .permits
        .iter()
        .map(|permit| permit.namespace)
        .collect();
    if granting.len() < 2 {
        return Verdict::Unknown(format!(
            "permits were granted in {} namespaces, 2 are needed",
            granting.len()
        ));
    }
    Verdict::Holds
}

/// Ids, statements and roots are each of one namespace.
fn shared_names(story: &Story<'_>) -> Option<Verdict> {
    let mut owners: BTreeMap<(&str, &str), &Event> = BTreeMap::new();
    for event in &story.history.events {
        let shown = [
            match &event.answer {
                Answered::Permit { permit, .. } => Some(("permit", permit)),
                Answered::Leaf { hash, .. } => Some(("statement", hash)),
                Answered::Head { size, root } if *size > 0 => Some(("log", root)),
                _ => None,
            },
            event
                .answer
                .receipt()
                .map(|proof| ("statement", &proof.hash)),
        ];
        for (what, name) in shown.into_iter().flatten() {
            let first = *owners.entry((what, name)).or_insert(event);
            if first.namespace != event.namespace {
                let why = format!(
                    "one {what} shows in `{}` and in `{}`: {name}",
                    first.namespace, event.namespace
                );
                return Some(Verdict::shown(story.history, why, [first, event]));
            }
        }
    }
    None
}

/// Nothing is done or read through a namespace that the permit is not of.
fn foreign_steps(story: &Story<'_>) -> Option<Verdict> {
    let mut owners: BTreeMap<&str, &Event> = BTreeMap::new();
    for permit in &story.permits {
        if let Some(event) = permit.shown.first() {
            owners.insert(permit.id, event);
        }
    }
    let took =
        |event: &&&Event| matches!(event.answer, Answered::Done { .. } | Answered::State { .. });
    story.strays.iter().filter(took).find_map(|event| {
        let id = event.permit.as_deref()?;
        let granted = owners.get(id)?;
        let why = format!(
            "permit {id} of `{}` was reached through `{}`",
            granted.namespace, event.namespace
        );
        Some(Verdict::shown(story.history, why, [*granted, *event]))
    })
}

/// Nothing is denied for a holder unless somebody asked for the key in the same namespace.
fn foreign_holders(story: &Story<'_>) -> Option<Verdict> {
    let mut asked: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
    for event in story.attempts.values().flatten() {
        let name = (
            event.namespace.as_str(),
            event.key.as_deref().unwrap_or_default(),
        );
        asked.entry(name).or_default().push(event);
    }
    story.denials.iter().find_map(|denied| {
        if !denied.reason.starts_with("BOUND_") && denied.reason != "ALREADY_COMMITTED" {
            return None;
        }
        let (_, client, idem) = denied.attempt;
        let others = asked.get(&(denied.namespace, denied.key));
        let is_explained = others.into_iter().flatten().any(|event| {
            event.call_us <= denied.shown_us
                && (event.client != client || event.idem.as_deref() != Some(idem))
        });
        let elsewhere = story.permits.iter().find(|permit| {
            permit.namespace != denied.namespace
                && permit.key == denied.key
                && permit.asked_us <= denied.shown_us
        });
        let holder = elsewhere.filter(|_| !is_explained)?;
        let why = format!(
            "`{}` was denied in `{}`, where nobody else had asked for it, while `{}` had a permit",
            denied.key, denied.namespace, holder.namespace
        );
        let events = holder.shown.first().into_iter().chain(denied.shown.first());
        Some(Verdict::shown(story.history, why, events.copied()))
    })
}
