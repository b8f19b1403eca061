//! Redeem: the commit point. The checks are those of the specification, in its order.

use holdpoint_receipt::statement::{Body, commit};
use holdpoint_receipt::{Caller, Reason};

use super::Verdict;
use super::gate::Gate;
use crate::command::Redeem;
use crate::fault::ApplyError;
use crate::outcome::{Outcome, PermitView, Statement, StepOutcome};
use crate::outline::{Executor, SurfaceOutline};
use crate::record::{PermitRecord, PermitState, PermitStep, Redemption};
use crate::view::View;

pub(super) fn redeem<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Redeem,
) -> Result<Verdict, ApplyError<V::Error>> {
    // Known, and by a principal that may.
    let Some(permit) = gate.permit(&command.permit)? else {
        return Ok(refused(Reason::UnknownPermit, None));
    };
    let key = gate.keys.surface(&permit.policy.digest, &permit.surface);
    let surface: SurfaceOutline = gate.draft.must_read(&key)?;
    if !is_executor(&permit, &surface, &command.principal) {
        return Ok(refused(Reason::NotExecutor, None));
    }
    // What it is for.
    let view = PermitView::at(permit, gate.now());
    let permit = &view.record;
    if permit.request_digest != command.request_digest || permit.fence != command.fence {
        return Ok(refused(Reason::RequestMismatch, Some(view)));
    }
    // The same again.
    if is_repeated(permit, command) {
        let statement = gate.statement_of(permit, PermitStep::Redeemed)?;
        let done = done(view, statement, true);
        return Ok(Verdict::Unchanged(Outcome::Redeemed(Box::new(done))));
    }
    // Its state and its time.
    let in_the_way = match view.state {
        PermitState::Issued => None,
        PermitState::Released => Some(Reason::Released),
        PermitState::Redeemed | PermitState::Committed | PermitState::Aborted => {
            Some(Reason::AlreadyRedeemed)
        }
        PermitState::Revoked => Some(Reason::Revoked),
        PermitState::Superseded => Some(Reason::Superseded),
        PermitState::Expired => Some(Reason::Expired),
    };
    if let Some(reason) = in_the_way {
        return Ok(refused(reason, Some(view)));
    }
    // Its policy, then its context.
    if !gate.honours(permit)? {
        return Ok(refused(Reason::StalePolicy, Some(view)));
    }
    if !gate.are_still_committed(&permit.prerequisites)? {
        return Ok(refused(Reason::StaleContext, Some(view)));
    }
    if let Some(session) = &permit.session
        && gate.session_is_closed(session)?
    {
        return Ok(refused(Reason::StaleContext, Some(view)));
    }
    take(gate, view.record, &surface, command)
}

fn take<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    surface: &SurfaceOutline,
    command: &Redeem,
) -> Result<Verdict, ApplyError<V::Error>> {
    let now = gate.now();
    assert!(now < permit.expires_at, "an expired permit is not redeemed");
    let complete_by = now.saturating_add(surface.complete_within_ms);
    let (salt, principal) = (&command.salt, command.principal.as_str());
    let redemption_id = command.redemption_id.as_str().as_bytes();
    let body = Body::Redeemed {
        step: gate.step(&permit, Some((salt, principal))),
        redemption_commitment: commit(salt, "redemption_commitment", redemption_id),
        complete_by,
    };
    let statement = gate.append_step(&mut permit, command.salt, body)?;
    let redemption = Redemption {
        id: command.redemption_id.clone(),
        principal: command.principal.clone(),
        redeemed_at: now,
        complete_by,
        release_at: surface
            .release_after_ms
            .map(|release_after_ms| complete_by.saturating_add(release_after_ms)),
    };
    gate.redeem(&mut permit, redemption)?;
    let done = done(PermitView::at(permit, now), statement, false);
    Ok(Verdict::Changed(Outcome::Redeemed(Box::new(done))))
}

/// Whether `principal` may redeem: the caller where the surface says so, or one that it names.
pub(super) fn is_executor(
    permit: &PermitRecord,
    surface: &SurfaceOutline,
    principal: &Caller,
) -> bool {
    surface.executors.iter().any(|executor| match executor {
        Executor::Caller => permit.caller == *principal,
        Executor::Principal(named) => named == principal,
    })
}

/// Whether this very executor process has redeemed it.
fn is_repeated(permit: &PermitRecord, command: &Redeem) -> bool {
    permit.redemption.as_ref().is_some_and(|redemption| {
        redemption.id == command.redemption_id && redemption.principal == command.principal
    })
}

impl<V: View> Gate<'_, V> {
    /// Whether the policy in force lets `permit` be redeemed.
    fn honours(&self, permit: &PermitRecord) -> Result<bool, ApplyError<V::Error>> {
        let Some(active) = self.namespace.active else {
            return Ok(false);
        };
        if active.version == permit.policy.version {
            return Ok(true);
        }
        let key = self.keys.surface(&active.digest, &permit.surface);
        let surface = self.draft.read::<SurfaceOutline>(&key)?;
        Ok(surface.is_some_and(|surface| surface.honor_issued))
    }
}

pub(super) fn done(permit: PermitView, statement: Statement, replay: bool) -> StepOutcome {
    StepOutcome::Done {
        permit,
        statement,
        replay,
    }
}

fn refused(reason: Reason, permit: Option<PermitView>) -> Verdict {
    let outcome = StepOutcome::Refused {
        reason,
        permit,
        conflict: None,
    };
    Verdict::Unchanged(Outcome::Redeemed(Box::new(outcome)))
}
