//! Whether an evaluation still rests on what is so.

use holdpoint_receipt::{ClusterTime, PermitId, Reason};

use super::gate::Gate;
use crate::command::{Authorize, Evaluation, Facts, Verdict};
use crate::fault::ApplyError;
use crate::limits::{
    AMOUNT_MAX, APPROVALS_MAX, FACT_AGE_MS_MAX, POLICIES_MAX, PREREQUISITES_MAX, WORD_BYTES_MAX,
};
use crate::limits::{HORIZON_SLACK_MS, REQUEST_BYTES_MAX, RETRY_HORIZON_MS};
use crate::outcome::Current;
use crate::outline::{BoundKind, SurfaceOutline};
use crate::record::{ActivePolicy, PermitRecord, PermitState};
use crate::rejection::{Bounded, EvaluationProblem, Rejection};
use crate::view::View;
use holdpoint_receipt::request::digest_of_canonical;

impl<V: View> Gate<'_, V> {
    /// What an evaluation of `command` must rest on now; of the approvals, those that it uses.
    pub(super) fn current(
        &self,
        command: &Authorize,
        policy: ActivePolicy,
        supersedes: Option<&PermitRecord>,
    ) -> Result<Current, ApplyError<V::Error>> {
        let gives_back = supersedes.filter(|permit| permit.gives_approvals_back());
        let gives_back = gives_back.map(|permit| permit.id);
        let used = command.evaluation.as_ref();
        let used = used.map_or(&[][..], |evaluation| &evaluation.facts.approvals);
        let session_closed = match &command.session {
            Some(session) => self.session_is_closed(session)?,
            None => false,
        };
        Ok(Current {
            now: self.now(),
            policy,
            facts: Facts {
                frozen: self.is_frozen(&command.surface),
                draining: self.is_draining(&command.surface),
                session_closed,
                approvals: self.approvals_that_hold(used, gives_back)?,
                prerequisites: self.states_of(&command.prerequisites)?,
                supersedes: supersedes.map(|permit| permit.id),
            },
        })
    }

    fn states_of(
        &self,
        permits: &[PermitId],
    ) -> Result<Vec<Option<PermitState>>, ApplyError<V::Error>> {
        let now = self.now();
        permits
            .iter()
            .map(|id| Ok(self.permit(id)?.map(|permit| permit.state_at(now))))
            .collect()
    }

    /// Whether `permits`, all of which were committed when a permit was granted on them, are it still.
    ///
    /// Nothing changes a committed permit, and only retention takes one away: an absent one was
    /// committed to its end.
    pub(super) fn are_still_committed(
        &self,
        permits: &[PermitId],
    ) -> Result<bool, ApplyError<V::Error>> {
        let states = self.states_of(permits)?;
        let is_other = |state: &PermitState| *state != PermitState::Committed;
        Ok(!states.iter().flatten().any(is_other))
    }

    /// Whether every one of `permits` is committed.
    pub(super) fn are_committed(&self, permits: &[PermitId]) -> Result<bool, ApplyError<V::Error>> {
        let states = self.states_of(permits)?;
        Ok(states
            .iter()
            .all(|state| *state == Some(PermitState::Committed)))
    }
}

/// Why `evaluation` is not current; none if it is.
pub(super) fn moved(evaluation: &Evaluation, current: &Current) -> Option<Reason> {
    let policy = ActivePolicy {
        version: evaluation.policy_version,
        digest: evaluation.policy_digest,
    };
    if policy != current.policy {
        return Some(Reason::PolicyMoved);
    }
    // An evaluation of a time that has not come is not current either.
    let is_fresh = evaluation.evaluated_at <= current.now
        && current.now.saturating_since(evaluation.evaluated_at) <= FACT_AGE_MS_MAX;
    (!is_fresh || evaluation.facts != current.facts).then_some(Reason::FactsMoved)
}

/// What makes `command` senseless by itself, whatever the state says.
pub(super) fn malformed(command: &Authorize, now: ClusterTime) -> Option<Rejection> {
    let too_much = |what, count: usize, count_max: usize| {
        (count > count_max).then_some(Rejection::TooMuch {
            what,
            // usize has at most 64 bits on every target that exists, so this loses nothing.
            count: count as u64,
            count_max: count_max as u64,
        })
    };
    let horizon = now.saturating_add(RETRY_HORIZON_MS.saturating_add(HORIZON_SLACK_MS));
    let not_after = command.not_after;
    too_much(
        Bounded::RequestBytes,
        command.request.len(),
        REQUEST_BYTES_MAX,
    )
    .or_else(|| {
        let count = command.prerequisites.len();
        too_much(Bounded::Prerequisites, count, PREREQUISITES_MAX)
    })
    .or_else(|| {
        let count = command.evaluation.as_ref()?.facts.approvals.len();
        too_much(Bounded::Approvals, count, APPROVALS_MAX)
    })
    .or_else(|| {
        let words = words_of(command.evaluation.as_ref()?);
        let longest = words
            .iter()
            .flat_map(|list| list.iter().map(String::len))
            .max();
        let count = words.iter().map(|list| list.len()).max();
        too_much(Bounded::Policies, count.unwrap_or(0), POLICIES_MAX)
            .or_else(|| too_much(Bounded::Policies, longest.unwrap_or(0), WORD_BYTES_MAX))
    })
    .or_else(|| {
        let is_own = digest_of_canonical(&command.request) == command.request_digest;
        (!is_own).then_some(Rejection::DigestMismatch)
    })
    .or_else(|| (not_after > horizon).then_some(Rejection::NotAfterTooFar { not_after, now }))
    .or_else(|| {
        let wait_until = command.wait_until.filter(|until| *until > not_after)?;
        Some(Rejection::WaitTooLong {
            wait_until,
            not_after,
        })
    })
    .or_else(|| {
        let problem = ill_formed(command)?;
        Some(Rejection::Evaluation(problem))
    })
}

fn words_of(evaluation: &Evaluation) -> [&[String]; 2] {
    match &evaluation.verdict {
        Verdict::Permit { policies } => [policies, &[]],
        Verdict::Deny {
            codes, policies, ..
        } => [policies, codes],
    }
}

fn ill_formed(command: &Authorize) -> Option<EvaluationProblem> {
    if !are_distinct(&command.prerequisites) {
        return Some(EvaluationProblem::Prerequisites);
    }
    let evaluation = command.evaluation.as_ref()?;
    if evaluation.facts.prerequisites.len() != command.prerequisites.len() {
        return Some(EvaluationProblem::Prerequisites);
    }
    let approvals = &evaluation.facts.approvals;
    if !approvals.is_sorted_by(|before, after| before.name < after.name) {
        return Some(EvaluationProblem::Approvals);
    }
    if !words_of(evaluation).iter().all(|words| words.is_sorted()) {
        return Some(EvaluationProblem::Order);
    }
    let is_reason_of_policy = match &evaluation.verdict {
        Verdict::Permit { .. } => true,
        Verdict::Deny { reason, .. } => matches!(reason, Reason::Policy | Reason::NotPermitted),
    };
    (!is_reason_of_policy).then_some(EvaluationProblem::Reason)
}

fn are_distinct(permits: &[PermitId]) -> bool {
    let mut sorted = permits.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == permits.len()
}

/// What makes a current `evaluation` contradict the policy that it names.
pub(super) fn unfit(
    command: &Authorize,
    evaluation: &Evaluation,
    surface: &SurfaceOutline,
) -> Option<EvaluationProblem> {
    if !surface.actions.contains(&command.action) {
        return Some(EvaluationProblem::Action);
    }
    // A leader that leaves a bound out would grant what the bundle forbids.
    let claimed = evaluation
        .claims
        .iter()
        .map(|claim| (&claim.name, claim.kind));
    let declared = surface.bounds.iter().map(|bound| (&bound.name, bound.kind));
    let is_denial_without_claims = match &evaluation.verdict {
        Verdict::Deny { .. } => evaluation.claims.is_empty(),
        Verdict::Permit { .. } => false,
    };
    let are_amounts = evaluation.claims.iter().all(|claim| match claim.kind {
        BoundKind::Budget { .. } => claim.amount <= AMOUNT_MAX,
        BoundKind::Exclusive | BoundKind::Once { .. } | BoundKind::Capacity { .. } => {
            claim.amount == 1
        }
    });
    let is_fit = is_denial_without_claims || (claimed.eq(declared) && are_amounts);
    (!is_fit).then_some(EvaluationProblem::Claims)
}
