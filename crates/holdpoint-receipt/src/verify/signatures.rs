//! The signature lines of a head: for each signer, in order, the line of its log key and the line of
//! its co-signing key.

use super::{Signer, VerifyError};
use crate::checkpoint::Origin;
use crate::cosignature;
use crate::keys::{Epoch, HeadSignature, KeySet, NodePublicKeys, VerifierKey};
use crate::names::{ClusterId, NodeId, TreeSize};
use crate::note::NoteSignature;

/// 9999-12-31T23:59:59Z; a later time is no clock's.
const TIME_MAX_S: u64 = 253_402_300_799;

/// One pair of keys that may have signed.
pub(super) struct Candidate {
    node: NodeId,
    log: VerifierKey,
    cosign: VerifierKey,
    /// The largest head that they sign validly, where they are marked as compromised.
    valid_to: Option<TreeSize>,
}

impl Candidate {
    pub(super) fn new(
        authority: &ClusterId,
        origin: &Origin,
        node: NodeId,
        keys: &NodePublicKeys,
    ) -> Self {
        Self {
            node,
            log: keys.log_verifier(origin),
            cosign: keys.cosign_verifier(authority, node),
            valid_to: None,
        }
    }

    /// Verifies both lines over a head's text.
    pub(super) fn verify(
        &self,
        text: &str,
        log_line: &NoteSignature,
        cosign_line: &NoteSignature,
    ) -> Result<Signer, VerifyError> {
        self.verify_log(text, log_line)?;
        let node = self.node;
        let at_s = cosignature::verify(self.cosign.key(), &cosign_line.signature, text);
        let at_s = at_s.map_err(|_| VerifyError::SignatureInvalid { node })?;
        if !(1..=TIME_MAX_S).contains(&at_s) {
            return Err(VerifyError::Timestamp { node });
        }
        Ok(Signer { node, at_s })
    }

    /// Whether a line says that it is of one of these keys.
    pub(super) fn has(&self, line: &NoteSignature) -> bool {
        is_of(line, &self.log) || is_of(line, &self.cosign)
    }

    fn verify_log(&self, text: &str, line: &NoteSignature) -> Result<(), VerifyError> {
        let found = self.log.key().verify(text.as_bytes(), &line.signature);
        found.map_err(|_| VerifyError::SignatureInvalid { node: self.node })
    }

    fn check_not_revoked(&self, size: TreeSize) -> Result<(), VerifyError> {
        match self.valid_to {
            Some(valid_to) if valid_to < size => Err(VerifyError::KeyRevoked {
                node: self.node,
                valid_to,
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Who signed with the keys of the head's epoch, and how many must.
///
/// Exactly so many have signed.
pub(super) fn verify_proven(
    text: &str,
    lines: &[NoteSignature],
    size: TreeSize,
    keys: &KeySet,
) -> Result<(Vec<Signer>, u32), VerifyError> {
    let epoch = epoch_of(keys, size)?;
    let candidates: Vec<_> = epoch
        .nodes
        .iter()
        .map(|(node, public)| Candidate {
            valid_to: keys.valid_to(public),
            ..Candidate::new(keys.authority(), &keys.origin(), *node, public)
        })
        .collect();
    let signed = verify_lines(text, lines, size, &candidates)?;
    let signers: Vec<_> = signed.into_iter().map(|(_, signer)| signer).collect();
    let (found, needed) = (signers.len(), epoch.signers_needed);
    match found.cmp(&(needed as usize)) {
        std::cmp::Ordering::Less => Err(VerifyError::NotEnoughSignatures { found, needed }),
        std::cmp::Ordering::Equal => Ok((signers, needed)),
        std::cmp::Ordering::Greater => Err(VerifyError::SurplusSignatures { found, needed }),
    }
}

/// A key set has an epoch for every size.
pub(super) fn epoch_of(keys: &KeySet, size: TreeSize) -> Result<&Epoch, VerifyError> {
    keys.epoch_of(size).ok_or(VerifyError::WrongSize)
}

/// Which of the candidates signed, by their places. Each signs at most once, in their order.
pub(super) fn verify_lines(
    text: &str,
    lines: &[NoteSignature],
    size: TreeSize,
    candidates: &[Candidate],
) -> Result<Vec<(usize, Signer)>, VerifyError> {
    let mut signers: Vec<(usize, Signer)> = Vec::new();
    let mut lines = lines.iter();
    while let Some(log_line) = lines.next() {
        let owner = candidates
            .iter()
            .enumerate()
            .find(|(_, candidate)| is_of(log_line, &candidate.log));
        let (place, candidate) = owner.ok_or_else(|| unknown_or_misplaced(candidates, log_line))?;
        let cosign_line = lines.next();
        // What is wrong with the first line is said before what is wrong with the next one.
        let Some(cosign_line) = cosign_line.filter(|line| is_of(line, &candidate.cosign)) else {
            candidate.verify_log(text, log_line)?;
            return Err(match cosign_line {
                Some(line) => unknown_or_misplaced(candidates, line),
                None => VerifyError::SignatureOrder,
            });
        };
        let signer = candidate.verify(text, log_line, cosign_line)?;
        candidate.check_not_revoked(size)?;
        if signers.last().is_some_and(|(last, _)| *last >= place) {
            return Err(VerifyError::SignatureOrder);
        }
        signers.push((place, signer));
    }
    Ok(signers)
}

/// Both lines are of this candidate's keys, by their names and hints.
pub(super) fn check_names(
    candidate: &Candidate,
    signature: &HeadSignature,
) -> Result<(), VerifyError> {
    for (line, verifier) in [
        (&signature.log, &candidate.log),
        (&signature.cosign, &candidate.cosign),
    ] {
        if !is_of(line, verifier) {
            return Err(unknown(line));
        }
    }
    Ok(())
}

fn is_of(line: &NoteSignature, verifier: &VerifierKey) -> bool {
    line.name == *verifier.name() && line.key_id == verifier.key_id()
}

/// Whether a line of the wrong key is of a published one in another place.
fn unknown_or_misplaced(candidates: &[Candidate], line: &NoteSignature) -> VerifyError {
    if candidates.iter().any(|candidate| candidate.has(line)) {
        VerifyError::SignatureOrder
    } else {
        unknown(line)
    }
}

fn unknown(line: &NoteSignature) -> VerifyError {
    VerifyError::UnknownKey {
        name: line.name.to_string(),
        key_id: line.key_id.to_string(),
    }
}
