//! Bugs of the log, of namespaces, of time, and runs that show nothing.

use super::places::{any, change, events, permits, place_of, redeemed, restate};
use crate::history::{Answered, Event, History, Mark, Op, bound_name};
use crate::reference::Dice;
use crate::story::Story;

/// A hash that no statement has.
fn nothing(dice: &mut Dice) -> String {
    format!("{:064x}", dice.roll())
}

fn heads(history: &History, node: Option<u64>) -> Vec<usize> {
    events(history, |event| {
        matches!(event.answer, Answered::Head { .. }) && (node.is_none() || event.node == node)
    })
}

/// Leaves that are read at the end, and of which a client had a receipt.
fn audited(history: &History) -> Vec<usize> {
    let story = Story::of(history);
    let told: std::collections::BTreeSet<(&str, u64)> = story
        .proofs()
        .map(|(namespace, proof, _)| (namespace, proof.leaf))
        .collect();
    events(history, |event| match event.answer {
        Answered::Leaf { leaf, .. } => told.contains(&(event.namespace.as_str(), leaf)),
        _ => false,
    })
}

/// An acknowledged statement says something else at the end.
pub(super) fn leaf_rewritten(history: &mut History, dice: &mut Dice) -> bool {
    let (place, other) = (any(audited(history), dice), nothing(dice));
    change(history, place, |event| {
        if let Answered::Leaf { hash, .. } = &mut event.answer {
            *hash = other;
        }
    })
}

/// An acknowledged statement is gone at the end.
pub(super) fn leaf_gone(history: &mut History, dice: &mut Dice) -> bool {
    let place = any(audited(history), dice);
    change(history, place, |event| event.answer = Answered::Absent {})
}

/// Two nodes have different statements at one leaf.
pub(super) fn two_statements_at_a_leaf(history: &mut History, dice: &mut Dice) -> bool {
    let Some(place) = any(audited(history), dice) else {
        return false;
    };
    let Some(mut event) = history.events.get(place).cloned() else {
        return false;
    };
    event.node = event.node.map(|node| node % 3 + 1);
    if let Answered::Leaf { hash, .. } = &mut event.answer {
        *hash = nothing(dice);
    }
    history.events.push(event);
    true
}

/// One statement stands in the log twice.
pub(super) fn one_statement_at_two_leaves(history: &mut History, dice: &mut Dice) -> bool {
    let Some(place) = any(audited(history), dice) else {
        return false;
    };
    let Some(mut event) = history.events.get(place).cloned() else {
        return false;
    };
    if let Answered::Leaf { leaf, .. } = &mut event.answer {
        *leaf = leaf.saturating_add(1 << 20);
        event.leaf = Some(*leaf);
    }
    history.events.push(event);
    true
}

/// Two nodes have different trees of one size.
pub(super) fn heads_that_fork(history: &mut History, dice: &mut Dice) -> bool {
    let (place, other) = (any(heads(history, Some(2)), dice), nothing(dice));
    change(history, place, |event| {
        if let Answered::Head { root, .. } = &mut event.answer {
            *root = other;
        }
    })
}

/// All nodes sign a tree that is not the one of their statements.
pub(super) fn head_of_other_leaves(history: &mut History, dice: &mut Dice) -> bool {
    let other = nothing(dice);
    let mut is_planted = false;
    for place in heads(history, None) {
        is_planted |= change(history, Some(place), |event| {
            if let Answered::Head { root, size } = &mut event.answer
                && event.namespace == "default"
            {
                *root = format!("{:x}", size.saturating_add(1)) + &other;
                root.truncate(64);
            }
        });
    }
    is_planted
}

/// The log ends before what was acknowledged.
pub(super) fn log_cut(history: &mut History, _: &mut Dice) -> bool {
    let mut is_planted = false;
    for place in heads(history, None) {
        is_planted |= change(history, Some(place), |event| {
            event.answer = Answered::Head {
                size: 0,
                root: holdpoint_receipt::merkle::empty_root().to_string(),
            };
        });
    }
    is_planted
}

/// Nobody saw the log of a node.
pub(super) fn node_that_shows_nothing(history: &mut History, _: &mut Dice) -> bool {
    let is_head = |event: &Event| matches!(event.answer, Answered::Head { .. });
    history
        .events
        .retain(|event| !(is_head(event) && event.node == Some(2)));
    true
}

/// One permit is shown in two namespaces.
pub(super) fn permit_in_two_namespaces(history: &mut History, dice: &mut Dice) -> bool {
    let of = |history: &History, namespace: &str| {
        events(history, |event| {
            event.namespace == namespace && matches!(event.answer, Answered::Permit { .. })
        })
    };
    let one = any(of(history, "default"), dice);
    let other = any(of(history, "payments"), dice);
    let answer = one.and_then(|place| Some(history.events.get(place)?.answer.clone()));
    match answer {
        Some(answer) => change(history, other, |event| event.answer = answer),
        None => false,
    }
}

/// A permit is redeemed through a namespace that it is not of.
pub(super) fn redeemed_through_another(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        (permit.namespace == "default").then(|| place_of(story.history, redeemed(permit)?))?
    });
    change(history, any(found, dice), |event| {
        "payments".clone_into(&mut event.namespace);
    })
}

/// A key is denied because another namespace holds it.
pub(super) fn denied_for_a_foreign_holder(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |_, permit| {
        (permit.namespace == "default" && bound_name(permit.key) == "lock")
            .then(|| permit.key.to_owned())
    });
    let Some(key) = any(found, dice) else {
        return false;
    };
    let denied =
        |event: &Event| event.namespace == "payments" && event.key.as_deref() == Some(key.as_str());
    // One denial is left of all that was asked for there.
    let is_denial = |event: &Event| matches!(&event.answer, Answered::Deny { reason, .. } if reason == "BOUND_HELD");
    let Some(kept) = history
        .events
        .iter()
        .filter(|event| denied(event) && is_denial(event))
        .max_by_key(|event| event.call_us)
        .cloned()
    else {
        return false;
    };
    history.events.retain(|event| !denied(event));
    history.events.push(kept);
    true
}

/// Nothing is redeemed after the last fault.
pub(super) fn nothing_after_healing(history: &mut History, _: &mut Dice) -> bool {
    let Some(healed_us) = history.healed_us() else {
        return false;
    };
    for event in &mut history.events {
        if event.op == Op::Redeem && event.return_us >= healed_us {
            event.answer = Answered::Timeout {};
        }
    }
    true
}

/// Cluster time is a second earlier than it was.
pub(super) fn time_goes_back(history: &mut History, dice: &mut Dice) -> bool {
    restated(history, dice, |at_ms| at_ms.saturating_sub(1_000))
}

/// Cluster time jumps with somebody's clock.
pub(super) fn clock_jumps(history: &mut History, _: &mut Dice) -> bool {
    let jumps_us = history.events.iter().map(|event| event.call_us).max();
    let jumps_us = jumps_us.unwrap_or_default() / 2;
    for event in &mut history.events {
        if event.call_us < jumps_us {
            continue;
        }
        if let Answered::Deny {
            receipt: Some(proof),
            ..
        } = &mut event.answer
        {
            proof.at_ms = proof.at_ms.saturating_add(120_000);
        }
    }
    true
}

fn restated(history: &mut History, dice: &mut Dice, time: fn(u64) -> u64) -> bool {
    let found = permits(history, |_, permit| {
        let late = permit.leaf()? > 100;
        late.then(|| Some(redeemed(permit)?.answer.receipt()?.hash.clone()))?
    });
    let Some(hash) = any(found, dice) else {
        return false;
    };
    restate(history, &hash, |proof| proof.at_ms = time(proof.at_ms));
    true
}

/// Nothing shows that the fault happened.
pub(super) fn fault_without_proof(history: &mut History, _: &mut Dice) -> bool {
    let before = history.marks.len();
    history
        .marks
        .retain(|mark| matches!(mark, Mark::Healed { .. }));
    history.marks.len() < before
}
