//! Deciding an attempt whose evaluation is current: steps 6 to 8 of authorize, and the records and the
//! statement that a decision leaves.

use holdpoint_receipt::statement::{
    Body, BoundCommitments, DecisionStatement, Grant, Verdict as Stated, commit,
};
use holdpoint_receipt::{ClusterTime, Digest, Reason, StatementText};

use super::Verdict as Judgement;
use super::authorize::silent;
use super::bounds::summary;
use super::gate::Gate;
use super::places::Wanted;
use super::queue::may_go;
use super::statements::{evaluator, permit_id};
use crate::codec::encode_evaluation;
use crate::codec::records::Present;
use crate::command::{AttemptName, Authorize, Evaluation, Verdict};
use crate::fault::{ApplyError, Corruption};
use crate::key::StateKey;
use crate::limits::{ATTEMPT_KEPT_MS, SKEW_MS_MAX};
use crate::outcome::{self, AuthorizeOutcome, Decision, Outcome, PermitView};
use crate::outline::SurfaceOutline;
use crate::record::{
    ActivePolicy, AttemptRecord, Decided, Denial, DisclosureRecord, Held, PermitRecord,
    PermitState, PermitStep, RefusedBound, StatementRef, WaiterRecord,
};
use crate::view::View;

/// An attempt whose evaluation is current.
pub(super) struct Attempt<'c> {
    pub(super) command: &'c Authorize,
    pub(super) name: AttemptName,
    /// Its live ticket, if it has waited.
    pub(super) waiter: Option<WaiterRecord>,
    pub(super) evaluation: &'c Evaluation,
    pub(super) surface: SurfaceOutline,
    pub(super) active: ActivePolicy,
}

impl Attempt<'_> {
    /// Steps 6 to 8.
    pub(super) fn decide<V: View>(
        self,
        gate: &mut Gate<'_, V>,
    ) -> Result<Judgement, ApplyError<V::Error>> {
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
        // 7. Every bound, or none, and nobody who has waited longer is overtaken.
        let ticket = self.waiter.as_ref().map(|waiter| waiter.ticket);
        let claims = &self.evaluation.claims;
        let refused = gate.refused_or_behind(&self.command.surface, claims, ticket)?;
        if !refused.is_empty() {
            if let Some(wait_until) = self.waits_until(gate.now(), &refused) {
                return self.wait(gate, wait_until, refused);
            }
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

    /// Until when it may wait for what refuses it; none if it may not, or in vain.
    fn waits_until(&self, now: ClusterTime, refused: &[RefusedBound]) -> Option<ClusterTime> {
        let since_before = self.waiter.as_ref().map(|waiter| waiter.wait_until);
        let wait_until = since_before.or(self.command.wait_until)?;
        (now < wait_until && may_go(refused, wait_until)).then_some(wait_until)
    }

    fn wait<V: View>(
        &self,
        gate: &mut Gate<'_, V>,
        wait_until: ClusterTime,
        refused: Vec<RefusedBound>,
    ) -> Result<Judgement, ApplyError<V::Error>> {
        let command = self.command;
        let wanted = Wanted {
            request_digest: command.request_digest,
            surface: &command.surface,
            claims: &self.evaluation.claims,
            policy: self.active,
            not_after: command.not_after,
            wait_until,
        };
        gate.wait(&self.name, wanted, self.waiter.as_ref(), refused)
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
        let (statement, _) = self.state(gate, verdict, &denial.codes, &policies, None)?;
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
        // Where executors need not redeem, one may still act that saw it just before it expired.
        let held_until = self.surface.offline.then(|| {
            let longest_ms = SKEW_MS_MAX.saturating_add(self.surface.complete_within_ms);
            expires_at.saturating_add(longest_ms)
        });
        gate.namespace.fence = fence;
        let id = permit_id(gate.cluster, &gate.name, fence);
        let grant = Stated::Permit(Grant {
            permit_id: id,
            fence,
            expires_at,
        });
        let used = gate.use_approvals(&self.evaluation.facts.approvals, id)?;
        let (statement, receipt) = self.state(gate, grant, &[], &policies, used.digest)?;
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
            held: Held::All,
            held_until,
            approvals: used.spent,
            state: PermitState::Issued,
            redemption: None,
            completion: None,
            release: None,
            conflicts: 0,
            contradictions: Vec::new(),
            ended_at: None,
            statements: vec![StatementRef {
                step: PermitStep::Decision,
                leaf: statement.leaf,
            }],
            receipt,
        };
        gate.issue(&permit)?;
        gate.forget_pending(&permit.request_digest)?;
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
        if let Some(waiter) = &self.waiter {
            gate.leave(&self.name, waiter)?;
        }
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
        if let Some(session) = &self.command.session {
            gate.use_session(session, caller)?;
        }
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

    /// Appends the statement of the decision, and gives its receipt hash too.
    fn state<V: View>(
        &self,
        gate: &mut Gate<'_, V>,
        verdict: Stated,
        codes: &[String],
        policies: &[String],
        approvals_digest: Option<Digest>,
    ) -> Result<(outcome::Statement, Digest), ApplyError<V::Error>> {
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
            session_commitment: command
                .session
                .as_ref()
                .map(|session| commit(salt, "session_commitment", session.as_str().as_bytes())),
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
            approvals_digest,
            bounds,
            policy_codes: listed(codes),
            policy_ids: listed(policies),
        };
        let disclosure = DisclosureRecord {
            salt: *salt,
            request: Some(command.request.clone()),
            evaluation: Some(inputs),
            erased: None,
        };
        gate.append_hashed(Body::Decision(Box::new(body)), &disclosure)
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
