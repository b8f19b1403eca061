//! The log of statements: dense, hashed as stored, and true to the entries.

use std::collections::BTreeMap;

use holdpoint_receipt::merkle::{Frontier, leaf_of};
use holdpoint_receipt::{Statement, sha256};

use super::{Context, Space, Violation, broken, encoded, holds};
use crate::key::{Kind, StateKey};
use crate::record::{DisclosureRecord, LeafRecord, TreeRecord};

/// Statements in the order of their leaves.
pub(super) fn check(space: &Space<'_>, context: &Context) -> Result<Vec<Statement>, Violation> {
    let mut statements: Vec<Statement> = Vec::new();
    let mut frontier = Frontier::new();
    let mut subtrees: BTreeMap<StateKey, Vec<u8>> = BTreeMap::new();
    for (key, leaf) in space.records::<LeafRecord>(Kind::Leaf)? {
        let expected = space.keys.at_leaf(Kind::Leaf, frontier.size());
        holds(*key == expected, key, "the leaves leave one out")?;
        let statement = Statement::parse(&leaf.statement)
            .or_else(|_error| broken(key, "it is not a statement"))?;
        check_statement(key, &statement, context, frontier.size(), statements.last())?;
        statements.push(statement);
        let nodes = frontier
            .append(leaf_of(&sha256(&leaf.statement)))
            .or_else(|_full| broken(key, "the tree is full"))?;
        for node in nodes {
            let key = space.keys.subtree(node.level, node.index);
            let row = encoded(&key, &node.hash)?;
            subtrees.insert(key, row);
        }
    }
    space.exactly(Kind::Subtree, &subtrees)?;
    check_tree(space, &frontier)?;
    // A disclosure may have been erased, but none is without a statement.
    for (key, _) in space.records::<DisclosureRecord>(Kind::Disclosure)? {
        let leaf = key.parts().and_then(|parts| parts.rest.first_chunk());
        let leaf = leaf.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
        holds(leaf < frontier.size(), key, "it has no statement")?;
    }
    Ok(statements)
}

fn check_tree(space: &Space<'_>, frontier: &Frontier) -> Result<(), Violation> {
    let key = space.keys.single(Kind::Tree);
    let tree = TreeRecord {
        size: frontier.size(),
        frontier: frontier.peaks().to_vec(),
    };
    let expected = if tree.size == 0 {
        BTreeMap::new()
    } else {
        let row = encoded(&key, &tree)?;
        BTreeMap::from([(key, row)])
    };
    space.exactly(Kind::Tree, &expected)
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
