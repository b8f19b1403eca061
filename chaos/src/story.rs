//! A history put together by permits and attempts: what all checkers start from.
//!
//! A retry is not an operation of its own: everything that was sent under one attempt, redemption id or
//! outcome is one step, which took effect at one point between its first call and the first answer that
//! shows it. A story never decides whether something may be; it only says what belongs together.

mod build;
mod step;

use std::collections::BTreeMap;

use crate::history::{Answered, Event, History, Proof};

pub(crate) use step::{Step, StepKind};

/// The name of an attempt: namespace, caller, idempotency key.
pub(crate) type Attempt<'a> = (&'a str, &'a str, &'a str);

/// A permit that some client was shown.
#[derive(Debug)]
pub(crate) struct Granted<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) id: &'a str,
    pub(crate) key: &'a str,
    pub(crate) attempt: Attempt<'a>,
    pub(crate) amount: u64,
    pub(crate) fence: u64,
    pub(crate) issued_at_ms: u64,
    pub(crate) expires_at_ms: u64,
    pub(crate) version: u64,
    pub(crate) proof: Option<&'a Proof>,
    /// First call of a submission that may have made it.
    pub(crate) asked_us: u64,
    /// First answer that shows it.
    pub(crate) shown_us: u64,
    /// Every answer that shows it, by the time of the answer.
    pub(crate) shown: Vec<&'a Event>,
    /// What was done with it, or may have been.
    pub(crate) steps: Vec<Step<'a>>,
    /// Refusals and reads of it.
    pub(crate) looks: Vec<&'a Event>,
}

/// A denial that some client was shown.
#[derive(Debug)]
pub(crate) struct Denied<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) key: &'a str,
    pub(crate) attempt: Attempt<'a>,
    pub(crate) amount: u64,
    pub(crate) reason: &'a str,
    pub(crate) version: u64,
    pub(crate) proof: Option<&'a Proof>,
    pub(crate) asked_us: u64,
    pub(crate) shown_us: u64,
    /// Every answer that shows it, by the time of the answer.
    pub(crate) shown: Vec<&'a Event>,
}

/// An activation that was acknowledged.
#[derive(Debug)]
pub(crate) struct Activated<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) version: u64,
    pub(crate) proof: Option<&'a Proof>,
    pub(crate) asked_us: u64,
    pub(crate) shown_us: u64,
    pub(crate) event: &'a Event,
}

/// A history, put together.
#[derive(Debug)]
pub struct Story<'a> {
    pub(crate) history: &'a History,
    /// By namespace and fence.
    pub(crate) permits: Vec<Granted<'a>>,
    pub(crate) denials: Vec<Denied<'a>>,
    pub(crate) activations: Vec<Activated<'a>>,
    /// Activations that may have taken effect, or still may.
    pub(crate) open_activations: Vec<&'a Event>,
    /// Every submission of every attempt, by the time of the call.
    pub(crate) attempts: BTreeMap<Attempt<'a>, Vec<&'a Event>>,
    /// Steps, refusals and reads of permits that nobody was shown in that namespace.
    pub(crate) strays: Vec<&'a Event>,
}

impl Granted<'_> {
    /// Where it stands in the log, if a receipt says so.
    pub(crate) fn leaf(&self) -> Option<u64> {
        self.proof.map(|proof| proof.leaf)
    }

    /// The steps of a kind.
    pub(crate) fn steps_of(&self, kind: StepKind) -> impl Iterator<Item = &Step<'_>> {
        self.steps.iter().filter(move |step| step.kind == kind)
    }

    /// Whether a client was told that it was redeemed, or could only have ended so.
    pub(crate) fn was_redeemed(&self) -> bool {
        let ends = [StepKind::Redeem, StepKind::Commit, StepKind::Abort];
        ends.iter()
            .any(|kind| self.steps_of(*kind).any(|step| step.done.is_some()))
    }
}

impl<'a> Story<'a> {
    /// Puts a history together.
    #[must_use]
    pub fn of(history: &'a History) -> Self {
        build::build(history)
    }

    /// Whether an activation of `namespace` may have taken effect that no client was told of.
    pub(crate) fn has_open_activation(&self, namespace: &str) -> bool {
        self.open_activations
            .iter()
            .any(|event| event.namespace == namespace)
    }

    /// Whether the policy of `namespace` may have changed while the clients ran.
    pub(crate) fn policy_may_change(&self, namespace: &str) -> bool {
        self.has_open_activation(namespace)
            || self
                .activations
                .iter()
                .any(|activated| activated.namespace == namespace && activated.version > 1)
    }

    /// Every statement that some client was told of: namespace, receipt, and the answer that brought it.
    pub(crate) fn proofs(&self) -> impl Iterator<Item = (&'a str, &'a Proof, &'a Event)> {
        self.history.events.iter().filter_map(|event| {
            let proof = event.answer.receipt()?;
            Some((event.namespace.as_str(), proof, event))
        })
    }

    /// Submissions of attempts that may have made a permit or a denial that nobody was shown.
    pub(crate) fn ghosts(&self) -> BTreeMap<(&'a str, &'a str), u64> {
        let mut first: BTreeMap<(&'a str, &'a str), u64> = BTreeMap::new();
        for (attempt, events) in &self.attempts {
            let is_decided = events.iter().any(|event| {
                matches!(
                    event.answer,
                    Answered::Permit { .. } | Answered::Deny { .. }
                )
            });
            // A lost answer of a decided attempt was that decision, unless the policy changed.
            if is_decided && !self.policy_may_change(attempt.0) {
                continue;
            }
            for event in events.iter().filter(|event| event.answer.is_ambiguous()) {
                let Some(key) = event.key.as_deref() else {
                    continue;
                };
                let at = first.entry((attempt.0, key)).or_insert(event.call_us);
                *at = (*at).min(event.call_us);
            }
        }
        first
    }
}
