//! Attempts and permits, and every row that follows from them.

use std::collections::BTreeMap;

use holdpoint_receipt::statement::{Body, Verdict};
use holdpoint_receipt::{Digest, Fence, PermitId, Statement};

use super::policies::Surfaces;
use super::{Context, Space, Violation, broken, encoded, holds};
use crate::codec::records::Present;
use crate::command::CompletionResult;
use crate::judge::permit_id;
use crate::key::{Kind, StateKey};
use crate::limits::ATTEMPT_KEPT_MS;
use crate::outline::BoundKind;
use crate::record::{
    AttemptRecord, Decided, OnceRecord, PermitRecord, PermitState, PermitStep, TombstoneRecord,
};

type Index = BTreeMap<StateKey, Vec<u8>>;

/// The rows that follow from the permits.
#[derive(Default)]
struct Follows {
    fences: Index,
    live: Index,
    expiries: Index,
    doubts: Index,
    holders: Index,
    tombstones: Index,
    onces: BTreeMap<StateKey, OnceRecord>,
}

pub(super) fn check(
    space: &Space<'_>,
    context: &Context,
    surfaces: &Surfaces,
    statements: &[Statement],
) -> Result<(), Violation> {
    let mut permits: BTreeMap<PermitId, PermitRecord> = BTreeMap::new();
    let mut follows = Follows::default();
    for (key, permit) in space.records::<PermitRecord>(Kind::Permit)? {
        holds(
            *key == space.keys.permit(&permit.id),
            key,
            "it names another permit",
        )?;
        check_permit(key, &permit, context)?;
        check_steps(key, &permit, statements)?;
        follow(space, &permit, surfaces, &mut follows)?;
        permits.insert(permit.id, permit);
    }
    check_order(space, context, &permits)?;
    check_attempts(space, context, &permits, statements)?;
    space.exactly(Kind::Fence, &follows.fences)?;
    space.exactly(Kind::Live, &follows.live)?;
    space.exactly(Kind::Expiry, &follows.expiries)?;
    space.exactly(Kind::Doubt, &follows.doubts)?;
    space.exactly(Kind::Holder, &follows.holders)?;
    space.exactly(Kind::Tombstone, &follows.tombstones)?;
    let mut onces = Index::new();
    for (key, once) in &follows.onces {
        onces.insert(key.clone(), encoded(key, once)?);
    }
    space.exactly(Kind::Once, &onces)
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
    let (is_redeemed, is_completed) = match permit.state {
        PermitState::Redeemed => (true, false),
        PermitState::Committed | PermitState::Aborted => (true, true),
        PermitState::Issued
        | PermitState::Expired
        | PermitState::Revoked
        | PermitState::Superseded => (false, false),
        PermitState::Released => (true, permit.completion.is_some()),
    };
    holds(
        permit.redemption.is_some() == is_redeemed,
        key,
        "its redemption is not its state's",
    )?;
    holds(
        permit.completion.is_some() == is_completed,
        key,
        "its outcome is not its state's",
    )?;
    if let Some(redemption) = &permit.redemption {
        let at = redemption.redeemed_at;
        let is_in_time = permit.issued_at <= at && at < permit.expires_at;
        holds(is_in_time, key, "it was redeemed outside its life")?;
    }
    let is_committed = permit
        .completion
        .as_ref()
        .map(|completion| match completion.result {
            CompletionResult::Committed { .. } => PermitState::Committed,
            CompletionResult::Aborted => PermitState::Aborted,
        });
    holds(
        is_committed.is_none_or(|state| state == permit.state),
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

/// Its statements are those that its state needs, in order, each chained to the one before.
fn check_steps(
    key: &StateKey,
    permit: &PermitRecord,
    statements: &[Statement],
) -> Result<(), Violation> {
    let steps: Vec<PermitStep> = permit.statements.iter().map(|known| known.step).collect();
    let expected: &[PermitStep] = match permit.state {
        PermitState::Issued | PermitState::Expired => &[PermitStep::Decision],
        PermitState::Redeemed => &[PermitStep::Decision, PermitStep::Redeemed],
        PermitState::Committed | PermitState::Aborted => &[
            PermitStep::Decision,
            PermitStep::Redeemed,
            PermitStep::Completed,
        ],
        PermitState::Revoked => &[PermitStep::Decision, PermitStep::Revoked],
        PermitState::Superseded => &[PermitStep::Decision, PermitStep::Superseded],
        PermitState::Released => &[
            PermitStep::Decision,
            PermitStep::Redeemed,
            PermitStep::Released,
        ],
    };
    let rest = steps.strip_prefix(expected);
    let is_settled = permit.completion.is_some();
    let is_expected = match rest {
        Some([]) => true,
        Some([PermitStep::Conflict]) => is_settled,
        Some(_) | None => false,
    };
    holds(
        is_expected,
        key,
        "its statements are not those of its state",
    )?;
    let mut before: Option<Digest> = None;
    for known in &permit.statements {
        let leaf = usize::try_from(known.leaf).unwrap_or(usize::MAX);
        let Some(statement) = statements.get(leaf) else {
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
    Ok(())
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
        Body::Released(_)
        | Body::Policy(_)
        | Body::Keys(_)
        | Body::Approved(_)
        | Body::ApprovalRevoked(_)
        | Body::SessionClosed(_)
        | Body::Frozen(_)
        | Body::Drain(_) => (None, None),
    }
}

/// Adds the rows that follow from one permit. Two live permits on one operation, or two committed
/// effects of one `once` key, show here: G1.
fn follow(
    space: &Space<'_>,
    permit: &PermitRecord,
    surfaces: &Surfaces,
    follows: &mut Follows,
) -> Result<(), Violation> {
    let keys = &space.keys;
    let own = keys.permit(&permit.id);
    let id = encoded(&own, &permit.id)?;
    let outline = surfaces.get(&(permit.policy.digest, permit.surface.clone()));
    let Some(outline) = outline else {
        return broken(&own, "its surface is not registered");
    };
    let declared = outline.bounds.iter().map(|bound| (&bound.name, bound.kind));
    let claimed = permit.claims.iter().map(|claim| (&claim.name, claim.kind));
    holds(
        declared.eq(claimed),
        &own,
        "it does not claim the bounds of its surface",
    )?;
    let fence = keys.fence(permit.fence);
    holds(
        follows.fences.insert(fence, id.clone()).is_none(),
        &own,
        "its fence is not its own",
    )?;
    if permit.state.is_live() {
        follows
            .live
            .insert(keys.live(&permit.surface, permit.fence), id.clone());
        let (due, at, index) = match &permit.redemption {
            None => (Kind::Expiry, permit.expires_at, &mut follows.expiries),
            Some(redemption) => (Kind::Doubt, redemption.complete_by, &mut follows.doubts),
        };
        index.insert(keys.due(due, at, permit.fence), id.clone());
        for claim in &permit.claims {
            let holder = keys.operation(Kind::Holder, &permit.surface, &claim.name, &claim.key);
            let before = follows.holders.insert(holder.clone(), id.clone());
            holds(before.is_none(), &holder, "two live permits hold it")?;
        }
    }
    let Some(completion) = &permit.completion else {
        return Ok(());
    };
    if permit.state != PermitState::Committed {
        return Ok(());
    }
    for (claim, bound) in permit.claims.iter().zip(&outline.bounds) {
        if !matches!(claim.kind, BoundKind::Once { .. }) {
            continue;
        }
        let key = keys.operation(Kind::Tombstone, &permit.surface, &claim.name, &claim.key);
        let tombstone = TombstoneRecord {
            permit: permit.id,
            fence: permit.fence,
            committed_at: completion.completed_at,
            kept_until: None,
        };
        let row = encoded(&key, &tombstone)?;
        let before = follows.tombstones.insert(key.clone(), row);
        holds(before.is_none(), &key, "two effects were committed")?;
        let once_key = keys.once(&permit.surface, &claim.name);
        let once = follows
            .onces
            .entry(once_key.clone())
            .or_insert_with(|| OnceRecord {
                template: bound.template.clone(),
                tombstones: 0,
            });
        holds(
            once.template == bound.template,
            &once_key,
            "its template changed",
        )?;
        once.tombstones = once.tombstones.saturating_add(1);
    }
    Ok(())
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
    let is_last = last.or(first) == Some(context.namespace.fence);
    holds(is_last, &own, "the last fence given out is not a permit's")
}

fn check_attempts(
    space: &Space<'_>,
    context: &Context,
    permits: &BTreeMap<PermitId, PermitRecord>,
    statements: &[Statement],
) -> Result<(), Violation> {
    let mut ends = Index::new();
    for (key, attempt) in space.records::<AttemptRecord>(Kind::Attempt)? {
        let leaf = usize::try_from(attempt.leaf).unwrap_or(usize::MAX);
        let Some(statement) = statements.get(leaf) else {
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
                grant.permit_id == *id
                    && permit.is_some_and(|permit| permit.state != PermitState::Superseded)
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
