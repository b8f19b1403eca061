//! The log of statements: dense, hashed as stored, and true to the entries.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::merkle::{leaf_of, node_hash};
use holdpoint_receipt::{Digest, PermitId, Statement, sha256};

use super::{Context, Space, Violation, broken, holds};
use crate::key::{Kind, StateKey};
use crate::record::{DisclosureRecord, LeafRecord, PermitRecord, TreeRecord};

/// The statements that are still kept, by leaf.
pub(super) struct Statements {
    kept: BTreeMap<u64, Statement>,
    disclosed: BTreeSet<u64>,
}

impl Statements {
    /// The statement at `leaf`.
    pub(super) fn get(&self, leaf: u64) -> Option<&Statement> {
        self.kept.get(&leaf)
    }

    /// All of them with their leaves, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Statement)> {
        self.kept.iter().map(|(leaf, statement)| (*leaf, statement))
    }
}

pub(super) fn check(space: &Space<'_>, context: &Context) -> Result<Statements, Violation> {
    let tree_key = space.keys.single(Kind::Tree);
    let tree: TreeRecord = match space.records(Kind::Tree)?.pop() {
        Some((key, tree)) => {
            holds(*key == tree_key, key, "there are several trees")?;
            tree
        }
        None => TreeRecord::default(),
    };
    let mut leaves: BTreeMap<u64, Digest> = BTreeMap::new();
    let mut kept: BTreeMap<u64, Statement> = BTreeMap::new();
    for (key, record) in space.records::<LeafRecord>(Kind::Leaf)? {
        let leaf = leaf_at(key)?;
        holds(leaf < tree.size, key, "the log does not have this leaf")?;
        let statement = Statement::parse(&record.statement)
            .or_else(|_error| broken(key, "it is not a statement"))?;
        let bytes = record.statement.clone();
        let is_fitting = record == LeafRecord::of(&statement, bytes);
        holds(
            is_fitting,
            key,
            "what stands beside the statement is not of it",
        )?;
        let before = kept.last_key_value().map(|(_, statement)| statement);
        check_statement(key, &statement, context, leaf, before)?;
        leaves.insert(leaf, leaf_of(&sha256(&record.statement)));
        kept.insert(leaf, statement);
    }
    check_tree(space, &tree, &leaves)?;
    let mut disclosed = BTreeSet::new();
    for (key, _) in space.records::<DisclosureRecord>(Kind::Disclosure)? {
        disclosed.insert(leaf_at(key)?);
    }
    let swept = context.namespace.swept;
    let is_ordered = swept.statements <= swept.disclosures && swept.disclosures <= tree.size;
    holds(is_ordered, &tree_key, "retention has gone beyond itself")?;
    Ok(Statements { kept, disclosed })
}

fn leaf_at(key: &StateKey) -> Result<u64, Violation> {
    let leaf = key.parts().and_then(|parts| parts.rest.first_chunk());
    match leaf {
        Some(bytes) => Ok(u64::from_be_bytes(*bytes)),
        None => broken(key, "the key names no leaf"),
    }
}

/// Nothing is gone that retention has not met, and what it has met is there only for a permit: its
/// statements while it is kept, their disclosures until it has ended.
pub(super) fn check_kept(
    space: &Space<'_>,
    context: &Context,
    statements: &Statements,
    permits: &BTreeMap<PermitId, PermitRecord>,
) -> Result<(), Violation> {
    let tree: TreeRecord = match space.records(Kind::Tree)?.pop() {
        Some((_, tree)) => tree,
        None => return Ok(()),
    };
    let swept = context.namespace.swept;
    for leaf in 0..tree.size {
        let key = space.keys.at_leaf(Kind::Leaf, leaf);
        let found = statements.get(leaf);
        let permit = found.and_then(|statement| statement.body.permit_id());
        let permit = permit.and_then(|permit| permits.get(&permit));
        if leaf >= swept.statements {
            holds(found.is_some(), &key, "a statement is missing")?;
        } else if found.is_some() {
            holds(permit.is_some(), &key, "nothing keeps this statement")?;
        }
        let key = space.keys.at_leaf(Kind::Disclosure, leaf);
        let is_kept =
            leaf >= swept.disclosures || permit.is_some_and(|permit| permit.ended_at.is_none());
        let is_there = statements.disclosed.contains(&leaf);
        holds(
            is_there == is_kept,
            &key,
            "it is not kept as long as it must be",
        )?;
    }
    let last = statements.disclosed.last();
    let key = space.keys.at_leaf(Kind::Disclosure, tree.size);
    holds(last < Some(&tree.size), &key, "it has no statement")
}

/// Every complete subtree is stored, true to the two below it or to its statement, and the frontier
/// is made of them.
fn check_tree(
    space: &Space<'_>,
    tree: &TreeRecord,
    leaves: &BTreeMap<u64, Digest>,
) -> Result<(), Violation> {
    let stored: Vec<(&StateKey, Digest)> = space.records(Kind::Subtree)?;
    let count = stored.len();
    let nodes: BTreeMap<&StateKey, Digest> = stored.into_iter().collect();
    let mut expected: usize = 0;
    let mut peaks = Vec::new();
    for level in 0..64_u8 {
        let width = tree.size >> level;
        if width == 0 {
            break;
        }
        for index in 0..width {
            let key = space.keys.subtree(level, index);
            let Some(hash) = nodes.get(&key) else {
                return broken(&key, "a complete subtree is missing");
            };
            let known = match level.checked_sub(1) {
                None => leaves.get(&index).copied(),
                Some(below) => {
                    let child = |index| nodes.get(&space.keys.subtree(below, index));
                    let left = index.saturating_mul(2);
                    let both = child(left).zip(child(left.saturating_add(1)));
                    both.map(|(left, right)| node_hash(left, right))
                }
            };
            holds(
                known.is_none_or(|known| known == *hash),
                &key,
                "it is not the hash of what lies below",
            )?;
            expected = expected.saturating_add(1);
        }
        if width % 2 == 1 {
            let key = space.keys.subtree(level, width.saturating_sub(1));
            peaks.extend(nodes.get(&key).copied());
        }
    }
    let own = space.keys.single(Kind::Tree);
    holds(expected == count, &own, "there are subtrees beyond the log")?;
    peaks.reverse();
    holds(
        peaks == tree.frontier,
        &own,
        "the frontier is not its subtrees",
    )
}

/// It says where it stands, and nothing before it stands later.
fn check_statement(
    key: &StateKey,
    statement: &Statement,
    context: &Context,
    leaf: u64,
    before: Option<&Statement>,
) -> Result<(), Violation> {
    let is_own = statement.authority == context.cluster
        && statement.namespace == context.name
        && statement.is_dev == context.is_dev;
    holds(is_own, key, "it is another authority's")?;
    holds(
        statement.place.leaf_index() == leaf,
        key,
        "it names another leaf",
    )?;
    holds(
        statement.issued_at <= context.now,
        key,
        "it was issued in the future",
    )?;
    let Some(before) = before else {
        return Ok(());
    };
    let position = |statement: &Statement| {
        let place = statement.place;
        (place.log_term(), place.log_index(), place.entry_place())
    };
    let is_later =
        position(before) <= position(statement) && before.issued_at <= statement.issued_at;
    holds(is_later, key, "it stands before an earlier one")
}
