//! Every invariant of the state, in one function: [`check()`].
//!
//! It recounts everything from the primary records (bundles, activations, attempts, permits,
//! statements) and compares: each index must hold exactly the rows that follow from them. It is for
//! tests, the simulator and inspection, reads the whole state, and never repairs.

mod context;
mod indexes;
mod keys;
mod log;
mod permits;
mod policies;
mod tombstones;
mod waiters;

use std::collections::BTreeMap;

use holdpoint_receipt::{ClusterId, Name};

use crate::codec::records::{Present, Record};
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::{EPOCH_MAX, FEATURE_LEVEL_FIRST, VOTERS_MAX};
use crate::position::GroupId;
use crate::record::{ClockRecord, GroupRecord, NamespaceRecord, NodeRecord, TreeRecord};
use crate::view::MapView;
use holdpoint_receipt::ClusterTime;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {what}")]
pub struct Violation {
    /// The row that breaks it, or that is missing.
    pub key: StateKey,
    /// What does not hold.
    pub what: &'static str,
}

fn broken<T>(key: &StateKey, what: &'static str) -> Result<T, Violation> {
    Err(Violation {
        key: key.clone(),
        what,
    })
}

fn holds(is_so: bool, key: &StateKey, what: &'static str) -> Result<(), Violation> {
    if is_so { Ok(()) } else { broken(key, what) }
}

type Rows<'a> = BTreeMap<&'a StateKey, &'a [u8]>;

/// The rows of one namespace, or of the group, by kind.
struct Space<'a> {
    keys: KeySpace,
    rows: BTreeMap<Kind, Rows<'a>>,
}

impl<'a> Space<'a> {
    fn rows(&self, kind: Kind) -> Rows<'a> {
        self.rows.get(&kind).cloned().unwrap_or_default()
    }

    /// The records of one kind.
    fn records<R: Record>(&self, kind: Kind) -> Result<Vec<(&'a StateKey, R)>, Violation> {
        let rows = self.rows(kind);
        rows.into_iter()
            .map(|(key, row)| Ok((key, decoded(key, row)?)))
            .collect()
    }

    /// The one record of a kind that has one.
    fn single<R: Record>(&self, kind: Kind) -> Result<R, Violation> {
        let key = self.keys.single(kind);
        match self.records(kind)?.pop() {
            Some((found, record)) if *found == key => Ok(record),
            _ => broken(&key, "it is not there, or there are several"),
        }
    }

    /// That the rows of an index are exactly these.
    fn exactly(&self, kind: Kind, expected: &BTreeMap<StateKey, Vec<u8>>) -> Result<(), Violation> {
        let found = self.rows(kind);
        for (key, row) in expected {
            match found.get(key) {
                None => return broken(key, "a row of an index is missing"),
                Some(found) => holds(found == row, key, "a row of an index says another thing")?,
            }
        }
        match found.keys().find(|key| !expected.contains_key(**key)) {
            Some(key) => broken(key, "a row of an index has nothing behind it"),
            None => Ok(()),
        }
    }
}

fn decoded<R: Record>(key: &StateKey, row: &[u8]) -> Result<R, Violation> {
    R::from_bytes(row).or_else(|_error| broken(key, "it does not decode"))
}

fn encoded(key: &StateKey, record: &impl Record) -> Result<Vec<u8>, Violation> {
    record
        .to_bytes()
        .or_else(|_error| broken(key, "it does not encode"))
}

/// What a namespace's checks need of the group.
struct Context {
    cluster: ClusterId,
    epoch: u64,
    is_dev: bool,
    now: ClusterTime,
    name: Name,
    namespace: NamespaceRecord,
    /// Leaves of its log of statements.
    leaves: u64,
}

/// That every invariant of `group` holds in `view`.
///
/// # Errors
///
/// The first one that does not.
pub fn check(view: &MapView, group: GroupId) -> Result<(), Violation> {
    let mut spaces = spaces(view, group)?;
    let own = KeySpace::group(group);
    let Some(space) = spaces.remove("") else {
        return match spaces.into_values().next() {
            None => Ok(()),
            Some(_) => broken(
                &own.single(Kind::Group),
                "it is not there, but namespaces are",
            ),
        };
    };
    let record: GroupRecord = space.single(Kind::Group)?;
    let clock: ClockRecord = space.single(Kind::Clock)?;
    check_group(&space, &record)?;
    let mut names = BTreeMap::new();
    for (text, space) in spaces {
        let key = space.keys.single(Kind::Namespace);
        let name = Name::new(text).or_else(|_unfit| broken(&key, "it is not a name"))?;
        let name_key = own.namespace_name(&name);
        let row = encoded(&name_key, &Present)?;
        names.insert(name_key, row);
        let context = Context {
            cluster: record.cluster,
            epoch: record.epoch,
            is_dev: record.is_dev,
            now: clock.now,
            name,
            namespace: space.single(Kind::Namespace)?,
            leaves: match space.records::<TreeRecord>(Kind::Tree)?.pop() {
                Some((_, tree)) => tree.size,
                None => 0,
            },
        };
        let surfaces = policies::check(&space, &context)?;
        let statements = log::check(&space, &context)?;
        let permits = permits::check(&space, &context, &surfaces, &statements)?;
        log::check_kept(&space, &context, &statements, &permits)?;
        indexes::check(&space, &context, &permits)?;
        tombstones::check(&space, &context, &surfaces, &permits)?;
        waiters::check(&space, &context)?;
        policies::check_statements(&space, &context, &statements)?;
        policies::check_permits(&space, &permits)?;
        context::check(&space, &context, &permits, &statements)?;
        keys::check(&space, &context, &statements)?;
        keys::check_disputes(&space, &context, &statements)?;
    }
    space.exactly(Kind::NamespaceName, &names)
}

/// The rows of a group, by namespace.
fn spaces(view: &MapView, group: GroupId) -> Result<BTreeMap<&str, Space<'_>>, Violation> {
    let mut spaces: BTreeMap<&str, Space<'_>> = BTreeMap::new();
    for (key, row) in view.iter() {
        let Some(parts) = key.parts() else {
            return broken(key, "it is not a key of ours");
        };
        if parts.group != group {
            continue;
        }
        holds(
            is_of_group(parts.kind) == parts.namespace.is_empty(),
            key,
            "its kind does not belong there",
        )?;
        let space = spaces.entry(parts.namespace).or_insert_with(|| Space {
            keys: KeySpace::named(group, parts.namespace),
            rows: BTreeMap::new(),
        });
        space.rows.entry(parts.kind).or_default().insert(key, row);
    }
    Ok(spaces)
}

const fn is_of_group(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Group | Kind::Clock | Kind::Node | Kind::NamespaceName
    )
}

fn check_group(space: &Space<'_>, group: &GroupRecord) -> Result<(), Violation> {
    let key = space.keys.single(Kind::Group);
    let voters = &group.voters;
    let is_electorate = !voters.is_empty()
        && voters.len() <= VOTERS_MAX
        && voters.is_sorted_by(|before, after| before < after);
    holds(is_electorate, &key, "the voters are not a sorted set")?;
    holds(
        group.epoch <= EPOCH_MAX,
        &key,
        "the epoch is beyond the largest",
    )?;
    let required = group.signers_required.unwrap_or(1) as usize;
    holds(
        (1..=VOTERS_MAX).contains(&required),
        &key,
        "so many signers cannot be required",
    )?;
    holds(
        group.feature_level >= FEATURE_LEVEL_FIRST,
        &key,
        "the feature level is too low",
    )?;
    let nodes: Vec<(&StateKey, NodeRecord)> = space.records(Kind::Node)?;
    holds(
        nodes.len() as u64 == group.nodes,
        &key,
        "the nodes are not as many as counted",
    )?;
    keys::check_nodes(&nodes)?;
    for (key, node) in &nodes {
        let can_apply = node.feature_level_max >= group.feature_level;
        holds(
            can_apply,
            key,
            "the node cannot apply what the cluster uses",
        )?;
    }
    Ok(())
}
