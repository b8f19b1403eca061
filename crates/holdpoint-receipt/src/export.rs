//! A whole log, leaf by leaf: `holdpoint.log/1`.
//!
//! ```text
//! {"leaf_hash":"<base64>","statement":"<canonical statement>"}   leaf 0
//! {"leaf_hash":"<base64>"}                                       leaf 1: its statement is not stored
//! …                                                              any more
//! {"checkpoint":"<signed note>","schema":"holdpoint.log/1"}      the head over exactly these leaves
//! ```
//!
//! Each line is canonical JSON (RFC 8785) and ends in a newline.
//!
//! [`LogVerifier`] takes one line at a time. Every deletion, insertion and change is found: by the
//! signed head where only the file was changed, and by one checkpoint that was saved before where
//! every node agreed to sign another history. It reads no file and remembers only what links need.

mod error;
mod lines;
mod links;

use crate::checkpoint::Checkpoint;
use crate::digest::{Digest, sha256};
use crate::keys::KeySet;
use crate::merkle::{Frontier, leaf_of};
use crate::note::Note;
use crate::statement::{Body, KeysStatement, Statement};
use crate::verify::{Signer, parse_head, verify_published};

pub use error::LogError;
pub use lines::{head_line, leaf_line};

use lines::Line;
use links::Links;

/// What every exported log of this form says in its member `schema`.
pub const LOG_SCHEMA: &str = "holdpoint.log/1";

/// The longest line: a note with its escapes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// How many runs of leaves without their statements a report names.
pub const ABSENT_RUNS_MAX: usize = 1_000;

/// What an exported log turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// The head that covers every leaf.
    pub head: Checkpoint,
    /// Who signed it.
    pub signers: Vec<Signer>,
    /// How many statements were there.
    pub statement_count: u64,
    /// How many leaves were there by their hash alone.
    pub absent_count: u64,
    /// Where: the first and the last leaf of each run of them, at most [`ABSENT_RUNS_MAX`] runs.
    pub absent: Vec<(u64, u64)>,
    /// With how many saved checkpoints the log agrees.
    pub saved_count: usize,
}

/// Verifies an exported log line by line.
#[derive(Debug)]
pub struct LogVerifier<'a> {
    keys: &'a KeySet,
    // By falling size, so that the next one is the last.
    saved: Vec<Checkpoint>,
    saved_count: usize,
    /// Up to where the log agrees with a saved checkpoint.
    agreed: u64,
    frontier: Frontier,
    links: Links,
    absent_count: u64,
    absent: Vec<(u64, u64)>,
    head: Option<(Checkpoint, Vec<Signer>)>,
}

impl<'a> LogVerifier<'a> {
    /// Takes the published keys, and checkpoints of the log that were saved before.
    ///
    /// A saved checkpoint is believed for being the holder's own: its signatures are not looked at
    /// again, so it may be of keys that are revoked since.
    ///
    /// # Errors
    ///
    /// [`LogError::Saved`]: one is of another log, or [`LogError::Root`]: one of the empty log has
    /// not the root of it.
    pub fn new(keys: &'a KeySet, saved: &[Note]) -> Result<Self, LogError> {
        let saved = saved.iter().map(|note| parse_head(note).ok());
        let saved: Option<Vec<Checkpoint>> = saved.collect();
        let mut saved = saved.ok_or(LogError::Saved)?;
        if saved.iter().any(|saved| saved.origin != keys.origin()) {
            return Err(LogError::Saved);
        }
        saved.sort_by_key(|saved| std::cmp::Reverse(saved.size));
        let mut verifier = Self {
            keys,
            saved,
            saved_count: 0,
            agreed: 0,
            frontier: Frontier::new(),
            links: Links::default(),
            absent_count: 0,
            absent: Vec::new(),
            head: None,
        };
        verifier.compare_saved()?;
        Ok(verifier)
    }

    /// Takes the next line, without its newline.
    ///
    /// # Errors
    ///
    /// [`LogError`] is the first check that failed; there is no use in further lines.
    pub fn push(&mut self, line: &[u8]) -> Result<(), LogError> {
        if self.head.is_some() {
            return Err(LogError::Whole);
        }
        let leaf = self.frontier.size();
        match lines::read(line, leaf)? {
            Line::Head(note) => self.close(&note),
            Line::Leaf {
                leaf_hash,
                statement,
            } => {
                if let Some(text) = statement {
                    self.check_statement(leaf, &leaf_hash, text.as_bytes())?;
                } else {
                    self.links.skip(leaf_hash);
                    self.miss(leaf);
                }
                let appended = self.frontier.append(leaf_hash);
                appended.map_err(|full| LogError::Line {
                    leaf,
                    problem: full.to_string(),
                })?;
                self.compare_saved()
            }
        }
    }

    /// Takes note of a leaf whose statement is not there.
    fn miss(&mut self, leaf: u64) {
        self.absent_count = self.absent_count.saturating_add(1);
        if let Some((_, last)) = self.absent.last_mut()
            && last.saturating_add(1) == leaf
        {
            *last = leaf;
        } else if self.absent.len() < ABSENT_RUNS_MAX {
            self.absent.push((leaf, leaf));
        }
    }

    /// Says what the log holds, after its last line.
    ///
    /// # Errors
    ///
    /// [`LogError::Whole`] without a head, [`LogError::Shorter`] if a saved checkpoint has more
    /// leaves.
    pub fn finish(self) -> Result<LogReport, LogError> {
        let (head, signers) = self.head.ok_or(LogError::Whole)?;
        let size = head.size.get();
        if let Some(longest) = self.saved.first() {
            let saved = longest.size.get();
            return Err(LogError::Shorter { size, saved });
        }
        Ok(LogReport {
            statement_count: size.saturating_sub(self.absent_count),
            absent_count: self.absent_count,
            absent: self.absent,
            head,
            signers,
            saved_count: self.saved_count,
        })
    }

    fn check_statement(
        &mut self,
        leaf: u64,
        leaf_hash: &Digest,
        text: &[u8],
    ) -> Result<(), LogError> {
        let receipt_hash = sha256(text);
        if leaf_of(&receipt_hash) != *leaf_hash {
            return Err(LogError::Changed { leaf });
        }
        let statement = Statement::parse(text);
        let statement = statement.map_err(|problem| LogError::Statement { leaf, problem })?;
        let found = statement.place.leaf_index();
        if found != leaf {
            return Err(LogError::Place { leaf, found });
        }
        let is_of_log = statement.authority == *self.keys.authority()
            && statement.namespace == *self.keys.namespace();
        if !is_of_log {
            return Err(LogError::OtherLog { leaf });
        }
        if let Body::Keys(stated) = &statement.body {
            self.check_keys(leaf, stated)?;
        }
        if self.links.follow(&statement.body, receipt_hash) {
            Ok(())
        } else {
            Err(LogError::Link { leaf })
        }
    }

    fn check_keys(&self, leaf: u64, stated: &KeysStatement) -> Result<(), LogError> {
        let published = self.keys.as_of(leaf);
        let newest = published.epochs().last();
        let is_newest = newest.is_some_and(|epoch| {
            epoch.signers_needed == stated.signers_needed
                && epoch.tree_size_from == stated.tree_size_from
        });
        if is_newest && published.digest() == stated.keys_digest {
            Ok(())
        } else {
            Err(LogError::KeysStatement { leaf })
        }
    }

    fn close(&mut self, note: &Note) -> Result<(), LogError> {
        let (head, signers, _witnesses) =
            verify_published(note, self.keys).map_err(LogError::Head)?;
        let (found, size) = (self.frontier.size(), head.size.get());
        if found != size {
            let leaf = found.min(size);
            return Err(LogError::Count { size, leaf });
        }
        if self.frontier.root() != head.root {
            return Err(LogError::Root {
                leaves: self.agreed..size,
                head: "signed head",
            });
        }
        self.head = Some((head, signers));
        Ok(())
    }

    /// Compares the root with every saved checkpoint of this size.
    fn compare_saved(&mut self) -> Result<(), LogError> {
        let size = self.frontier.size();
        while let Some(saved) = self.saved.pop_if(|saved| saved.size.get() == size) {
            if saved.root != self.frontier.root() {
                return Err(LogError::Root {
                    leaves: self.agreed..size,
                    head: "saved checkpoint",
                });
            }
            self.agreed = size;
            self.saved_count = self.saved_count.saturating_add(1);
        }
        Ok(())
    }
}

/// Verifies an exported log from its lines, without their newlines.
///
/// # Errors
///
/// [`LogError`] is the first check that failed.
pub fn verify<L: AsRef<[u8]>>(
    lines: impl IntoIterator<Item = L>,
    keys: &KeySet,
    saved: &[Note],
) -> Result<LogReport, LogError> {
    let mut verifier = LogVerifier::new(keys, saved)?;
    for line in lines {
        verifier.push(line.as_ref())?;
    }
    verifier.finish()
}
