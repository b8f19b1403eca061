//! Claiming bounds: all or none.

use holdpoint_receipt::{ClusterTime, Name, PermitId, Reason};

use super::gate::Gate;
use super::usage::Meter;
use crate::command::BoundClaim;
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::limits::CLAIM_EXPIRIES_MAX;
use crate::outline::BoundKind;
use crate::record::{RefusedBound, TombstoneRecord};
use crate::view::View;

impl<V: View> Gate<'_, V> {
    /// Lets permits go whose time has passed, as far as `claims` need it, and says whether what is
    /// left to let go makes no difference to them. If it says no, the next evaluation continues.
    pub(super) fn make_room(
        &mut self,
        surface: &Name,
        claims: &[BoundClaim],
    ) -> Result<bool, ApplyError<V::Error>> {
        let mut is_settled = true;
        for claim in claims {
            let Some(meter) = self.meter(surface, claim, self.now()) else {
                continue;
            };
            if claim.amount > meter.limit || self.excess(&meter, claim)? == 0 {
                continue;
            }
            let is_none_left = self.let_holders_go(&meter, CLAIM_EXPIRIES_MAX)?;
            is_settled &= is_none_left || self.excess(&meter, claim)? == 0;
        }
        Ok(is_settled)
    }

    /// The claims that cannot be granted now, in their order. Expired permits go first.
    pub(super) fn refused_claims(
        &mut self,
        surface: &Name,
        claims: &[BoundClaim],
    ) -> Result<Vec<RefusedBound>, ApplyError<V::Error>> {
        let mut refused = Vec::new();
        for claim in claims {
            refused.extend(match claim.kind {
                BoundKind::Exclusive | BoundKind::Once { .. } => {
                    self.refused_alone(surface, claim)?
                }
                BoundKind::Capacity { .. } | BoundKind::Budget { .. } => {
                    match self.meter(surface, claim, self.now()) {
                        Some(meter) => self.refused_by_sum(&meter, claim)?,
                        None => None,
                    }
                }
            });
        }
        Ok(refused)
    }

    /// Refuses a claim that one permit holds at a time.
    fn refused_alone(
        &mut self,
        surface: &Name,
        claim: &BoundClaim,
    ) -> Result<Option<RefusedBound>, ApplyError<V::Error>> {
        // Only effects of `once` leave tombstones.
        if matches!(claim.kind, BoundKind::Once { .. })
            && let Some(tombstone) = self.tombstone(surface, claim)?
        {
            return Ok(Some(RefusedBound {
                claim: claim.clone(),
                reason: Reason::AlreadyCommitted,
                fence: Some(tombstone.fence),
                until: tombstone.kept_until,
            }));
        }
        let key = self
            .keys
            .operation(Kind::Holder, surface, &claim.name, &claim.key);
        let Some(holder) = self.draft.read::<PermitId>(&key)? else {
            return Ok(None);
        };
        let mut holder = self.must_permit(&holder)?;
        self.expire_if_due(&mut holder)?;
        if !holder.held.holds(claim.kind) {
            return Ok(None);
        }
        Ok(Some(RefusedBound {
            claim: claim.clone(),
            reason: Reason::BoundHeld,
            fence: Some(holder.fence),
            until: holder.lets_go_at(claim.kind),
        }))
    }

    /// The committed effect that stands in the way. One whose time has passed is taken away.
    fn tombstone(
        &mut self,
        surface: &Name,
        claim: &BoundClaim,
    ) -> Result<Option<TombstoneRecord>, ApplyError<V::Error>> {
        let key = self
            .keys
            .operation(Kind::Tombstone, surface, &claim.name, &claim.key);
        let Some(tombstone) = self.draft.read::<TombstoneRecord>(&key)? else {
            return Ok(None);
        };
        if tombstone.counts_at(self.now()) {
            return Ok(Some(tombstone));
        }
        self.unbury(&key, &tombstone)?;
        Ok(None)
    }

    /// Refuses a claim that is charged to a sum.
    fn refused_by_sum(
        &mut self,
        meter: &Meter,
        claim: &BoundClaim,
    ) -> Result<Option<RefusedBound>, ApplyError<V::Error>> {
        if self.excess(meter, claim)? > 0 {
            self.let_holders_go(meter, CLAIM_EXPIRIES_MAX)?;
        }
        let excess = self.excess(meter, claim)?;
        if excess == 0 {
            return Ok(None);
        }
        Ok(Some(RefusedBound {
            claim: claim.clone(),
            reason: Reason::BoundExhausted,
            fence: None,
            until: self.frees_at(meter, claim, excess)?,
        }))
    }

    fn excess(&self, meter: &Meter, claim: &BoundClaim) -> Result<u64, ApplyError<V::Error>> {
        Ok(meter.excess(self.usage(meter)?, claim.amount))
    }
}

/// Why claims were refused, and when a new attempt can first succeed, where that is known.
///
/// What lasts longest is named first: a committed effect before what is used up, and that before
/// what one permit holds.
pub(super) fn summary(refused: &[RefusedBound]) -> (Reason, Option<ClusterTime>) {
    let is_any = |reason| refused.iter().any(|bound| bound.reason == reason);
    let reason = [Reason::AlreadyCommitted, Reason::BoundExhausted]
        .into_iter()
        .find(|reason| is_any(*reason))
        .unwrap_or(Reason::BoundHeld);
    let retry_at = refused
        .iter()
        .map(|bound| bound.until)
        .collect::<Option<Vec<ClusterTime>>>()
        .and_then(|all| all.into_iter().max());
    (reason, retry_at)
}
