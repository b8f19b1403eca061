//! A few decisions, read and evaluated again. Runs on the thread of the audit.

use std::time::Duration;

use holdpoint_core::command::Evaluation;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::{GroupId, Query, View};
use holdpoint_policy::{EVALUATOR_VERSION, Policy};
use holdpoint_raft::Group;
use holdpoint_receipt::{Name, PermitId, Statement};
use holdpoint_storage::StoreError;
use rustix::time::{ClockId, clock_gettime};

use super::compare::{Disagreement, Subject, Words, compare};
use super::findings::Counts;
use crate::evaluate::{Engine, EvaluateError, Evaluator};
use crate::limits::AUDIT_BATCH_MAX;
use crate::policies::Policies;
use crate::recorded::{Recorded, RestsOn};

/// What is to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The namespace.
    pub(super) namespace: Name,
    /// The first leaf.
    pub(super) from: u64,
    /// The first leaf beyond. All before it are applied.
    pub(super) to: u64,
    /// The last term in which this node led: what it decided then is its own word.
    pub(super) own_term: Option<u64>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Looked {
    /// The first leaf that was not looked at.
    pub(super) next: u64,
    /// How many.
    pub(super) counts: Counts,
    /// What is disputed.
    pub(super) found: Vec<Found>,
}

/// A decision that this node evaluates otherwise.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The namespace.
    pub(super) namespace: Name,
    /// Where its statement stands.
    pub(super) leaf: u64,
    /// The term of the leader that made it.
    pub(super) term: u64,
    /// The kind of effect that is to be frozen.
    pub(super) surface: Name,
    /// How.
    pub(super) disagreement: Disagreement,
}

/// What is needed to evaluate one decision again.
struct Case {
    recorded: Recorded,
    /// None if the bundle is not there, or does not load.
    policy: Option<Policy>,
    /// The prerequisites of the permit that was granted.
    granted: Option<Vec<PermitId>>,
}

/// Looks at the decisions from `asked.from` on, at most [`AUDIT_BATCH_MAX`] leaves.
pub(super) fn look(group: &Group, engine: Engine<'_>, asked: &Asked) -> Looked {
    let began = thread_time();
    let end = asked.to.min(asked.from.saturating_add(AUDIT_BATCH_MAX));
    let mut looked = Looked {
        next: end,
        counts: Counts::default(),
        found: Vec::new(),
    };
    let read = group.local_view(|view| {
        let state = Query::new(&view, GroupId::FIRST);
        match state.namespace(&asked.namespace)? {
            Some(log) => cases(&log, engine.policies, asked, end),
            None => Ok((Vec::new(), end)),
        }
    });
    match read {
        Ok(Ok((cases, next))) => {
            looked.next = next;
            for case in cases {
                looked.judge(engine.evaluator, &asked.namespace, case);
            }
        }
        Ok(Err(error)) => {
            let (namespace, from) = (&asked.namespace, asked.from);
            tracing::error!(%namespace, from, end, %error, "the audit cannot read these leaves");
            let unread = end.saturating_sub(asked.from);
            looked.counts.skipped = looked.counts.skipped.saturating_add(unread);
        }
        // The store has stopped, and with it the node.
        Err(_) => (),
    }
    looked.counts.cpu = thread_time().saturating_sub(began);
    looked
}

impl Looked {
    fn judge(&mut self, evaluator: &dyn Evaluator, namespace: &Name, case: Case) {
        let Case {
            recorded,
            policy,
            granted,
        } = case;
        let verdict = match (&recorded.rests_on, policy) {
            (RestsOn::Unreadable, _) => Err(Disagreement::Unreadable),
            (RestsOn::Kept(kept), Some(policy)) => {
                let words = Words::Stated {
                    decision: &recorded.statement,
                    salt: &kept.salt,
                    granted: granted.as_deref(),
                };
                let subject = Subject {
                    namespace,
                    words,
                    request: &kept.request,
                    evaluation: &kept.evaluation,
                    facts: &kept.facts(),
                };
                compare(evaluator, &policy, subject)
            }
            (RestsOn::Gone, _) | (RestsOn::Kept(_), None) => {
                let is_foreign = recorded
                    .kept()
                    .is_some_and(|kept| is_foreign(&kept.evaluation));
                return self.skip(is_foreign);
            }
        };
        self.checked(verdict, |disagreement| Found {
            namespace: namespace.clone(),
            leaf: recorded.place.leaf_index(),
            term: recorded.place.log_term(),
            surface: recorded.statement.surface,
            disagreement,
        });
    }

    /// Counts a decision that could not be evaluated.
    pub(super) fn skip(&mut self, is_foreign: bool) {
        let counts = &mut self.counts;
        counts.skipped = counts.skipped.saturating_add(1);
        counts.foreign = counts.foreign.saturating_add(u64::from(is_foreign));
    }

    /// Counts a decision that was, and what is found in it.
    pub(super) fn checked(
        &mut self,
        verdict: Result<(), Disagreement>,
        found: impl FnOnce(Disagreement) -> Found,
    ) {
        self.counts.checked = self.counts.checked.saturating_add(1);
        if let Err(disagreement) = verdict {
            self.found.push(found(disagreement));
        }
    }
}

/// A policy, if this node has one that loads.
pub(super) fn loaded(
    policy: Result<Policy, EvaluateError>,
) -> Result<Option<Policy>, EvaluateError> {
    match policy {
        Ok(policy) => Ok(Some(policy)),
        Err(EvaluateError::NoBundle(_)) => Ok(None),
        Err(error @ EvaluateError::Policy(_)) => {
            tracing::warn!(%error, "decisions under this bundle cannot be audited");
            Ok(None)
        }
        Err(error @ (EvaluateError::Read(_) | EvaluateError::Store(_))) => Err(error),
    }
}

/// The decisions up to `end`, and where to go on.
fn cases<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
    asked: &Asked,
    end: u64,
) -> Result<(Vec<Case>, u64), EvaluateError> {
    let mut cases = Vec::new();
    for leaf in asked.from.max(log.record().swept.statements)..end {
        let Some(recorded) = Recorded::read(log, leaf)? else {
            continue;
        };
        if asked.own_term == Some(recorded.place.log_term()) {
            // Terms never fall along the log.
            if term_at(log, asked.to.saturating_sub(1))? == asked.own_term {
                return Ok((cases, asked.to));
            }
            continue;
        }
        cases.push(case(log, policies, recorded)?);
    }
    Ok((cases, end))
}

fn case<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
    recorded: Recorded,
) -> Result<Case, EvaluateError> {
    let nothing = |recorded| Case {
        recorded,
        policy: None,
        granted: None,
    };
    let Some(kept) = recorded.kept() else {
        return Ok(nothing(recorded));
    };
    if is_foreign(&kept.evaluation) {
        return Ok(nothing(recorded));
    }
    let digest = recorded.statement.policy_digest;
    let policy = policies.get(digest, || match log.bundle(&digest)? {
        Some(record) => Ok(record.bundle),
        None => Err(EvaluateError::NoBundle(digest)),
    });
    let Some(policy) = loaded(policy)? else {
        return Ok(nothing(recorded));
    };
    let mut granted = None;
    if let Some(grant) = recorded.statement.verdict.grant()
        && !kept.request.prerequisites.is_empty()
    {
        let permit = log.permit(&grant.permit_id)?;
        granted = permit.map(|permit| permit.record.prerequisites);
    }
    Ok(Case {
        recorded,
        policy: Some(policy),
        granted,
    })
}

/// Whether another version of the evaluator made it, which this node does not have.
pub(super) fn is_foreign(evaluation: &Evaluation) -> bool {
    evaluation.evaluator_version != EVALUATOR_VERSION
}

/// The term of the statement at `leaf`.
fn term_at<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    leaf: u64,
) -> Result<Option<u64>, EvaluateError> {
    let found = log.statement(leaf)?;
    let statement = found.and_then(|found| Statement::parse(&found.bytes).ok());
    Ok(statement.map(|statement| statement.place.log_term()))
}

/// The processor time that this thread has used.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
