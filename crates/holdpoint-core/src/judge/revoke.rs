//! Revoke and release: how a permit ends without an outcome.

use holdpoint_receipt::statement::Body;
use holdpoint_receipt::{Reason, Salt};

use super::Verdict;
use super::complete::{reason_commitment, refused, too_long};
use super::gate::Gate;
use super::redeem::done;
use crate::command::{Release, Revoke};
use crate::fault::ApplyError;
use crate::outcome::{Outcome, PermitView, Statement};
use crate::outline::BoundKind;
use crate::record::{PermitRecord, PermitState, PermitStep, ReleaseRecord};
use crate::view::View;

pub(super) fn revoke<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Revoke,
) -> Result<Verdict, ApplyError<V::Error>> {
    let Some(permit) = gate.permit(&command.permit)? else {
        return Ok(not_revoked(Reason::UnknownPermit, None));
    };
    if !command.operator && permit.caller != command.principal {
        return Ok(not_revoked(Reason::Forbidden, None));
    }
    let view = PermitView::at(permit, gate.now());
    let reason = match view.state {
        PermitState::Issued => return take_back(gate, view.record, command),
        PermitState::Revoked => {
            let statement = gate.statement_of(&view.record, PermitStep::Revoked)?;
            let done = done(view, statement, true);
            return Ok(Verdict::Unchanged(Outcome::Revoked(Box::new(done))));
        }
        PermitState::Redeemed => Reason::AlreadyRedeemed,
        PermitState::Committed | PermitState::Aborted => Reason::NotAllowed,
        PermitState::Expired => Reason::Expired,
        PermitState::Superseded => Reason::Superseded,
        PermitState::Released => Reason::Released,
    };
    Ok(not_revoked(reason, Some(view)))
}

/// ISSUED becomes REVOKED.
fn take_back<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Revoke,
) -> Result<Verdict, ApplyError<V::Error>> {
    let step = gate.step(&permit, Some((&command.salt, command.principal.as_str())));
    let statement = gate.append_step(&mut permit, command.salt, Body::Revoked(step))?;
    gate.end(&mut permit, PermitState::Revoked)?;
    let done = done(PermitView::at(permit, gate.now()), statement, false);
    Ok(Verdict::Changed(Outcome::Revoked(Box::new(done))))
}

fn not_revoked(reason: Reason, permit: Option<PermitView>) -> Verdict {
    Verdict::Unchanged(Outcome::Revoked(Box::new(refused(reason, permit))))
}

/// Gives up the bounds of a permit in doubt.
pub(super) fn release<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Release,
) -> Result<Verdict, ApplyError<V::Error>> {
    if let Some(rejection) = too_long(command.reason.as_deref()) {
        return Ok(Verdict::reject(rejection));
    }
    if !command.operator {
        return Ok(not_released(Reason::Forbidden, None));
    }
    let Some(permit) = gate.permit(&command.permit)? else {
        return Ok(not_released(Reason::UnknownPermit, None));
    };
    let view = PermitView::at(permit, gate.now());
    if view.state == PermitState::Released {
        let statement = gate.statement_of(&view.record, PermitStep::Released)?;
        let done = done(view, statement, true);
        return Ok(Verdict::Unchanged(Outcome::Released(Box::new(done))));
    }
    if !view.in_doubt {
        return Ok(not_released(Reason::NotInDoubt, Some(view)));
    }
    if !is_releasable(&view.record) {
        return Ok(not_released(Reason::NotAllowed, Some(view)));
    }
    let release = ReleaseRecord {
        principal: Some(command.principal.clone()),
        reason: command.reason.clone(),
        released_at: gate.now(),
    };
    let mut permit = view.record;
    let statement = gate.let_doubt_go(&mut permit, release, command.salt)?;
    let done = done(PermitView::at(permit, gate.now()), statement, false);
    Ok(Verdict::Changed(Outcome::Released(Box::new(done))))
}

/// Whether its bounds may be given to others while nobody knows how it ended: never where an effect
/// must not happen twice, and never where executors need not redeem.
fn is_releasable(permit: &PermitRecord) -> bool {
    let is_once = |kind| matches!(kind, BoundKind::Once { .. });
    permit.state == PermitState::Redeemed
        && !permit.is_offline()
        && !permit.claims.iter().any(|claim| is_once(claim.kind))
}

impl<V: View> Gate<'_, V> {
    /// States that the bounds of a permit in doubt are given up, and gives them up.
    pub(super) fn let_doubt_go(
        &mut self,
        permit: &mut PermitRecord,
        release: ReleaseRecord,
        salt: Salt,
    ) -> Result<Statement, ApplyError<V::Error>> {
        let principal = release.principal.as_ref();
        let step = self.step(
            permit,
            principal.map(|principal| (&salt, principal.as_str())),
        );
        let body = Body::Released {
            step,
            reason_commitment: reason_commitment(&salt, release.reason.as_ref()),
        };
        let statement = self.append_step(permit, salt, body)?;
        self.release(permit, release)?;
        Ok(statement)
    }
}

fn not_released(reason: Reason, permit: Option<PermitView>) -> Verdict {
    Verdict::Unchanged(Outcome::Released(Box::new(refused(reason, permit))))
}
