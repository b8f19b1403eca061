//! Heads whose signatures were verified before.
//!
//! One head proves a whole batch of statements, so who verifies many receipts meets the same note again
//! and again, and verifying its signatures is nearly all that a receipt costs. A note is remembered as a
//! whole, text and signatures, for one key set: what is remembered is what would be found again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Signed, Signer, Verified, VerifyError, verify_by};
use crate::keys::KeySet;
use crate::names::TreeSize;
use crate::note::Note;

/// Notes that are remembered: as many as rounds of signatures overlap in one process, and some more.
const NOTES_MAX: usize = 16;

/// Verifies receipts, and the signatures of each head once. Remembers a bounded number of heads.
#[derive(Debug, Default)]
pub struct ProvenNotes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What the notes were verified against.
    keys: Option<Arc<KeySet>>,
    /// The newest last.
    notes: VecDeque<(Note, Vec<Signer>, u32)>,
}

impl ProvenNotes {
    /// As [`verify`](super::verify()).
    ///
    /// # Errors
    ///
    /// The same, and in the same order.
    pub fn verify(&self, file: &[u8], keys: &Arc<KeySet>) -> Result<Verified, VerifyError> {
        verify_by(file, keys, |note, size| self.signers(note, size, keys))
    }

    fn signers(
        &self,
        note: &Note,
        size: TreeSize,
        keys: &Arc<KeySet>,
    ) -> Result<Signed, VerifyError> {
        if let Some(known) = self.known(note, keys) {
            return Ok(known);
        }
        // Not under the lock: verifying takes long, and twice is no harm.
        let (signers, needed) = super::signers_of(note, size, keys)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_for(keys) {
            *known = Known {
                keys: Some(Arc::clone(keys)),
                notes: VecDeque::new(),
            };
        }
        if known.notes.len() == NOTES_MAX {
            known.notes.pop_front();
        }
        known
            .notes
            .push_back((note.clone(), signers.clone(), needed));
        Ok((signers, needed))
    }

    fn known(&self, note: &Note, keys: &Arc<KeySet>) -> Option<Signed> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_for(keys) {
            return None;
        }
        let mut newest_first = known.notes.iter().rev();
        let (_, signers, needed) = newest_first.find(|(known, ..)| known == note)?;
        Some((signers.clone(), *needed))
    }
}

impl Known {
    /// The same key set in the same place: an equal one elsewhere is not looked for.
    fn is_for(&self, keys: &Arc<KeySet>) -> bool {
        self.keys
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, keys))
    }
}
