//! The logs that a witness watches, and what it answers them.
//!
//! One submission of a log at a time: comparing with the last head and remembering the new one is one
//! step. Blocks on the disk, so it runs on threads that may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::keys::{KEYS_BYTES_MAX, KeySetError};
use holdpoint_receipt::note::NoteSignature;
use holdpoint_receipt::{KeySet, cosignature};

use super::book::{Book, BookError};
use super::judge::{Refusal, require_continued, require_signed};
use super::wire::{Submission, lines_body};

/// A log to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedLog {
    /// Its origin: the first line of its heads.
    pub origin: String,
    /// The file of its published keys. It is read again when it has changed and a head does not
    /// verify.
    pub keys: PathBuf,
}

/// Why a log cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its keys cannot be read.
    #[error("cannot read the keys `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// They are none.
    #[error("`{}` does not hold published keys: {problem}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeySetError,
    },
    /// They are those of another log.
    #[error("`{}` holds the keys of `{found}`, not of `{origin}`", path.display())]
    OtherLog {
        /// The file.
        path: PathBuf,
        /// Whose keys they are.
        found: String,
        /// The log that is to be watched.
        origin: String,
    },
    /// A log is named twice.
    #[error("the log `{0}` is named twice")]
    Twice(String),
}

/// Why a submission has no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSigned {
    /// The log asked for what it must not have.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A fault of the witness.
    #[error(transparent)]
    Fault(#[from] BookError),
}

/// The keys of one log, as of when their file was changed.
#[derive(Debug)]
struct Known {
    file: PathBuf,
    keys: KeySet,
    changed_at: Option<SystemTime>,
}

/// What a witness watches and remembers.
#[derive(Debug)]
pub(super) struct Logs {
    book: Book,
    // INVARIANT: held while a submission of this log is judged, remembered and signed.
    logs: BTreeMap<String, Mutex<Known>>,
}

impl Logs {
    pub(super) fn open(book: Book, watched: Vec<WatchedLog>) -> Result<Self, LogError> {
        let mut logs = BTreeMap::new();
        for WatchedLog { origin, keys } in watched {
            let known = Known::read(&origin, keys)?;
            if logs.insert(origin.clone(), Mutex::new(known)).is_some() {
                return Err(LogError::Twice(origin));
            }
        }
        Ok(Self { book, logs })
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    /// The lines of the signature of a submitted head. `at_s` is the time now, in seconds since the
    /// Unix epoch.
    ///
    /// The head is durable as the last one before this returns.
    pub(super) fn sign(&self, body: &[u8], at_s: u64) -> Result<String, NotSigned> {
        let submission = Submission::parse(body).map_err(Refusal::from)?;
        let text = submission.note.text();
        let head: Checkpoint = text.parse().map_err(Refusal::from)?;
        let origin = head.origin.as_str();
        let log = self.logs.get(origin).ok_or(Refusal::UnknownLog)?;
        let mut known = log.lock().unwrap_or_else(PoisonError::into_inner);
        known.require_signed(origin, &submission, &head)?;
        let last = self.book.last(origin)?;
        require_continued(&submission, &head, last.as_ref())?;
        if last.as_ref() != Some(&head) {
            self.book.remember(&head)?;
        }
        let verifier = self.book.verifier();
        let line = NoteSignature {
            name: verifier.name().clone(),
            key_id: verifier.key_id(),
            signature: cosignature::sign(self.book.key(), at_s, text).to_vec(),
        };
        let size = head.size.get();
        tracing::info!(origin, size, "signed a head");
        Ok(lines_body(&[line]))
    }
}

impl Known {
    fn read(origin: &str, file: PathBuf) -> Result<Self, LogError> {
        let unreadable = |source| LogError::Read {
            path: file.clone(),
            source,
        };
        let changed_at = changed_at(&file);
        let bytes = read_start(&file).map_err(unreadable)?;
        let keys = KeySet::parse(&bytes).map_err(|problem| LogError::Keys {
            path: file.clone(),
            problem,
        })?;
        let found = keys.origin();
        if found.as_str() != origin {
            return Err(LogError::OtherLog {
                path: file,
                found: found.to_string(),
                origin: origin.to_owned(),
            });
        }
        Ok(Self {
            file,
            keys,
            changed_at,
        })
    }

    /// That enough nodes signed, also under keys that were published a moment ago.
    fn require_signed(
        &mut self,
        origin: &str,
        submission: &Submission,
        head: &Checkpoint,
    ) -> Result<(), Refusal> {
        let note = &submission.note;
        let signed = require_signed(note, head, &self.keys);
        if signed.is_ok() || changed_at(&self.file) == self.changed_at {
            return signed;
        }
        match Self::read(origin, self.file.clone()) {
            Ok(newer) => *self = newer,
            Err(error) => {
                tracing::warn!(%error, "the keys of a log were changed and cannot be used");
                return signed;
            }
        }
        require_signed(note, head, &self.keys)
    }
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

/// Reads a file, or as much of it as shows that it is too long for a key set.
fn read_start(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let max = u64::try_from(KEYS_BYTES_MAX).unwrap_or(u64::MAX);
    std::fs::File::open(file)?
        .take(max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
