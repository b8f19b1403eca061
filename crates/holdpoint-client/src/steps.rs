//! The calls of the life of a permit, each repeated until it has an answer that can be believed.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_receipt::statement::Verdict;
use holdpoint_receipt::{ClusterTime, Digest, Name, PermitId, Reason, RedemptionId};

use crate::approvals::MissingApproval;
use crate::attempt::Attempt;
use crate::believe::{self, AnswerError, Expected, Receipt, Understood, optional_fence, same};
use crate::call::{Answered, NoAnswer, wire_ms};
use crate::connection::Connection;
use crate::failure::{Failure, decided, is_passing, reason, sentence};
use crate::fault::{Decided, Fault};
use crate::gate::Gate;
use crate::info::{Bound, PermitInfo, malformed};
use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::permit::Facts;
use crate::refusal::{AttemptName, DeniedParts, RefusedBound, WaitingPlace};

/// What the gate says to an attempt, believed.
#[derive(Debug)]
pub(crate) enum Decision {
    Permit(Box<Facts>),
    Deny(Box<DeniedParts>),
    /// Not decided yet: the attempt has this place in the queues of its bounds.
    Waiting(WaitingPlace),
    /// A SILENCE that asking again cannot change.
    Silence {
        reason: Reason,
        sentence: String,
        not_after: ClusterTime,
        missing: Vec<MissingApproval>,
    },
}

/// One attempt, as every submission of one call says it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) wire: &'a v1::Operation,
    pub(crate) attempt: &'a Attempt,
    pub(crate) not_after: ClusterTime,
    pub(crate) wait_until: Option<ClusterTime>,
}

/// A redemption, proved.
#[derive(Debug)]
pub(crate) struct Redemption {
    pub(crate) receipt: Receipt,
    pub(crate) complete_by: ClusterTime,
    pub(crate) is_replay: bool,
}

impl Gate {
    /// Submits one attempt until it is decided, always with the same key and end.
    ///
    /// Every submission is counted in `attempt` before it leaves and uncounted when it certainly had no
    /// effect, so that the count stays right when this future is dropped.
    pub(crate) async fn submit(
        &self,
        submission: Submission<'_>,
        deadline: Duration,
    ) -> Result<Decision, NoAnswer> {
        let Submission {
            operation,
            wire,
            attempt,
            not_after,
            wait_until,
        } = submission;
        let ask = |connection: Arc<Connection>, budget| {
            let message = v1::AuthorizeRequest {
                wait_until_ms: wait_until.map_or(0, ClusterTime::get),
                operation: Some(wire.clone()),
                idempotency_key: attempt.key().to_string(),
                not_after_ms: not_after.get(),
                deadline_ms: wire_ms(budget),
            };
            async move {
                attempt.submitting();
                let answer = connection.authorize(message).await.map_err(Failure::from);
                let answer = answer
                    .and_then(|answer| self.read_decision(operation, attempt, not_after, answer));
                if let Err(failure) = &answer
                    && failure.decided() == Decided::Never
                {
                    attempt.had_no_effect();
                }
                answer
            }
        };
        Ok(self.nodes().call_sparingly(deadline, ask).await?.answer)
    }

    fn read_decision(
        &self,
        operation: &Operation,
        attempt: &Attempt,
        not_after: ClusterTime,
        answer: v1::AuthorizeResponse,
    ) -> Result<Decision, Failure> {
        if answer.decision() == v1::Decision::Silence {
            return read_silence(attempt, not_after, self.namespace(), answer);
        }
        let name = AttemptName {
            key: attempt.key().clone(),
            not_after,
        };
        self.believe_decision(operation, name, answer)
            .map_err(Failure::disbelieve)
    }

    fn believe_decision(
        &self,
        operation: &Operation,
        attempt: AttemptName,
        answer: v1::AuthorizeResponse,
    ) -> Result<Decision, AnswerError> {
        let v1::AuthorizeResponse {
            request_canonical,
            request_digest,
            ..
        } = &answer;
        let understood = believe::understood(
            operation,
            self.namespace(),
            self.caller(),
            request_canonical,
            request_digest,
        )?;
        let receipt = Receipt::believe(answer.receipt.clone(), &self.trust())?;
        let stated = believe::decision(&receipt, &understood.request, understood.digest)?.clone();
        let said = answer.decision();
        match stated.verdict {
            Verdict::Permit(grant) if said == v1::Decision::Permit => {
                let wire = answer
                    .permit
                    .ok_or_else(|| malformed("permit", "is missing"))?;
                let info = PermitInfo::from_wire(wire)?;
                same("permit_id", info.id == grant.permit_id)?;
                same("fence", info.fence == grant.fence)?;
                let Understood { request, digest } = understood;
                Ok(Decision::Permit(Box::new(Facts {
                    request,
                    request_digest: digest,
                    id: grant.permit_id,
                    fence: grant.fence,
                    issued_at: receipt.statement().issued_at,
                    expires_at: grant.expires_at,
                    state: info.state,
                    bounds: info.bounds,
                    policy_version: stated.policy_version,
                    policy_digest: stated.policy_digest,
                    policies: answer.policies,
                    failed_exit_aborts: info.failed_exit_aborts,
                    is_replay: answer.replay,
                    receipt: Some(receipt),
                    attempt: Some(attempt),
                })))
            }
            Verdict::Deny { reason, retry_at } if said == v1::Decision::Deny => {
                Ok(Decision::Deny(Box::new(DeniedParts {
                    reason,
                    sentence: sentence(answer.sentence, reason),
                    codes: answer.codes,
                    policies: answer.policies,
                    retry_at,
                    holder_fence: optional_fence("holder_fence", answer.holder_fence)?,
                    refused_bound: answer.refused_bound.map(Bound::from),
                    refused_bounds: answer
                        .refused_bounds
                        .into_iter()
                        .map(RefusedBound::from_wire)
                        .collect::<Result<_, _>>()?,
                    policy_version: stated.policy_version,
                    policy_digest: stated.policy_digest,
                    request_digest: understood.digest,
                    receipt,
                    is_replay: answer.replay,
                    attempt,
                })))
            }
            Verdict::Permit(_) | Verdict::Deny { .. } => {
                Err(AnswerError::Differs { field: "decision" })
            }
        }
    }

    /// Redeems until there is an answer, always under the same redemption id.
    pub(crate) async fn redeem_once(
        &self,
        facts: &Facts,
        redemption: &RedemptionId,
        digest: Digest,
    ) -> Result<Answered<Redemption>, NoAnswer> {
        let expected = Expected {
            namespace: facts.namespace(),
            id: facts.id,
            fence: Some(facts.fence),
            request_digest: Some(digest),
        };
        let ask = |connection: Arc<Connection>, budget| {
            let message = v1::RedeemRequest {
                namespace: facts.namespace().to_string(),
                permit_id: facts.id.to_string(),
                fence: facts.fence.get(),
                request_digest: digest.as_bytes().to_vec(),
                redemption_id: redemption.to_string(),
                deadline_ms: wire_ms(budget),
            };
            async move {
                let answer = connection
                    .gate()
                    .redeem(connection.request(message))
                    .await?;
                let v1::RedeemResponse {
                    receipt,
                    replay,
                    refusal,
                    redemption_salt,
                    ..
                } = answer.into_inner();
                refused(refusal)?;
                let receipt = Receipt::believe(receipt, &self.trust());
                let proved = receipt.and_then(|receipt| {
                    let complete_by = expected.redeemed(&receipt, redemption, &redemption_salt)?;
                    Ok(Redemption {
                        receipt,
                        complete_by,
                        is_replay: replay,
                    })
                });
                proved.map_err(Failure::disbelieve)
            }
        };
        self.nodes().call(self.deadline(), ask).await
    }

    /// Reports an outcome until there is an answer.
    pub(crate) async fn complete_once(
        &self,
        facts: &Facts,
        outcome: Outcome,
    ) -> Result<Receipt, NoAnswer> {
        let expected = Expected {
            namespace: facts.namespace(),
            id: facts.id,
            fence: Some(facts.fence),
            request_digest: Some(facts.request_digest),
        };
        self.complete_expected(expected, outcome, None).await
    }

    pub(crate) async fn complete_expected(
        &self,
        expected: Expected<'_>,
        outcome: Outcome,
        reason: Option<&str>,
    ) -> Result<Receipt, NoAnswer> {
        let (completion, evidence) = match outcome {
            Outcome::Committed { evidence } => (v1::Completion::Committed, evidence),
            Outcome::Aborted => (v1::Completion::Aborted, None),
        };
        let evidence = evidence
            .map(|digest| digest.as_bytes().to_vec())
            .unwrap_or_default();
        let ask = |connection: Arc<Connection>, budget| {
            let message = v1::CompleteRequest {
                reason: reason.unwrap_or_default().to_owned(),
                namespace: expected.namespace.to_string(),
                permit_id: expected.id.to_string(),
                completion: completion.into(),
                evidence_digest: evidence.clone(),
                deadline_ms: wire_ms(budget),
            };
            async move {
                let answer = connection
                    .gate()
                    .complete(connection.request(message))
                    .await?;
                let v1::CompleteResponse {
                    receipt,
                    refusal,
                    replay,
                    ..
                } = answer.into_inner();
                refused(refusal)?;
                let receipt = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                    expected.completed(&receipt, outcome, reason.is_some(), replay)?;
                    Ok(receipt)
                });
                receipt.map_err(Failure::disbelieve)
            }
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    pub(crate) async fn revoke_expected(
        &self,
        namespace: &Name,
        id: PermitId,
    ) -> Result<Receipt, NoAnswer> {
        let expected = Expected {
            namespace,
            id,
            fence: None,
            request_digest: None,
        };
        let ask = |connection: Arc<Connection>, budget| {
            let message = v1::RevokeRequest {
                namespace: namespace.to_string(),
                permit_id: id.to_string(),
                deadline_ms: wire_ms(budget),
            };
            async move {
                let answer = connection
                    .gate()
                    .revoke(connection.request(message))
                    .await?;
                let v1::RevokeResponse {
                    receipt, refusal, ..
                } = answer.into_inner();
                refused(refusal)?;
                let receipt = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                    expected.revoked(&receipt)?;
                    Ok(receipt)
                });
                receipt.map_err(Failure::disbelieve)
            }
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

/// A refusal in an answer's own field.
pub(crate) fn refused(refusal: Option<v1::Refusal>) -> Result<(), Failure> {
    refusal.map_or(Ok(()), |refusal| Err(Failure::from_refusal(refusal)))
}

/// A SILENCE: one that another node or the next moment may end, or a final one.
fn read_silence(
    attempt: &Attempt,
    not_after: ClusterTime,
    namespace: &Name,
    answer: v1::AuthorizeResponse,
) -> Result<Decision, Failure> {
    if let Some(waiting) = answer.waiting {
        let place = WaitingPlace::from_wire(waiting).map_err(Failure::disbelieve)?;
        return Ok(Decision::Waiting(place));
    }
    let decided = decided(answer.decided());
    let reason = reason(answer.reason, &answer.reason_name);
    if is_passing(reason) {
        let fault = Fault::CannotDecide { reason, decided };
        return Err(Failure::Again {
            fault,
            hint: answer.leader_hint,
        });
    }
    if decided == Decided::Never {
        attempt.had_no_effect();
    }
    let stands_under = match answer.not_after_ms {
        0 => not_after,
        ms => ClusterTime::new(ms).unwrap_or(not_after),
    };
    let missing = answer
        .missing_approvals
        .into_iter()
        .map(|missing| MissingApproval::from_wire(missing, namespace))
        .collect::<Result<_, _>>()
        .map_err(Failure::disbelieve)?;
    let sentence = sentence(answer.sentence, reason);
    Ok(Decision::Silence {
        reason,
        sentence,
        not_after: stands_under,
        missing,
    })
}
