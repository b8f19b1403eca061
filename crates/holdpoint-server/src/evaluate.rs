//! From an attempt to a command: the verdict of the policy in force, and every fact it rests on.
//!
//! Runs on pool threads over one consistent view. It decides nothing: the state machine compares
//! what is found here with the state when the command is applied.

use holdpoint_core::View;
use holdpoint_core::command::{Authorize, Evaluation, Facts};
use holdpoint_core::fault::ApplyError;
use holdpoint_core::query::{NamespaceQuery, Query};
use holdpoint_core::record::{ActivePolicy, AttemptRecord, Decided, PermitState};
use holdpoint_policy::{self as policy, EVALUATOR_VERSION, Policy};
use holdpoint_proto::convert::Draft;
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{
    Caller, ClusterTime, Digest, IdempotencyKey, Name, PermitId, Reason, Request, Salt,
};
use holdpoint_storage::StoreError;

use crate::policies::{NotLoaded, Policies};
use crate::translate;

/// One attempt, as its caller submitted it.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    /// Who asks.
    pub(crate) caller: Caller,
    /// What is asked.
    pub(crate) draft: Draft,
    /// Names the attempt.
    pub(crate) idempotency_key: IdempotencyKey,
    /// From when on nothing is decided.
    pub(crate) not_after: ClusterTime,
}

/// What came of looking at an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    /// The policy has a verdict.
    Evaluated(Box<Authorize>),
    /// There is none. Only a recorded decision can answer; `lookup` finds it, if there is one.
    Unfit {
        /// Why there is no verdict.
        reason: Reason,
        /// The same for people.
        sentence: String,
        /// The same attempt without a verdict; none if not even the request can be named.
        lookup: Option<Box<Authorize>>,
        /// Whether the state that was read has a record of the attempt.
        is_recorded: bool,
    },
}

/// Why nothing came of it: a fault of this node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvaluateError {
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// The policy in force does not load here.
    #[error(transparent)]
    Policy(#[from] NotLoaded),
    /// The bundle of the policy in force is not there.
    #[error("the state has no bundle {0}, which is in force")]
    NoBundle(Digest),
}

/// What the leader adds to a submission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leader {
    /// Cluster time as it guesses it, which is `now` for the policy unless the state is later.
    pub(crate) now: ClusterTime,
    /// Drawn for this command alone.
    pub(crate) salt: Salt,
}

/// A fault of what holds the state.
pub(crate) type ReadFault = ApplyError<StoreError>;

/// Looks at `submission` in `state`.
pub(crate) fn prepare<V: View<Error = StoreError>>(
    state: &Query<'_, V>,
    policies: &Policies,
    submission: &Submission,
    leader: Leader,
) -> Result<Prepared, EvaluateError> {
    let Some(namespace) = state.namespace(submission.draft.namespace())? else {
        return Ok(unfit(Reason::UnknownNamespace));
    };
    // Time has come at least to where the state is.
    let leader = Leader {
        now: leader.now.max(namespace.now()),
        ..leader
    };
    Attempt {
        namespace,
        policies,
        submission,
        leader,
    }
    .prepare()
}

struct Attempt<'a, V> {
    namespace: NamespaceQuery<'a, V>,
    policies: &'a Policies,
    submission: &'a Submission,
    leader: Leader,
}

impl<V: View<Error = StoreError>> Attempt<'_, V> {
    fn prepare(&self) -> Result<Prepared, EvaluateError> {
        let Submission {
            caller,
            draft,
            idempotency_key,
            ..
        } = self.submission;
        let Some(active) = self.namespace.record().active else {
            return Ok(unfit(Reason::NoActivePolicy));
        };
        let record = self.namespace.attempt(caller, idempotency_key)?;
        let policy = self.policy(active)?;
        let action = match &draft.action {
            Some(action) => Some(action.clone()),
            None => self.unnamed_action(&policy, record.as_ref())?,
        };
        let Some(action) = action else {
            let known = policy.outline();
            let is_known = known.iter().any(|known| known.surface == *draft.surface());
            let reason = if is_known {
                Reason::UnknownAction
            } else {
                Reason::UnknownSurface
            };
            return Ok(unfit(reason));
        };
        let request = draft.clone().with_action(action);
        let facts = policy::Facts::default();
        let input = policy::Input {
            request: &request,
            now_ms: self.leader.now.get(),
            facts: &facts,
        };
        match policy.evaluate(input) {
            policy::Evaluation::Decided(decided) => {
                let facts = self.facts(&request, active, record.as_ref())?;
                let evaluation = self.evaluation(active, decided, facts);
                Ok(Prepared::Evaluated(
                    self.command(&request, Some(evaluation)),
                ))
            }
            policy::Evaluation::Silence(silence) => Ok(Prepared::Unfit {
                reason: silence.reason,
                sentence: silence.sentence,
                lookup: Some(self.command(&request, None)),
                is_recorded: record.is_some(),
            }),
        }
    }

    /// The action of a request that names none: the one it was recorded with, so that a retry is the
    /// same request whatever the policy says now; else the surface's only one.
    fn unnamed_action(
        &self,
        policy: &Policy,
        record: Option<&AttemptRecord>,
    ) -> Result<Option<Name>, ReadFault> {
        let disclosed = match record {
            Some(record) => self.namespace.disclosure(record.leaf)?,
            None => None,
        };
        let request = disclosed.and_then(|disclosed| disclosed.request);
        let request = request.and_then(|canonical| Request::parse_canonical(&canonical).ok());
        let surface = self.submission.draft.surface();
        let recorded = request.map(|request| request.action);
        Ok(recorded.or_else(|| policy.default_action(surface).cloned()))
    }

    fn policy(&self, active: ActivePolicy) -> Result<Policy, EvaluateError> {
        self.policies.get(active.digest, || {
            match self.namespace.bundle(&active.digest)? {
                Some(record) => Ok(record.bundle),
                None => Err(EvaluateError::NoBundle(active.digest)),
            }
        })
    }

    /// The facts of the state that the state machine will compare.
    fn facts(
        &self,
        request: &Request,
        active: ActivePolicy,
        record: Option<&AttemptRecord>,
    ) -> Result<Facts, ReadFault> {
        let state_of = |permit: &PermitId| -> Result<Option<PermitState>, ReadFault> {
            let permit = self.namespace.permit(permit)?;
            Ok(permit.map(|permit| permit.record.state_at(self.leader.now)))
        };
        let prerequisites = request.prerequisites.iter().map(state_of);
        let earlier = match record {
            Some(AttemptRecord {
                decided: Decided::Permit(permit),
                policy,
                ..
            }) if policy.version != active.version => Some(*permit),
            Some(_) | None => None,
        };
        let supersedes = match earlier {
            Some(permit) if state_of(&permit)? == Some(PermitState::Issued) => Some(permit),
            Some(_) | None => None,
        };
        Ok(Facts {
            frozen: self.namespace.record().frozen,
            draining: false,
            session_closed: false,
            approvals: Vec::new(),
            prerequisites: prerequisites.collect::<Result<_, _>>()?,
            supersedes,
        })
    }

    fn evaluation(
        &self,
        active: ActivePolicy,
        decided: policy::Decided,
        facts: Facts,
    ) -> Evaluation {
        let (verdict, claims) = translate::verdict(decided);
        Evaluation {
            policy_version: active.version,
            policy_digest: active.digest,
            evaluator_version: EVALUATOR_VERSION,
            evaluated_at: self.leader.now,
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
            idempotency_key: self.submission.idempotency_key.clone(),
            not_after: self.submission.not_after,
            wait_until: None,
            request_digest: digest_of_canonical(&canonical),
            request: canonical,
            surface: request.surface.clone(),
            action: request.action.clone(),
            actor: request.actor.clone(),
            session: request.session.clone(),
            step: request.step.clone(),
            prerequisites: request.prerequisites.clone(),
            evaluation,
            salt: self.leader.salt,
        })
    }
}

/// No verdict, and not even a request to look a recorded decision up with.
fn unfit(reason: Reason) -> Prepared {
    Prepared::Unfit {
        reason,
        sentence: reason.sentence().to_owned(),
        lookup: None,
        is_recorded: false,
    }
}
