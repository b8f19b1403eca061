//! What the bounds say to a permit, given what a case says is in use.
//!
//! The state machine's rule for one moment. It never says when a bound becomes free: a case has no
//! permits with an end, only counts.

use std::collections::BTreeMap;

use holdpoint_receipt::{Name, Reason};

use crate::cases::{Held, InUse};
use crate::surface::{BoundKind, Claim};

/// The claims that are refused, each with its reason.
pub(super) fn refused(claims: &[Claim], held: &[Held]) -> BTreeMap<Name, Reason> {
    let refused = claims
        .iter()
        .filter_map(|claim| Some((claim.bound.clone(), refusal(claim, held)?)));
    refused.collect()
}

/// The reason of the denial: the one that lasts longest.
pub(super) fn reason(refused: &BTreeMap<Name, Reason>) -> Option<Reason> {
    let by_precedence = [
        Reason::AlreadyCommitted,
        Reason::BoundExhausted,
        Reason::BoundHeld,
    ];
    let is_there = |reason: &Reason| refused.values().any(|refused| refused == reason);
    by_precedence.into_iter().find(is_there)
}

fn refusal(claim: &Claim, held: &[Held]) -> Option<Reason> {
    let (mut live, mut sum, mut committed) = (0_u64, 0_u64, false);
    let ours = held.iter().filter(|held| {
        let same_key = held.key.as_ref().is_none_or(|key| *key == claim.key);
        held.bound == claim.bound && same_key
    });
    for held in ours {
        match held.in_use {
            InUse::Live(count) => live = live.saturating_add(count),
            InUse::Sum(amount) => sum = sum.saturating_add(amount),
            InUse::Committed => committed = true,
        }
    }
    match claim.kind {
        BoundKind::Once { .. } if committed => Some(Reason::AlreadyCommitted),
        BoundKind::Exclusive | BoundKind::Once { .. } => (live > 0).then_some(Reason::BoundHeld),
        BoundKind::Capacity { limit } => (live >= limit).then_some(Reason::BoundExhausted),
        // What charges nothing fits always.
        BoundKind::Budget { .. } if claim.amount == 0 => None,
        BoundKind::Budget { limit, .. } => {
            (sum.saturating_add(claim.amount) > limit).then_some(Reason::BoundExhausted)
        }
    }
}
