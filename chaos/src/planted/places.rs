//! Finds where a bug fits: operations of a history by their place in it.

use std::ptr;

use crate::history::{Answered, Event, History, Op, PermitState, Proof};
use crate::reference::Dice;
use crate::story::{Granted, Story};

/// The place of an operation.
pub(super) fn place_of(history: &History, event: &Event) -> Option<usize> {
    history.events.iter().position(|one| ptr::eq(one, event))
}

/// One of the places that `find` gives, any of them.
pub(super) fn any<T>(found: Vec<T>, dice: &mut Dice) -> Option<T> {
    let count = found.len() as u64;
    let chosen = usize::try_from(dice.below(count)).ok()?;
    found.into_iter().nth(chosen)
}

/// The permits for which `fits`, as what `give` makes of them.
pub(super) fn permits<T>(
    history: &History,
    fits: impl Fn(&Story<'_>, &Granted<'_>) -> Option<T>,
) -> Vec<T> {
    let story = Story::of(history);
    let found = story
        .permits
        .iter()
        .filter_map(|permit| fits(&story, permit));
    found.collect()
}

/// Every operation on a permit but for those that granted it.
pub(super) fn is_about(event: &Event, permit: &str) -> bool {
    event.permit.as_deref() == Some(permit)
}

/// Changes every answer that shows the permit.
pub(super) fn regrant(history: &mut History, id: &str, change: impl Fn(&mut Answered)) {
    for event in &mut history.events {
        let shows = matches!(&event.answer, Answered::Permit { permit, .. } if permit == id);
        if shows {
            change(&mut event.answer);
        }
    }
}

/// Changes every receipt of one statement.
pub(super) fn restate(history: &mut History, hash: &str, change: impl Fn(&mut Proof)) {
    for event in &mut history.events {
        let receipt = match &mut event.answer {
            Answered::Permit { receipt, .. }
            | Answered::Deny { receipt, .. }
            | Answered::Done { receipt, .. } => receipt.as_mut(),
            _ => None,
        };
        if let Some(proof) = receipt.filter(|proof| proof.hash == hash) {
            change(proof);
        }
    }
}

/// Changes one operation.
pub(super) fn change(
    history: &mut History,
    place: Option<usize>,
    change: impl FnOnce(&mut Event),
) -> bool {
    match place.and_then(|place| history.events.get_mut(place)) {
        Some(event) => {
            change(event);
            true
        }
        None => false,
    }
}

/// A statement that no honest log has.
pub(super) fn forged(leaf: u64, at_ms: u64, dice: &mut Dice) -> Proof {
    Proof {
        leaf,
        hash: format!("{:064x}", dice.roll()),
        at_ms,
        verifies: true,
    }
}

/// The places of operations for which `fits`.
pub(super) fn events(history: &History, fits: impl Fn(&Event) -> bool) -> Vec<usize> {
    let places = history.events.iter().enumerate();
    places
        .filter(|(_, event)| fits(event))
        .map(|(place, _)| place)
        .collect()
}

/// The largest leaf of a namespace that a client has a receipt of.
pub(super) fn last_leaf(history: &History, namespace: &str) -> u64 {
    let story = Story::of(history);
    let leaves = story.proofs().filter(|(place, _, _)| *place == namespace);
    leaves
        .map(|(_, proof, _)| proof.leaf)
        .max()
        .unwrap_or_default()
}

/// The first answer that redeems a permit, if there is one.
pub(super) fn redeemed<'a>(permit: &Granted<'a>) -> Option<&'a Event> {
    permit
        .steps
        .iter()
        .filter_map(|step| step.done)
        .find(|event| event.op == Op::Redeem)
}

/// A read after a permit was redeemed shows it in `state`.
pub(super) fn read_after_redeem(
    history: &mut History,
    dice: &mut Dice,
    state: PermitState,
) -> bool {
    let found = permits(history, |story, permit| {
        let done_us = redeemed(permit)?.return_us;
        let looks = permit.looks.iter().filter(|look| look.call_us > done_us);
        let mut reads = looks.filter(|look| matches!(look.answer, Answered::State { .. }));
        place_of(story.history, reads.next()?)
    });
    change(history, any(found, dice), |event| {
        event.answer = Answered::State { state };
    })
}
