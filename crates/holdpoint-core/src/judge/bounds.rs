//! Claiming bounds: all or none.

use holdpoint_receipt::{ClusterTime, Name, PermitId, Reason};

use super::gate::Gate;
use crate::command::BoundClaim;
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::outline::BoundKind;
use crate::record::{PermitState, RefusedBound, TombstoneRecord};
use crate::view::View;

impl<V: View> Gate<'_, V> {
    /// The claims that cannot be granted now, in their order. Expired permits go first.
    pub(super) fn refused_claims(
        &mut self,
        surface: &Name,
        claims: &[BoundClaim],
    ) -> Result<Vec<RefusedBound>, ApplyError<V::Error>> {
        let mut refused = Vec::new();
        for claim in claims {
            refused.extend(self.refused_claim(surface, claim)?);
        }
        Ok(refused)
    }

    fn refused_claim(
        &mut self,
        surface: &Name,
        claim: &BoundClaim,
    ) -> Result<Option<RefusedBound>, ApplyError<V::Error>> {
        let key = self
            .keys
            .operation(Kind::Tombstone, surface, &claim.name, &claim.key);
        let tombstone = self.draft.read::<TombstoneRecord>(&key)?;
        match (claim.kind, tombstone) {
            (BoundKind::Once { .. }, Some(tombstone)) => {
                return Ok(Some(RefusedBound {
                    claim: claim.clone(),
                    reason: Reason::AlreadyCommitted,
                    fence: Some(tombstone.fence),
                    until: None,
                }));
            }
            (
                BoundKind::Exclusive | BoundKind::Capacity { .. } | BoundKind::Budget { .. },
                Some(_),
            ) => {
                return Err(ApplyError::contradiction(
                    key,
                    "a bound with tombstones is not once",
                ));
            }
            (_, None) => {}
        }
        let key = self
            .keys
            .operation(Kind::Holder, surface, &claim.name, &claim.key);
        let Some(holder) = self.draft.read::<PermitId>(&key)? else {
            return Ok(None);
        };
        let mut holder = self.must_permit(&holder)?;
        if !holder.state.is_live() {
            return Err(ApplyError::contradiction(
                key,
                "a permit that is not live holds it",
            ));
        }
        self.expire_if_due(&mut holder)?;
        Ok(holder.state.is_live().then(|| RefusedBound {
            claim: claim.clone(),
            reason: Reason::BoundHeld,
            fence: Some(holder.fence),
            until: (holder.state == PermitState::Issued).then_some(holder.expires_at),
        }))
    }
}

/// Why claims were refused, and when a new attempt can first succeed, where that is known.
///
/// What can never succeed outweighs what may: a committed effect is named before a held bound.
pub(super) fn summary(refused: &[RefusedBound]) -> (Reason, Option<ClusterTime>) {
    let is_committed = refused
        .iter()
        .any(|bound| bound.reason == Reason::AlreadyCommitted);
    let reason = if is_committed {
        Reason::AlreadyCommitted
    } else {
        Reason::BoundHeld
    };
    let retry_at = refused
        .iter()
        .map(|bound| bound.until)
        .collect::<Option<Vec<ClusterTime>>>()
        .and_then(|all| all.into_iter().max());
    (reason, retry_at)
}
