//! Complete: how the effect of a permit ended.
//!
//! An outcome is recorded once and never replaced. What contradicts it is counted, stated, and
//! changes nothing else.

use holdpoint_receipt::statement::{Body, commit};
use holdpoint_receipt::{ClusterTime, Digest, Reason, Salt};

use super::Verdict;
use super::gate::Gate;
use super::redeem::{done, is_executor};
use super::statements::stated;
use crate::command::{Complete, CompletionResult};
use crate::fault::ApplyError;
use crate::limits::{CONFLICTS_STATED_MAX, WORD_BYTES_MAX};
use crate::outcome::{Outcome, PermitView, Statement, StepOutcome};
use crate::outline::SurfaceOutline;
use crate::record::{Completion, Contradiction, PermitRecord, PermitState, PermitStep};
use crate::rejection::{Bounded, Rejection};
use crate::view::View;

pub(super) fn complete<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Complete,
) -> Result<Verdict, ApplyError<V::Error>> {
    if let Some(rejection) = too_long(command.reason.as_deref()) {
        return Ok(Verdict::reject(rejection));
    }
    let Some(permit) = gate.permit(&command.permit)? else {
        return Ok(not_completed(Reason::UnknownPermit, None));
    };
    if !may_complete(gate, &permit, command)? {
        return Ok(not_completed(Reason::NotExecutor, None));
    }
    let view = PermitView::at(permit, gate.now());
    let is_offline = view.record.is_offline();
    let reason = match view.state {
        PermitState::Redeemed => return settle(gate, view.record, command),
        PermitState::Committed | PermitState::Aborted => {
            return complete_again(gate, view.record, command, Reason::OutcomeConflict);
        }
        // Somebody may have acted on it who only verified it.
        PermitState::Issued | PermitState::Expired if is_offline => {
            return settle(gate, view.record, command);
        }
        PermitState::Revoked if is_offline => {
            return complete_late(gate, view.record, command, Reason::Revoked);
        }
        PermitState::Superseded if is_offline => {
            return complete_late(gate, view.record, command, Reason::Superseded);
        }
        PermitState::Released => {
            return complete_late(gate, view.record, command, Reason::Released);
        }
        PermitState::Issued => Reason::NotRedeemed,
        PermitState::Expired => Reason::Expired,
        PermitState::Revoked => Reason::Revoked,
        PermitState::Superseded => Reason::Superseded,
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

/// An outcome becomes known: the permit becomes COMMITTED or ABORTED, unless it had ended otherwise.
fn settle<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Complete,
) -> Result<Verdict, ApplyError<V::Error>> {
    let (outcome, evidence_digest) = stated(command.result);
    let body = Body::Completed {
        step: gate.step(&permit, Some((&command.salt, command.principal.as_str()))),
        outcome,
        evidence_digest,
        reason_commitment: reason_commitment(&command.salt, command.reason.as_ref()),
    };
    let statement = gate.append_step(&mut permit, command.salt, body)?;
    let completion = completion(command, gate.now());
    gate.complete(&mut permit, completion)?;
    let done = done(PermitView::at(permit, gate.now()), statement, false);
    Ok(Verdict::Changed(Outcome::Completed(Box::new(done))))
}

/// An outcome of a permit that had ended without one: it is recorded, and the state stays.
fn complete_late<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Complete,
    ended: Reason,
) -> Result<Verdict, ApplyError<V::Error>> {
    if permit.completion.is_some() {
        return complete_again(gate, permit, command, ended);
    }
    match command.result {
        // As it should be.
        CompletionResult::Aborted => settle(gate, permit, command),
        // The effect happened although the gate had given its bounds to others, or still may.
        CompletionResult::Committed { .. } => {
            let statement = contradict(gate, &mut permit, command)?;
            let completion = completion(command, gate.now());
            gate.complete(&mut permit, completion)?;
            let view = PermitView::at(permit, gate.now());
            Ok(Verdict::Changed(conflict(ended, view, statement)))
        }
    }
}

/// The same outcome again is a replay. Another is refused with `reason`, and recorded.
fn complete_again<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Complete,
    reason: Reason,
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
    let is_settled = permit.leaf_of(PermitStep::Completed).is_some();
    if is_settled && is_same(recorded, command.result) {
        let statement = gate.statement_of(&permit, PermitStep::Completed)?;
        let done = done(PermitView::at(permit, now), statement, true);
        return Ok(Verdict::Unchanged(Outcome::Completed(Box::new(done))));
    }
    let is_known = |known: &&Contradiction| {
        is_same(known.result, command.result) && known.principal == command.principal
    };
    if let Some(known) = permit.contradictions.iter().find(is_known) {
        let statement = gate.statement(known.leaf)?;
        let view = PermitView::at(permit, now);
        return Ok(Verdict::Unchanged(conflict(reason, view, Some(statement))));
    }
    let statement = contradict(gate, &mut permit, command)?;
    gate.draft.write(gate.keys.permit(&permit.id), &permit)?;
    let view = PermitView::at(permit, now);
    Ok(Verdict::Changed(conflict(reason, view, statement)))
}

/// Counts an outcome that contradicts what is recorded, and states it unless too many are stated.
fn contradict<V: View>(
    gate: &mut Gate<'_, V>,
    permit: &mut PermitRecord,
    command: &Complete,
) -> Result<Option<Statement>, ApplyError<V::Error>> {
    permit.conflicts = permit.conflicts.saturating_add(1);
    gate.namespace.conflicts = gate.namespace.conflicts.saturating_add(1);
    if permit.contradictions.len() >= CONFLICTS_STATED_MAX {
        return Ok(None);
    }
    let (outcome, evidence_digest) = stated(command.result);
    let body = Body::Conflict {
        step: gate.step(permit, Some((&command.salt, command.principal.as_str()))),
        outcome,
        evidence_digest,
        reason_commitment: reason_commitment(&command.salt, command.reason.as_ref()),
    };
    let statement = gate.append_step(permit, command.salt, body)?;
    permit.contradictions.push(Contradiction {
        result: command.result,
        principal: command.principal.clone(),
        leaf: statement.leaf,
    });
    Ok(Some(statement))
}

fn completion(command: &Complete, completed_at: ClusterTime) -> Completion {
    Completion {
        result: command.result,
        principal: command.principal.clone(),
        operator: command.operator,
        reason: command.reason.clone(),
        completed_at,
    }
}

/// What a statement says of the reason that an operator gave.
pub(super) fn reason_commitment(salt: &Salt, reason: Option<&String>) -> Option<Digest> {
    reason.map(|reason| commit(salt, "reason_commitment", reason.as_bytes()))
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

fn conflict(reason: Reason, permit: PermitView, conflict: Option<Statement>) -> Outcome {
    Outcome::Completed(Box::new(StepOutcome::Refused {
        reason,
        permit: Some(permit),
        conflict,
    }))
}

fn not_completed(reason: Reason, permit: Option<PermitView>) -> Verdict {
    Verdict::Unchanged(Outcome::Completed(Box::new(refused(reason, permit))))
}

pub(super) fn refused(reason: Reason, permit: Option<PermitView>) -> StepOutcome {
    StepOutcome::Refused {
        reason,
        permit,
        conflict: None,
    }
}

/// Refuses a reason that is longer than records hold.
pub(super) fn too_long(reason: Option<&str>) -> Option<Rejection> {
    let bytes = reason.map_or(0, str::len);
    (bytes > WORD_BYTES_MAX).then_some(Rejection::TooMuch {
        what: Bounded::ReasonBytes,
        // usize has at most 64 bits on every target that exists, so this loses nothing.
        count: bytes as u64,
        count_max: WORD_BYTES_MAX as u64,
    })
}
