//! G10: with a majority and enough signers up and connected, decisions go on.
//!
//! Source: `SPEC` section 5; the simulator of `TigerBeetle`, which heals a core of nodes, forbids new faults and
//! then demands progress. It never asks for progress while a fault lasts.

use crate::history::{Answered, Event};
use crate::story::{Granted, StepKind, Story};
use crate::verdict::Verdict;

/// Unanswered operations that are shown; more say no more.
const SHOWN_MAX: usize = 6;

/// Checks that enough permits were asked for, granted and redeemed within the demanded time of the
/// healing.
///
/// Unknown if nothing was healed, or too little was asked for afterwards: an attempt that was denied, or
/// whose permit its client did not redeem, says nothing against the gate.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let demands = story.history.header.demands;
    let Some(healed_us) = story.history.healed_us() else {
        return Verdict::Unknown("the history has no mark `healed`".to_owned());
    };
    let until_us = healed_us.saturating_add(demands.fresh_within_ms.saturating_mul(1_000));
    let fresh = || {
        let permits = story.permits.iter();
        permits.filter(|permit| (healed_us..=until_us).contains(&permit.asked_us))
    };
    let is_served = |permit: &&Granted<'_>| {
        let mut redeems = permit.steps_of(StepKind::Redeem);
        redeems.any(|step| step.done_us().is_some_and(|us| us <= until_us))
    };
    let served = fresh().filter(is_served).count();
    if served >= demands.fresh_min {
        return Verdict::Holds;
    }
    let unanswered = unanswered(story, healed_us, until_us);
    let unredeemed = fresh().flat_map(|permit| {
        let redeems = permit.steps_of(StepKind::Redeem);
        let open = redeems.filter(|step| step.done_us().is_none_or(|us| us > until_us));
        open.filter_map(|step| step.events.first().copied())
            .collect::<Vec<_>>()
    });
    let left: Vec<&Event> = unanswered.into_iter().chain(unredeemed).collect();
    let why = format!(
        "{served} permits were asked for, granted and redeemed within {} ms of the healing, {} are \
         needed; {} clients were left without an answer",
        demands.fresh_within_ms,
        demands.fresh_min,
        left.len()
    );
    if served.saturating_add(left.len()) < demands.fresh_min {
        return Verdict::Unknown(why);
    }
    Verdict::shown(story.history, why, left.into_iter().take(SHOWN_MAX))
}

/// The last submissions of attempts after healing that nothing was decided about.
fn unanswered<'s>(story: &Story<'s>, healed_us: u64, until_us: u64) -> Vec<&'s Event> {
    let attempts = story.attempts.values().filter(|events| {
        let is_fresh = |event: &&Event| (healed_us..=until_us).contains(&event.call_us);
        let is_decided = |event: &&Event| {
            matches!(
                event.answer,
                Answered::Permit { .. } | Answered::Deny { .. }
            )
        };
        events.first().is_some_and(is_fresh) && !events.iter().any(is_decided)
    });
    attempts
        .filter_map(|events| events.last().copied())
        .collect()
}
