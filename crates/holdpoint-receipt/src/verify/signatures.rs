//! The signature lines of a head: for each of exactly k nodes, in the order of their ids, the line
//! of its log key and the line of its co-signing key.

use super::{Signer, VerifyError};
use crate::cosignature;
use crate::keys::{Epoch, KeySet, NodePublicKeys, VerifierKey};
use crate::names::{NodeId, TreeSize};
use crate::note::{Note, NoteSignature};

/// 9999-12-31T23:59:59Z; a later time is no clock's.
const TIME_MAX_S: u64 = 253_402_300_799;

/// Who signed, and how many had to.
pub(super) fn verify(
    head: &Note,
    size: TreeSize,
    keys: &KeySet,
) -> Result<(Vec<Signer>, u32), VerifyError> {
    // A key set has an epoch for every size.
    let epoch = keys.epoch_of(size).ok_or(VerifyError::WrongSize)?;
    let mut signers: Vec<Signer> = Vec::new();
    let mut lines = head.signatures().iter();
    while let Some(log_line) = lines.next() {
        let (node, public) = owner(epoch, log_line, |_, public| keys.log_verifier(public))
            .ok_or_else(|| unknown_or_misplaced(epoch, log_line, keys))?;
        public
            .log
            .verify(head.text().as_bytes(), &log_line.signature)
            .map_err(|_| VerifyError::SignatureInvalid { node })?;
        let cosign_line = lines.next().ok_or(VerifyError::SignatureOrder)?;
        if !is_of(cosign_line, &keys.cosign_verifier(node, public)) {
            return Err(unknown_or_misplaced(epoch, cosign_line, keys));
        }
        let at_s = cosignature::verify(&public.cosign, &cosign_line.signature, head.text())
            .map_err(|_| VerifyError::SignatureInvalid { node })?;
        if !(1..=TIME_MAX_S).contains(&at_s) {
            return Err(VerifyError::Timestamp { node });
        }
        if signers.last().is_some_and(|last| last.node >= node) {
            return Err(VerifyError::SignatureOrder);
        }
        signers.push(Signer { node, at_s });
    }
    let (found, needed) = (signers.len(), epoch.signers_needed);
    match found.cmp(&(needed as usize)) {
        std::cmp::Ordering::Less => Err(VerifyError::NotEnoughSignatures { found, needed }),
        std::cmp::Ordering::Equal => Ok((signers, needed)),
        std::cmp::Ordering::Greater => Err(VerifyError::SurplusSignatures { found, needed }),
    }
}

fn is_of(line: &NoteSignature, verifier: &VerifierKey) -> bool {
    line.name == *verifier.name() && line.key_id == verifier.key_id()
}

/// The node whose key the line names.
fn owner<'a>(
    epoch: &'a Epoch,
    line: &NoteSignature,
    verifier: impl Fn(NodeId, &NodePublicKeys) -> VerifierKey,
) -> Option<(NodeId, &'a NodePublicKeys)> {
    let mut nodes = epoch.nodes.iter().map(|(node, public)| (*node, public));
    nodes.find(|(node, public)| is_of(line, &verifier(*node, public)))
}

/// Whether a line of the wrong key is of a published one in another place.
fn unknown_or_misplaced(epoch: &Epoch, line: &NoteSignature, keys: &KeySet) -> VerifyError {
    let as_log = owner(epoch, line, |_, public| keys.log_verifier(public));
    let as_cosign = owner(epoch, line, |node, public| {
        keys.cosign_verifier(node, public)
    });
    if as_log.or(as_cosign).is_some() {
        return VerifyError::SignatureOrder;
    }
    VerifyError::UnknownKey {
        name: line.name.to_string(),
        key_id: line.key_id.to_string(),
    }
}
