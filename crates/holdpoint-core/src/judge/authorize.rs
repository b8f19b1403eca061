//! Authorize: one attempt, one decision. The steps are those of the specification, in its order.

use holdpoint_receipt::statement::{
    Body, BoundCommitments, DecisionStatement, Grant, Verdict as Stated, commit,
};
use holdpoint_receipt::{Reason, StatementText};

use super::Verdict as Judgement;
use super::bounds::summary;
use super::facts::{malformed, moved, unfit};
use super::gate::Gate;
use super::statements::{evaluator, permit_id};
use crate::codec::encode_evaluation;
use crate::codec::records::Present;
use crate::command::{Authorize, Evaluation, Verdict};
use crate::fault::{ApplyError, Corruption};
use crate::key::StateKey;
use crate::limits::ATTEMPT_KEPT_MS;
use crate::outcome::{self, AuthorizeOutcome, Decision, Outcome, PermitView};
use crate::outline::SurfaceOutline;
use crate::record::{
    ActivePolicy, AttemptRecord, Decided, Denial, DisclosureRecord, PermitRecord, PermitState,
    PermitStep, StatementRef,
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
        PermitState::Redeemed | PermitState::Committed | PermitState::Revoked => {
            Standing::Final(Box::new(record))
        }
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
    gate.end(&mut permit, PermitState::Superseded)
}

/// An attempt whose evaluation is current.
struct Attempt<'c> {
    command: &'c Authorize,
    evaluation: &'c Evaluation,
    surface: SurfaceOutline,
    active: ActivePolicy,
}

impl Attempt<'_> {
    /// Steps 6 to 8.
    fn decide<V: View>(self, gate: &mut Gate<'_, V>) -> Result<Judgement, ApplyError<V::Error>> {
        // 6. Policy denies.
        let policies = match &self.evaluation.verdict {
            Verdict::Permit { policies } => policies.clone(),
            Verdict::Deny {
                reason,
                codes,
                policies,
            } => {
                let denial = Denial {
                    reason: *reason,
                    codes: codes.clone(),
                    refused: Vec::new(),
                    retry_at: None,
                };
                return self.deny(gate, denial, policies.clone());
            }
        };
        // 7. Every bound, or none.
        let refused = gate.refused_claims(&self.command.surface, &self.evaluation.claims)?;
        if !refused.is_empty() {
            let (reason, retry_at) = summary(&refused);
            let denial = Denial {
                reason,
                codes: Vec::new(),
                refused,
                retry_at,
            };
            return self.deny(gate, denial, policies);
        }
        // 8. Grant.
        self.grant(gate, policies)
    }

    fn deny<V: View>(
        &self,
        gate: &mut Gate<'_, V>,
        denial: Denial,
        policies: Vec<String>,
    ) -> Result<Judgement, ApplyError<V::Error>> {
        let verdict = Stated::Deny {
            reason: denial.reason,
            retry_at: denial.retry_at,
        };
        let statement = self.state(gate, verdict, &denial.codes, &policies)?;
        let answer = outcome::Decided::Deny(denial.clone());
        self.record(gate, Decided::Deny(denial), answer, policies, statement)
    }

    fn grant<V: View>(
        &self,
        gate: &mut Gate<'_, V>,
        policies: Vec<String>,
    ) -> Result<Judgement, ApplyError<V::Error>> {
        let Some(fence) = gate.namespace.fence.next() else {
            return Ok(silent(Reason::FenceExhausted));
        };
        let issued_at = gate.now();
        let expires_at = issued_at.saturating_add(self.surface.permit_for_ms);
        if expires_at <= issued_at {
            // Time itself is exhausted.
            return Ok(silent(Reason::FenceExhausted));
        }
        gate.namespace.fence = fence;
        let id = permit_id(gate.cluster, &gate.name, fence);
        let grant = Stated::Permit(Grant {
            permit_id: id,
            fence,
            expires_at,
        });
        let statement = self.state(gate, grant, &[], &policies)?;
        let command = self.command;
        let permit = PermitRecord {
            id,
            fence,
            caller: command.caller.clone(),
            idempotency_key: command.idempotency_key.clone(),
            actor: command.actor.clone(),
            surface: command.surface.clone(),
            action: command.action.clone(),
            session: command.session.clone(),
            step: command.step.clone(),
            prerequisites: command.prerequisites.clone(),
            request_digest: command.request_digest,
            policy: self.active,
            evaluator_version: self.evaluation.evaluator_version,
            issued_at,
            expires_at,
            claims: self.evaluation.claims.clone(),
            state: PermitState::Issued,
            redemption: None,
            completion: None,
            statements: vec![StatementRef {
                step: PermitStep::Decision,
                leaf: statement.leaf,
            }],
        };
        gate.issue(&permit)?;
        let answer = outcome::Decided::Permit(Box::new(PermitView::at(permit, issued_at)));
        self.record(gate, Decided::Permit(id), answer, policies, statement)
    }

    fn record<V: View>(
        &self,
        gate: &mut Gate<'_, V>,
        decided: Decided,
        answer: outcome::Decided,
        policies: Vec<String>,
        statement: outcome::Statement,
    ) -> Result<Judgement, ApplyError<V::Error>> {
        let (caller, key) = (&self.command.caller, &self.command.idempotency_key);
        let not_after = self.command.not_after;
        let record = AttemptRecord {
            request_digest: self.command.request_digest,
            not_after,
            decided,
            policies: policies.clone(),
            policy: self.active,
            decided_at: gate.now(),
            leaf: statement.leaf,
        };
        gate.draft.write(gate.keys.attempt(caller, key), &record)?;
        let kept_until = not_after.saturating_add(ATTEMPT_KEPT_MS);
        let end = gate.keys.attempt_end(kept_until, caller, key);
        gate.draft.write(end, &Present)?;
        let decision = Decision {
            verdict: answer,
            policies,
            policy: self.active,
            replay: false,
            statement,
            not_after,
            request_digest: record.request_digest,
        };
        let outcome = AuthorizeOutcome::Decided(Box::new(decision));
        Ok(Judgement::Changed(Outcome::Authorized(outcome)))
    }

    /// Appends the statement of the decision.
    fn state<V: View>(
        &self,
        gate: &mut Gate<'_, V>,
        verdict: Stated,
        codes: &[String],
        policies: &[String],
    ) -> Result<outcome::Statement, ApplyError<V::Error>> {
        let (command, evaluation, salt) = (self.command, self.evaluation, &self.command.salt);
        let attempt_key = gate.keys.attempt(&command.caller, &command.idempotency_key);
        let inputs = encode_evaluation(evaluation).map_err(|error| ApplyError::Corrupt {
            key: attempt_key.clone(),
            corruption: Corruption::Codec(error),
        })?;
        let bounds = self.committed_bounds(&attempt_key)?;
        let body = DecisionStatement {
            verdict,
            surface: command.surface.clone(),
            action: command.action.clone(),
            request_digest: command.request_digest,
            caller_commitment: commit(
                salt,
                "caller_commitment",
                command.caller.as_str().as_bytes(),
            ),
            actor_commitment: command
                .actor
                .as_ref()
                .map(|actor| commit(salt, "actor_commitment", actor.as_str().as_bytes())),
            idempotency_key_commitment: commit(
                salt,
                "idempotency_key_commitment",
                command.idempotency_key.as_str().as_bytes(),
            ),
            not_after: command.not_after,
            policy_version: self.active.version,
            policy_digest: self.active.digest,
            evaluator: evaluator(evaluation.evaluator_version),
            // Salted, because the inputs hold rendered keys, which could be guessed.
            inputs_digest: commit(salt, "inputs_digest", &inputs),
            bounds,
            policy_codes: listed(codes),
            policy_ids: listed(policies),
        };
        let disclosure = DisclosureRecord {
            salt: *salt,
            request: Some(command.request.clone()),
            evaluation: Some(inputs),
        };
        gate.append(Body::Decision(Box::new(body)), &disclosure)
    }

    fn committed_bounds<E>(&self, key: &StateKey) -> Result<BoundCommitments, ApplyError<E>> {
        let mut bounds = BoundCommitments::default();
        for claim in &self.evaluation.claims {
            bounds
                .commit(&self.command.salt, &claim.name, claim.key.as_str())
                .map_err(|_too_many| {
                    ApplyError::contradiction(key.clone(), "a surface has too many bounds")
                })?;
        }
        Ok(bounds)
    }
}

/// Words with a comma between, as statements show them.
fn listed(words: &[String]) -> Option<StatementText> {
    (!words.is_empty()).then(|| StatementText::lossy(&words.join(",")))
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

fn silent(reason: Reason) -> Judgement {
    unchanged(AuthorizeOutcome::Silent { reason })
}

fn unchanged(outcome: AuthorizeOutcome) -> Judgement {
    Judgement::Unchanged(Outcome::Authorized(outcome))
}
