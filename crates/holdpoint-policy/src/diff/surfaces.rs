//! Surfaces: what their requests are made of, their bounds, and what their permits carry.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::Name;

use super::{Change, Found, Part, changes, pairs};
use crate::policy::Inner;
use crate::schema::{Record, Type};
use crate::surface::{Bound, BoundKind, Executor, FailedExit, ResourceId, Surface, Terms};
use crate::time::show_duration;

/// Compares every surface of either bundle.
pub(super) fn compare(found: &mut Found, before: &Inner, after: &Inner) {
    for (name, pair) in pairs(&before.surfaces, &after.surfaces) {
        match pair {
            (None, _) => {
                let sentence = format!("surface `{name}` is new");
                found.add(Part::Surface, name.as_str(), Change::Added, sentence);
            }
            (_, None) => {
                let sentence = format!("surface `{name}` is gone");
                found.push(
                    Part::Surface,
                    name.as_str(),
                    Change::Removed,
                    sentence,
                    true,
                );
            }
            (Some(before), Some(after)) => {
                requests(found, name, before, after);
                bounds(found, name, before, after);
                terms(found, name, &before.terms, &after.terms);
                approvals(found, name, before, after);
            }
        }
    }
}

fn requests(found: &mut Found, name: &Name, before: &Surface, after: &Surface) {
    let show = |surface: &Surface| {
        let actions = surface.actions.iter();
        let actions: Vec<String> = actions
            .map(|(name, action)| format!("{name}: {}", action.uid))
            .collect();
        let id = match &surface.resource {
            ResourceId::Constant(id) => id,
            ResourceId::Template(template) => template.source(),
        };
        [
            (
                "`principal`",
                format!("[{}]", surface.principals.join(", ")),
            ),
            (
                "`principal_must_exist`",
                surface.principal_must_exist.to_string(),
            ),
            ("`actions`", format!("{{ {} }}", actions.join(", "))),
            ("`resource`", format!("{}::\"{id}\"", surface.resource_type)),
            (
                "`resource_must_exist`",
                surface.resource_must_exist.to_string(),
            ),
        ]
    };
    for said in changes(show(before), show(after)) {
        let sentence = format!("surface `{name}`: {said}");
        found.add(Part::Surface, name.as_str(), Change::Changed, sentence);
    }
    params(found, name, &before.params, &after.params);
}

/// Each parameter apart: a new required one makes requests of today SILENCE.
fn params(found: &mut Found, name: &Name, before: &Record, after: &Record) {
    for (param, pair) in pairs(before, after) {
        let show = |ty: &Type, required: bool| {
            let mark = if required { "required" } else { "optional" };
            format!("{mark} {}", ty.show())
        };
        let said = match pair {
            (None, Some(now)) => format!("is new: {}", show(&now.ty, now.required)),
            (Some(_), None) => "is gone: a request that has it is refused".to_owned(),
            (Some(then), Some(now)) if then != now => {
                let (then, now) = (show(&then.ty, then.required), show(&now.ty, now.required));
                format!("is {now}, was {then}")
            }
            (_, _) => continue,
        };
        let sentence = format!("surface `{name}`: parameter `{param}` {said}");
        found.add(Part::Surface, name.as_str(), Change::Changed, sentence);
    }
}

fn approvals(found: &mut Found, name: &Name, before: &Surface, after: &Surface) {
    let set = |surface: &Surface| {
        surface
            .approvals
            .iter()
            .cloned()
            .collect::<BTreeSet<Name>>()
    };
    let (before, after) = (set(before), set(after));
    for quorum in after.difference(&before) {
        let sentence = format!("surface `{name}` lists quorum `{quorum}`");
        found.add(Part::Surface, name.as_str(), Change::Changed, sentence);
    }
    for quorum in before.difference(&after) {
        let sentence = format!("surface `{name}` does not list quorum `{quorum}` any more");
        found.add(Part::Surface, name.as_str(), Change::Changed, sentence);
    }
}

fn terms(found: &mut Found, name: &Name, before: &Terms, after: &Terms) {
    let show = |terms: &Terms| {
        let word = |is: bool, words: [&str; 2]| {
            let [no, yes] = words;
            if is { yes } else { no }.to_owned()
        };
        let executors = terms.executors.iter().map(|executor| match executor {
            Executor::Caller => "caller",
            Executor::Named(caller) => caller.as_str(),
        });
        let executors: Vec<&str> = executors.collect();
        let aborts = terms.failed_exit == FailedExit::Aborted;
        let release_after = terms.release_after_ms.map(show_duration);
        [
            ("`executors`", format!("[{}]", executors.join(", "))),
            ("`permit_for`", show_duration(terms.permit_for_ms)),
            ("`complete_within`", show_duration(terms.complete_within_ms)),
            ("`honor_issued`", terms.honor_issued.to_string()),
            ("`failed_exit`", word(aborts, ["in_doubt", "aborted"])),
            ("`redeem`", word(terms.offline, ["online", "offline"])),
            (
                "`release_after`",
                release_after.unwrap_or_else(|| "never".to_owned()),
            ),
        ]
    };
    for said in changes(show(before), show(after)) {
        let sentence = format!("surface `{name}`: {said}");
        found.add(Part::Terms, name.as_str(), Change::Changed, sentence);
    }
}

fn bounds(found: &mut Found, surface: &Name, before: &Surface, after: &Surface) {
    let by_name = |surface: &Surface| {
        let bounds = surface.bounds.iter().cloned();
        bounds
            .map(|bound| (bound.name.clone(), bound))
            .collect::<BTreeMap<Name, Bound>>()
    };
    let (before, after) = (by_name(before), by_name(after));
    for (name, pair) in pairs(&before, &after) {
        let (change, said) = match pair {
            (None, Some(now)) => (Change::Added, format!("is new: {}", show(now))),
            (Some(then), None) => (Change::Removed, format!("is gone: it was {}", show(then))),
            (Some(then), Some(now)) if show(then) != show(now) => {
                let said = format!("is {}, was {}", show(now), show(then));
                (compare_bound(then, now), said)
            }
            (_, _) => continue,
        };
        // A permit that is live holds what the old bundle says, so the new one can be broken already.
        let waits = change != Change::Loosened;
        let mut sentence = format!("bound `{name}` of `{surface}` {said}");
        let remembers = pair
            .0
            .is_some_and(|then| matches!(then.kind, BoundKind::Once { .. }));
        if remembers && matches!(change, Change::Removed | Change::Changed) {
            sentence.push_str("; not while it remembers committed effects");
        }
        found.push(
            Part::Bound,
            &format!("{surface}/{name}"),
            change,
            sentence,
            waits,
        );
    }
}

/// Whether a bound allows more or less than before: with one key and one kind, a limit alone says.
fn compare_bound(before: &Bound, after: &Bound) -> Change {
    if before.key.source() != after.key.source() || before.field != after.field {
        return Change::Changed;
    }
    let (allowed, allows) = match (before.kind, after.kind) {
        (BoundKind::Capacity { limit: then }, BoundKind::Capacity { limit: now }) => (then, now),
        (
            BoundKind::Budget {
                limit: then,
                window_ms: window_then,
            },
            BoundKind::Budget {
                limit: now,
                window_ms: window_now,
            },
        ) if window_then == window_now => (then, now),
        // What is kept for longer allows less; for ever is longest.
        (BoundKind::Once { kept_for_ms: then }, BoundKind::Once { kept_for_ms: now }) => {
            (now.unwrap_or(u64::MAX), then.unwrap_or(u64::MAX))
        }
        (_, _) => return Change::Changed,
    };
    if allows > allowed {
        Change::Loosened
    } else {
        Change::Tightened
    }
}

/// A bound in a few words.
fn show(bound: &Bound) -> String {
    let (key, word) = (bound.key.source(), bound.kind.as_str());
    match bound.kind {
        BoundKind::Exclusive => format!("{word} `{key}`"),
        BoundKind::Once { kept_for_ms } => {
            let kept = kept_for_ms.map_or_else(
                || "for ever".to_owned(),
                |kept| format!("for {}", show_duration(kept)),
            );
            format!("{word} `{key}` {kept}")
        }
        BoundKind::Capacity { limit } => format!("{word} {limit} `{key}`"),
        BoundKind::Budget { limit, window_ms } => {
            let (window, field) = (
                show_duration(window_ms),
                bound.field.as_deref().unwrap_or_default(),
            );
            format!("{word} {limit} of `{field}` in {window} `{key}`")
        }
    }
}
