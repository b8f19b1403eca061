//! Applies an entry of the log: moves time, then judges each command on what the ones before left.
//!
//! A pure function of state and entry. It returns the writes of the whole entry, to be committed in
//! one batch with the applied index; until then the state is as it was.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::merkle::Frontier;
use holdpoint_receipt::{ClusterTime, Digest, Name, NodeId};

use crate::codec::records::Record;
use crate::command::Command;
use crate::entry::Entry;
use crate::fault::{ApplyError, Corruption};
use crate::foresee::foreseen;
use crate::judge::{Draft, Judged, judge, let_expired_go, set_voters};
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::{ENTRY_STEP_MS_MAX, EXPIRIES_PER_COMMAND};
use crate::outcome::{Offer, Outcome};
use crate::position::{GroupId, LogPosition};
use crate::query::Query;
use crate::record::{ClockRecord, TreeRecord};
use crate::view::{Overlay, View, Write};

/// What an entry meant, and what it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// One outcome for each command, in their order.
    pub outcomes: Vec<Outcome>,
    /// The changes of the whole entry, one per key, in order of the keys.
    pub writes: Vec<Write>,
    /// Cluster time after the entry.
    pub now: ClusterTime,
    /// Attempts whose turn it is now, in the order in which they were found: for the server that holds
    /// their calls. Each is recorded, so one that gets lost costs that attempt its turn and no more.
    pub offers: Vec<Offer>,
    /// The heads of the logs that grew. Heads end at entries: these are the ones to be signed.
    pub heads: Vec<Head>,
}

/// The head of a namespace's log of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The namespace.
    pub namespace: Name,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// Says what the entry at `index`, proposed in `term`, means.
///
/// # Errors
///
/// [`ApplyError`] is about the state, never about a command: the node must stop, and nothing of the
/// entry may be committed.
///
/// # Panics
///
/// For no state and no entry: the assertions are about this code.
pub fn apply<V: View>(
    view: &V,
    term: u64,
    index: u64,
    entry: &Entry,
) -> Result<Applied, ApplyError<V::Error>> {
    let group = entry.group;
    let at = |place| LogPosition {
        group,
        term,
        index,
        place,
    };
    let mut overlay = Overlay::new(view);
    view.foresee(&foreseen(group, &entry.commands))
        .map_err(ApplyError::View)?;
    let mut offers = Vec::new();
    let mut now = move_time(&mut overlay, group, term, entry.time)?;
    for (namespace, count) in commands_by_namespace(&entry.commands) {
        let limit = count.saturating_mul(EXPIRIES_PER_COMMAND);
        let changes = let_expired_go(&overlay, at(0), now, namespace, limit)?;
        overlay.commit(changes.writes);
        offers.extend(changes.offers);
    }
    let mut outcomes = Vec::with_capacity(entry.commands.len());
    for (place, command) in (0_u32..).zip(&entry.commands) {
        let Judged {
            outcome,
            writes,
            offers: made,
        } = judge(&overlay, at(place), now, command)?;
        if let Outcome::TimeStepped { now: stepped } = outcome {
            assert!(stepped >= now, "cluster time never goes back");
            now = stepped;
        }
        overlay.commit(writes);
        offers.extend(made);
        outcomes.push(outcome);
    }
    let touched = touched(&overlay, group, &entry.commands)?;
    let heads = heads(view, &overlay, group, &touched)?;
    Ok(Applied {
        outcomes,
        writes: overlay.into_writes(),
        now,
        offers,
        heads,
    })
}

/// Says what a change of membership at `index`, committed in `term`, means: `voters` are the voters
/// from here on, and who of them signs may be others than before.
///
/// It is for *uniform* memberships only: while two majorities are needed, nobody's keys come or go.
/// Time does not move, and before the group exists nothing changes.
///
/// # Errors
///
/// As for [`apply()`].
///
/// # Panics
///
/// For no state and no voters: the assertions are about this code.
pub fn apply_membership<V: View>(
    view: &V,
    group: GroupId,
    term: u64,
    index: u64,
    voters: &[NodeId],
) -> Result<Applied, ApplyError<V::Error>> {
    let now = Query::new(view, group).now()?;
    let at = LogPosition {
        group,
        term,
        index,
        place: 0,
    };
    let mut draft = Draft::new(view, at, now);
    set_voters(&mut draft, voters)?;
    let mut overlay = Overlay::new(view);
    overlay.commit(draft.into_writes());
    let all = Query::new(&overlay, group).all_namespaces()?;
    let heads = heads(view, &overlay, group, &all.into_iter().collect())?;
    Ok(Applied {
        outcomes: Vec::new(),
        writes: overlay.into_writes(),
        now,
        offers: Vec::new(),
        heads,
    })
}

/// Moves cluster time towards `time`, by a bounded step and never back, and notes the term. Before the
/// group exists there is no time to move.
fn move_time<V: View>(
    overlay: &mut Overlay<'_, V>,
    group: GroupId,
    term: u64,
    time: ClusterTime,
) -> Result<ClusterTime, ApplyError<V::Error>> {
    let key = KeySpace::group(group).single(Kind::Clock);
    let Some(bytes) = overlay.get(&key).map_err(ApplyError::View)? else {
        return Ok(ClusterTime::default());
    };
    let before = read::<ClockRecord, V::Error>(&key, &bytes)?;
    let farthest = before.now.saturating_add(ENTRY_STEP_MS_MAX);
    let now = time.clamp(before.now, farthest);
    assert!(now >= before.now, "cluster time never goes back");
    let clock = ClockRecord { now, term };
    if clock != before {
        let bytes = clock.to_bytes().map_err(|error| ApplyError::Corrupt {
            key: key.clone(),
            corruption: Corruption::Codec(error),
        })?;
        overlay.put(key, bytes);
    }
    Ok(now)
}

fn read<R: Record, E>(key: &StateKey, bytes: &[u8]) -> Result<R, ApplyError<E>> {
    R::from_bytes(bytes).map_err(|error| ApplyError::Corrupt {
        key: key.clone(),
        corruption: Corruption::Codec(error),
    })
}

/// How many commands the entry has for each namespace.
fn commands_by_namespace(commands: &[Command]) -> BTreeMap<&Name, usize> {
    let mut counts: BTreeMap<&Name, usize> = BTreeMap::new();
    for namespace in commands.iter().filter_map(Command::namespace) {
        let count = counts.entry(namespace).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// The namespaces whose logs the commands may have made longer: those that they name, and all if one
/// is about the group.
fn touched<V: View>(
    after: &Overlay<'_, V>,
    group: GroupId,
    commands: &[Command],
) -> Result<BTreeSet<Name>, ApplyError<V::Error>> {
    let of_commands = commands.iter().filter_map(Command::namespace);
    let mut names: BTreeSet<Name> = of_commands.cloned().collect();
    if commands.iter().any(|command| command.namespace().is_none()) {
        names.extend(Query::new(after, group).all_namespaces()?);
    }
    Ok(names)
}

/// The heads of the logs of `namespaces` that differ between `before` and `after`.
fn heads<V: View>(
    before: &V,
    after: &Overlay<'_, V>,
    group: GroupId,
    namespaces: &BTreeSet<Name>,
) -> Result<Vec<Head>, ApplyError<V::Error>> {
    let mut heads = Vec::new();
    for namespace in namespaces {
        let key = KeySpace::namespace(group, namespace).single(Kind::Tree);
        let Some(bytes) = after.get(&key).map_err(ApplyError::View)? else {
            continue;
        };
        if before.get(&key).map_err(ApplyError::View)?.as_ref() == Some(&bytes) {
            continue;
        }
        let tree: TreeRecord = read(&key, &bytes)?;
        let frontier = Frontier::from_parts(tree.size, tree.frontier).map_err(|_unfit| {
            ApplyError::contradiction(key.clone(), "the frontier does not fit the size")
        })?;
        heads.push(Head {
            namespace: namespace.clone(),
            size: frontier.size(),
            root: frontier.root(),
        });
    }
    Ok(heads)
}
