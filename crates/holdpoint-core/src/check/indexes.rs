//! Every row that follows from permits: indexes, and what they hold of bounds.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::{ClusterTime, Fence, PermitId};

use super::{Context, Space, Violation, broken, encoded, holds};
use crate::codec::records::Present;
use crate::command::{BoundClaim, CompletionResult};
use crate::key::{KeySpace, Kind, StateKey};
use crate::outline::{BoundKind, Window};
use crate::record::{Held, PermitRecord, PermitState, UsageRecord};

type Index = BTreeMap<StateKey, Vec<u8>>;

/// The rows that follow from the permits.
#[derive(Default)]
struct Follows {
    rows: BTreeMap<Kind, Index>,
    sums: BTreeMap<StateKey, Sum>,
    ended: BTreeMap<Fence, ClusterTime>,
}

/// What the permits say of one usage.
#[derive(Default)]
struct Sum {
    live: u64,
    /// Of permits that were committed while they held it.
    committed: u64,
    /// Of permits whose effect became known later.
    late: u64,
    /// The largest limit under which any of them was granted.
    limit: u64,
    window: Option<Window>,
}

pub(super) fn check(
    space: &Space<'_>,
    context: &Context,
    permits: &BTreeMap<PermitId, PermitRecord>,
) -> Result<(), Violation> {
    let mut follows = Follows::default();
    for permit in permits.values() {
        follow(space, permit, &mut follows)?;
        for claim in &permit.claims {
            follow_claim(space, permit, claim, &mut follows)?;
        }
        if let Some(ended_at) = permit.ended_at
            && permit.fence <= context.namespace.swept.fence
        {
            follows.ended.insert(permit.fence, ended_at);
        }
    }
    let none = Index::new();
    for kind in [
        Kind::Fence,
        Kind::Live,
        Kind::Expiry,
        Kind::Doubt,
        Kind::HeldEnd,
        Kind::ReleaseAt,
        Kind::Holder,
        Kind::Holding,
    ] {
        space.exactly(kind, follows.rows.get(&kind).unwrap_or(&none))?;
    }
    check_ends(space, &follows.ended)?;
    check_usages(space, context, &follows.sums)
}

/// Adds the rows of the permit itself.
fn follow(
    space: &Space<'_>,
    permit: &PermitRecord,
    follows: &mut Follows,
) -> Result<(), Violation> {
    let keys = &space.keys;
    let id = encoded(&keys.permit(&permit.id), &permit.id)?;
    let mut add = |kind: Kind, key: StateKey| {
        let index = follows.rows.entry(kind).or_default();
        holds(
            index.insert(key.clone(), id.clone()).is_none(),
            &key,
            "two permits have it",
        )
    };
    let due = |kind, at| keys.due(kind, at, permit.fence);
    add(Kind::Fence, keys.fence(permit.fence))?;
    if permit.state.is_live() || permit.held != Held::Nothing {
        add(Kind::Live, keys.live(&permit.surface, permit.fence))?;
    }
    match permit.state {
        PermitState::Issued => {
            add(Kind::Expiry, due(Kind::Expiry, permit.expires_at))?;
            if permit.is_offline() {
                add(Kind::Doubt, due(Kind::Doubt, permit.expires_at))?;
            }
        }
        PermitState::Redeemed => {
            let Some(redemption) = &permit.redemption else {
                return broken(&keys.permit(&permit.id), "it was never redeemed");
            };
            add(Kind::Doubt, due(Kind::Doubt, redemption.complete_by))?;
            if let Some(at) = redemption.release_at {
                add(Kind::ReleaseAt, due(Kind::ReleaseAt, at))?;
            }
        }
        PermitState::Expired if permit.is_offline() => {
            add(Kind::Doubt, due(Kind::Doubt, permit.expires_at))?;
        }
        PermitState::Expired
        | PermitState::Committed
        | PermitState::Aborted
        | PermitState::Revoked
        | PermitState::Superseded
        | PermitState::Released => {}
    }
    if !permit.state.is_live()
        && permit.held == Held::All
        && let Some(until) = permit.held_until
    {
        add(Kind::HeldEnd, due(Kind::HeldEnd, until))?;
    }
    Ok(())
}

/// Adds what a permit holds of one claim. Two that hold one operation alone show here: G1.
fn follow_claim(
    space: &Space<'_>,
    permit: &PermitRecord,
    claim: &BoundClaim,
    follows: &mut Follows,
) -> Result<(), Violation> {
    let keys = &space.keys;
    let id = encoded(&keys.permit(&permit.id), &permit.id)?;
    let is_held = permit.held.holds(claim.kind);
    let of = |kind| keys.operation(kind, &permit.surface, &claim.name, &claim.key);
    let limit = match claim.kind {
        BoundKind::Exclusive | BoundKind::Once { .. } => {
            if is_held {
                let holder = of(Kind::Holder);
                let index = follows.rows.entry(Kind::Holder).or_default();
                let before = index.insert(holder.clone(), id);
                holds(before.is_none(), &holder, "two permits hold it")?;
            }
            return Ok(());
        }
        BoundKind::Capacity { limit } | BoundKind::Budget { limit, .. } => limit,
    };
    if claim.amount == 0 {
        return Ok(());
    }
    let window = claim.kind.window_at(permit.issued_at);
    let (length_ms, start_ms) = window.map_or((0, 0), |window| (window.length_ms, window.start_ms));
    if is_held && let Some(at) = permit.lets_go_at(claim.kind) {
        let prefix = keys.usage(&of(Kind::Holding), length_ms, start_ms);
        let key = KeySpace::holding(&prefix, at, permit.fence);
        follows
            .rows
            .entry(Kind::Holding)
            .or_default()
            .insert(key, id);
    }
    let is_committed = permit
        .completion
        .as_ref()
        .is_some_and(|completion| matches!(completion.result, CompletionResult::Committed { .. }));
    let is_charged = is_committed && claim.kind.is_consumed();
    if !is_held && !is_charged {
        return Ok(());
    }
    let usage = keys.usage(&of(Kind::Usage), length_ms, start_ms);
    let sum = follows.sums.entry(usage).or_default();
    sum.window = window;
    let part = if is_held {
        &mut sum.live
    } else if permit.state == PermitState::Committed {
        &mut sum.committed
    } else {
        &mut sum.late
    };
    *part = part.saturating_add(claim.amount);
    sum.limit = sum.limit.max(limit);
    Ok(())
}

/// Ended permits that retention has passed over have one row each that brings it back.
fn check_ends(space: &Space<'_>, ended: &BTreeMap<Fence, ClusterTime>) -> Result<(), Violation> {
    let mut found: BTreeSet<Fence> = BTreeSet::new();
    for key in space.rows(Kind::PermitEnd).into_keys() {
        let Some((at, fence)) = time_and_fence(key) else {
            return broken(key, "the key names no time and no fence");
        };
        let Some(ended_at) = ended.get(&fence) else {
            return broken(key, "no permit that it names has ended");
        };
        holds(at == *ended_at, key, "it ended at another time")?;
        holds(found.insert(fence), key, "a permit has two ends")?;
    }
    match ended.keys().find(|fence| !found.contains(fence)) {
        Some(fence) => broken(&space.keys.fence(*fence), "retention has lost it"),
        None => Ok(()),
    }
}

fn time_and_fence(key: &StateKey) -> Option<(ClusterTime, Fence)> {
    let (at, rest) = key.parts()?.rest.split_first_chunk()?;
    let at = ClusterTime::new(u64::from_be_bytes(*at)).ok()?;
    let fence = Fence::new(u64::from_be_bytes(*rest.first_chunk()?)).ok()?;
    Some((at, fence))
}

/// Every usage is what the permits say, and no more than was allowed: G1.
fn check_usages(
    space: &Space<'_>,
    context: &Context,
    sums: &BTreeMap<StateKey, Sum>,
) -> Result<(), Violation> {
    let mut ends = Index::new();
    let found_ends = space.rows(Kind::UsageEnd);
    let mut rows: BTreeMap<&StateKey, UsageRecord> = BTreeMap::new();
    for (key, usage) in space.records::<UsageRecord>(Kind::Usage)? {
        let is_some = usage.live > 0 || usage.committed > 0;
        holds(is_some, key, "nothing is used")?;
        if let Some((end_key, end)) = usage_end(space, key)? {
            // A sweep that meets the end of a window leaves only what live permits still hold.
            let may_lack = end <= context.now && usage.live > 0;
            if found_ends.contains_key(&end_key) || !may_lack {
                ends.insert(end_key.clone(), encoded(&end_key, &Present)?);
            }
        }
        holds(
            usage.live == 0 || sums.contains_key(key),
            key,
            "no live permit uses it",
        )?;
        rows.insert(key, usage);
    }
    // Retention takes committed permits away, but not what they have charged.
    let is_whole = context.namespace.swept.fence == Fence::default();
    for (key, sum) in sums {
        let usage = rows.get(key).copied().unwrap_or_default();
        holds(usage.live == sum.live, key, "the live sum is another")?;
        let is_open = sum.window.is_some_and(|window| context.now < window.end());
        let committed = sum.committed.saturating_add(sum.late);
        if is_open {
            holds(
                usage.committed == committed || (!is_whole && usage.committed > committed),
                key,
                "the committed sum is another",
            )?;
        }
        let granted = sum.live.saturating_add(sum.committed);
        holds(granted <= sum.limit, key, "more was granted than its limit")?;
    }
    space.exactly(Kind::UsageEnd, &ends)
}

/// The row that ends a usage of a budget, and when.
fn usage_end(
    space: &Space<'_>,
    usage: &StateKey,
) -> Result<Option<(StateKey, ClusterTime)>, Violation> {
    let named = usage.parts().map_or(&[][..], |parts| parts.rest);
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    let tail = named.split_last_chunk::<16>().map(|(_, tail)| tail);
    let window = tail.and_then(|tail| {
        let (length, start) = tail.split_at_checked(8)?;
        Some(Window {
            length_ms: number(length)?,
            start_ms: number(start)?,
        })
    });
    let Some(window) = window else {
        return broken(usage, "the key names no window");
    };
    if window.length_ms == 0 {
        return Ok(None);
    }
    let key = space.keys.end_of(Kind::UsageEnd, window.end(), named);
    Ok(Some((key, window.end())))
}
