//! From an attempt to a command: the verdict of the policy in force, and every fact it rests on.
//!
//! Runs on pool threads over one consistent view. It decides nothing: the state machine compares
//! what is found here with the state when the command is applied.

mod facts;

use std::fmt;

use holdpoint_core::View;
use holdpoint_core::command::{AskApproval, AttemptName, Authorize, Evaluation, Facts};
use holdpoint_core::fault::ApplyError;
use holdpoint_core::query::{NamespaceQuery, Query};
use holdpoint_core::record::{ActivePolicy, AttemptRecord};
use holdpoint_policy::{self as policy, EVALUATOR_VERSION, Policy};
use holdpoint_proto::convert::Draft;
use holdpoint_proto::v1;
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{Caller, ClusterTime, Digest, IdempotencyKey, Name, Reason, Request, Salt};
use holdpoint_storage::StoreError;

pub(crate) use facts::standing_approvals;

use facts::{given, used};

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
    /// Until when it waits for bounds that are held; none does not wait.
    pub(crate) wait_until: Option<ClusterTime>,
}

impl Submission {
    /// What the attempt is known by.
    pub(crate) fn name(&self) -> AttemptName {
        AttemptName {
            caller: self.caller.clone(),
            idempotency_key: self.idempotency_key.clone(),
        }
    }
}

/// What came of looking at an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    /// The policy has a verdict.
    Evaluated {
        /// The attempt with its verdict.
        command: Box<Authorize>,
        /// Bundles that are to be asked the same, for comparison only.
        shadows: Vec<Digest>,
    },
    /// The attempt waits for its bounds, and nothing is kept for it yet.
    Waits(v1::Waiting),
    /// There is no verdict. Only a recorded decision can answer.
    Unfit(Box<Unfit>),
}

/// Why an attempt has no verdict.
#[derive(Clone, Debug)]
pub(crate) struct Unfit {
    /// The reason.
    pub(crate) reason: Reason,
    /// The same for people.
    pub(crate) sentence: String,
    /// The same attempt without a verdict, which finds its record; none if not even the request can be
    /// named.
    pub(crate) lookup: Option<Box<Authorize>>,
    /// Whether the state that was read has a record of the attempt.
    pub(crate) is_recorded: bool,
    /// The approvals that are missing.
    pub(crate) missing: Vec<policy::Missing>,
    /// Lists the request for approval, unless that was done a moment ago.
    pub(crate) ask: Option<AskApproval>,
}

/// Why nothing came of it: a fault of this node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvaluateError {
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// The store has stopped.
    #[error(transparent)]
    Store(StoreError),
    /// The policy in force does not load here.
    #[error(transparent)]
    Policy(#[from] NotLoaded),
    /// The bundle of the policy in force is not there.
    #[error("the state has no bundle {0}, which is in force")]
    NoBundle(Digest),
}

/// Asks policies.
///
/// [`ByPolicy`] is what ships. A test has one that lies, to show that the other nodes notice.
pub trait Evaluator: fmt::Debug + Send + Sync {
    /// What `policy` says of `input`.
    fn evaluate(&self, policy: &Policy, input: policy::Input<'_>) -> policy::Evaluation;
}

/// Says what the policy says.
#[derive(Clone, Copy, Debug)]
pub struct ByPolicy;

impl Evaluator for ByPolicy {
    fn evaluate(&self, policy: &Policy, input: policy::Input<'_>) -> policy::Evaluation {
        policy.evaluate(input)
    }
}

/// What evaluates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine<'a> {
    /// Those that have been loaded.
    pub(crate) policies: &'a Policies,
    /// Asks them.
    pub(crate) evaluator: &'a dyn Evaluator,
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
    engine: Engine<'_>,
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
        engine,
        submission,
        leader,
    }
    .prepare()
}

struct Attempt<'a, V> {
    namespace: NamespaceQuery<'a, V>,
    engine: Engine<'a>,
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
            let reason = if policy.terms(draft.surface()).is_some() {
                Reason::UnknownAction
            } else {
                Reason::UnknownSurface
            };
            return Ok(unfit(reason));
        };
        let request = draft.clone().with_action(action);
        if let Some(waiting) = self.waits(active, &request)? {
            return Ok(Prepared::Waits(waiting));
        }
        let supersedes = self.supersedes(active, record.as_ref())?;
        let gives_back = self.gives_back(supersedes)?;
        let approvals = self.approvals(&policy, &request, gives_back)?;
        let facts = policy::Facts {
            approvals: approvals.iter().map(given).collect(),
            ..policy::Facts::default()
        };
        let input = policy::Input {
            request: &request,
            now_ms: self.leader.now.get(),
            facts: &facts,
        };
        match self.engine.evaluator.evaluate(&policy, input) {
            policy::Evaluation::Decided(decided) => {
                let facts = self.facts(&request, supersedes, used(&decided.used, &approvals))?;
                let evaluation = self.evaluation(active, decided, facts);
                Ok(Prepared::Evaluated {
                    command: self.command(&request, Some(evaluation)),
                    shadows: self.namespace.record().shadows.clone(),
                })
            }
            policy::Evaluation::Silence(silence) => {
                let lookup = self.command(&request, None);
                Ok(Prepared::Unfit(Box::new(Unfit {
                    ask: self.ask(active, &lookup, &silence.missing)?,
                    reason: silence.reason,
                    sentence: silence.sentence,
                    lookup: Some(lookup),
                    is_recorded: record.is_some(),
                    missing: silence.missing,
                })))
            }
        }
    }

    /// The place of an attempt that waits and for which nothing is kept: evaluating it again would
    /// change nothing.
    fn waits(
        &self,
        active: ActivePolicy,
        request: &Request,
    ) -> Result<Option<v1::Waiting>, ReadFault> {
        if self.submission.wait_until.is_none() {
            return Ok(None);
        }
        let waiter = self.namespace.waiter(&self.submission.name())?;
        let waiter = waiter.filter(|waiter| {
            waiter.policy == active
                && waiter.offer.is_none()
                && self.leader.now < waiter.wait_until
                && waiter.not_after == self.submission.not_after
                && Some(waiter.wait_until) == self.submission.wait_until
                && waiter.request_digest == request.digest()
        });
        Ok(waiter.map(|waiter| v1::Waiting {
            ticket: waiter.ticket,
            since_ms: waiter.since.get(),
            until_ms: waiter.wait_until.get(),
        }))
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
        self.engine.policies.get(active.digest, || {
            match self.namespace.bundle(&active.digest)? {
                Some(record) => Ok(record.bundle),
                None => Err(EvaluateError::NoBundle(active.digest)),
            }
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
            wait_until: self.submission.wait_until,
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
    Prepared::Unfit(Box::new(Unfit {
        reason,
        sentence: reason.sentence().to_owned(),
        lookup: None,
        is_recorded: false,
        missing: Vec::new(),
        ask: None,
    }))
}
