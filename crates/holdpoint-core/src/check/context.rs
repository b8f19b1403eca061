//! What stands around requests: approvals, listed requests, sessions, and what is frozen or drained.

use std::collections::BTreeMap;

use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::statement::{Body, subject_digest};
use holdpoint_receipt::{Caller, Digest, Name, PermitId};

use super::log::Statements;
use super::{Context, Space, Violation, broken, encoded, holds};
use crate::codec::records::Present;
use crate::command::ApprovalName;
use crate::key::{Kind, StateKey};
use crate::limits::{
    APPROVAL_FOR_MS_MAX, FROZEN_SURFACES_MAX, PENDING_BYTES_MAX, PENDING_KEPT_MS, PENDING_MAX,
    RETENTION_MS_MIN, SHADOWS_MAX,
};
use crate::record::{
    ApprovalRecord, ApprovalState, PendingRecord, PermitRecord, PermitState, PermitStep,
    SessionRecord,
};

type Index = BTreeMap<StateKey, Vec<u8>>;

type Permits = BTreeMap<PermitId, PermitRecord>;

pub(super) fn check(
    space: &Space<'_>,
    context: &Context,
    permits: &Permits,
    statements: &Statements,
) -> Result<(), Violation> {
    check_approvals(space, context, permits, statements)?;
    check_spenders(space, context, permits)?;
    check_pending(space, context)?;
    check_sessions(space, context, statements)?;
    check_settings(space, context)
}

/// What follows the kind in `key`.
fn rest(key: &StateKey) -> &[u8] {
    key.parts().map_or(&[][..], |parts| parts.rest)
}

fn note(index: &mut Index, row: StateKey) -> Result<(), Violation> {
    let value = encoded(&row, &Present)?;
    index.insert(row, value);
    Ok(())
}

fn check_approvals(
    space: &Space<'_>,
    context: &Context,
    permits: &Permits,
    statements: &Statements,
) -> Result<(), Violation> {
    let mut ends = Index::new();
    for (key, approval) in space.records::<ApprovalRecord>(Kind::Approval)? {
        let Some(name) = name_of(key) else {
            return broken(key, "it names no approval");
        };
        let expected = space
            .keys
            .approval(&name.quorum, &name.subject, &name.approver);
        holds(*key == expected, key, "it names another approval")?;
        let life_ms = approval.expires_at.saturating_since(approval.given_at);
        let is_living =
            approval.given_at <= context.now && (1..=APPROVAL_FOR_MS_MAX).contains(&life_ms);
        holds(is_living, key, "its life is outside its limits")?;
        check_approval_statements(key, &name, &approval, statements)?;
        if let ApprovalState::Spent(permit) = approval.state {
            // Retention may have taken the permit away.
            let is_spender = permits.get(&permit).is_none_or(|permit| {
                permit.approvals.contains(&name)
                    && (permit.state != PermitState::Superseded || !permit.gives_approvals_back())
                    && approval.given_at <= permit.issued_at
                    && permit.issued_at < approval.expires_at
            });
            holds(is_spender, key, "the permit did not spend it")?;
        }
        let kept_until = approval.expires_at.saturating_add(RETENTION_MS_MIN);
        let end = space.keys.end_of(Kind::ApprovalEnd, kept_until, rest(key));
        note(&mut ends, end)?;
    }
    space.exactly(Kind::ApprovalEnd, &ends)
}

/// `quorum 0 | subject (32) | approver 0`
fn name_of(key: &StateKey) -> Option<ApprovalName> {
    let rest = rest(key);
    let length = rest.iter().position(|byte| *byte == 0)?;
    let (quorum, rest) = rest.split_at_checked(length)?;
    let (subject, rest) = rest.get(1..)?.split_first_chunk()?;
    let (_, approver) = rest.split_last()?;
    Some(ApprovalName {
        quorum: Name::new(std::str::from_utf8(quorum).ok()?).ok()?,
        subject: Digest::from_bytes(*subject),
        approver: Caller::new(std::str::from_utf8(approver).ok()?).ok()?,
    })
}

fn check_approval_statements(
    key: &StateKey,
    name: &ApprovalName,
    approval: &ApprovalRecord,
    statements: &Statements,
) -> Result<(), Violation> {
    if let Some(statement) = statements.get(approval.leaf) {
        let Body::Approved(said) = &statement.body else {
            return broken(key, "its statement is not an approval");
        };
        let is_own = said.quorum == name.quorum
            && said.subject_digest == name.subject
            && said.surface == approval.surface
            && said.policy_version == approval.policy.version
            && said.policy_digest == approval.policy.digest
            && said.expires_at == Some(approval.expires_at)
            && statement.issued_at == approval.given_at
            && statement.receipt_hash() == approval.receipt;
        holds(is_own, key, "its statement says another approval")?;
    }
    if let ApprovalState::Revoked { leaf } = approval.state {
        holds(leaf > approval.leaf, key, "it was taken back too early")?;
        if let Some(statement) = statements.get(leaf) {
            let Body::ApprovalRevoked(said) = &statement.body else {
                return broken(key, "its last statement does not take it back");
            };
            let is_own = said.previous == Some(approval.receipt);
            holds(is_own, key, "another approval was taken back")?;
        }
    }
    Ok(())
}

/// Each approval that a live permit has spent is there as long as it is kept, and not free: it was given once, and so it
/// lets one permit through.
fn check_spenders(
    space: &Space<'_>,
    context: &Context,
    permits: &Permits,
) -> Result<(), Violation> {
    let found: Vec<(&StateKey, ApprovalRecord)> = space.records(Kind::Approval)?;
    let found: BTreeMap<&StateKey, ApprovalRecord> = found.into_iter().collect();
    for permit in permits.values() {
        let key = space.keys.permit(&permit.id);
        let is_sorted = permit
            .approvals
            .is_sorted_by(|before, after| before < after);
        holds(is_sorted, &key, "its approvals are not sorted")?;
        if !permit.state.is_live() {
            continue;
        }
        for name in &permit.approvals {
            let key = space
                .keys
                .approval(&name.quorum, &name.subject, &name.approver);
            let Some(approval) = found.get(&key) else {
                // One that is redeemed may be in doubt for longer than approvals are kept.
                let can_be_redeemed = permit.state_at(context.now) == PermitState::Issued;
                holds(!can_be_redeemed, &key, "a live permit has spent it")?;
                continue;
            };
            let granted = permit.leaf_of(PermitStep::Decision);
            // Times do not tell: it may be given anew at the same instant.
            let is_renewed = granted.is_some_and(|leaf| leaf < approval.leaf);
            let is_spent = approval.state == ApprovalState::Spent(permit.id);
            holds(is_spent || is_renewed, &key, "its spender is live")?;
        }
    }
    Ok(())
}

fn check_pending(space: &Space<'_>, context: &Context) -> Result<(), Violation> {
    let (mut subjects, mut ends) = (Index::new(), Index::new());
    let listed = space.records::<PendingRecord>(Kind::Pending)?;
    let own = space.keys.single(Kind::Namespace);
    let count = listed.len() as u64;
    let bytes = listed.iter().fold(0, |sum: u64, (_, pending)| {
        sum.saturating_add(pending.bytes())
    });
    let is_counted = count == context.namespace.pending
        && count <= PENDING_MAX
        && bytes == context.namespace.pending_bytes
        && bytes <= PENDING_BYTES_MAX;
    holds(is_counted, &own, "the listed requests are not as counted")?;
    for (key, pending) in listed {
        let digest = digest_of_canonical(&pending.request);
        let is_own = *key == space.keys.pending(&digest);
        holds(is_own, key, "it lists another request")?;
        let is_in_time = pending.asked_at <= context.now
            && pending.listed_until == pending.asked_at.saturating_add(PENDING_KEPT_MS);
        holds(is_in_time, key, "it is listed at another time")?;
        for missing in &pending.missing {
            let is_own = subject_digest(&missing.subject) == missing.digest;
            holds(is_own, key, "a subject has another digest")?;
            note(
                &mut subjects,
                space.keys.pending_subject(&missing.digest, &digest),
            )?;
        }
        let until = pending.listed_until;
        note(
            &mut ends,
            space.keys.end_of(Kind::PendingEnd, until, rest(key)),
        )?;
    }
    space.exactly(Kind::PendingSubject, &subjects)?;
    space.exactly(Kind::PendingEnd, &ends)
}

fn check_sessions(
    space: &Space<'_>,
    context: &Context,
    statements: &Statements,
) -> Result<(), Violation> {
    let mut ends = Index::new();
    for (key, session) in space.records::<SessionRecord>(Kind::Session)? {
        let used_at = session.used_at;
        holds(used_at <= context.now, key, "it was used in the future")?;
        if let Some(closed) = &session.closed {
            holds(
                closed.at <= used_at,
                key,
                "it was closed after its last use",
            )?;
            if let Some(statement) = statements.get(closed.leaf) {
                let is_closing = matches!(statement.body, Body::SessionClosed(_));
                let is_own = is_closing && statement.issued_at == closed.at;
                holds(is_own, key, "its statement does not close it")?;
            }
        }
        note(
            &mut ends,
            space.keys.end_of(Kind::SessionEnd, used_at, rest(key)),
        )?;
    }
    space.exactly(Kind::SessionEnd, &ends)
}

/// What is frozen, drained and watched fits the policy in force and the registered bundles.
fn check_settings(space: &Space<'_>, context: &Context) -> Result<(), Violation> {
    let own = space.keys.single(Kind::Namespace);
    let namespace = &context.namespace;
    let frozen = &namespace.frozen_surfaces;
    let is_set =
        frozen.len() <= FROZEN_SURFACES_MAX && frozen.is_sorted_by(|before, after| before < after);
    holds(is_set, &own, "the frozen surfaces are not a sorted set")?;
    let bundles = space.rows(Kind::Bundle);
    let is_registered = |digest: &Digest| bundles.contains_key(&space.keys.bundle(digest));
    let shadows = &namespace.shadows;
    let is_set =
        shadows.len() <= SHADOWS_MAX && shadows.is_sorted_by(|before, after| before < after);
    holds(is_set, &own, "the shadows are not a sorted set")?;
    let are_known = shadows.iter().all(is_registered);
    holds(are_known, &own, "a shadow is not registered")?;
    let Some(drain) = &namespace.drain else {
        return Ok(());
    };
    let version = namespace.active.map(|active| active.version);
    let is_due = version == Some(drain.expected) && is_registered(&drain.digest);
    holds(is_due, &own, "the drain is for another policy")?;
    let is_set =
        !drain.surfaces.is_empty() && drain.surfaces.is_sorted_by(|before, after| before < after);
    holds(is_set, &own, "the drained surfaces are not a sorted set")?;
    let is_marked = drain
        .mark
        .as_ref()
        .is_none_or(|mark| drain.surfaces.contains(&mark.surface));
    holds(is_marked, &own, "the drain has met another surface")
}
