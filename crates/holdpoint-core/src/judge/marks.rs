//! Marks on compromised keys: heads larger than the mark says that they sign do not count.
//!
//! A mark is never taken back. If the keys are those that a node signs with, it signs no more.

use holdpoint_receipt::statement::KeysChange;
use holdpoint_receipt::{Name, Reason};

use super::Verdict;
use super::draft::Draft;
use super::epochs::{Cause, Lineup, names, open_epochs, within};
use super::keys::{done, node_key, present, refused, replayed, stands_still};
use crate::command::RevokeKeys;
use crate::epochs::{epochs, marks};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::limits::KEY_REVOCATIONS_MAX;
use crate::outcome::Statement;
use crate::record::{GroupRecord, KeyRevocationRecord, NodeRecord, SignerRecord, TreeRecord};
use crate::rejection::Rejection;
use crate::view::View;

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
    let wanted = match to_be_marked(draft, &mark)? {
        Ok(wanted) => wanted,
        Err(verdict) => return Ok(verdict),
    };
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
    let statements = make(draft, group, &mark, wanted, &cause)?;
    Ok(Verdict::Changed(done(statements, false)))
}

/// Makes the mark in these namespaces, and opens the epochs that follow from it.
fn make<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    mark: &KeyRevocationRecord,
    wanted: Vec<Name>,
    cause: &Cause,
) -> Result<Vec<(Name, Statement)>, ApplyError<V::Error>> {
    let lineup = Lineup::of(draft, group)?;
    let mut statements = Vec::new();
    for name in wanted {
        let statement = within(draft, group, &name, |gate| {
            let leaf = gate.leaves()?;
            let key = gate.keys.at_leaf(Kind::KeyRevocation, leaf);
            gate.draft.write(key, mark)?;
            // One statement says both.
            gate.open_epoch(&lineup)?;
            gate.state_keys(cause)
        })?;
        statements.push((name, statement));
    }
    // Elsewhere nobody signed with them, and others may sign from now on.
    statements.extend(open_epochs(draft, group, cause)?);
    Ok(statements)
}

/// The namespaces in which the mark says something new, or why it is not made.
fn to_be_marked<V: View>(
    draft: &Draft<'_, V>,
    mark: &KeyRevocationRecord,
) -> Result<Result<Vec<Name>, Verdict>, ApplyError<V::Error>> {
    let mut is_known = false;
    let mut wanted = Vec::new();
    for name in names(draft)? {
        match marking(draft, &name, mark)? {
            Marking::Unknown => {}
            Marking::Known => is_known = true,
            Marking::Beyond(size_max) => {
                let size = mark.valid_to;
                let rejection = Rejection::BeyondLog { size, size_max };
                return Ok(Err(Verdict::reject(rejection)));
            }
            Marking::Full => return Ok(Err(refused(Reason::TooManyEpochs))),
            Marking::Fresh => wanted.push(name),
        }
    }
    Ok(match (wanted.is_empty(), is_known) {
        (false, _) => Ok(wanted),
        (true, true) => Err(replayed()),
        (true, false) => Err(refused(Reason::UnknownKey)),
    })
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
    let tree = draft.read::<TreeRecord>(&keys.single(Kind::Tree))?;
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
pub(super) fn is_marked<V: View>(
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
