//! Changes of the keys that sign heads, and who may not be missed.
//!
//! ```text
//! rotate    other keys for a node        refused: KEYS_MOVED, KEYS_UNFIT
//! retire    a voter signs no more                 TOO_FEW_SIGNERS
//! revoke    a mark on a pair of keys              UNKNOWN_KEY; TOO_FEW_SIGNERS if it signs with them
//! require   how many must sign                    TOO_FEW_SIGNERS
//! ```
//!
//! One change at a time: each waits until the signers before it have handed over to those after it
//! (KEYS_PENDING). So an old and a new majority are never more than one step apart.

use std::collections::BTreeSet;

use holdpoint_receipt::checkpoint::Origin;
use holdpoint_receipt::keys::NodePublicKeys;
use holdpoint_receipt::statement::KeysChange;
use holdpoint_receipt::{ClusterId, Name, NodeId, Reason};

use super::Verdict;
use super::draft::{Draft, decoded};
use super::epochs::{Cause, Lineup, names, open_epochs, within};
use crate::command::{RequireSigners, RetireKeys, RevokeKeys, RotateKeys};
use crate::epochs::{epochs, marks, pair};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::{KEY_REVOCATIONS_MAX, NODES_MAX, VOTERS_MAX};
use crate::outcome::{KeysOutcome, Outcome, Statement};
use crate::record::{GroupRecord, KeyRevocationRecord, NodeRecord, SignerRecord};
use crate::rejection::Rejection;
use crate::view::View;

type Statements = Vec<(Name, Statement)>;

fn refused(reason: Reason) -> Verdict {
    Verdict::Unchanged(Outcome::Keys(KeysOutcome::Refused { reason }))
}

fn replayed() -> Verdict {
    Verdict::Unchanged(done(Vec::new(), true))
}

pub(super) fn done(statements: Statements, replay: bool) -> Outcome {
    Outcome::Keys(KeysOutcome::Done { statements, replay })
}

fn node_key<V: View>(draft: &Draft<'_, V>, node: NodeId) -> StateKey {
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
fn stands_still<V: View>(
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

pub(super) fn revoke<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: &RevokeKeys,
) -> Result<Verdict, ApplyError<V::Error>> {
    let node = command.node;
    let key = node_key(draft, node);
    let Some(known) = draft.read::<NodeRecord>(&key)? else {
        return Ok(refused(Reason::UnknownNode));
    };
    let mark = KeyRevocationRecord {
        signer: SignerRecord {
            node,
            log_key: command.log_key,
            cosign_key: command.cosign_key,
        },
        valid_to: command.valid_to,
    };
    let mut wanted = Vec::new();
    for name in names(draft)? {
        match marking(draft, &name, &mark)? {
            Marking::Unknown => {}
            Marking::Known => wanted.push((name, false)),
            Marking::Beyond(size_max) => {
                let size = mark.valid_to;
                return Ok(Verdict::reject(Rejection::BeyondLog { size, size_max }));
            }
            Marking::Full => return Ok(refused(Reason::TooManyEpochs)),
            Marking::Fresh => wanted.push((name, true)),
        }
    }
    if wanted.is_empty() {
        return Ok(refused(Reason::UnknownKey));
    }
    wanted.retain(|(_, is_fresh)| *is_fresh);
    if wanted.is_empty() {
        return Ok(replayed());
    }
    let signs_with_them = present(node, &known) == mark.signer && !known.retired;
    match stands_still(draft, group)? {
        // A mark on keys of the past opens no epoch.
        Some(Reason::TooManyEpochs) if !signs_with_them => {}
        Some(reason) => return Ok(refused(reason)),
        None => {}
    }
    if signs_with_them {
        let record = NodeRecord {
            retired: true,
            ..known
        };
        draft.write(key, &record)?;
        let is_voter = group.voters.contains(&node);
        if is_voter && !Lineup::of(draft, group)?.is_enough() {
            return Ok(refused(Reason::TooFewSigners));
        }
    }
    let cause = Cause {
        change: KeysChange::Revoked,
        node: Some(node),
        by: Some((command.salt, command.principal.clone())),
    };
    let lineup = Lineup::of(draft, group)?;
    let mut statements = Vec::new();
    for (name, _) in wanted {
        let statement = within(draft, group, &name, |gate| {
            let leaf = gate.leaves()?;
            let key = gate.keys.at_leaf(Kind::KeyRevocation, leaf);
            gate.draft.write(key, &mark)?;
            if signs_with_them {
                gate.open_epoch(&lineup)?;
            }
            gate.state_keys(&cause)
        })?;
        statements.push((name, statement));
    }
    // Elsewhere nobody signed with them, and others may sign from now on.
    statements.extend(open_epochs(draft, group, &cause)?);
    Ok(Verdict::Changed(done(statements, false)))
}

/// What a mark would be in one namespace.
enum Marking {
    /// Nobody ever signed with these keys.
    Unknown,
    /// One that says at least as much is there.
    Known,
    /// It is about a head that the log has not reached; this is how long it is.
    Beyond(u64),
    /// There are as many as there may be.
    Full,
    /// It is to be made.
    Fresh,
}

fn marking<V: View>(
    draft: &Draft<'_, V>,
    name: &Name,
    mark: &KeyRevocationRecord,
) -> Result<Marking, ApplyError<V::Error>> {
    let keys = KeySpace::namespace(draft.at.group, name);
    let all = epochs(draft.view(), &keys)?;
    let mut signers = all.iter().flat_map(|(_, epoch)| &epoch.signers);
    if !signers.any(|signer| *signer == mark.signer) {
        return Ok(Marking::Unknown);
    }
    let known = marks(draft.view(), &keys)?;
    let is_said = |known: &KeyRevocationRecord| {
        known.signer == mark.signer && known.valid_to <= mark.valid_to
    };
    if known.iter().any(|(_, known)| is_said(known)) {
        return Ok(Marking::Known);
    }
    let tree = draft.read::<crate::record::TreeRecord>(&keys.single(Kind::Tree))?;
    let size_max = tree.map_or(0, |tree| tree.size);
    Ok(if mark.valid_to > size_max {
        Marking::Beyond(size_max)
    } else if known.len() >= KEY_REVOCATIONS_MAX {
        Marking::Full
    } else {
        Marking::Fresh
    })
}

/// Whether these keys are marked in some namespace.
fn is_marked<V: View>(
    draft: &Draft<'_, V>,
    signer: &SignerRecord,
) -> Result<bool, ApplyError<V::Error>> {
    for name in names(draft)? {
        let keys = KeySpace::namespace(draft.at.group, &name);
        let marks = marks(draft.view(), &keys)?;
        if marks.iter().any(|(_, mark)| mark.signer == *signer) {
            return Ok(true);
        }
    }
    Ok(false)
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
