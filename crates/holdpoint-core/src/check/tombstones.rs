//! Committed effects of `once` bounds.

use std::collections::BTreeMap;

use holdpoint_receipt::PermitId;

use super::policies::Surfaces;
use super::{Context, Space, Violation, broken, encoded, holds};
use crate::codec::records::Present;
use crate::command::{BoundClaim, CompletionResult};
use crate::key::{Kind, StateKey};
use crate::outline::BoundKind;
use crate::record::{Completion, OnceRecord, PermitRecord, PermitState, TombstoneRecord};

pub(super) fn check(
    space: &Space<'_>,
    context: &Context,
    surfaces: &Surfaces,
    permits: &BTreeMap<PermitId, PermitRecord>,
) -> Result<(), Violation> {
    let mut tombstones: BTreeMap<&StateKey, TombstoneRecord> = BTreeMap::new();
    let mut ends = BTreeMap::new();
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for (key, tombstone) in space.records::<TombstoneRecord>(Kind::Tombstone)? {
        let named = key.parts().map_or(&[][..], |parts| parts.rest);
        if let Some(until) = tombstone.kept_until {
            let end = space.keys.end_of(Kind::TombstoneEnd, until, named);
            let row = encoded(&end, &Present)?;
            ends.insert(end, row);
        }
        holds(
            tombstone.committed_at <= context.now,
            key,
            "it was committed in the future",
        )?;
        if let Some(permit) = permits.get(&tombstone.permit) {
            let claim = permit.claims.iter().find(|claim| {
                *key == operation(space, permit, claim)
                    && matches!(claim.kind, BoundKind::Once { .. })
            });
            let left = claim.and_then(|claim| left_by(permit, claim));
            holds(left == Some(tombstone), key, "its permit left no such")?;
        }
        let mut parts = named.split_inclusive(|byte| *byte == 0);
        let bound = parts.by_ref().take(2).flatten().copied().collect();
        let count = counts.entry(bound).or_default();
        *count = count.saturating_add(1);
        tombstones.insert(key, tombstone);
    }
    space.exactly(Kind::TombstoneEnd, &ends)?;
    for permit in permits.values() {
        check_effects(space, context, permit, permits, &tombstones)?;
    }
    check_counts(space, surfaces, permits, &tombstones, &counts)
}

fn operation(space: &Space<'_>, permit: &PermitRecord, claim: &BoundClaim) -> StateKey {
    space
        .keys
        .operation(Kind::Tombstone, &permit.surface, &claim.name, &claim.key)
}

fn effect(permit: &PermitRecord) -> Option<&Completion> {
    permit
        .completion
        .as_ref()
        .filter(|completion| matches!(completion.result, CompletionResult::Committed { .. }))
}

/// The tombstone that a committed permit leaves for a claim.
fn left_by(permit: &PermitRecord, claim: &BoundClaim) -> Option<TombstoneRecord> {
    let BoundKind::Once { kept_for_ms } = claim.kind else {
        return None;
    };
    let committed_at = effect(permit)?.completed_at;
    Some(TombstoneRecord {
        permit: permit.id,
        fence: permit.fence,
        committed_at,
        kept_until: kept_for_ms.map(|kept_for_ms| committed_at.saturating_add(kept_for_ms)),
    })
}

/// Every effect that still counts has its tombstone, and no two effects were committed: G1.
fn check_effects(
    space: &Space<'_>,
    context: &Context,
    permit: &PermitRecord,
    permits: &BTreeMap<PermitId, PermitRecord>,
    tombstones: &BTreeMap<&StateKey, TombstoneRecord>,
) -> Result<(), Violation> {
    if permit.state != PermitState::Committed {
        // An effect that came too late leaves one only where it can.
        return Ok(());
    }
    for claim in &permit.claims {
        let Some(left) = left_by(permit, claim).filter(|left| left.counts_at(context.now)) else {
            continue;
        };
        let key = operation(space, permit, claim);
        let Some(found) = tombstones.get(&key) else {
            return broken(&key, "a committed effect has left none");
        };
        if *found == left {
            continue;
        }
        let other = permits.get(&found.permit);
        holds(
            other.is_none_or(|other| other.state != PermitState::Committed),
            &key,
            "two effects were committed",
        )?;
    }
    Ok(())
}

/// Tombstones are counted by bound, all of one template.
fn check_counts(
    space: &Space<'_>,
    surfaces: &Surfaces,
    permits: &BTreeMap<PermitId, PermitRecord>,
    tombstones: &BTreeMap<&StateKey, TombstoneRecord>,
    counts: &BTreeMap<Vec<u8>, u64>,
) -> Result<(), Violation> {
    let mut onces: BTreeMap<StateKey, OnceRecord> = BTreeMap::new();
    for (key, once) in space.records::<OnceRecord>(Kind::Once)? {
        let named = key.parts().map_or(&[][..], |parts| parts.rest);
        let is_counted = counts.get(named) == Some(&once.tombstones);
        holds(is_counted, key, "the tombstones are not as many as counted")?;
        onces.insert(key.clone(), once);
    }
    for named in counts.keys() {
        let key = space.keys.named_row(Kind::Once, named);
        holds(
            onces.contains_key(&key),
            &key,
            "its tombstones are not counted",
        )?;
    }
    for tombstone in tombstones.values() {
        let Some(permit) = permits.get(&tombstone.permit) else {
            continue;
        };
        let outline = surfaces.get(&(permit.policy.digest, permit.surface.clone()));
        for bound in outline.iter().flat_map(|outline| &outline.bounds) {
            let key = space.keys.once(&permit.surface, &bound.name);
            let template = onces.get(&key).map(|once| &once.template);
            let is_kept = template.is_none_or(|template| *template == bound.template);
            holds(is_kept, &key, "its template changed")?;
        }
    }
    Ok(())
}
