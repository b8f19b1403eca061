//! Attempts and permits: what each record says of itself, and of its statements.

use std::collections::BTreeMap;

use holdpoint_receipt::statement::{Body, Verdict};
use holdpoint_receipt::{Digest, Fence, PermitId};

use super::log::Statements;
use super::policies::Surfaces;
use super::{Context, Space, Violation, broken, encoded, holds};
use crate::codec::records::Present;
use crate::command::CompletionResult;
use crate::judge::permit_id;
use crate::key::{Kind, StateKey};
use crate::limits::{ATTEMPT_KEPT_MS, CONFLICTS_STATED_MAX};
use crate::record::{
    AttemptRecord, Decided, Held, PermitRecord, PermitState, PermitStep, StatementRef,
};

type Index = BTreeMap<StateKey, Vec<u8>>;

pub(super) fn check(
    space: &Space<'_>,
    context: &Context,
    surfaces: &Surfaces,
    statements: &Statements,
) -> Result<BTreeMap<PermitId, PermitRecord>, Violation> {
    let mut permits: BTreeMap<PermitId, PermitRecord> = BTreeMap::new();
    for (key, permit) in space.records::<PermitRecord>(Kind::Permit)? {
        holds(
            *key == space.keys.permit(&permit.id),
            key,
            "it names another permit",
        )?;
        check_permit(key, &permit, context)?;
        check_end(key, &permit, context)?;
        check_surface(key, &permit, surfaces)?;
        check_steps(key, &permit, statements)?;
        permits.insert(permit.id, permit);
    }
    check_order(space, context, &permits)?;
    check_attempts(space, context, &permits, statements)?;
    Ok(permits)
}

fn check_permit(key: &StateKey, permit: &PermitRecord, context: &Context) -> Result<(), Violation> {
    let id = permit_id(context.cluster, &context.name, permit.fence);
    holds(id == permit.id, key, "its id is not the one of its fence")?;
    let is_given_out = permit.fence <= context.namespace.fence && permit.fence.counter() > 0;
    holds(is_given_out, key, "its fence was never given out")?;
    holds(
        permit.fence.epoch() <= context.epoch,
        key,
        "its fence is of a later epoch",
    )?;
    holds(
        permit.issued_at <= context.now,
        key,
        "it was issued in the future",
    )?;
    holds(
        permit.issued_at < permit.expires_at,
        key,
        "it never had a life",
    )?;
    let is_sorted = permit
        .claims
        .is_sorted_by(|before, after| before.name < after.name);
    holds(is_sorted, key, "its claims are not sorted")?;
    let is_offline = permit.is_offline();
    let (redeemed, completed) = match permit.state {
        PermitState::Redeemed => (Some(true), Some(false)),
        // One that is used offline need not be redeemed.
        PermitState::Committed | PermitState::Aborted => {
            ((!is_offline).then_some(true), Some(true))
        }
        PermitState::Issued | PermitState::Expired => (Some(false), Some(false)),
        PermitState::Revoked | PermitState::Superseded => {
            (Some(false), (!is_offline).then_some(false))
        }
        PermitState::Released => (Some(true), None),
    };
    holds(
        redeemed.is_none_or(|is_so| permit.redemption.is_some() == is_so),
        key,
        "its redemption is not its state's",
    )?;
    holds(
        completed.is_none_or(|is_so| permit.completion.is_some() == is_so),
        key,
        "its outcome is not its state's",
    )?;
    holds(
        permit.release.is_some() == (permit.state == PermitState::Released),
        key,
        "its release is not its state's",
    )?;
    check_outcome(key, permit, context)
}

/// How it was redeemed, and how it ended, fit its life.
fn check_outcome(
    key: &StateKey,
    permit: &PermitRecord,
    context: &Context,
) -> Result<(), Violation> {
    if let Some(redemption) = &permit.redemption {
        let at = redemption.redeemed_at;
        let is_in_time = permit.issued_at <= at && at < permit.expires_at;
        holds(is_in_time, key, "it was redeemed outside its life")?;
    }
    let outcome = permit
        .completion
        .as_ref()
        .map(|completion| match completion.result {
            CompletionResult::Committed { .. } => PermitState::Committed,
            CompletionResult::Aborted => PermitState::Aborted,
        });
    let is_settled = matches!(permit.state, PermitState::Committed | PermitState::Aborted);
    holds(
        !is_settled || outcome == Some(permit.state),
        key,
        "its outcome is not its state",
    )?;
    if permit.state == PermitState::Expired {
        holds(
            permit.expires_at <= context.now,
            key,
            "it expired too early",
        )?;
    }
    Ok(())
}

/// What it holds follows from its state and from time, and it has ended once it holds nothing and
/// nobody waits for its outcome.
fn check_end(key: &StateKey, permit: &PermitRecord, context: &Context) -> Result<(), Violation> {
    let is_past = permit.held_until.is_none_or(|until| until <= context.now);
    let may_hold = match (permit.state, permit.held) {
        (PermitState::Issued | PermitState::Redeemed, held) => held == Held::All,
        (PermitState::Committed | PermitState::Aborted | PermitState::Released, held) => {
            held == Held::Nothing
        }
        (PermitState::Expired | PermitState::Revoked | PermitState::Superseded, Held::All) => {
            permit.is_offline() && permit.completion.is_none()
        }
        (PermitState::Expired, Held::Consumable) => {
            permit.is_offline() && is_past && permit.has_consumables()
        }
        (PermitState::Expired, Held::Nothing) => {
            is_past && !(permit.is_offline() && permit.has_consumables())
        }
        (PermitState::Revoked | PermitState::Superseded, Held::Nothing) => {
            is_past || permit.completion.is_some()
        }
        (PermitState::Revoked | PermitState::Superseded, Held::Consumable) => false,
    };
    holds(may_hold, key, "it holds what its state does not")?;
    let is_in_doubt = permit.state == PermitState::Expired && permit.is_offline();
    let has_ended = !permit.state.is_live() && permit.held == Held::Nothing && !is_in_doubt;
    let is_ended = permit.ended_at.is_some() == has_ended
        && permit
            .ended_at
            .is_none_or(|at| permit.issued_at <= at && at <= context.now);
    holds(is_ended, key, "its end is not its state's")?;
    let stated = permit.contradictions.len();
    let is_counted = stated <= CONFLICTS_STATED_MAX && stated as u64 <= u64::from(permit.conflicts);
    holds(is_counted, key, "its conflicts are not as many as counted")
}

/// It claims every bound of its surface, and lives and is held as its surface says.
fn check_surface(
    key: &StateKey,
    permit: &PermitRecord,
    surfaces: &Surfaces,
) -> Result<(), Violation> {
    let outline = surfaces.get(&(permit.policy.digest, permit.surface.clone()));
    let Some(outline) = outline else {
        return broken(key, "its surface is not registered");
    };
    let declared = outline.bounds.iter().map(|bound| (&bound.name, bound.kind));
    let claimed = permit.claims.iter().map(|claim| (&claim.name, claim.kind));
    holds(
        declared.eq(claimed),
        key,
        "it does not claim the bounds of its surface",
    )?;
    holds(
        permit.is_offline() == outline.offline,
        key,
        "its surface is not used so",
    )
}

/// Its statements are those that its state needs, in order, each chained to the one before.
fn check_steps(
    key: &StateKey,
    permit: &PermitRecord,
    statements: &Statements,
) -> Result<(), Violation> {
    // What was asked for may be erased once it has ended, and again after what came later.
    let is_kept = |known: &&StatementRef| known.step != PermitStep::Erased;
    let steps = permit.statements.iter().filter(is_kept);
    let steps: Vec<PermitStep> = steps.map(|known| known.step).collect();
    let has_erased = permit.statements.len() > steps.len();
    holds(
        !has_erased || permit.ended_at.is_some(),
        key,
        "what it was asked for was erased too early",
    )?;
    let mut expected = vec![PermitStep::Decision];
    if permit.redemption.is_some() {
        expected.push(PermitStep::Redeemed);
    }
    expected.extend(match permit.state {
        PermitState::Issued | PermitState::Expired | PermitState::Redeemed => None,
        PermitState::Committed | PermitState::Aborted => Some(PermitStep::Completed),
        PermitState::Revoked => Some(PermitStep::Revoked),
        PermitState::Superseded => Some(PermitStep::Superseded),
        PermitState::Released => Some(PermitStep::Released),
    });
    // An outcome that came too late stands after what ended the permit.
    let is_late_abort = permit.completion.as_ref().is_some_and(|completion| {
        completion.result == CompletionResult::Aborted && permit.state != PermitState::Aborted
    });
    if is_late_abort {
        expected.push(PermitStep::Completed);
    }
    let conflicts = permit.contradictions.len();
    expected.resize(
        expected.len().saturating_add(conflicts),
        PermitStep::Conflict,
    );
    holds(
        steps == expected,
        key,
        "its statements are not those of its state",
    )?;
    let stated = permit.statements.iter().filter(is_kept).rev();
    let stated = stated.take(conflicts).collect::<Vec<_>>().into_iter().rev();
    let named = permit.contradictions.iter().map(|known| known.leaf);
    holds(
        stated.map(|known| known.leaf).eq(named),
        key,
        "its conflicts are not those stated",
    )?;
    holds(
        conflicts == 0 || permit.completion.is_some(),
        key,
        "an outcome contradicts none",
    )?;
    check_chain(key, permit, statements)
}

/// Each of its statements says its step and names the one before, and its record names the newest.
fn check_chain(
    key: &StateKey,
    permit: &PermitRecord,
    statements: &Statements,
) -> Result<(), Violation> {
    let mut before: Option<Digest> = None;
    for known in &permit.statements {
        let Some(statement) = statements.get(known.leaf) else {
            return broken(key, "its statement is not in the log");
        };
        let (step, previous) = said(&statement.body);
        holds(
            step == Some(known.step),
            key,
            "its statement says another step",
        )?;
        holds(
            statement.body.permit_id() == Some(permit.id),
            key,
            "a statement of another permit",
        )?;
        holds(previous == before, key, "its statements are not chained")?;
        before = Some(statement.receipt_hash());
    }
    holds(
        before == Some(permit.receipt),
        key,
        "the receipt hash is not that of its newest statement",
    )
}

/// The step that a statement says, and the statement before that it names.
fn said(body: &Body) -> (Option<PermitStep>, Option<Digest>) {
    match body {
        Body::Decision(_) => (Some(PermitStep::Decision), None),
        Body::Redeemed { step, .. } => (Some(PermitStep::Redeemed), Some(step.previous)),
        Body::Completed { step, .. } => (Some(PermitStep::Completed), Some(step.previous)),
        Body::Conflict { step, .. } => (Some(PermitStep::Conflict), Some(step.previous)),
        Body::Revoked(step) => (Some(PermitStep::Revoked), Some(step.previous)),
        Body::Superseded(step) => (Some(PermitStep::Superseded), Some(step.previous)),
        Body::Released { step, .. } => (Some(PermitStep::Released), Some(step.previous)),
        Body::Erased(erased) => (Some(PermitStep::Erased), Some(erased.previous)),
        Body::Policy(_)
        | Body::Keys(_)
        | Body::Approved(_)
        | Body::ApprovalRevoked(_)
        | Body::SessionClosed(_)
        | Body::Frozen(_)
        | Body::Drain(_) => (None, None),
    }
}

/// Fences rise with time and with the log: G6.
fn check_order(
    space: &Space<'_>,
    context: &Context,
    permits: &BTreeMap<PermitId, PermitRecord>,
) -> Result<(), Violation> {
    let mut by_fence: Vec<&PermitRecord> = permits.values().collect();
    by_fence.sort_by_key(|permit| permit.fence);
    for (before, after) in by_fence.iter().zip(by_fence.iter().skip(1)) {
        let key = space.keys.permit(&after.id);
        let leaf = |permit: &PermitRecord| permit.leaf_of(PermitStep::Decision);
        let is_later = before.fence < after.fence
            && before.issued_at <= after.issued_at
            && leaf(before) < leaf(after);
        holds(is_later, &key, "its fence is not the next")?;
    }
    let own = space.keys.single(Kind::Namespace);
    let last = by_fence.last().map(|permit| permit.fence);
    let first = Fence::before_first_of(context.epoch);
    // Retention may have taken the last one away.
    let is_last = last.or(first) == Some(context.namespace.fence)
        || (last < Some(context.namespace.fence)
            && context.namespace.fence <= context.namespace.swept.fence);
    holds(is_last, &own, "the last fence given out is not a permit's")
}

fn check_attempts(
    space: &Space<'_>,
    context: &Context,
    permits: &BTreeMap<PermitId, PermitRecord>,
    statements: &Statements,
) -> Result<(), Violation> {
    let mut ends = Index::new();
    for (key, attempt) in space.records::<AttemptRecord>(Kind::Attempt)? {
        let Some(statement) = statements.get(attempt.leaf) else {
            return broken(key, "its decision is not in the log");
        };
        let Body::Decision(decision) = &statement.body else {
            return broken(key, "its statement is not a decision");
        };
        let is_own = decision.request_digest == attempt.request_digest
            && decision.not_after == attempt.not_after
            && decision.policy_version == attempt.policy.version
            && decision.policy_digest == attempt.policy.digest
            && statement.issued_at == attempt.decided_at
            && attempt.decided_at < attempt.not_after;
        holds(is_own, key, "its statement says another decision")?;
        let is_same = match (&attempt.decided, &decision.verdict) {
            (Decided::Permit(id), Verdict::Permit(grant)) => {
                let permit = permits.get(id).filter(|permit| {
                    *key == space.keys.attempt(&permit.caller, &permit.idempotency_key)
                });
                // Superseded, but not decided since: it waited under a later version.
                let may_be_superseded = context
                    .namespace
                    .active
                    .is_some_and(|active| attempt.policy.version < active.version);
                grant.permit_id == *id
                    && permit.is_some_and(|permit| {
                        may_be_superseded || permit.state != PermitState::Superseded
                    })
            }
            (Decided::Deny(denial), Verdict::Deny { reason, retry_at }) => {
                denial.reason == *reason && denial.retry_at == *retry_at
            }
            (Decided::Permit(_), Verdict::Deny { .. }) | (Decided::Deny(_), Verdict::Permit(_)) => {
                false
            }
        };
        holds(is_same, key, "its statement decides otherwise")?;
        let named = key.parts().map_or(&[][..], |parts| parts.rest);
        let kept_until = attempt.not_after.saturating_add(ATTEMPT_KEPT_MS);
        let end = space.keys.end_of(Kind::AttemptEnd, kept_until, named);
        let row = encoded(&end, &Present)?;
        ends.insert(end, row);
    }
    holds(
        context.namespace.active.is_some() || ends.is_empty(),
        &space.keys.single(Kind::Namespace),
        "attempts were decided without a policy",
    )?;
    space.exactly(Kind::AttemptEnd, &ends)
}
