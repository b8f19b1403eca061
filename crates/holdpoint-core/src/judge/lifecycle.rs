//! The transitions of a permit and the rows that follow from them.
//!
//! ```text
//!                        holds        rows besides its own and Fence
//! ISSUED                 all          Live · Expiry; Doubt at expires_at where it is offline
//! REDEEMED               all          Live · Doubt at complete_by · ReleaseAt where its surface says so
//! EXPIRED                nothing      none
//!   offline              all          Live · Doubt · HeldEnd, until held_until has passed
//!   offline, then        consumables  Live while it holds any · Doubt
//! REVOKED SUPERSEDED     nothing      none
//!   offline              all          Live · HeldEnd, until held_until has passed
//! COMMITTED ABORTED      nothing      none; a committed one leaves tombstones and charges
//! RELEASED               nothing      none
//! ```
//!
//! What it holds is a Holder row for each claim of `exclusive` and `once`, and a charge on the usage of
//! every other. Every change of a permit's state is made here, so that no row is left behind.

use holdpoint_receipt::{ClusterTime, Name, PermitId};

use super::draft::{Draft, decoded};
use super::gate::{Changes, Gate};
use crate::command::{BoundClaim, CompletionResult};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind, StateKey};
use crate::outline::BoundKind;
use crate::position::LogPosition;
use crate::record::{
    Completion, GroupRecord, Held, PermitRecord, PermitState, Redemption, ReleaseRecord,
};
use crate::view::View;

impl<V: View> Gate<'_, V> {
    /// Nothing becomes ISSUED: `permit` is new, and takes every bound that it claims.
    pub(super) fn issue(&mut self, permit: &PermitRecord) -> Result<(), ApplyError<V::Error>> {
        assert_eq!(permit.state, PermitState::Issued, "a new permit is issued");
        assert!(
            permit.issued_at < permit.expires_at,
            "a new permit has a life"
        );
        // Its id is its fence's, and no fence is given twice: `Gate::close` holds that they rise. So it
        // is not looked up.
        assert_eq!(
            permit.fence, self.namespace.fence,
            "a new permit has the newest fence"
        );
        for claim in &permit.claims {
            self.take_hold(permit, claim)?;
        }
        self.draft
            .write(self.keys.fence(permit.fence), &permit.id)?;
        for row in self.rows_of(permit) {
            self.draft.write(row, &permit.id)?;
        }
        self.draft.write(self.keys.permit(&permit.id), permit)
    }

    /// ISSUED becomes REDEEMED. The caller has appended the statement.
    pub(super) fn redeem(
        &mut self,
        permit: &mut PermitRecord,
        redemption: Redemption,
    ) -> Result<(), ApplyError<V::Error>> {
        assert_eq!(
            permit.state,
            PermitState::Issued,
            "only an issued permit is redeemed"
        );
        assert!(permit.redemption.is_none(), "a permit is redeemed once");
        self.change(permit, self.now(), |permit| {
            permit.state = PermitState::Redeemed;
            permit.redemption = Some(redemption);
        })
    }

    /// An outcome becomes known: COMMITTED or ABORTED, and all bounds go. A permit that had ended
    /// otherwise stays in its state.
    pub(super) fn complete(
        &mut self,
        permit: &mut PermitRecord,
        completion: Completion,
    ) -> Result<(), ApplyError<V::Error>> {
        assert!(permit.completion.is_none(), "a permit is completed once");
        let state = match (permit.state, completion.result) {
            (PermitState::Redeemed, result) => completed(result),
            (PermitState::Issued | PermitState::Expired, result) if permit.is_offline() => {
                completed(result)
            }
            (PermitState::Revoked | PermitState::Superseded, _) if permit.is_offline() => {
                permit.state
            }
            (PermitState::Released, _) => PermitState::Released,
            _ => {
                let key = self.keys.permit(&permit.id);
                let what = "an outcome of a permit that nobody could use";
                return Err(ApplyError::contradiction(key, what));
            }
        };
        self.change(permit, self.now(), |permit| {
            permit.state = state;
            permit.completion = Some(completion);
            permit.held = Held::Nothing;
        })
    }

    /// ISSUED becomes REVOKED or SUPERSEDED. Where executors need not redeem, the bounds stay held.
    pub(super) fn end(
        &mut self,
        permit: &mut PermitRecord,
        state: PermitState,
    ) -> Result<(), ApplyError<V::Error>> {
        assert_eq!(
            permit.state,
            PermitState::Issued,
            "only an issued permit is taken back"
        );
        assert!(!state.is_live(), "an ended permit is not live");
        self.change(permit, self.now(), |permit| {
            permit.state = state;
            if !permit.is_offline() {
                permit.held = Held::Nothing;
            }
        })
    }

    /// REDEEMED and in doubt becomes RELEASED. The caller has appended the statement.
    pub(super) fn release(
        &mut self,
        permit: &mut PermitRecord,
        release: ReleaseRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        assert_eq!(
            permit.state,
            PermitState::Redeemed,
            "only a redeemed permit is released"
        );
        assert!(
            permit.in_doubt_at(self.now()),
            "only a permit in doubt is released"
        );
        self.change(permit, self.now(), |permit| {
            permit.state = PermitState::Released;
            permit.release = Some(release);
            permit.held = Held::Nothing;
        })
    }

    /// Does to `permit` what time has done: lets it expire, and lets its bounds go.
    pub(super) fn expire_if_due(
        &mut self,
        permit: &mut PermitRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let now = self.now();
        if permit.state == PermitState::Issued && now >= permit.expires_at {
            self.change(permit, permit.expires_at, |permit| {
                permit.state = PermitState::Expired;
                if !permit.is_offline() {
                    permit.held = Held::Nothing;
                }
            })?;
        }
        let held = permit.held_at(now);
        if held != permit.held {
            let at = permit.held_until.unwrap_or(permit.expires_at);
            self.change(permit, at, |permit| permit.held = held)?;
        }
        Ok(())
    }

    /// Changes a permit at `at`, and every row that follows from it.
    fn change(
        &mut self,
        permit: &mut PermitRecord,
        at: ClusterTime,
        change: impl FnOnce(&mut PermitRecord),
    ) -> Result<(), ApplyError<V::Error>> {
        let before = permit.clone();
        change(permit);
        assert!(
            permit.held == Held::All || !permit.state.is_live(),
            "a live permit holds what it claims"
        );
        if before.ended_at.is_none() && has_ended(permit) {
            permit.ended_at = Some(at);
            self.note_end(permit)?;
        }
        let is_consumed = before.completion.is_none() && is_committed(permit);
        let mut freed: Vec<BoundClaim> = Vec::new();
        for claim in &before.claims {
            let (was, is) = (before.held.holds(claim.kind), permit.held.holds(claim.kind));
            assert!(was || !is, "what was let go is not held again");
            if was && is {
                self.move_hold(&before, permit, claim)?;
            } else if was {
                self.let_go(&before, claim, is_consumed)?;
                freed.push(claim.clone());
            } else if is_consumed {
                self.consume_late(permit, claim)?;
            }
        }
        self.offer_freed(&permit.surface, &freed);
        let rows = self.rows_of(permit);
        for row in self.rows_of(&before) {
            if !rows.contains(&row) {
                self.draft.delete(row);
            }
        }
        for row in rows {
            self.draft.write(row, &permit.id)?;
        }
        self.draft.write(self.keys.permit(&permit.id), permit)
    }

    /// The rows of indexes that follow from a permit, but for those of its claims and its fence.
    fn rows_of(&self, permit: &PermitRecord) -> Vec<StateKey> {
        let due = |kind, at| self.keys.due(kind, at, permit.fence);
        let mut rows = Vec::new();
        if permit.state.is_live() || permit.held != Held::Nothing {
            rows.push(self.keys.live(&permit.surface, permit.fence));
        }
        let is_undecided = match permit.state {
            PermitState::Issued => {
                rows.push(due(Kind::Expiry, permit.expires_at));
                true
            }
            PermitState::Expired => true,
            PermitState::Redeemed
            | PermitState::Committed
            | PermitState::Aborted
            | PermitState::Revoked
            | PermitState::Superseded
            | PermitState::Released => false,
        };
        if let Some(until) = permit.held_until {
            if is_undecided {
                rows.push(due(Kind::Doubt, permit.expires_at));
            }
            if !permit.state.is_live() && permit.held == Held::All {
                rows.push(due(Kind::HeldEnd, until));
            }
        }
        if let Some(redemption) = &permit.redemption
            && permit.state == PermitState::Redeemed
        {
            rows.push(due(Kind::Doubt, redemption.complete_by));
            if let Some(at) = redemption.release_at {
                rows.push(due(Kind::ReleaseAt, at));
            }
        }
        rows
    }

    fn holder_key(&self, surface: &Name, claim: &BoundClaim) -> StateKey {
        self.keys
            .operation(Kind::Holder, surface, &claim.name, &claim.key)
    }

    fn take_hold(
        &mut self,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        match claim.kind {
            BoundKind::Exclusive | BoundKind::Once { .. } => {
                let holder = self.holder_key(&permit.surface, claim);
                if self.draft.read::<PermitId>(&holder)?.is_some() {
                    let what = "a held bound was granted";
                    return Err(ApplyError::contradiction(holder, what));
                }
                self.draft.write(holder, &permit.id)
            }
            BoundKind::Capacity { .. } | BoundKind::Budget { .. } => {
                match self.meter(&permit.surface, claim, permit.issued_at) {
                    Some(meter) => self.charge(&meter, permit, claim),
                    None => Ok(()),
                }
            }
        }
    }

    /// A claim stays held, but time may now let it go at another moment.
    fn move_hold(
        &mut self,
        before: &PermitRecord,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        if let Some(meter) = self.meter(&permit.surface, claim, permit.issued_at) {
            self.unhold(&meter, before, claim);
            self.hold(&meter, permit, claim)?;
        }
        Ok(())
    }

    fn let_go(
        &mut self,
        before: &PermitRecord,
        claim: &BoundClaim,
        is_consumed: bool,
    ) -> Result<(), ApplyError<V::Error>> {
        if let Some(meter) = self.meter(&before.surface, claim, before.issued_at) {
            self.unhold(&meter, before, claim);
            return self.give_back(&meter, claim, is_consumed && claim.kind.is_consumed());
        }
        match claim.kind {
            // Nothing was charged.
            BoundKind::Capacity { .. } | BoundKind::Budget { .. } => return Ok(()),
            BoundKind::Exclusive | BoundKind::Once { .. } => {}
        }
        let holder = self.holder_key(&before.surface, claim);
        if self.draft.read::<PermitId>(&holder)? != Some(before.id) {
            let what = "a permit does not hold what it says";
            return Err(ApplyError::contradiction(holder, what));
        }
        self.draft.delete(holder);
        if is_consumed {
            self.bury(before, claim)?;
        }
        Ok(())
    }

    /// Charges an effect to a claim that was let go before it became known.
    fn consume_late(
        &mut self,
        permit: &PermitRecord,
        claim: &BoundClaim,
    ) -> Result<(), ApplyError<V::Error>> {
        match claim.kind {
            BoundKind::Once { .. } if self.is_still_once(permit, claim)? => {
                self.bury(permit, claim)
            }
            BoundKind::Exclusive | BoundKind::Once { .. } | BoundKind::Capacity { .. } => Ok(()),
            BoundKind::Budget { .. } => {
                match self.meter(&permit.surface, claim, permit.issued_at) {
                    Some(meter) => self.charge_late(&meter, claim),
                    None => Ok(()),
                }
            }
        }
    }

    /// Lets at most `limit` permits go whose time has passed, the earliest first, and says whether
    /// none is left.
    pub(super) fn let_expired_go(&mut self, limit: usize) -> Result<bool, ApplyError<V::Error>> {
        let (count, is_none_left) = self.let_due_go(Kind::Expiry, limit)?;
        let (_, is_none_held) = self.let_due_go(Kind::HeldEnd, limit.saturating_sub(count))?;
        Ok(is_none_left && is_none_held)
    }

    /// Does what time has done to at most `limit` permits of an index of ends. Gives how many, and
    /// whether none is left.
    pub(super) fn let_due_go(
        &mut self,
        kind: Kind,
        limit: usize,
    ) -> Result<(usize, bool), ApplyError<V::Error>> {
        // One more than may go, to see whether one is left.
        let rows = self.rows_until(kind, self.now(), limit.saturating_add(1))?;
        for (place, (key, row)) in rows.iter().enumerate() {
            if place == limit {
                return Ok((place, false));
            }
            let id: PermitId = decoded(key, row)?;
            let mut permit = self.must_permit(&id)?;
            let before = permit.state;
            let held = permit.held;
            self.expire_if_due(&mut permit)?;
            if permit.state == before && permit.held == held {
                let what = "nothing is due of the permit that it names";
                return Err(ApplyError::contradiction(key.clone(), what));
            }
        }
        Ok((rows.len(), true))
    }
}

fn completed(result: CompletionResult) -> PermitState {
    match result {
        CompletionResult::Committed { .. } => PermitState::Committed,
        CompletionResult::Aborted => PermitState::Aborted,
    }
}

fn is_committed(permit: &PermitRecord) -> bool {
    permit
        .completion
        .as_ref()
        .is_some_and(|completion| matches!(completion.result, CompletionResult::Committed { .. }))
}

/// Whether it holds nothing more, and nobody waits for its outcome.
fn has_ended(permit: &PermitRecord) -> bool {
    let may_have_been_used =
        permit.state == PermitState::Expired && permit.is_offline() && permit.completion.is_none();
    !permit.state.is_live() && permit.held == Held::Nothing && !may_have_been_used
}

/// Lets expired permits of one namespace go, at most `limit`, and meets as many tickets whose time has
/// come.
///
/// Nothing depends on it but room and turns: a permit is expired from `expires_at` on, and a ticket
/// over from its end on, whether or not an entry has said so.
pub(crate) fn let_expired_go<V: View>(
    view: &V,
    at: LogPosition,
    now: ClusterTime,
    namespace: &Name,
    limit: usize,
) -> Result<Changes, ApplyError<V::Error>> {
    let draft = Draft::new(view, at, now);
    let group_key = KeySpace::group(at.group).single(Kind::Group);
    let Some(group) = draft.read::<GroupRecord>(&group_key)? else {
        return Ok(Changes::default());
    };
    let Some(mut gate) = Gate::open(draft, &group, namespace)? else {
        return Ok(Changes::default());
    };
    gate.let_expired_go(limit)?;
    gate.sweep_waiters(limit)?;
    gate.close()
}
