//! Cluster time never goes back, and no jump of a clock moves it.
//!
//! Source: `SPEC` section 4 ("Time": carried in log entries, never goes back, the only clock in apply).
//! It never compares cluster time with the clock of a node, only with that of whoever drove the clients,
//! and only if the header says how far the two may drift.

use std::collections::BTreeMap;

use crate::history::{Event, Proof};
use crate::story::Story;
use crate::verdict::Verdict;

/// A statement, and the times between which it was made.
struct Made<'s> {
    namespace: &'s str,
    asked_us: u64,
    shown_us: u64,
    proof: &'s Proof,
    event: &'s Event,
}

/// Checks that cluster time rises with the leaves of each log and with real time, that a permit begins to
/// live when its statement says, and that cluster time keeps to the history's clock.
///
/// Unknown with fewer than two statements.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    for permit in &story.permits {
        let Some(proof) = permit.proof else { continue };
        if proof.at_ms != permit.issued_at_ms {
            let why = format!(
                "permit {} lives from {} ms on, and its statement is of {} ms",
                permit.id, permit.issued_at_ms, proof.at_ms
            );
            return Verdict::shown(story.history, why, permit.shown.first().copied());
        }
    }
    let mut made = made(story);
    if made.len() < 2 {
        return Verdict::Unknown(format!("{} statements, 2 are needed", made.len()));
    }
    let broken = by_leaf(story, &mut made)
        .or_else(|| by_time(story, &mut made))
        .or_else(|| drifted(story, &made));
    broken.unwrap_or(Verdict::Holds)
}

fn made<'s>(story: &'s Story<'s>) -> Vec<Made<'s>> {
    let mut made = Vec::new();
    let mut add = |namespace, asked_us, proof: Option<&'s Proof>, event: Option<&'s Event>| {
        if let (Some(proof), Some(event)) = (proof, event) {
            made.push(Made {
                namespace,
                asked_us,
                shown_us: event.return_us,
                proof,
                event,
            });
        }
    };
    for permit in &story.permits {
        let first = permit.shown.first().copied();
        add(permit.namespace, permit.asked_us, permit.proof, first);
        for step in &permit.steps {
            add(permit.namespace, step.asked_us, step.proof(), step.done);
        }
    }
    for denied in &story.denials {
        let first = denied.shown.first().copied();
        add(denied.namespace, denied.asked_us, denied.proof, first);
    }
    for activated in &story.activations {
        let event = Some(activated.event);
        add(
            activated.namespace,
            activated.asked_us,
            activated.proof,
            event,
        );
    }
    made
}

fn by_leaf(story: &Story<'_>, made: &mut [Made<'_>]) -> Option<Verdict> {
    made.sort_by_key(|one| (one.namespace, one.proof.leaf));
    made.windows(2).find_map(|pair| {
        let [earlier, later] = pair else { return None };
        let falls = earlier.namespace == later.namespace && earlier.proof.at_ms > later.proof.at_ms;
        falls.then(|| shown(story, earlier, later, "in the log"))
    })
}

fn by_time(story: &Story<'_>, made: &mut [Made<'_>]) -> Option<Verdict> {
    let mut latest: BTreeMap<u64, &Made<'_>> = BTreeMap::new();
    made.sort_by_key(|one| one.shown_us);
    let mut newest: Option<&Made<'_>> = None;
    for one in made.iter() {
        if newest.is_none_or(|newest| one.proof.at_ms > newest.proof.at_ms) {
            newest = Some(one);
            latest.insert(one.shown_us, one);
        }
    }
    made.iter().find_map(|one| {
        let (_, earlier) = latest.range(..one.asked_us).next_back()?;
        (earlier.proof.at_ms > one.proof.at_ms)
            .then(|| shown(story, earlier, one, "while clients watched"))
    })
}

fn shown(story: &Story<'_>, earlier: &Made<'_>, later: &Made<'_>, how: &str) -> Verdict {
    let why = format!(
        "cluster time went back {how}, from {} ms at leaf {} to {} ms at leaf {}",
        earlier.proof.at_ms, earlier.proof.leaf, later.proof.at_ms, later.proof.leaf
    );
    Verdict::shown(story.history, why, [earlier.event, later.event])
}

/// Whether cluster time and the history's clock moved apart by more than the header allows.
fn drifted(story: &Story<'_>, made: &[Made<'_>]) -> Option<Verdict> {
    let slack_us = story
        .history
        .header
        .demands
        .time_slack_ms?
        .saturating_mul(1_000);
    // Cluster time was at most this far ahead of the clock at the one, at least this far at the other.
    let ahead_min =
        |one: &&Made<'_>| i128::from(one.proof.at_ms) * 1_000 - i128::from(one.shown_us);
    let ahead_max =
        |one: &&Made<'_>| i128::from(one.proof.at_ms) * 1_000 - i128::from(one.asked_us);
    let fastest = made.iter().max_by_key(ahead_min)?;
    let slowest = made.iter().min_by_key(ahead_max)?;
    let apart_us = ahead_min(&fastest) - ahead_max(&slowest);
    (apart_us > i128::from(slack_us)).then(|| {
        let why = format!(
            "cluster time and the clock moved apart by at least {} ms, {} may be",
            apart_us / 1_000,
            slack_us / 1_000
        );
        Verdict::shown(story.history, why, [slowest.event, fastest.event])
    })
}
