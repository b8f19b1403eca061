//! What is held, used and committed, by scanning everything that was granted.

use super::{
    Asked, Bound, Event, Grant, Grave, Kind, Model, Operation, Surface, operations, places,
};

/// Wall clocks may differ by so much, and an executor may act on what it saw before.
const SKEW_MS: u64 = 500;

/// Rows that a refusal looks at, to say when enough is free.
const ROWS_MAX: usize = 64;

/// A claim that cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) bound: &'static str,
    pub(super) value: u8,
    pub(super) kind: Kind,
    pub(super) reason: &'static str,
    pub(super) fence: Option<u64>,
    pub(super) until_ms: Option<u64>,
}

impl Refused {
    pub(super) fn said(&self) -> String {
        let by = self
            .fence
            .map_or_else(String::new, |fence| format!(" by fence={fence}"));
        format!(" [{}/{} {}{by}]", self.bound, self.value, self.reason)
    }
}

/// The reason that is named, and when a new attempt can first succeed.
pub(super) fn summary(refused: &[Refused]) -> (&'static str, Option<u64>) {
    let has = |reason: &str| refused.iter().any(|bound| bound.reason == reason);
    let reason = if has("ALREADY_COMMITTED") {
        "ALREADY_COMMITTED"
    } else if has("BOUND_EXHAUSTED") {
        "BOUND_EXHAUSTED"
    } else {
        "BOUND_HELD"
    };
    let mut latest = Some(0);
    for bound in refused {
        latest = latest.zip(bound.until_ms).map(|(a, b)| a.max(b));
    }
    (reason, latest)
}

/// Which of its claims a permit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    All,
    Consumed,
    Nothing,
}

impl Holds {
    pub(super) fn has(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Consumed => kind.is_consumed(),
            Self::Nothing => false,
        }
    }
}

impl Grant {
    pub(super) fn held_until_ms(&self) -> u64 {
        self.expires_ms + SKEW_MS + self.surface.within_ms
    }

    /// When it lets a claim go if nothing but time passes.
    fn lets_go_ms(&self, kind: Kind) -> Option<u64> {
        let has_ended = self.has(Event::Revoked) || self.has(Event::Superseded);
        if self.said().is_some() || self.has(Event::Released) {
            return None;
        }
        if self.redeemed().is_some() {
            return None;
        }
        if !self.surface.is_offline {
            return (!has_ended).then_some(self.expires_ms);
        }
        (has_ended || !kind.is_consumed()).then(|| self.held_until_ms())
    }

    pub(super) fn claims(&self, operation: Operation) -> Option<Kind> {
        let mut all = self.operations().into_iter();
        all.find(|(own, _)| *own == operation).map(|(_, kind)| kind)
    }
}

/// Where sums of one operation are kept apart: by the length and the start of the window.
fn window(kind: Kind, at_ms: u64) -> Option<(u64, u64)> {
    match kind {
        Kind::Budget(_, window_ms) => Some((window_ms, at_ms / window_ms)),
        Kind::Capacity(_) => Some((0, 0)),
        Kind::Exclusive | Kind::Once(_) => None,
    }
}

fn limit(kind: Kind) -> u64 {
    match kind {
        Kind::Budget(limit, _) | Kind::Capacity(limit) => limit,
        Kind::Exclusive | Kind::Once(_) => 1,
    }
}

impl Model {
    /// What a permit holds, as far as entries have met what time has done to it.
    pub(super) fn holds(&self, grant: &Grant) -> Holds {
        let (is_met, is_let_go) = (
            self.met.expired.contains(&grant.fence),
            self.met.let_go.contains(&grant.fence),
        );
        if grant.said().is_some() || grant.has(Event::Released) {
            Holds::Nothing
        } else if grant.redeemed().is_some() {
            Holds::All
        } else if grant.has(Event::Revoked) || grant.has(Event::Superseded) {
            if grant.surface.is_offline && !is_let_go {
                Holds::All
            } else {
                Holds::Nothing
            }
        } else if !grant.surface.is_offline {
            if is_met { Holds::Nothing } else { Holds::All }
        } else if is_let_go {
            let bounds = grant.surface.bounds;
            if bounds.iter().any(|bound| bound.1.is_consumed()) {
                Holds::Consumed
            } else {
                Holds::Nothing
            }
        } else {
            Holds::All
        }
    }

    /// An entry meets a permit: what time has done to it takes effect on those that wait.
    pub(super) fn meet(&mut self, fence: u64) {
        let grant = self.grant(fence).unwrap().clone();
        let is_open = grant.said().is_none() && !grant.has(Event::Released);
        let has_ended = grant.has(Event::Revoked) || grant.has(Event::Superseded);
        if !is_open || grant.redeemed().is_some() {
            return;
        }
        let before = self.holds(&grant);
        if !has_ended && grant.expires_ms <= self.now_ms {
            self.met.expired.insert(fence);
        }
        let is_over = has_ended || self.met.expired.contains(&fence);
        if grant.surface.is_offline && is_over && grant.held_until_ms() <= self.now_ms {
            self.met.let_go.insert(fence);
        }
        let after = self.holds(&grant);
        self.free(&grant, before, after);
        self.note_end(fence);
    }

    /// What was held and no longer is may be what somebody waits for.
    pub(super) fn free(&mut self, grant: &Grant, before: Holds, after: Holds) {
        if self.met.waiters.is_empty() {
            return;
        }
        for (operation, kind) in places(grant.surface, grant.asked) {
            if before.has(kind) && !after.has(kind) {
                self.met.freed.insert(operation);
            }
        }
    }

    /// The beginning of an entry meets at most `limit` permits that are due.
    pub(super) fn meet_due(&mut self, limit: usize) {
        let mut expired: Vec<(u64, u64)> = Vec::new();
        let mut over: Vec<(u64, u64)> = Vec::new();
        for grant in &self.grants {
            let ends = ["REVOKED", "SUPERSEDED", "EXPIRED"];
            let state = grant.state(self.now_ms);
            if state == "EXPIRED" && !self.met.expired.contains(&grant.fence) {
                expired.push((grant.expires_ms, grant.fence));
            }
            let is_held = ends.contains(&state) && self.holds(grant) == Holds::All;
            if grant.surface.is_offline && is_held && grant.held_until_ms() <= self.now_ms {
                over.push((grant.held_until_ms(), grant.fence));
            }
        }
        expired.sort_unstable();
        over.sort_unstable();
        let left = limit.saturating_sub(expired.len());
        for (_, fence) in expired.into_iter().take(limit) {
            self.meet(fence);
        }
        // Meeting one that expired long ago has done this too.
        over.retain(|(_, fence)| {
            let is_let_go = self.met.let_go.contains(fence);
            !is_let_go
                && self.holds(&self.grants[usize::try_from(*fence).unwrap() - 1]) == Holds::All
        });
        for (_, fence) in over.into_iter().take(left) {
            self.meet(fence);
        }
    }

    /// What is charged: by permits that hold it, and by effects that consumed it.
    fn used(&self, operation: Operation, kind: Kind) -> (u64, Vec<(u64, u64, u64)>) {
        let now = window(kind, self.now_ms);
        let mut sum = 0;
        let mut holding = Vec::new();
        for grant in &self.grants {
            let Some(own) = grant.claims(operation) else {
                continue;
            };
            if window(own, grant.issued_ms) != now {
                continue;
            }
            let charge = grant.asked.charge(own);
            if self.holds(grant).has(own) {
                sum += charge;
                if let Some(at_ms) = grant.lets_go_ms(own) {
                    holding.push((at_ms, grant.fence, charge));
                }
            } else if own.is_consumed() && grant.is_committed() {
                sum += charge;
            }
        }
        holding.retain(|(_, _, charge)| *charge > 0);
        holding.sort_unstable();
        (sum, holding)
    }

    /// Meets the permits that hold a sum only until now, if that is needed.
    fn meet_holders(&mut self, operation: Operation, kind: Kind, amount: u64) {
        let (sum, holding) = self.used(operation, kind);
        if sum + amount > limit(kind) {
            for (at_ms, fence, _) in holding {
                if at_ms <= self.now_ms {
                    self.meet(fence);
                }
            }
        }
    }

    pub(super) fn make_room(&mut self, surface: Surface, asked: Asked) {
        for (operation, kind) in operations(surface, asked) {
            let amount = asked.charge(kind);
            if !kind.is_of_one() && amount > 0 && amount <= limit(kind) {
                self.meet_holders(operation, kind, amount);
            }
        }
    }

    /// The claims that cannot be had, those that wait aside.
    pub(super) fn refused(&mut self, surface: Surface, asked: Asked) -> Vec<Refused> {
        let mut refused = Vec::new();
        for (operation, kind) in operations(surface, asked) {
            let found = if kind.is_of_one() {
                self.refused_alone(operation, kind)
            } else {
                self.refused_by_sum(operation, kind, asked.charge(kind))
            };
            refused.extend(found.map(|(reason, fence, until_ms)| Refused {
                bound: operation.1,
                value: operation.2,
                kind,
                reason,
                fence,
                until_ms,
            }));
        }
        refused
    }

    fn refused_alone(
        &mut self,
        operation: Operation,
        kind: Kind,
    ) -> Option<(&'static str, Option<u64>, Option<u64>)> {
        if let Some(place) = self.grave(operation) {
            let grave = self.graves[place].clone();
            if grave.until_ms.is_none_or(|until| self.now_ms < until) {
                return Some(("ALREADY_COMMITTED", Some(grave.fence), grave.until_ms));
            }
            self.met.cleared.insert(place);
        }
        let holds = |model: &Self, grant: &Grant| {
            let own = grant.claims(operation);
            own.is_some_and(|own| own.is_of_one() && model.holds(grant).has(own))
        };
        let fence = self.grants.iter().find(|grant| holds(self, grant))?.fence;
        self.meet(fence);
        let grant = self.grant(fence).unwrap();
        let until_ms = grant.lets_go_ms(kind);
        holds(self, grant).then_some(("BOUND_HELD", Some(fence), until_ms))
    }

    fn refused_by_sum(
        &mut self,
        operation: Operation,
        kind: Kind,
        amount: u64,
    ) -> Option<(&'static str, Option<u64>, Option<u64>)> {
        if amount == 0 {
            return None;
        }
        self.meet_holders(operation, kind, amount);
        let (sum, holding) = self.used(operation, kind);
        let excess = (sum + amount).saturating_sub(limit(kind));
        if excess == 0 {
            return None;
        }
        let end_ms = match kind {
            Kind::Budget(_, window_ms) => Some((self.now_ms / window_ms + 1) * window_ms),
            _ => None,
        };
        let mut freed = 0;
        let enough = holding.iter().take(ROWS_MAX).find(|(_, _, charge)| {
            freed += charge;
            freed >= excess
        });
        let until_ms = match (enough, end_ms) {
            _ if amount > limit(kind) => None,
            (Some((at_ms, _, _)), Some(end_ms)) => Some(end_ms.min(*at_ms)),
            (Some((at_ms, _, _)), None) => Some(*at_ms),
            (None, end_ms) => end_ms,
        };
        Some(("BOUND_EXHAUSTED", None, until_ms))
    }

    /// The effect that is recorded for an operation, whether or not it still counts.
    fn grave(&self, operation: Operation) -> Option<usize> {
        self.graves.iter().enumerate().position(|(place, grave)| {
            (grave.surface, grave.bound.0, grave.value) == operation
                && !self.met.cleared.contains(&place)
        })
    }

    /// Bounds of a surface that effects are recorded for.
    pub(super) fn once_bounds(&self, surface: &str) -> Vec<Bound> {
        let graves = self.graves.iter().enumerate();
        graves
            .filter(|(place, grave)| grave.surface == surface && !self.met.cleared.contains(place))
            .map(|(_, grave)| grave.bound)
            .collect()
    }

    /// Clears what no longer counts.
    pub(super) fn clear_graves(&mut self) {
        for (place, grave) in self.graves.iter().enumerate() {
            let is_over = grave.until_ms.is_some_and(|until| until <= self.now_ms);
            if is_over && self.met.cleared.insert(place) {
                self.notes.push("an effect was forgotten");
            }
        }
    }

    /// An effect of `fence` was committed: what it consumes is consumed, also what it no longer held.
    pub(super) fn consume(&mut self, fence: u64, before: Holds) {
        let grant = self.grant(fence).unwrap().clone();
        for bound in grant.surface.bounds {
            let Kind::Once(kept_ms) = bound.1 else {
                continue;
            };
            let active = self.surface(grant.surface.name);
            let declared = active.map_or(&[][..], |surface| surface.bounds);
            let is_still_once = declared
                .iter()
                .any(|known| known.0 == bound.0 && known.1.is_once() && known.2 == bound.2);
            if !before.has(bound.1) && !is_still_once {
                continue;
            }
            let value = grant.asked.value(bound.0);
            if let Some(place) = self.grave((grant.surface.name, bound.0, value)) {
                if self.graves[place]
                    .until_ms
                    .is_none_or(|until| self.now_ms < until)
                {
                    continue;
                }
                self.met.cleared.insert(place);
            }
            if !before.has(bound.1) {
                self.notes.push("an effect came too late");
            }
            self.graves.push(Grave {
                surface: grant.surface.name,
                bound: *bound,
                value,
                fence,
                until_ms: kept_ms.map(|kept_ms| self.now_ms + kept_ms),
            });
        }
    }
}
