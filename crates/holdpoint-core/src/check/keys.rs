//! Who signs: epochs rise, each is stated, nobody's keys are another's; and what is disputed.

use std::collections::BTreeSet;

use holdpoint_receipt::KeySet;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::statement::{Body, KeysChange};

use super::log::Statements;
use super::{Context, Space, Violation, broken, holds};
use crate::epochs::{Epochs, Marks, published};
use crate::key::{Kind, StateKey};
use crate::limits::{EPOCHS_MAX, KEY_REVOCATIONS_MAX};
use crate::record::{DisputeRecord, EpochRecord, NodeRecord};

/// No key is of two nodes, or has two roles.
pub(super) fn check_nodes(nodes: &[(&StateKey, NodeRecord)]) -> Result<(), Violation> {
    let mut known = BTreeSet::new();
    for (key, node) in nodes {
        for bytes in [node.log_key, node.cosign_key] {
            holds(
                known.insert(bytes),
                key,
                "its key has two owners or two roles",
            )?;
        }
    }
    Ok(())
}

pub(super) fn check(
    space: &Space<'_>,
    context: &Context,
    statements: &Statements,
) -> Result<(), Violation> {
    let own = space.keys.single(Kind::Namespace);
    let epochs: Epochs = numbered(space.records(Kind::Epoch)?)?;
    let marks: Marks = numbered(space.records(Kind::KeyRevocation)?)?;
    let namespace = &context.namespace;
    let is_counted = epochs.len() as u64 == namespace.epochs
        && namespace.epochs <= EPOCHS_MAX
        && epochs.last().map(|(from, _)| *from) == namespace.newest_epoch;
    holds(is_counted, &own, "the epochs are not as counted")?;
    let is_few = marks.len() <= KEY_REVOCATIONS_MAX;
    holds(is_few, &own, "more keys are marked than may be")?;
    if epochs.is_empty() {
        holds(marks.is_empty(), &own, "keys are marked that nobody had")?;
        return check_stated(space, &BTreeSet::new(), statements);
    }
    let Ok(set) = published(context.cluster, &context.name, &epochs, &marks) else {
        return broken(&own, "the epochs are not a key set");
    };
    let mut stated: BTreeSet<u64> = marks.iter().map(|(leaf, _)| *leaf).collect();
    let mut last: Option<u64> = None;
    for (place, (from, epoch)) in epochs.iter().enumerate() {
        let key = space.keys.at_leaf(Kind::Epoch, *from);
        let next = place.checked_add(1).and_then(|next| epochs.get(next));
        let next = next.map_or(context.leaves.saturating_add(1), |(next, _)| *next);
        check_epoch(&key, (*from, epoch), last, context, next)?;
        check_statement(&key, (*from, epoch), statements, &set)?;
        stated.insert(epoch.leaf);
        last = Some(epoch.leaf);
    }
    for (leaf, mark) in &marks {
        let key = space.keys.at_leaf(Kind::KeyRevocation, *leaf);
        let is_past = *leaf < context.leaves && mark.valid_to <= *leaf;
        holds(is_past, &key, "it marks a head that was not there yet")?;
        if let Some(statement) = statements.get(*leaf) {
            let Body::Keys(said) = &statement.body else {
                return broken(&key, "its statement is not about keys");
            };
            let is_own = said.change == KeysChange::Revoked
                && said.node == Some(mark.signer.node)
                && said.keys_digest == set.as_of(*leaf).digest();
            holds(is_own, &key, "its statement says another mark")?;
        }
    }
    check_stated(space, &stated, statements)
}

/// The records by the numbers that name them.
fn numbered<R>(records: Vec<(&StateKey, R)>) -> Result<Vec<(u64, R)>, Violation> {
    let number = |(key, record): (&StateKey, R)| {
        let rest = key
            .parts()
            .and_then(|parts| <[u8; 8]>::try_from(parts.rest).ok());
        match rest.map(u64::from_be_bytes) {
            Some(number) => Ok((number, record)),
            None => broken(key, "the key names no number"),
        }
    };
    records.into_iter().map(number).collect()
}

/// What an epoch says of itself. `last` is the leaf that opened the one before, `next` the first size
/// that it does not sign.
fn check_epoch(
    key: &StateKey,
    (from, epoch): (u64, &EpochRecord),
    last: Option<u64>,
    context: &Context,
    next: u64,
) -> Result<(), Violation> {
    let needed = epoch.signers_needed as usize;
    let is_enough = (1..=epoch.signers.len()).contains(&needed);
    holds(is_enough, key, "fewer may sign than must")?;
    let mut signers = epoch.signers.iter();
    let is_sorted = signers
        .clone()
        .is_sorted_by(|before, after| before.node < after.node);
    holds(is_sorted, key, "the signers are not sorted")?;
    holds(
        signers.all(|signer| signer.log_key != signer.cosign_key),
        key,
        "a signer has one key for both",
    )?;
    let expected = last.map_or(0, |_| epoch.leaf.saturating_add(1));
    let is_opened = from == expected && last < Some(epoch.leaf) && epoch.leaf < context.leaves;
    holds(is_opened, key, "it begins where nothing opens it")?;
    let Some(note) = &epoch.handover else {
        return Ok(());
    };
    holds(last.is_some(), key, "nobody hands over to the first epoch")?;
    let note: Option<Note> = std::str::from_utf8(note)
        .ok()
        .and_then(|text| text.parse().ok());
    let head: Option<Checkpoint> = note.and_then(|note| note.text().parse().ok());
    let is_own = head.is_some_and(|head| (from..next).contains(&head.size.get()));
    holds(is_own, key, "its handover is of another epoch's size")
}

/// The statement that opens an epoch names it, and the set as it was published there.
fn check_statement(
    key: &StateKey,
    (from, epoch): (u64, &EpochRecord),
    statements: &Statements,
    set: &KeySet,
) -> Result<(), Violation> {
    let Some(statement) = statements.get(epoch.leaf) else {
        return Ok(());
    };
    let Body::Keys(said) = &statement.body else {
        return broken(key, "its statement is not about keys");
    };
    let is_own = said.tree_size_from.get() == from
        && said.signers_needed == epoch.signers_needed
        && (said.change == KeysChange::Founded) == (from == 0)
        && said.keys_digest == set.as_of(epoch.leaf).digest();
    holds(is_own, key, "its statement says another epoch")
}

/// Nothing is stated of keys but epochs and marks.
fn check_stated(
    space: &Space<'_>,
    stated: &BTreeSet<u64>,
    statements: &Statements,
) -> Result<(), Violation> {
    for (leaf, statement) in statements.iter() {
        if matches!(statement.body, Body::Keys(_)) {
            let key = space.keys.at_leaf(Kind::Leaf, leaf);
            holds(
                stated.contains(&leaf),
                &key,
                "it states keys that are nobody's",
            )?;
        }
    }
    Ok(())
}

/// Every dispute is of a decision that is kept, and its statement froze the surface.
pub(super) fn check_disputes(
    space: &Space<'_>,
    context: &Context,
    statements: &Statements,
) -> Result<(), Violation> {
    let disputes: Vec<(&StateKey, DisputeRecord)> = space.records(Kind::Dispute)?;
    let own = space.keys.single(Kind::Namespace);
    let is_counted = disputes.len() as u64 <= context.namespace.disputes;
    holds(is_counted, &own, "more is disputed than was counted")?;
    for (key, dispute) in disputes {
        let leaf = key.parts().and_then(|parts| parts.rest.first_chunk());
        let leaf = leaf.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
        let decision = statements.get(leaf).map(|statement| &statement.body);
        let is_decision = matches!(decision, Some(Body::Decision(_)));
        holds(is_decision, key, "it disputes no decision")?;
        let is_in_order = leaf < dispute.leaf && dispute.disputed_at <= context.now;
        holds(is_in_order, key, "it was disputed before it was made")?;
        if let Some(statement) = statements.get(dispute.leaf) {
            let is_own = statement.receipt_hash() == dispute.receipt
                && matches!(&statement.body, Body::Frozen(said)
                    if said.frozen && said.disputed_leaf == Some(leaf));
            holds(is_own, key, "its statement freezes nothing")?;
        }
    }
    Ok(())
}
