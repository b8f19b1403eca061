//! How much of capacities and budgets is used.
//!
//! ```text
//! Usage     operation, window               what live and committed permits were charged
//! Holding   operation, window, time, fence  a permit that lets go at that time if nothing else happens
//! UsageEnd  end of a budget's window        the usage, until a sweep has met it
//! ```
//!
//! A capacity has no window and charges no committed permits. Sums are kept, never counted, and
//! nothing here walks over more rows than a limit allows.

use holdpoint_receipt::{ClusterTime, Name, PermitId};

use super::draft::decoded;
use super::gate::Gate;
use crate::codec::records::Present;
use crate::command::BoundClaim;
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::RETRY_ROWS_MAX;
use crate::outline::{BoundKind, Window};
use crate::record::{PermitRecord, UsageRecord};
use crate::view::View;

/// Where the sum stands that a claim is charged to.
pub(super) struct Meter {
    usage: StateKey,
    /// The beginning of the keys of its [`Kind::Holding`] rows.
    holding: StateKey,
    window: Option<Window>,
    pub(super) limit: u64,
}

impl Meter {
    /// The window's end; none for a capacity.
    fn end(&self) -> Option<ClusterTime> {
        self.window.map(Window::end)
    }

    /// Whether nothing will be charged to it any more that could be refused.
    fn is_closed_at(&self, now: ClusterTime) -> bool {
        self.end().is_some_and(|end| now >= end)
    }

    /// How far `amount` more would go beyond the limit.
    pub(super) fn excess(&self, usage: UsageRecord, amount: u64) -> u64 {
        let sum = usage.live.saturating_add(usage.committed);
        sum.saturating_add(amount).saturating_sub(self.limit)
    }
}

impl<V: View> Gate<'_, V> {
    /// Where `claim` of a permit issued at `issued_at` is charged; none if it is charged nowhere:
    /// held by one permit at a time, or of nothing.
    pub(super) fn meter(
        &self,
        surface: &Name,
        claim: &BoundClaim,
        issued_at: ClusterTime,
    ) -> Option<Meter> {
        let limit = match claim.kind {
            BoundKind::Capacity { limit } | BoundKind::Budget { limit, .. } => limit,
            BoundKind::Exclusive | BoundKind::Once { .. } => return None,
        };
        if claim.amount == 0 {
            return None;
        }
        let window = claim.kind.window_at(issued_at);
        let (length_ms, start_ms) =
            window.map_or((0, 0), |window| (window.length_ms, window.start_ms));
        let of = |kind| {
            let operation = self.keys.operation(kind, surface, &claim.name, &claim.key);
            self.keys.usage(&operation, length_ms, start_ms)
        };
        Some(Meter {
            usage: of(Kind::Usage),
            holding: of(Kind::Holding),
            window,
            limit,
        })
    }

    pub(super) fn usage(&self, meter: &Meter) -> Result<UsageRecord, ApplyError<V::Error>> {
        Ok(self.draft.read(&meter.usage)?.unwrap_or_default())
    }

    /// Charges a new permit.
    pub(super) fn charge(
        &mut self,
        meter: &Meter,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        let mut usage = self.usage(meter)?;
        if meter.excess(usage, claim.amount) > 0 {
            let what = "more than its limit was granted";
            return Err(ApplyError::contradiction(meter.usage.clone(), what));
        }
        // Within the limit, so far from the largest number.
        usage.live = usage.live.saturating_add(claim.amount);
        self.write_usage(meter, usage)?;
        self.hold(meter, permit, claim)
    }

    /// Notes when `permit` lets `claim` go, where time makes it.
    pub(super) fn hold(
        &mut self,
        meter: &Meter,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        if let Some(at) = permit.lets_go_at(claim.kind) {
            let key = KeySpace::holding(&meter.holding, at, permit.fence);
            self.draft.write(key, &permit.id)?;
        }
        Ok(())
    }

    /// Takes back what [`Gate::hold`] noted of `permit` as it was.
    pub(super) fn unhold(&mut self, meter: &Meter, before: &PermitRecord, claim: &BoundClaim) {
        if let Some(at) = before.lets_go_at(claim.kind) {
            let key = KeySpace::holding(&meter.holding, at, before.fence);
            self.draft.delete(key);
        }
    }

    /// Takes the charge of a live permit back. A budget keeps what an effect has consumed.
    pub(super) fn give_back(
        &mut self,
        meter: &Meter,
        claim: &BoundClaim,
        is_consumed: bool,
    ) -> Result<(), ApplyError<V::Error>> {
        let mut usage = self.usage(meter)?;
        let Some(live) = usage.live.checked_sub(claim.amount) else {
            let what = "less is used than a live permit was charged";
            return Err(ApplyError::contradiction(meter.usage.clone(), what));
        };
        usage.live = live;
        if is_consumed {
            // An effect that came too late may go beyond the limit; beyond the largest number it
            // makes no difference any more.
            usage.committed = usage.committed.saturating_add(claim.amount);
        }
        self.write_usage(meter, usage)
    }

    /// Charges the effect of a permit that no longer holds `claim`, if that can still refuse others.
    pub(super) fn charge_late(
        &mut self,
        meter: &Meter,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        if meter.is_closed_at(self.now()) {
            return Ok(());
        }
        let mut usage = self.usage(meter)?;
        usage.committed = usage.committed.saturating_add(claim.amount);
        self.write_usage(meter, usage)
    }

    fn write_usage(
        &mut self,
        meter: &Meter,
        usage: UsageRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let is_closed = meter.is_closed_at(self.now());
        let end = self.usage_end(meter);
        if usage.live == 0 && (usage.committed == 0 || is_closed) {
            self.draft.delete(meter.usage.clone());
            if let Some(end) = end {
                self.draft.delete(end);
            }
            return Ok(());
        }
        if let Some(end) = end
            && !is_closed
        {
            self.draft.write(end, &Present)?;
        }
        self.draft.write(meter.usage.clone(), &usage)
    }

    fn usage_end(&self, meter: &Meter) -> Option<StateKey> {
        let named = meter.usage.parts().map_or(&[][..], |parts| parts.rest);
        let end = meter.end()?;
        Some(self.keys.end_of(Kind::UsageEnd, end, named))
    }

    /// Lets at most `limit` permits go that hold `meter` only until now, the earliest first, and says
    /// whether none is left.
    pub(super) fn let_holders_go(
        &mut self,
        meter: &Meter,
        limit: usize,
    ) -> Result<bool, ApplyError<V::Error>> {
        let prefix = meter.holding.as_bytes();
        // One more than may go, to see whether one is left.
        let rows = self.draft.first_rows(prefix, limit.saturating_add(1))?;
        for (place, (key, row)) in rows.iter().enumerate() {
            if time_at(key, prefix.len())? > self.now() {
                return Ok(true);
            }
            if place == limit {
                return Ok(false);
            }
            let id: PermitId = decoded(key, row)?;
            let mut permit = self.must_permit(&id)?;
            self.expire_if_due(&mut permit)?;
        }
        Ok(true)
    }

    /// When `excess` of `meter` is known to be free; none if that is not known.
    pub(super) fn frees_at(
        &self,
        meter: &Meter,
        claim: &BoundClaim,
        excess: u64,
    ) -> Result<Option<ClusterTime>, ApplyError<V::Error>> {
        if claim.amount > meter.limit {
            return Ok(None);
        }
        let prefix = meter.holding.as_bytes();
        let mut freed: u64 = 0;
        for (key, row) in self.draft.first_rows(prefix, RETRY_ROWS_MAX)? {
            let id: PermitId = decoded(&key, &row)?;
            let permit = self.must_permit(&id)?;
            let held = permit.claims.iter().find(|held| held.name == claim.name);
            freed = freed.saturating_add(held.map_or(0, |held| held.amount));
            if freed >= excess {
                let at = time_at(&key, prefix.len())?;
                return Ok(Some(meter.end().map_or(at, |end| end.min(at))));
            }
        }
        Ok(meter.end())
    }
}

/// The time that stands in `key` at `offset`.
pub(super) fn time_at<E>(key: &StateKey, offset: usize) -> Result<ClusterTime, ApplyError<E>> {
    let bytes = key.as_bytes().get(offset..).and_then(<[u8]>::first_chunk);
    bytes
        .and_then(|bytes| ClusterTime::new(u64::from_be_bytes(*bytes)).ok())
        .ok_or_else(|| ApplyError::contradiction(key.clone(), "the key names no time"))
}
