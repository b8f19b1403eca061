//! The operations of each key.

use std::collections::BTreeMap;

use crate::history::{Bound, Event};
use crate::story::{Attempt, Denied, Granted, StepKind, Story};

/// What an operation means, by the place of its permit in the list of the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning<'s> {
    /// The permit is granted.
    Issue(usize),
    /// A request is denied.
    Deny {
        denied: &'s Denied<'s>,
        /// A lost answer may have been a grant that nobody knows of.
        excused: bool,
    },
    /// The permit's state changes.
    Step { permit: usize, kind: StepKind },
    /// The permit is replaced by a retry whose answer is lost.
    Supersede(usize),
    /// The permit is looked at, by a read or by a request that is refused.
    Look { permit: usize, event: &'s Event },
}

impl Meaning<'_> {
    /// The permit that it is about.
    pub(super) const fn permit(&self) -> Option<usize> {
        match self {
            Self::Issue(permit)
            | Self::Supersede(permit)
            | Self::Step { permit, .. }
            | Self::Look { permit, .. } => Some(*permit),
            Self::Deny { .. } => None,
        }
    }
}

/// One operation of one key.
#[derive(Clone, Debug)]
pub(super) struct Operation<'s> {
    pub(super) meaning: Meaning<'s>,
    /// It takes effect after this.
    pub(super) call_us: u64,
    /// It takes effect before this. None: at any time, or never.
    pub(super) return_us: Option<u64>,
    /// Its place in the log, if a receipt says so.
    pub(super) leaf: Option<u64>,
    /// Cluster time of its entry, if a receipt says so.
    pub(super) at_ms: Option<u64>,
    /// What shows it.
    pub(super) events: Vec<&'s Event>,
}

impl Operation<'_> {
    /// For sentences: what was asked, and what was told.
    pub(super) fn said(&self) -> String {
        let told = self.events.first().map(|event| {
            let about = event.permit.as_deref().or(event.idem.as_deref());
            let (op, about) = (event.op.as_str(), about.unwrap_or_default());
            format!("`{op} {about}` ({})", event.answer.as_str())
        });
        told.unwrap_or_default()
    }
}

/// Everything about one key.
#[derive(Debug)]
pub(super) struct Key<'s> {
    pub(super) namespace: &'s str,
    pub(super) name: &'s str,
    pub(super) bound: Bound,
    /// By fence.
    pub(super) permits: Vec<&'s Granted<'s>>,
    /// What must be placed, by the time of the call, then what may be.
    pub(super) operations: Vec<Operation<'s>>,
    /// How many must be.
    pub(super) required: usize,
}

impl<'s> Key<'s> {
    /// The answers that tell a permit's life.
    pub(super) fn life_of(&self, permit: usize) -> Vec<&'s Event> {
        let Some(permit) = self.permits.get(permit) else {
            return Vec::new();
        };
        let steps = permit.steps.iter();
        let steps = steps.filter_map(|step| step.done.or_else(|| step.events.first().copied()));
        permit
            .shown
            .first()
            .copied()
            .into_iter()
            .chain(steps)
            .collect()
    }
}

/// Sorts a story by keys.
pub(super) fn keys<'s>(story: &'s Story<'s>) -> Vec<Key<'s>> {
    let mut keys: BTreeMap<(&str, &str), Key<'s>> = BTreeMap::new();
    let empty = |namespace, name, bound: &Bound| Key {
        namespace,
        name,
        bound: *bound,
        permits: Vec::new(),
        operations: Vec::new(),
        required: 0,
    };
    for permit in &story.permits {
        let Some(bound) = story.history.bound_of(permit.key) else {
            continue;
        };
        let key = keys
            .entry((permit.namespace, permit.key))
            .or_insert_with(|| empty(permit.namespace, permit.key, bound));
        add_permit(story, key, permit);
    }
    let ghosts = story.ghosts();
    for denied in &story.denials {
        let Some(bound) = story.history.bound_of(denied.key) else {
            continue;
        };
        let key = keys
            .entry((denied.namespace, denied.key))
            .or_insert_with(|| empty(denied.namespace, denied.key, bound));
        let ghost = ghosts.get(&(denied.namespace, denied.key));
        let excused = ghost.is_some_and(|call_us| *call_us <= denied.shown_us);
        key.operations.push(Operation {
            meaning: Meaning::Deny { denied, excused },
            call_us: denied.asked_us,
            return_us: Some(denied.shown_us),
            leaf: denied.proof.map(|proof| proof.leaf),
            at_ms: denied.proof.map(|proof| proof.at_ms),
            events: denied.shown.first().copied().into_iter().collect(),
        });
    }
    let mut keys: Vec<Key<'s>> = keys.into_values().collect();
    for key in &mut keys {
        key.operations
            .sort_by_key(|one| (one.return_us.is_none(), one.call_us, one.return_us));
        let required = key.operations.iter().filter(|one| one.return_us.is_some());
        key.required = required.count();
    }
    keys
}

fn add_permit<'s>(story: &Story<'s>, key: &mut Key<'s>, granted: &'s Granted<'s>) {
    let permit = key.permits.len();
    key.permits.push(granted);
    key.operations.push(Operation {
        meaning: Meaning::Issue(permit),
        call_us: granted.asked_us,
        return_us: Some(granted.shown_us),
        leaf: granted.leaf(),
        at_ms: Some(granted.issued_at_ms),
        events: granted.shown.first().copied().into_iter().collect(),
    });
    for step in &granted.steps {
        key.operations.push(Operation {
            meaning: Meaning::Step {
                permit,
                kind: step.kind,
            },
            call_us: step.asked_us,
            return_us: step.done_us(),
            leaf: step.proof().map(|proof| proof.leaf),
            at_ms: step.proof().map(|proof| proof.at_ms),
            events: step
                .done
                .or_else(|| step.events.first().copied())
                .into_iter()
                .collect(),
        });
    }
    for event in &granted.looks {
        key.operations.push(Operation {
            meaning: Meaning::Look { permit, event },
            call_us: event.call_us,
            return_us: Some(event.return_us),
            leaf: None,
            at_ms: None,
            events: vec![event],
        });
    }
    if let Some(call_us) = replaced_from(story, granted.namespace, granted.attempt) {
        key.operations.push(Operation {
            meaning: Meaning::Supersede(permit),
            call_us,
            return_us: None,
            leaf: None,
            at_ms: None,
            events: Vec::new(),
        });
    }
}

/// From when on a retry whose answer is lost may have replaced the permit of its attempt.
fn replaced_from(story: &Story<'_>, namespace: &str, attempt: Attempt<'_>) -> Option<u64> {
    if !story.policy_may_change(namespace) {
        return None;
    }
    let submissions = story.attempts.get(&attempt)?.iter();
    let lost = submissions.filter(|event| event.answer.is_ambiguous());
    lost.map(|event| event.call_us).min()
}
