//! Looking at an attempt: the verdict of the policy in force, and every fact that it rests on.

use std::convert::Infallible;

use holdpoint_core::command::{
    ApprovalFact, ApprovalName, AskApproval, Authorize, Evaluation, Facts, Verdict,
};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{ActivePolicy, ApprovalRecord, AttemptRecord, Decided, PermitState};
use holdpoint_core::{ApplyError, MapView};
use holdpoint_policy::{self as policy, EVALUATOR_VERSION, Policy};
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{ClusterTime, Digest, Name, PermitId, Reason, Request, Salt};

use super::Asked;
use crate::testkit::refused::Refused;
use crate::testkit::translate;

type Log<'a> = NamespaceQuery<'a, MapView>;
type Read<T> = Result<T, ApplyError<Infallible>>;

/// What came of looking at an attempt.
pub(super) enum Prepared {
    /// It has a verdict.
    Evaluated(Box<Authorize>),
    /// It waits, and nothing is kept for it yet.
    Waits(v1::Waiting),
    /// It has none; if it is recorded, the command finds that.
    Unfit {
        refused: Refused,
        lookup: Option<Box<Authorize>>,
        ask: Option<AskApproval>,
    },
}

/// An attempt beside the state that it is judged by.
pub(super) struct Attempt<'a> {
    pub(super) log: Log<'a>,
    pub(super) asked: &'a Asked,
    pub(super) active: ActivePolicy,
    pub(super) policy: Policy,
    pub(super) now: ClusterTime,
    pub(super) salt: Salt,
}

impl Attempt<'_> {
    pub(super) fn prepare(&self) -> Result<Prepared, Refused> {
        let Asked {
            caller,
            idempotency_key,
            draft,
            ..
        } = self.asked;
        let record = self.log.attempt(caller, idempotency_key)?;
        let Some(action) = self.action(record.as_ref())? else {
            let surfaces = self.policy.outline();
            let is_known = surfaces.iter().any(|it| it.surface == *draft.surface());
            let reason = if is_known {
                Reason::UnknownAction
            } else {
                Reason::UnknownSurface
            };
            return Err(Refused::never(reason));
        };
        let request = draft.clone().with_action(action);
        if let Some(waiting) = self.waits(&request)? {
            return Ok(Prepared::Waits(waiting));
        }
        let supersedes = self.supersedes(record.as_ref())?;
        let gives_back = self.gives_back(supersedes)?;
        let approvals = self.approvals(&request, gives_back)?;
        let facts = policy::Facts {
            approvals: approvals.iter().map(given).collect(),
            ..policy::Facts::default()
        };
        let input = policy::Input {
            request: &request,
            now_ms: self.now.get(),
            facts: &facts,
        };
        match self.policy.evaluate(input) {
            policy::Evaluation::Decided(decided) => {
                let facts = self.facts(&request, supersedes, used(&decided.used, &approvals))?;
                let evaluation = self.evaluation(decided, facts);
                Ok(Prepared::Evaluated(
                    self.command(&request, Some(evaluation)),
                ))
            }
            policy::Evaluation::Silence(silence) => {
                let lookup = self.command(&request, None);
                let missing = silence.missing.iter().map(|missing| {
                    convert::missing_approval(&translate::missing(missing), missing.have)
                });
                Ok(Prepared::Unfit {
                    ask: self.ask(&lookup, &silence.missing),
                    refused: Refused::never(silence.reason)
                        .saying(silence.sentence.clone())
                        .missing(missing.collect()),
                    lookup: record.is_some().then_some(lookup),
                })
            }
        }
    }

    /// The action that is meant: the one that is named, the recorded one, or the surface's only one.
    fn action(&self, record: Option<&AttemptRecord>) -> Read<Option<Name>> {
        let draft = &self.asked.draft;
        if let Some(action) = &draft.action {
            return Ok(Some(action.clone()));
        }
        let disclosed = match record {
            Some(record) => self.log.disclosure(record.leaf)?,
            None => None,
        };
        let request = disclosed.and_then(|disclosed| disclosed.request);
        let request = request.and_then(|bytes| Request::parse_canonical(&bytes).ok());
        let recorded = request.map(|request| request.action);
        Ok(recorded.or_else(|| self.policy.default_action(draft.surface()).cloned()))
    }

    /// The place of an attempt that waits and for which nothing is kept.
    fn waits(&self, request: &Request) -> Read<Option<v1::Waiting>> {
        if self.asked.wait_until.is_none() {
            return Ok(None);
        }
        let waiter = self.log.waiter(&self.asked.name())?;
        let waiter = waiter.filter(|waiter| {
            waiter.policy == self.active
                && waiter.offer.is_none()
                && self.now < waiter.wait_until
                && waiter.not_after == self.asked.not_after
                && waiter.request_digest == request.digest()
        });
        Ok(waiter.map(|waiter| v1::Waiting {
            ticket: waiter.ticket,
            since_ms: waiter.since.get(),
            until_ms: waiter.wait_until.get(),
        }))
    }

    /// The issued permit of this attempt that granting under a later policy version replaces.
    fn supersedes(&self, record: Option<&AttemptRecord>) -> Read<Option<PermitId>> {
        let Some(AttemptRecord {
            decided: Decided::Permit(permit),
            policy,
            ..
        }) = record
        else {
            return Ok(None);
        };
        let is_earlier = policy.version != self.active.version;
        let is_issued = is_earlier && self.state_of(permit)? == Some(PermitState::Issued);
        Ok(is_issued.then_some(*permit))
    }

    /// The permit to be replaced, if the approvals that it has spent come back then.
    fn gives_back(&self, supersedes: Option<PermitId>) -> Read<Option<PermitId>> {
        let Some(permit) = supersedes else {
            return Ok(None);
        };
        let permit = self.log.permit(&permit)?;
        let permit = permit.filter(|permit| permit.record.gives_approvals_back());
        Ok(permit.map(|permit| permit.record.id))
    }

    fn state_of(&self, permit: &PermitId) -> Read<Option<PermitState>> {
        Ok(self.log.permit(permit)?.map(|permit| permit.state))
    }

    /// The approvals that stand for what the request has to have approved.
    fn approvals(
        &self,
        request: &Request,
        supersedes: Option<PermitId>,
    ) -> Read<Vec<(ApprovalName, ApprovalRecord)>> {
        let mut approvals = Vec::new();
        if self.policy.has_quorums(&request.surface) {
            // A request that does not fit the bundle has no subjects; its evaluation says why.
            for subject in self.policy.subjects(request).unwrap_or_default() {
                let (quorum, digest) = (&subject.quorum, &subject.digest);
                approvals.extend(standing(&self.log, quorum, digest, supersedes)?);
            }
        }
        Ok(approvals)
    }

    /// What lists the request for approval; none if nothing is missing.
    fn ask(&self, lookup: &Authorize, missing: &[policy::Missing]) -> Option<AskApproval> {
        (!missing.is_empty()).then(|| AskApproval {
            namespace: lookup.namespace.clone(),
            request: lookup.request.clone(),
            request_digest: lookup.request_digest,
            caller: lookup.caller.clone(),
            policy: self.active,
            missing: missing.iter().map(translate::missing).collect(),
        })
    }

    /// The facts of the state that the state machine compares.
    fn facts(
        &self,
        request: &Request,
        supersedes: Option<PermitId>,
        approvals: Vec<ApprovalFact>,
    ) -> Read<Facts> {
        let record = self.log.record();
        let session = match &request.session {
            Some(session) => self.log.session(session)?,
            None => None,
        };
        let prerequisites = request.prerequisites.iter();
        Ok(Facts {
            frozen: record.frozen || record.frozen_surfaces.contains(&request.surface),
            draining: record
                .drain
                .as_ref()
                .is_some_and(|drain| drain.surfaces.contains(&request.surface)),
            session_closed: session.is_some_and(|session| session.closed.is_some()),
            approvals,
            prerequisites: prerequisites
                .map(|permit| self.state_of(permit))
                .collect::<Result<_, _>>()?,
            supersedes,
        })
    }

    fn evaluation(&self, decided: policy::Decided, facts: Facts) -> Evaluation {
        let (verdict, claims) = match &self.asked.denied {
            Some(code) => (scripted(code), Vec::new()),
            None => translate::verdict(decided),
        };
        Evaluation {
            policy_version: self.active.version,
            policy_digest: self.active.digest,
            evaluator_version: EVALUATOR_VERSION,
            evaluated_at: self.now,
            facts,
            verdict,
            claims,
        }
    }

    fn command(&self, request: &Request, evaluation: Option<Evaluation>) -> Box<Authorize> {
        let canonical = request.to_canonical().into_bytes();
        Box::new(Authorize {
            namespace: request.namespace.clone(),
            caller: request.caller.clone(),
            idempotency_key: self.asked.idempotency_key.clone(),
            not_after: self.asked.not_after,
            wait_until: self.asked.wait_until,
            request_digest: digest_of_canonical(&canonical),
            request: canonical,
            surface: request.surface.clone(),
            action: request.action.clone(),
            actor: request.actor.clone(),
            session: request.session.clone(),
            step: request.step.clone(),
            prerequisites: request.prerequisites.clone(),
            evaluation,
            salt: self.salt,
        })
    }
}

/// A denial by the script.
fn scripted(code: &str) -> Verdict {
    Verdict::Deny {
        reason: Reason::Policy,
        codes: vec![code.to_owned()],
        policies: vec!["testkit.scripted".to_owned()],
    }
}

/// The approvals of one subject that count: given and neither expired nor taken back, nor spent but
/// by the permit that is to be replaced.
pub(in crate::testkit) fn standing(
    log: &Log<'_>,
    quorum: &Name,
    subject: &Digest,
    supersedes: Option<PermitId>,
) -> Read<Vec<(ApprovalName, ApprovalRecord)>> {
    let mut approvals = log.approvals_of(quorum, subject)?;
    approvals.retain(|(_, approval)| approval.counts_at(log.now(), supersedes));
    Ok(approvals)
}

fn given((name, record): &(ApprovalName, ApprovalRecord)) -> policy::Approval {
    policy::Approval {
        quorum: name.quorum.clone(),
        subject: name.subject,
        approver: name.approver.clone(),
        given_at_ms: record.given_at.get(),
    }
}

/// The approvals that a verdict rests on: sorted, none twice.
fn used(
    used: &[policy::UsedApproval],
    approvals: &[(ApprovalName, ApprovalRecord)],
) -> Vec<ApprovalFact> {
    let facts = used.iter().filter_map(|used| {
        let found = approvals.iter().find(|(name, _)| {
            name.quorum == used.quorum
                && name.subject == used.subject
                && name.approver == used.approver
        });
        found.map(|(name, record)| ApprovalFact {
            name: name.clone(),
            leaf: record.leaf,
            spends: used.spent,
        })
    });
    let mut facts: Vec<ApprovalFact> = facts.collect();
    facts.sort();
    facts.dedup();
    facts
}
