//! Heads by themselves: proven ones, those that stand for a change of keys, and one node's signature.

use super::signatures::{Candidate, check_names, epoch_of, verify_lines, verify_proven};
use super::{Signer, VerifyError};
use crate::checkpoint::Checkpoint;
use crate::keys::{Epoch, HeadSignature, KeySet, NodePublicKeys};
use crate::names::{ClusterId, NodeId};
use crate::note::{Note, NoteSignature};

/// Verifies a head that exactly as many nodes have signed as its epoch asks for, and nobody else.
///
/// # Errors
///
/// [`VerifyError`] is the first check that failed: that the note is about a checkpoint, of this log,
/// and the signature lines as for a receipt.
pub fn verify_note(note: &Note, keys: &KeySet) -> Result<(Checkpoint, Vec<Signer>), VerifyError> {
    let head = head_of(note, keys)?;
    let (signers, _) = verify_proven(note.text(), note.signatures(), head.size, keys)?;
    Ok((head, signers))
}

/// Verifies a head as a node publishes it: the lines of [`verify_note`] come first, and lines of
/// others may follow. Those are returned as they are; nothing is known about them.
///
/// # Errors
///
/// As for [`verify_note`].
pub fn verify_published<'a>(
    note: &'a Note,
    keys: &KeySet,
) -> Result<(Checkpoint, Vec<Signer>, &'a [NoteSignature]), VerifyError> {
    let head = head_of(note, keys)?;
    let needed = epoch_of(keys, head.size)?.signers_needed as usize;
    let lines = note.signatures();
    let own_count = lines.len().min(needed.saturating_mul(2));
    let (own, others) = lines.split_at(own_count);
    let (signers, _) = verify_proven(note.text(), own, head.size, keys)?;
    Ok((head, signers, others))
}

fn head_of(note: &Note, keys: &KeySet) -> Result<Checkpoint, VerifyError> {
    let head = parse_head(note)?;
    if head.origin != keys.origin() {
        return Err(VerifyError::WrongLog {
            found: head.origin.to_string(),
        });
    }
    Ok(head)
}

pub(crate) fn parse_head(note: &Note) -> Result<Checkpoint, VerifyError> {
    let head = note.text().parse();
    head.map_err(|error| VerifyError::CheckpointMalformed(format!("{error}")))
}

/// Verifies that a note hands the log over from one epoch to a later one: it is about `head`, and
/// at least as many nodes of either epoch have signed it as that epoch asks for.
///
/// The lines are two for each pair of keys, by rising node; where a node has other keys in the new
/// epoch, those of the old one come first. A pair that both epochs have counts for both. Nobody else
/// has signed. To leave out a node that must not count any more, leave it out of the epochs.
///
/// # Errors
///
/// [`VerifyError`] is the first check that failed.
pub fn verify_handover(
    note: &Note,
    authority: &ClusterId,
    head: &Checkpoint,
    old: &Epoch,
    new: &Epoch,
) -> Result<Vec<Signer>, VerifyError> {
    let found = parse_head(note)?;
    if found.origin != head.origin {
        return Err(VerifyError::WrongLog {
            found: found.origin.to_string(),
        });
    }
    if found.size != head.size {
        return Err(VerifyError::WrongSize);
    }
    if found.root != head.root {
        return Err(VerifyError::WrongRoot);
    }
    let pairs = pairs_of(old, new);
    let candidates: Vec<_> = pairs
        .iter()
        .map(|(node, public)| Candidate::new(authority, &head.origin, *node, public))
        .collect();
    let signed = verify_lines(note.text(), note.signatures(), head.size, &candidates)?;
    let signing: Vec<_> = signed.iter().filter_map(|(at, _)| pairs.get(*at)).collect();
    for epoch in [old, new] {
        let is_of =
            |(node, public): &&&(NodeId, NodePublicKeys)| epoch.nodes.get(node) == Some(public);
        let found = signing.iter().filter(is_of).count();
        let needed = epoch.signers_needed;
        if found < needed as usize {
            return Err(VerifyError::NotEnoughSignatures { found, needed });
        }
    }
    Ok(signed.into_iter().map(|(_, signer)| signer).collect())
}

/// The note without the lines of `marked` keys; none if no line is left.
pub(crate) fn without_keys(
    note: &Note,
    authority: &ClusterId,
    marked: &[(NodeId, NodePublicKeys)],
) -> Result<Option<Note>, VerifyError> {
    let origin = parse_head(note)?.origin;
    let candidates = marked.iter();
    let marked: Vec<_> = candidates
        .map(|(node, public)| Candidate::new(authority, &origin, *node, public))
        .collect();
    let lines = note.signatures().iter();
    let left: Vec<_> = lines
        .filter(|line| !marked.iter().any(|candidate| candidate.has(line)))
        .cloned()
        .collect();
    if left.is_empty() {
        return Ok(None);
    }
    let left = Note::new(note.text().to_owned(), left);
    left.map(Some)
        .map_err(|error| VerifyError::CheckpointMalformed(error.to_string()))
}

/// Every pair of keys of either epoch once, by node, the old one's first.
fn pairs_of(old: &Epoch, new: &Epoch) -> Vec<(NodeId, NodePublicKeys)> {
    let pairs = |epoch: &Epoch| -> Vec<_> {
        let nodes = epoch.nodes.iter();
        nodes.map(|(node, public)| (*node, *public)).collect()
    };
    let mut all = pairs(old);
    let fresh = pairs(new).into_iter();
    all.extend(fresh.filter(|(node, public)| old.nodes.get(node) != Some(public)));
    // Stable, so that of one node the old keys stay first.
    all.sort_by_key(|(node, _)| *node);
    all
}

/// Verifies the two signatures of one node under a head.
///
/// # Errors
///
/// [`VerifyError::UnknownKey`] if a line is of other keys, [`VerifyError::SignatureInvalid`] or
/// [`VerifyError::Timestamp`].
pub fn verify_head_signature(
    authority: &ClusterId,
    head: &Checkpoint,
    keys: &NodePublicKeys,
    signature: &HeadSignature,
) -> Result<Signer, VerifyError> {
    let candidate = Candidate::new(authority, &head.origin, signature.node, keys);
    check_names(&candidate, signature)?;
    candidate.verify(&head.to_text(), &signature.log, &signature.cosign)
}
