//! Authorize: one attempt, one decision. The steps are those of the specification, in its order.

use holdpoint_receipt::Reason;
use holdpoint_receipt::statement::Body;

use super::Verdict as Judgement;
use super::decide::Attempt;
use super::facts::{malformed, moved, unfit};
use super::gate::Gate;
use crate::command::{Authorize, Verdict};
use crate::fault::ApplyError;
use crate::outcome::{self, AuthorizeOutcome, Decision, Outcome, PermitView};
use crate::outline::SurfaceOutline;
use crate::record::{ActivePolicy, AttemptRecord, Decided, PermitRecord, PermitState};
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
    decide(gate, command, active, earlier)
}

/// Steps 4 to 8: what is not decided under the active policy.
fn decide<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Authorize,
    active: ActivePolicy,
    earlier: Option<AttemptRecord>,
) -> Result<Judgement, ApplyError<V::Error>> {
    let standing = standing(gate, earlier)?;
    let supersedes = match &standing {
        Standing::Superseding(permit) => Some(permit.id),
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
    if let Some(permit) = replaced {
        supersede(gate, *permit, command)?;
    }
    Attempt {
        command,
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
        PermitState::Expired | PermitState::Aborted => Standing::New,
        PermitState::Superseded => {
            let key = gate.keys.permit(&id);
            return Err(ApplyError::contradiction(key, "an attempt still names it"));
        }
    })
}

fn supersede<V: View>(
    gate: &mut Gate<'_, V>,
    mut permit: PermitRecord,
    command: &Authorize,
) -> Result<(), ApplyError<V::Error>> {
    let step = gate.step(&permit, None)?;
    gate.append_step(&mut permit, command.salt, Body::Superseded(step))?;
    gate.give_approvals_back(&permit)?;
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
