//! Changes of the keys that sign heads, and who may not be missed.
//!
//! ```text
//! rotate    other keys for a node        refused: KEYS_MOVED, KEYS_UNFIT
//! retire    a voter signs no more                 TOO_FEW_SIGNERS
//! require   how many must sign                    TOO_FEW_SIGNERS
//! ```
//!
//! Marks on compromised keys are [`super::marks`].
//!
//! One change at a time: each waits until the signers before it have handed over to those after it
//! (`KEYS_PENDING`). So an old and a new majority are never more than one step apart.

use std::collections::BTreeSet;

use holdpoint_receipt::checkpoint::Origin;
use holdpoint_receipt::keys::NodePublicKeys;
use holdpoint_receipt::statement::KeysChange;
use holdpoint_receipt::{ClusterId, Name, NodeId, Reason};

use super::Verdict;
use super::draft::{Draft, decoded};
use super::epochs::{Cause, Lineup, names, open_epochs, within};
use super::marks::is_marked;
use crate::command::{RequireSigners, RetireKeys, RotateKeys};
use crate::epochs::{epochs, pair};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::{NODES_MAX, VOTERS_MAX};
use crate::outcome::{KeysOutcome, Outcome, Statement};
use crate::record::{GroupRecord, NodeRecord, SignerRecord};
use crate::rejection::Rejection;
use crate::view::View;

type Statements = Vec<(Name, Statement)>;

pub(super) fn refused(reason: Reason) -> Verdict {
    Verdict::Unchanged(Outcome::Keys(KeysOutcome::Refused { reason }))
}

pub(super) fn replayed() -> Verdict {
    Verdict::Unchanged(done(Vec::new(), true))
}

pub(super) fn done(statements: Statements, replay: bool) -> Outcome {
    Outcome::Keys(KeysOutcome::Done { statements, replay })
}

pub(super) fn node_key<V: View>(draft: &Draft<'_, V>, node: NodeId) -> StateKey {
    KeySpace::group(draft.at.group).node(node)
}

/// The keys with which `node` signs, or would.
pub(super) const fn present(node: NodeId, record: &NodeRecord) -> SignerRecord {
    SignerRecord {
        node,
        log_key: record.log_key,
        cosign_key: record.cosign_key,
    }
}

/// Why no change of keys can be made now, whatever it is.
pub(super) fn stands_still<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
) -> Result<Option<Reason>, ApplyError<V::Error>> {
    for name in names(draft)? {
        let reason = within(draft, group, &name, |gate| {
            let is_pending = gate.are_keys_pending()?;
            let is_full = gate.are_epochs_kept_back().then_some(Reason::TooManyEpochs);
            Ok(is_pending.then_some(Reason::KeysPending).or(is_full))
        })?;
        if reason.is_some() {
            return Ok(reason);
        }
    }
    Ok(None)
}

pub(super) fn rotate<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: &RotateKeys,
) -> Result<Verdict, ApplyError<V::Error>> {
    let node = command.node;
    let key = node_key(draft, node);
    let Some(known) = draft.read::<NodeRecord>(&key)? else {
        return Ok(refused(Reason::UnknownNode));
    };
    let fresh = SignerRecord {
        node,
        log_key: command.log_key,
        cosign_key: command.cosign_key,
    };
    let found = present(node, &known);
    if found == fresh && !known.retired {
        return Ok(replayed());
    }
    if (found.log_key, found.cosign_key) != (command.expected_log_key, command.expected_cosign_key)
    {
        return Ok(refused(Reason::KeysMoved));
    }
    if let Some(reason) = stands_still(draft, group)? {
        return Ok(refused(reason));
    }
    let is_fit = if found == fresh {
        !is_marked(draft, &fresh)?
    } else {
        are_fit(draft, group, &fresh)?
    };
    if !is_fit {
        return Ok(refused(Reason::KeysUnfit));
    }
    let cause = Cause {
        change: if known.retired {
            KeysChange::Restored
        } else {
            KeysChange::Rotated
        },
        node: Some(node),
        by: Some((command.salt, command.principal.clone())),
    };
    let record = NodeRecord {
        log_key: fresh.log_key,
        cosign_key: fresh.cosign_key,
        retired: false,
        ..known
    };
    draft.write(key, &record)?;
    let statements = open_epochs(draft, group, &cause)?;
    Ok(Verdict::Changed(done(statements, false)))
}

pub(super) fn retire<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: &RetireKeys,
) -> Result<Verdict, ApplyError<V::Error>> {
    let node = command.node;
    let key = node_key(draft, node);
    let known = draft.read::<NodeRecord>(&key)?;
    let Some(known) = known.filter(|_| group.voters.contains(&node)) else {
        return Ok(refused(Reason::UnknownNode));
    };
    if known.retired {
        return Ok(replayed());
    }
    if let Some(reason) = stands_still(draft, group)? {
        return Ok(refused(reason));
    }
    let record = NodeRecord {
        retired: true,
        ..known
    };
    draft.write(key, &record)?;
    if !Lineup::of(draft, group)?.is_enough() {
        return Ok(refused(Reason::TooFewSigners));
    }
    let cause = Cause {
        change: KeysChange::Retired,
        node: Some(node),
        by: Some((command.salt, command.principal.clone())),
    };
    let statements = open_epochs(draft, group, &cause)?;
    Ok(Verdict::Changed(done(statements, false)))
}

pub(super) fn require<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: &RequireSigners,
) -> Result<Verdict, ApplyError<V::Error>> {
    if let Some(signers) = command.signers
        && (signers == 0 || signers as usize > VOTERS_MAX)
    {
        return Ok(Verdict::reject(Rejection::Signers { signers }));
    }
    if group.signers_required == command.signers {
        return Ok(replayed());
    }
    if let Some(reason) = stands_still(draft, group)? {
        return Ok(refused(reason));
    }
    let group = GroupRecord {
        signers_required: command.signers,
        ..group.clone()
    };
    if !Lineup::of(draft, &group)?.is_enough() {
        return Ok(refused(Reason::TooFewSigners));
    }
    let key = KeySpace::group(draft.at.group).single(Kind::Group);
    draft.write(key, &group)?;
    let cause = Cause {
        change: KeysChange::Required,
        node: None,
        by: Some((command.salt, command.principal.clone())),
    };
    let statements = open_epochs(draft, &group, &cause)?;
    Ok(Verdict::Changed(done(statements, false)))
}

/// Whether fresh keys can be those of a node: they are keys, nobody has had one of them in any role,
/// and no line that they sign can be taken for another node's.
pub(super) fn are_fit<V: View>(
    draft: &Draft<'_, V>,
    group: &GroupRecord,
    fresh: &SignerRecord,
) -> Result<bool, ApplyError<V::Error>> {
    let Some(public) = pair(fresh) else {
        return Ok(false);
    };
    let is_of = |other: &SignerRecord| {
        let both = [other.log_key, other.cosign_key];
        both.contains(&fresh.log_key) || both.contains(&fresh.cosign_key)
    };
    let names = names(draft)?;
    let hints = hints(group.cluster, &names, &public);
    let prefix = KeySpace::group(draft.at.group).prefix(Kind::Node);
    for (key, row) in draft.first_rows(&prefix, NODES_MAX)? {
        let record: NodeRecord = decoded(&key, &row)?;
        // Which node it is matters not: a node's own earlier keys are not fresh either.
        let other = present(fresh.node, &record);
        let is_own = key == node_key(draft, fresh.node);
        let is_alike = !is_own
            && pair(&other).is_some_and(|public| {
                !hints.is_disjoint(&self::hints(group.cluster, &names, &public))
            });
        if is_of(&other) || is_alike {
            return Ok(false);
        }
    }
    for name in &names {
        let keys = KeySpace::namespace(draft.at.group, name);
        let all = epochs(draft.view(), &keys)?;
        if all.iter().any(|(_, epoch)| epoch.signers.iter().any(is_of)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The hints that lines of a log key have: all nodes' log keys have one name, so only these tell
/// them apart.
fn hints(cluster: ClusterId, names: &[Name], keys: &NodePublicKeys) -> BTreeSet<(usize, [u8; 4])> {
    let origins = names.iter().map(|name| Origin::new(&cluster, name));
    let hints = origins.map(|origin| keys.log_verifier(&origin).key_id().0);
    hints.enumerate().collect()
}
