//! Permits as they stand.

use holdpoint_core::command::BoundClaim;
use holdpoint_core::outcome::PermitView;
use holdpoint_core::record::PermitState;
use holdpoint_receipt::ClusterTime;

use crate::v1;

impl From<PermitState> for v1::PermitState {
    fn from(state: PermitState) -> Self {
        match state {
            PermitState::Issued => Self::Issued,
            PermitState::Redeemed => Self::Redeemed,
            PermitState::Committed => Self::Committed,
            PermitState::Aborted => Self::Aborted,
            PermitState::Expired => Self::Expired,
            PermitState::Revoked => Self::Revoked,
            PermitState::Superseded => Self::Superseded,
            PermitState::Released => Self::Released,
        }
    }
}

impl From<&BoundClaim> for v1::BoundKey {
    fn from(claim: &BoundClaim) -> Self {
        Self {
            name: claim.name.to_string(),
            kind: claim.kind.as_str().to_owned(),
            key: claim.key.to_string(),
            amount: claim.amount,
        }
    }
}

/// The permit as `view` shows it. What its bundle advises the executor is for whoever has the bundle.
#[must_use]
pub fn permit(view: &PermitView) -> v1::Permit {
    let record = &view.record;
    let redemption = record.redemption.as_ref();
    let completion = record.completion.as_ref();
    let release = record.release.as_ref();
    v1::Permit {
        id: record.id.to_string(),
        fence: record.fence.get(),
        issued_at_ms: record.issued_at.get(),
        expires_at_ms: record.expires_at.get(),
        complete_by_ms: view.complete_by().map_or(0, ClusterTime::get),
        state: v1::PermitState::from(view.state).into(),
        request_digest: record.request_digest.as_bytes().to_vec(),
        bounds: record.claims.iter().map(v1::BoundKey::from).collect(),
        surface: record.surface.to_string(),
        action: record.action.to_string(),
        caller: record.caller.to_string(),
        in_doubt: view.in_doubt,
        policy_version: record.policy.version.get(),
        policy_digest: record.policy.digest.as_bytes().to_vec(),
        failed_exit_aborts: false,
        held_until_ms: record.held_until.map_or(0, ClusterTime::get),
        release_at_ms: redemption
            .and_then(|redemption| redemption.release_at)
            .map_or(0, ClusterTime::get),
        session: record
            .session
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        conflicts: record.conflicts,
        redeemed_at_ms: redemption.map_or(0, |redemption| redemption.redeemed_at.get()),
        completed_at_ms: completion.map_or(0, |completion| completion.completed_at.get()),
        completion_reason: completion
            .and_then(|completion| completion.reason.clone())
            .unwrap_or_default(),
        released_at_ms: release.map_or(0, |release| release.released_at.get()),
        release_reason: release
            .and_then(|release| release.reason.clone())
            .unwrap_or_default(),
    }
}
