//! Authorize: one attempt, one decision. The steps are those of the specification, in its order.

use holdpoint_receipt::Reason;
use holdpoint_receipt::statement::Body;

use super::Verdict as Judgement;
use super::decide::Attempt;
use super::facts::{malformed, moved, unfit};
use super::gate::Gate;
use crate::command::{AttemptName, Authorize, Verdict};
use crate::fault::ApplyError;
use crate::outcome::{self, AuthorizeOutcome, Decision, Outcome, PermitView};
use crate::outline::SurfaceOutline;
use crate::record::{
    ActivePolicy, AttemptRecord, Decided, PermitRecord, PermitState, WaiterRecord,
};
use crate::rejection::{EvaluationProblem, Rejection};
use crate::view::View;

pub(super) fn authorize<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Authorize,
) -> Result<Judgement, ApplyError<V::Error>> {
    if let Some(rejection) = malformed(command, gate.now()) {
        return Ok(Judgement::reject(rejection));
    }
    let key = gate.keys.attempt(&command.caller, &command.idempotency_key);
    let recorded = gate.draft.read::<AttemptRecord>(&key)?;
    let has_digest = |record: &AttemptRecord| record.request_digest == command.request_digest;
    let attempt = AttemptName {
        caller: command.caller.clone(),
        idempotency_key: command.idempotency_key.clone(),
    };
    let waiter = gate.live_waiter(&attempt)?;
    // 1. Past the attempt's end nothing is decided any more.
    if gate.now() >= command.not_after {
        return match recorded {
            Some(record) if has_digest(&record) => replay(gate, record),
            Some(_) => Ok(silent(Reason::IdempotencyKeyReused)),
            None => Ok(silent(Reason::AttemptExpired)),
        };
    }
    // 2. A retry repeats the request and the end.
    if let Some(record) = &recorded
        && (!has_digest(record) || record.not_after != command.not_after)
    {
        return Ok(silent(Reason::IdempotencyKeyReused));
    }
    if let Some(waiter) = &waiter
        && (waiter.request_digest != command.request_digest
            || waiter.not_after != command.not_after)
    {
        return Ok(silent(Reason::IdempotencyKeyReused));
    }
    let Some(active) = gate.namespace.active else {
        return match recorded {
            Some(_) => Err(ApplyError::contradiction(
                key,
                "it was decided without a policy",
            )),
            None => Ok(silent(Reason::NoActivePolicy)),
        };
    };
    // 3. Decided under the version that is active: the recorded decision.
    let earlier = match recorded {
        Some(record) if record.policy.version == active.version => return replay(gate, record),
        earlier => earlier,
    };
    // Who waits is evaluated again when it is its turn.
    if command.evaluation.is_none()
        && let Some(waiter) = &waiter
        && let Some(waiting) = gate.still_waiting(waiter)?
    {
        return Ok(waiting);
    }
    let asked = Asked {
        command,
        attempt,
        waiter,
    };
    decide(gate, asked, active, earlier)
}

/// A command with what the state knows of its attempt.
struct Asked<'c> {
    command: &'c Authorize,
    attempt: AttemptName,
    /// Its live ticket.
    waiter: Option<WaiterRecord>,
}

/// Steps 4 to 8: what is not decided under the active policy.
fn decide<V: View>(
    gate: &mut Gate<'_, V>,
    asked: Asked<'_>,
    active: ActivePolicy,
    earlier: Option<AttemptRecord>,
) -> Result<Judgement, ApplyError<V::Error>> {
    let command = asked.command;
    let standing = standing(gate, earlier)?;
    let supersedes = match &standing {
        Standing::Superseding(permit) => Some(permit.as_ref()),
        Standing::Final(_) | Standing::New => None,
    };
    // 4. The evaluation must rest on what is so.
    let current = gate.current(command, active, supersedes)?;
    let not_current = |reason, current| {
        let outcome = AuthorizeOutcome::NotCurrent { reason, current };
        Ok(unchanged(outcome))
    };
    if let Some(evaluation) = &command.evaluation
        && let Some(reason) = moved(evaluation, &current)
    {
        return not_current(reason, current);
    }
    // 5. Made under another version: beyond taking back, or replaced.
    let replaced = match standing {
        Standing::Final(record) => return replay(gate, *record),
        Standing::Superseding(permit) => Some(permit),
        Standing::New => None,
    };
    let Some(evaluation) = &command.evaluation else {
        // The command only looked. Whoever sent it evaluates on what is so.
        return not_current(Reason::PolicyMoved, current);
    };
    let key = gate.keys.surface(&active.digest, &command.surface);
    let Some(surface) = gate.draft.read::<SurfaceOutline>(&key)? else {
        let problem = EvaluationProblem::Surface;
        return Ok(Judgement::reject(Rejection::Evaluation(problem)));
    };
    if let Some(problem) = unfit(command, evaluation, &surface) {
        return Ok(Judgement::reject(Rejection::Evaluation(problem)));
    }
    if let Verdict::Permit { .. } = &evaluation.verdict {
        if current.facts.frozen {
            return Ok(silent(Reason::Frozen));
        }
        if current.facts.draining {
            return Ok(silent(Reason::Draining));
        }
        if current.facts.session_closed {
            return Ok(silent(Reason::SessionClosed));
        }
        if !gate.are_committed(&command.prerequisites)? {
            return Ok(silent(Reason::PrerequisiteNotCommitted));
        }
    }
    if let Verdict::Permit { .. } = &evaluation.verdict
        && !gate.make_room(&command.surface, &evaluation.claims)?
    {
        // So much has expired that one command does not let all of it go: the next continues.
        let reason = Reason::FactsMoved;
        let outcome = AuthorizeOutcome::NotCurrent { reason, current };
        return Ok(Judgement::Changed(Outcome::Authorized(outcome)));
    }
    if let Some(permit) = replaced {
        supersede(gate, *permit, command)?;
    }
    Attempt {
        command,
        name: asked.attempt,
        waiter: asked.waiter,
        evaluation,
        surface,
        active,
    }
    .decide(gate)
}

/// What an earlier record means under another policy version.
enum Standing {
    /// It is returned as it is.
    Final(Box<AttemptRecord>),
    /// Its permit is replaced, and the request goes on as new.
    Superseding(Box<PermitRecord>),
    /// The request goes on as new.
    New,
}

fn standing<V: View>(
    gate: &mut Gate<'_, V>,
    earlier: Option<AttemptRecord>,
) -> Result<Standing, ApplyError<V::Error>> {
    let Some(record) = earlier else {
        return Ok(Standing::New);
    };
    let id = match &record.decided {
        Decided::Permit(id) => *id,
        Decided::Deny(_) => return Ok(Standing::New),
    };
    let mut permit = gate.must_permit(&id)?;
    gate.expire_if_due(&mut permit)?;
    Ok(match permit.state {
        PermitState::Issued => Standing::Superseding(Box::new(permit)),
        PermitState::Redeemed
        | PermitState::Committed
        | PermitState::Revoked
        | PermitState::Released => Standing::Final(Box::new(record)),
        // Where executors need not redeem, somebody may have acted on it.
        PermitState::Expired if permit.in_doubt_at(gate.now()) => Standing::Final(Box::new(record)),
        // A superseded one whose attempt has not been decided since: it waited.
        PermitState::Expired | PermitState::Aborted | PermitState::Superseded => Standing::New,
    })
}

fn supersede<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Authorize,
) -> Result<(), ApplyError<V::Error>> {
    let step = gate.step(&permit, None);
    gate.append_step(&mut permit, command.salt, Body::Superseded(step))?;
    if permit.gives_approvals_back() {
        gate.give_approvals_back(&permit)?;
    }
    gate.end(&mut permit, PermitState::Superseded)
}

/// The recorded decision, marked as a replay, with the permit as it stands now.
fn replay<V: View>(
    gate: &Gate<'_, V>,
    record: AttemptRecord,
) -> Result<Judgement, ApplyError<V::Error>> {
    let verdict = match record.decided {
        Decided::Permit(id) => {
            outcome::Decided::Permit(Box::new(PermitView::at(gate.must_permit(&id)?, gate.now())))
        }
        Decided::Deny(denial) => outcome::Decided::Deny(denial),
    };
    let decision = Decision {
        verdict,
        policies: record.policies,
        policy: record.policy,
        replay: true,
        statement: gate.statement(record.leaf)?,
        not_after: record.not_after,
        request_digest: record.request_digest,
    };
    Ok(unchanged(AuthorizeOutcome::Decided(Box::new(decision))))
}

pub(super) fn silent(reason: Reason) -> Judgement {
    unchanged(AuthorizeOutcome::Silent { reason })
}

fn unchanged(outcome: AuthorizeOutcome) -> Judgement {
    Judgement::Unchanged(Outcome::Authorized(outcome))
}
