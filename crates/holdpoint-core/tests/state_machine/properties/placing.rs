//! Makes what was drawn speak of what there is, so that most of it means something.

use super::drawing::Drawn;
use crate::model::{Asking, Grant, Model, Op};
use crate::world::START_MS;

/// Attempts end at multiples of these, so that retries of one time mostly agree.
const ENDS_MS: &[u64] = &[25_000, 80_000, 300_000];
/// Keys are used anew after this time.
const KEYS_MS: u64 = 200_000;

/// What was drawn relative to the state, as of now.
pub(super) fn drawn(drawn: &Drawn, model: &Model) -> Op {
    let newest = (model.grants.len() as u64).saturating_add(1);
    let about = newest.saturating_sub(drawn.back).max(1);
    let mut op = drawn.op.clone();
    let odd = drawn.odd;
    match &mut op {
        Op::Wait(to_ms) => *to_ms += model.now_ms,
        Op::Revoke { fence, .. } => *fence = about,
        Op::Redeem { fence, by, .. } => {
            *fence = about;
            // Mostly by who may.
            if let Some(grant) = model.grant(about).filter(|_| !odd.is_multiple_of(4)) {
                *by = grant.by;
            }
        }
        Op::Complete { fence, by, .. } => {
            *fence = about;
            let redeemed = model.grant(about).and_then(Grant::redeemed);
            if let Some((who, _, _)) = redeemed.filter(|_| !odd.is_multiple_of(4)) {
                *by = who;
            }
        }
        Op::Release { fence, .. } => {
            let doubted = |fence: &u64| {
                let grant = model.grant(*fence);
                !odd.is_multiple_of(4) && grant.is_some_and(|grant| grant.is_in_doubt(model.now_ms))
            };
            *fence = (1..newest).rev().find(doubted).unwrap_or(about);
        }
        Op::Authorize(asking) => place(asking, model, about, odd),
        Op::Leave { by, key, .. } => {
            *key = key_now(*key, model.now_ms);
            if let Some(known) = model.worth_a_retry().pop() {
                (*by, *key, _) = known;
            }
        }
        Op::Close { session, .. } => {
            let mut issued = model.grants.iter().rev();
            let used = issued.find_map(|grant| {
                grant
                    .session
                    .filter(|_| grant.state(model.now_ms) == "ISSUED")
            });
            *session = used.unwrap_or(*session);
        }
        Op::RevokeApproval {
            quorum,
            subject,
            by,
            ..
        } => {
            let all = &model.context.approvals;
            let back = usize::try_from(drawn.back).unwrap();
            if let Some(known) = all.len().checked_sub(back + 1).map(|place| &all[place]) {
                (*quorum, *subject, *by) = (known.quorum, known.subject, known.by);
            }
        }
        // Half of the activations are of the neighbour, which live permits mostly allow.
        Op::Activate { policy, .. } if odd.is_multiple_of(2) => {
            *policy = model
                .activations
                .last()
                .map_or(*policy, |active| active ^ 1);
        }
        _ => place_keys(&mut op, drawn, model, about),
    }
    op
}

/// What is about keys, and about decisions that were made.
fn place_keys(op: &mut Op, drawn: &Drawn, model: &Model, about: u64) {
    let odd = drawn.odd;
    match op {
        Op::Rotate { node, expected, .. } if !odd.is_multiple_of(8) => {
            *expected = model.signing.keys_of(*node).unwrap_or(*expected);
        }
        Op::Mark { signer, to } => {
            let mut ever = model.signing.epochs.iter().flat_map(|epoch| &epoch.signers);
            let past = ever.find(|(id, _)| *id == signer.0).map(|(_, keys)| *keys);
            let keys = model
                .signing
                .keys_of(signer.0)
                .filter(|_| odd.is_multiple_of(2));
            signer.1 = keys.or(past).unwrap_or(signer.1);
            let size = model.leaves.len() as u64;
            *to = (size + u64::from(odd.is_multiple_of(16))).saturating_sub(drawn.back);
        }
        Op::HandOver {
            from,
            size,
            signers,
            ..
        } => (*from, *size, *signers) = hand_over(model, drawn),
        Op::Dispute { leaf, .. } if !odd.is_multiple_of(8) => {
            let back = usize::try_from(drawn.back).unwrap();
            let decisions: Vec<u64> = model.past.decisions.keys().copied().collect();
            let place = decisions.len().saturating_sub(back);
            *leaf = decisions.get(place).copied().unwrap_or_default();
        }
        Op::Erase(fence) => {
            let has_ended = |fence: &u64| {
                let is_erased = model.past.is_erased(*fence, model);
                let grant = model.grant(*fence).filter(|_| !is_erased);
                grant.is_some_and(|grant| !grant.is_live(model.now_ms))
            };
            let newest = model.grants.len() as u64 + 1;
            let ended = (1..newest)
                .find(has_ended)
                .filter(|_| !odd.is_multiple_of(4));
            *fence = ended.unwrap_or(about);
        }
        Op::EraseAt(leaf) => {
            let mut decisions = model.past.decisions.keys();
            let known = |leaf: &&u64| model.keeps(**leaf) && !model.past.erased.contains(*leaf);
            let found = decisions.find(known).filter(|_| !odd.is_multiple_of(4));
            *leaf = found.copied().unwrap_or_else(|| u64::from(odd) % 20);
        }
        _ => {}
    }
}

/// An epoch, the head at hand, and as many of its signers as hand it over, mostly.
fn hand_over(model: &Model, drawn: &Drawn) -> (u64, u64, Vec<(u64, u64)>) {
    let (epochs, odd) = (&model.signing.epochs, drawn.odd);
    let is_older = usize::from(odd.is_multiple_of(8));
    let place = epochs.len().saturating_sub(1 + is_older);
    // A note has a line.
    let nobody = vec![(1, 1)];
    let Some(new) = epochs.get(place) else {
        return (0, model.head, nobody);
    };
    let size = if odd % 8 == 1 {
        new.from.min(model.head)
    } else {
        model.head
    };
    let old = model.signing.before(place).unwrap_or(new);
    let mut signers = Vec::new();
    for epoch in [old, new] {
        let counting = model.signing.counting(epoch, size);
        let known = counting
            .iter()
            .filter(|signer| signers.contains(*signer))
            .count();
        let missing = epoch.needed.saturating_sub(known);
        let others = counting
            .iter()
            .filter(|signer| !signers.contains(*signer))
            .copied();
        let others: Vec<_> = others.take(missing).collect();
        signers.extend(others);
    }
    if odd % 8 == 2 {
        signers.pop();
    }
    // By node, and the keys of the old epoch first.
    signers.sort_by_key(|signer| (signer.0, !old.signers.contains(signer)));
    (
        new.from,
        size,
        if signers.is_empty() { nobody } else { signers },
    )
}

fn key_now(key: u64, now_ms: u64) -> u64 {
    (now_ms - START_MS) / KEYS_MS * 8 + key
}

fn place(asking: &mut Asking, model: &Model, about: u64, odd: u8) {
    let now_ms = model.now_ms;
    let step_ms = ENDS_MS[usize::try_from(asking.key).unwrap() % ENDS_MS.len()];
    let is_earlier = odd.is_multiple_of(16);
    let key = key_now(asking.key, now_ms);
    asking.key = if is_earlier {
        key.saturating_sub(8)
    } else {
        key
    };
    if let Some(known) = model.worth_a_retry().first().filter(|_| odd % 3 == 1) {
        (asking.by, asking.key, asking.asked) = *known;
    }
    let next_ms = (now_ms / step_ms + 1) * step_ms;
    // A retry repeats the end of its attempt, mostly.
    asking.end_ms = match model.end_of(asking.by, asking.key) {
        Some(end_ms) if odd % 8 != 1 => end_ms,
        _ => next_ms,
    };
    asking.after = asking.after.map(|_| about);
    let wait_ms = asking.wait_ms.map(|for_ms| now_ms + for_ms);
    asking.wait_ms = wait_ms.map(|wait_ms| wait_ms.min(asking.end_ms));
    let all = &model.context.approvals;
    let mut chosen: Vec<(usize, bool)> = Vec::new();
    for (back, spends) in &asking.approvals {
        let Some(place) = all.len().checked_sub(back + 1) else {
            continue;
        };
        let counts = all[place].counts(now_ms, model.replaced(asking.by, asking.key));
        let is_named_twice = chosen.iter().any(|(other, _)| {
            let (one, other) = (&all[place], &all[*other]);
            (one.quorum, one.subject, one.by) == (other.quorum, other.subject, other.by)
        });
        // Mostly what counts.
        if !is_named_twice && (counts || odd.is_multiple_of(4)) {
            chosen.push((place, *spends));
        }
    }
    asking.approvals = chosen;
}
