//! The log of statements: dense, hashed as stored, and true to the entries.

use std::collections::BTreeMap;

use holdpoint_receipt::merkle::{leaf_of, node_hash};
use holdpoint_receipt::{Digest, Statement, sha256};

use super::{Context, Space, Violation, broken, holds};
use crate::key::{Kind, StateKey};
use crate::record::{DisclosureRecord, LeafRecord, TreeRecord};

/// The statements that are still kept.
pub(super) struct Statements {
    /// The leaf of the first.
    first: u64,
    kept: Vec<Statement>,
}

impl Statements {
    /// The statement at `leaf`.
    pub(super) fn get(&self, leaf: u64) -> Option<&Statement> {
        let place = usize::try_from(leaf.checked_sub(self.first)?).ok()?;
        self.kept.get(place)
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
    let swept = context.namespace.swept;
    let mut leaf = swept.statements;
    let mut leaves: BTreeMap<u64, Digest> = BTreeMap::new();
    let mut kept: Vec<Statement> = Vec::new();
    for (key, record) in space.records::<LeafRecord>(Kind::Leaf)? {
        let expected = space.keys.at_leaf(Kind::Leaf, leaf);
        holds(*key == expected, key, "the leaves leave one out")?;
        let statement = Statement::parse(&record.statement)
            .or_else(|_error| broken(key, "it is not a statement"))?;
        check_statement(key, &statement, context, leaf, kept.last())?;
        kept.push(statement);
        leaves.insert(leaf, leaf_of(&sha256(&record.statement)));
        leaf = leaf.saturating_add(1);
    }
    holds(
        leaf == tree.size,
        &tree_key,
        "it has another size than the log",
    )?;
    check_tree(space, &tree, &leaves)?;
    check_disclosures(space, swept.disclosures.max(swept.statements), tree.size)?;
    let first = swept.statements;
    Ok(Statements { first, kept })
}

/// Every statement from `first` on has its disclosure, and no other.
fn check_disclosures(space: &Space<'_>, first: u64, size: u64) -> Result<(), Violation> {
    let found = space.records::<DisclosureRecord>(Kind::Disclosure)?;
    for (leaf, (key, _)) in (first..).zip(&found) {
        let expected = space.keys.at_leaf(Kind::Disclosure, leaf);
        holds(**key == expected, key, "the disclosures leave one out")?;
    }
    let is_whole = found.len() as u64 == size.saturating_sub(first);
    let last = space.keys.at_leaf(Kind::Disclosure, size);
    holds(
        is_whole,
        &last,
        "the last disclosure is not that of the last statement",
    )
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
