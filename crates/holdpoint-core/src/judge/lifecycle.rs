//! The transitions of a permit and the rows that follow from them.
//!
//! ```text
//! ISSUED    holders of its claims · Live · Expiry
//! REDEEMED  holders of its claims · Live · Doubt
//! others    none; COMMITTED leaves the tombstones of its `once` claims
//! ```
//!
//! Every change of a permit's state is made here, so that no row is left behind.

use holdpoint_receipt::{Name, PermitId};

use super::draft::{Draft, decoded};
use super::gate::Gate;
use crate::command::BoundClaim;
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind, StateKey};
use crate::outline::{BoundKind, SurfaceOutline};
use crate::position::LogPosition;
use crate::record::{
    Completion, GroupRecord, OnceRecord, PermitRecord, PermitState, Redemption, TombstoneRecord,
};
use crate::view::{View, Write};
use holdpoint_receipt::ClusterTime;

impl<V: View> Gate<'_, V> {
    fn holder_key(&self, surface: &Name, claim: &BoundClaim) -> StateKey {
        self.keys
            .operation(Kind::Holder, surface, &claim.name, &claim.key)
    }

    /// Nothing becomes ISSUED: `permit` is new, and takes every bound that it claims.
    pub(super) fn issue(&mut self, permit: &PermitRecord) -> Result<(), ApplyError<V::Error>> {
        assert_eq!(permit.state, PermitState::Issued, "a new permit is issued");
        assert!(
            permit.issued_at < permit.expires_at,
            "a new permit has a life"
        );
        let key = self.keys.permit(&permit.id);
        if self.permit(&permit.id)?.is_some() {
            return Err(ApplyError::contradiction(
                key,
                "a new permit exists already",
            ));
        }
        for claim in &permit.claims {
            let holder = self.holder_key(&permit.surface, claim);
            if self.draft.read::<PermitId>(&holder)?.is_some() {
                return Err(ApplyError::contradiction(
                    holder,
                    "a held bound was granted",
                ));
            }
            self.draft.write(holder, &permit.id)?;
        }
        let fence = permit.fence;
        self.draft.write(self.keys.fence(fence), &permit.id)?;
        self.draft
            .write(self.keys.live(&permit.surface, fence), &permit.id)?;
        let expiry = self.keys.due(Kind::Expiry, permit.expires_at, fence);
        self.draft.write(expiry, &permit.id)?;
        self.draft.write(key, permit)
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
        let fence = permit.fence;
        self.draft
            .delete(self.keys.due(Kind::Expiry, permit.expires_at, fence));
        let doubt = self.keys.due(Kind::Doubt, redemption.complete_by, fence);
        self.draft.write(doubt, &permit.id)?;
        permit.state = PermitState::Redeemed;
        permit.redemption = Some(redemption);
        self.draft.write(self.keys.permit(&permit.id), permit)
    }

    /// REDEEMED becomes COMMITTED or ABORTED, and lets its bounds go.
    pub(super) fn complete(
        &mut self,
        permit: &mut PermitRecord,
        state: PermitState,
        completion: Completion,
    ) -> Result<(), ApplyError<V::Error>> {
        assert_eq!(
            permit.state,
            PermitState::Redeemed,
            "only a redeemed permit is completed"
        );
        assert!(permit.completion.is_none(), "a permit is completed once");
        permit.completion = Some(completion);
        if state == PermitState::Committed {
            self.bury(permit)?;
        }
        self.end(permit, state)
    }

    /// Leaves a tombstone for each `once` claim of a committed permit.
    fn bury(&mut self, permit: &PermitRecord) -> Result<(), ApplyError<V::Error>> {
        let outline_key = self.keys.surface(&permit.policy.digest, &permit.surface);
        let outline: SurfaceOutline = self.draft.must_read(&outline_key)?;
        let once = permit
            .claims
            .iter()
            .filter(|claim| matches!(claim.kind, BoundKind::Once { .. }));
        for claim in once {
            let key =
                self.keys
                    .operation(Kind::Tombstone, &permit.surface, &claim.name, &claim.key);
            if self.draft.read::<TombstoneRecord>(&key)?.is_some() {
                return Err(ApplyError::contradiction(
                    key,
                    "an effect was committed twice",
                ));
            }
            let tombstone = TombstoneRecord {
                permit: permit.id,
                fence: permit.fence,
                committed_at: self.now(),
                kept_until: None,
            };
            self.draft.write(key, &tombstone)?;
            let bound = outline.bounds.iter().find(|bound| bound.name == claim.name);
            let template = bound.map(|bound| bound.template.clone()).ok_or_else(|| {
                ApplyError::contradiction(outline_key.clone(), "a claimed bound is not declared")
            })?;
            let key = self.keys.once(&permit.surface, &claim.name);
            let found = self.draft.read::<OnceRecord>(&key)?;
            let tombstones = found.map_or(0, |once| once.tombstones).saturating_add(1);
            let once = OnceRecord {
                template,
                tombstones,
            };
            self.draft.write(key, &once)?;
        }
        Ok(())
    }

    /// A live permit ends in `state` and lets its bounds go.
    pub(super) fn end(
        &mut self,
        permit: &mut PermitRecord,
        state: PermitState,
    ) -> Result<(), ApplyError<V::Error>> {
        assert!(permit.state.is_live(), "only a live permit ends");
        assert!(!state.is_live(), "an ended permit is not live");
        for claim in &permit.claims {
            let holder = self.holder_key(&permit.surface, claim);
            if self.draft.read::<PermitId>(&holder)? != Some(permit.id) {
                return Err(ApplyError::contradiction(
                    holder,
                    "a live permit does not hold it",
                ));
            }
            self.draft.delete(holder);
        }
        let fence = permit.fence;
        self.draft.delete(self.keys.live(&permit.surface, fence));
        let due = match &permit.redemption {
            Some(redemption) => self.keys.due(Kind::Doubt, redemption.complete_by, fence),
            None => self.keys.due(Kind::Expiry, permit.expires_at, fence),
        };
        self.draft.delete(due);
        permit.state = state;
        self.draft.write(self.keys.permit(&permit.id), permit)
    }

    /// Lets `permit` go if its time has passed.
    pub(super) fn expire_if_due(
        &mut self,
        permit: &mut PermitRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let is_due = permit.state_at(self.now()) == PermitState::Expired;
        if is_due && permit.state == PermitState::Issued {
            self.end(permit, PermitState::Expired)?;
        }
        Ok(())
    }

    /// Lets at most `limit` permits go whose time has passed, the earliest first, and says whether
    /// none is left.
    pub(super) fn let_expired_go(&mut self, limit: usize) -> Result<bool, ApplyError<V::Error>> {
        let prefix = self.keys.prefix(Kind::Expiry);
        // One more than may go, to see whether one is left.
        let rows = self.draft.first_rows(&prefix, limit.saturating_add(1))?;
        for (place, (key, row)) in rows.iter().enumerate() {
            let id: PermitId = decoded(key, row)?;
            let mut permit = self.must_permit(&id)?;
            if permit.state != PermitState::Issued {
                let what = "a permit that is not issued is due to expire";
                return Err(ApplyError::contradiction(key.clone(), what));
            }
            if permit.state_at(self.now()) != PermitState::Expired {
                return Ok(true);
            }
            if place == limit {
                return Ok(false);
            }
            self.end(&mut permit, PermitState::Expired)?;
        }
        Ok(true)
    }
}

/// Lets expired permits of one namespace go, at most `limit`.
///
/// Nothing depends on it but room: a permit is expired from `expires_at` on, whether or not an entry
/// has let it go.
pub(crate) fn let_expired_go<V: View>(
    view: &V,
    at: LogPosition,
    now: ClusterTime,
    namespace: &Name,
    limit: usize,
) -> Result<Vec<Write>, ApplyError<V::Error>> {
    let draft = Draft::new(view, at, now);
    let group_key = KeySpace::group(at.group).single(Kind::Group);
    let Some(group) = draft.read::<GroupRecord>(&group_key)? else {
        return Ok(Vec::new());
    };
    let Some(mut gate) = Gate::open(draft, &group, namespace)? else {
        return Ok(Vec::new());
    };
    gate.let_expired_go(limit)?;
    Ok(gate.close()?.into_writes())
}
