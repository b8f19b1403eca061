//! Whether a witness signs a head: pure, and the same checks in the same order as C2SP `tlog-witness`.

use holdpoint_receipt::checkpoint::{Checkpoint, CheckpointError};
use holdpoint_receipt::keys::NodePublicKeys;
use holdpoint_receipt::merkle::{empty_root, verify_consistency};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, KeySet};

use super::wire::{Submission, SubmissionError};

/// Why a witness does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The request is none.
    #[error("The request is malformed: {0}.")]
    Malformed(#[from] SubmissionError),
    /// The note is not about a head.
    #[error("The checkpoint is malformed: {0}.")]
    Checkpoint(#[from] CheckpointError),
    /// The head is older than the one that it is said to continue.
    #[error("The old size is larger than the checkpoint's.")]
    Backwards,
    /// It watches no such log.
    #[error("This witness does not watch that log.")]
    UnknownLog,
    /// Not enough nodes of the log signed.
    #[error("{signed} nodes of the log signed the checkpoint, {needed} must.")]
    NotSigned {
        /// How many did.
        signed: usize,
        /// How many must.
        needed: usize,
    },
    /// The last head is another one.
    #[error("The last checkpoint that this witness signed has {size} leaves.")]
    Conflict {
        /// Its size.
        size: u64,
    },
    /// The head does not continue the last one.
    #[error("The checkpoint does not continue the last one that this witness signed.")]
    Inconsistent,
}

/// That enough nodes of the log signed `note`, as many as `keys` ask for at its size.
///
/// Each node counts once, and not with keys that are marked as compromised before this size. Lines of keys that are not known are left out, as C2SP asks; a log that one
/// stolen key could sign for would be worth nothing, so one line is enough only where one signer is.
pub(super) fn require_signed(note: &Note, head: &Checkpoint, keys: &KeySet) -> Result<(), Refusal> {
    let Some(epoch) = keys.epoch_of(head.size) else {
        return Err(Refusal::UnknownLog);
    };
    let has_signed = |public: &NodePublicKeys| {
        if keys.valid_to(public).is_some_and(|size| size < head.size) {
            return false;
        }
        let verifier = keys.log_verifier(public);
        note.signatures().iter().any(|line| {
            line.name == *verifier.name()
                && line.key_id == verifier.key_id()
                && verifier
                    .key()
                    .verify(note.text().as_bytes(), &line.signature)
                    .is_ok()
        })
    };
    let signed = epoch.nodes.values().filter(|public| has_signed(public));
    let (signed, needed) = (signed.count(), epoch.signers_needed as usize);
    if signed >= needed && signed > 0 {
        Ok(())
    } else {
        Err(Refusal::NotSigned { signed, needed })
    }
}

/// That `head`, which is signed, continues `last`.
pub(super) fn require_continued(
    submission: &Submission,
    head: &Checkpoint,
    last: Option<&Checkpoint>,
) -> Result<(), Refusal> {
    let (old_size, size) = (submission.old_size, head.size.get());
    if old_size > size {
        return Err(Refusal::Backwards);
    }
    let (last_size, last_root): (u64, Digest) =
        last.map_or_else(|| (0, empty_root()), |last| (last.size.get(), last.root));
    let conflict = Refusal::Conflict { size: last_size };
    if old_size != last_size {
        return Err(conflict);
    }
    if size == last_size && head.root != last_root {
        return Err(conflict);
    }
    let is_continued = if last_size == 0 || size == last_size {
        submission.proof.is_empty()
    } else {
        verify_consistency(last_size, size, &last_root, &head.root, &submission.proof).is_ok()
    };
    if is_continued {
        Ok(())
    } else {
        Err(Refusal::Inconsistent)
    }
}
