//! Decisions that were applied a moment ago, evaluated again. Runs on the thread of the audit.
//!
//! What the command says is compared, before it became a statement: this node made the statement of it
//! when it applied the command.

use holdpoint_core::command::Authorize;
use holdpoint_core::{GroupId, Query};
use holdpoint_raft::Group;
use holdpoint_receipt::{Name, Request};

use super::batch::{Found, Looked, is_foreign, loaded, thread_time};
use super::compare::{Disagreement, Subject, Words, compare};
use super::findings::Counts;
use super::fresh::Run;
use crate::evaluate::{Engine, EvaluateError};
use crate::recorded;

/// Looks at all decisions in `runs`, which end before `next`.
pub(super) fn look_at_fresh(
    group: &Group,
    engine: Engine<'_>,
    namespace: &Name,
    (runs, next): (&[Run], u64),
) -> Looked {
    let began = thread_time();
    let mut looked = Looked {
        next,
        counts: Counts::default(),
        found: Vec::new(),
    };
    for run in runs {
        for (leaf, command) in run.decisions() {
            match again(group, engine, namespace, command) {
                Ok(Again::Checked(verdict)) => looked.checked(verdict, |disagreement| Found {
                    namespace: namespace.clone(),
                    leaf,
                    term: run.term,
                    surface: command.surface.clone(),
                    disagreement,
                }),
                Ok(Again::Skipped { is_foreign }) => looked.skip(is_foreign),
                Err(error) => {
                    tracing::error!(%namespace, leaf, %error, "the audit cannot read what a decision rests on");
                    looked.skip(false);
                }
            }
        }
    }
    looked.counts.cpu = thread_time().saturating_sub(began);
    looked
}

/// What came of one decision.
enum Again {
    Checked(Result<(), Disagreement>),
    /// It could not be evaluated.
    Skipped {
        /// Another version of the evaluator made it.
        is_foreign: bool,
    },
}

/// Evaluates the decision of an applied command again. The state is read only for approvals, and for a
/// bundle that is not loaded.
fn again(
    group: &Group,
    engine: Engine<'_>,
    namespace: &Name,
    command: &Authorize,
) -> Result<Again, EvaluateError> {
    let skipped = |is_foreign| Ok(Again::Skipped { is_foreign });
    let Some(evaluation) = &command.evaluation else {
        return skipped(false);
    };
    let Ok(request) = Request::parse_canonical(&command.request) else {
        return Ok(Again::Checked(Err(Disagreement::Unreadable)));
    };
    if is_foreign(evaluation) {
        return skipped(true);
    }
    let digest = evaluation.policy_digest;
    let policy = engine.policies.get(digest, || {
        let read = group.local_view(|view| {
            let state = Query::new(&view, GroupId::FIRST);
            let log = state.namespace(namespace)?;
            log.map_or(Ok(None), |log| log.bundle(&digest))
        });
        let record = read.map_err(EvaluateError::Store)??;
        let record = record.ok_or(EvaluateError::NoBundle(digest))?;
        Ok::<_, EvaluateError>(record.bundle)
    });
    let Some(policy) = loaded(policy)? else {
        return skipped(false);
    };
    let approvals = if evaluation.facts.approvals.is_empty() {
        Vec::new()
    } else {
        let read = group.local_view(|view| {
            let state = Query::new(&view, GroupId::FIRST);
            let log = state.namespace(namespace)?;
            log.map_or(Ok(Vec::new()), |log| recorded::approvals(&log, evaluation))
        });
        read.map_err(EvaluateError::Store)??
    };
    let subject = Subject {
        namespace,
        words: Words::Applied(command),
        request: &request,
        evaluation,
        facts: &recorded::facts(evaluation, &approvals),
    };
    Ok(Again::Checked(compare(engine.evaluator, &policy, subject)))
}
