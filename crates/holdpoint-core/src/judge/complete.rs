//! Complete and revoke: how a permit ends.

use holdpoint_receipt::Reason;
use holdpoint_receipt::statement::Body;

use super::Verdict;
use super::gate::Gate;
use super::redeem::{done, is_executor};
use super::statements::stated;
use crate::command::{Complete, CompletionResult, Revoke};
use crate::fault::ApplyError;
use crate::outcome::{Outcome, PermitView, Statement, StepOutcome};
use crate::outline::SurfaceOutline;
use crate::record::{Completion, PermitRecord, PermitState, PermitStep};
use crate::view::View;

pub(super) fn complete<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Complete,
) -> Result<Verdict, ApplyError<V::Error>> {
    let Some(permit) = gate.permit(&command.permit)? else {
        return Ok(not_completed(Reason::UnknownPermit, None));
    };
    if !may_complete(gate, &permit, command)? {
        return Ok(not_completed(Reason::NotExecutor, None));
    }
    let view = PermitView::at(permit, gate.now());
    let reason = match view.state {
        PermitState::Redeemed => return settle(gate, view.record, command),
        PermitState::Committed | PermitState::Aborted => {
            return complete_again(gate, view.record, command);
        }
        PermitState::Issued => Reason::NotRedeemed,
        PermitState::Expired => Reason::Expired,
        PermitState::Revoked => Reason::Revoked,
        PermitState::Superseded => Reason::Superseded,
        PermitState::Released => Reason::Released,
    };
    Ok(not_completed(reason, Some(view)))
}

/// Who redeemed knows how it ended, and an operator may say so; others may not even guess. Before
/// it is redeemed, executors learn that it is not.
fn may_complete<V: View>(
    gate: &Gate<'_, V>,
    permit: &PermitRecord,
    command: &Complete,
) -> Result<bool, ApplyError<V::Error>> {
    if command.operator {
        return Ok(true);
    }
    if let Some(redemption) = &permit.redemption {
        return Ok(redemption.principal == command.principal);
    }
    let key = gate.keys.surface(&permit.policy.digest, &permit.surface);
    let surface: SurfaceOutline = gate.draft.must_read(&key)?;
    Ok(is_executor(permit, &surface, &command.principal))
}

/// REDEEMED becomes COMMITTED or ABORTED.
fn settle<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Complete,
) -> Result<Verdict, ApplyError<V::Error>> {
    let state = match command.result {
        CompletionResult::Committed { .. } => PermitState::Committed,
        CompletionResult::Aborted => PermitState::Aborted,
    };
    let (outcome, evidence_digest) = stated(command.result);
    let body = Body::Completed {
        step: gate.step(&permit, Some((&command.salt, command.principal.as_str())))?,
        outcome,
        evidence_digest,
        reason_commitment: None,
    };
    let statement = gate.append_step(&mut permit, command.salt, body)?;
    let completion = Completion {
        result: command.result,
        principal: command.principal.clone(),
        operator: command.operator,
        reason: command.reason.clone(),
        completed_at: gate.now(),
    };
    gate.complete(&mut permit, state, completion)?;
    let done = done(PermitView::at(permit, gate.now()), statement, false);
    Ok(Verdict::Changed(Outcome::Completed(Box::new(done))))
}

/// The same outcome again is a replay. Another is refused, and the first such is recorded.
fn complete_again<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Complete,
) -> Result<Verdict, ApplyError<V::Error>> {
    let now = gate.now();
    let recorded = permit
        .completion
        .as_ref()
        .map(|completion| completion.result);
    let Some(recorded) = recorded else {
        let key = gate.keys.permit(&permit.id);
        return Err(ApplyError::contradiction(
            key,
            "a completed permit has no outcome",
        ));
    };
    if is_same(recorded, command.result) {
        let statement = gate.statement_of(&permit, PermitStep::Completed)?;
        let done = done(PermitView::at(permit, now), statement, true);
        return Ok(Verdict::Unchanged(Outcome::Completed(Box::new(done))));
    }
    if permit.leaf_of(PermitStep::Conflict).is_some() {
        let statement = gate.statement_of(&permit, PermitStep::Conflict)?;
        return Ok(Verdict::Unchanged(conflict(
            PermitView::at(permit, now),
            statement,
        )));
    }
    let (outcome, evidence_digest) = stated(command.result);
    let body = Body::Conflict {
        step: gate.step(&permit, Some((&command.salt, command.principal.as_str())))?,
        outcome,
        evidence_digest,
        reason_commitment: None,
    };
    let statement = gate.append_step(&mut permit, command.salt, body)?;
    gate.draft.write(gate.keys.permit(&permit.id), &permit)?;
    Ok(Verdict::Changed(conflict(
        PermitView::at(permit, now),
        statement,
    )))
}

/// Whether `again` says what was recorded. Evidence may be left out, not replaced.
fn is_same(recorded: CompletionResult, again: CompletionResult) -> bool {
    match (recorded, again) {
        (CompletionResult::Aborted, CompletionResult::Aborted) => true,
        (
            CompletionResult::Committed { evidence: recorded },
            CompletionResult::Committed { evidence: again },
        ) => again.is_none() || again == recorded,
        (CompletionResult::Committed { .. }, CompletionResult::Aborted)
        | (CompletionResult::Aborted, CompletionResult::Committed { .. }) => false,
    }
}

fn conflict(permit: PermitView, statement: Statement) -> Outcome {
    Outcome::Completed(Box::new(StepOutcome::Refused {
        reason: Reason::OutcomeConflict,
        permit: Some(permit),
        conflict: Some(statement),
    }))
}

fn not_completed(reason: Reason, permit: Option<PermitView>) -> Verdict {
    Verdict::Unchanged(Outcome::Completed(Box::new(refused(reason, permit))))
}

fn refused(reason: Reason, permit: Option<PermitView>) -> StepOutcome {
    StepOutcome::Refused {
        reason,
        permit,
        conflict: None,
    }
}

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
    let step = gate.step(&permit, Some((&command.salt, command.principal.as_str())))?;
    let statement = gate.append_step(&mut permit, command.salt, Body::Revoked(step))?;
    gate.end(&mut permit, PermitState::Revoked)?;
    let done = done(PermitView::at(permit, gate.now()), statement, false);
    Ok(Verdict::Changed(Outcome::Revoked(Box::new(done))))
}

fn not_revoked(reason: Reason, permit: Option<PermitView>) -> Verdict {
    Verdict::Unchanged(Outcome::Revoked(Box::new(refused(reason, permit))))
}
