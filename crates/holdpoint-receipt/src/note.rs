//! Signed notes of C2SP `signed-note`: a text and signature lines, in one encoding.
//!
//! Reading a note verifies nothing; it only says what is claimed.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{KeyId, KeyName};

/// The longest note.
pub const NOTE_BYTES_MAX: usize = 24 * 1024;

/// The most signature lines of one note: two for each of 32 nodes.
pub const SIGNATURES_MAX: usize = 64;

/// How a signature line starts: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Why a text is not a signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is longer than [`NOTE_BYTES_MAX`].
    #[error("the note has {0} bytes, at most {NOTE_BYTES_MAX} are accepted")]
    TooLong(usize),
    /// The note has a control character other than the end of a line.
    #[error("the note has a control character")]
    ControlCharacter,
    /// No empty line separates a text from signatures.
    #[error("the note has no empty line between text and signatures")]
    NoSeparator,
    /// A signature line is not `— <name> <base64>`.
    #[error("signature line {0} is not `\u{2014} <name> <base64>`")]
    SignatureLine(usize),
    /// More lines than a note may have.
    #[error("the note has more than {SIGNATURES_MAX} signature lines")]
    TooManySignatures,
}

/// One signature line, shown and parsed without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key that is said to have signed.
    pub name: KeyName,
    /// The hint that goes with it.
    pub key_id: KeyId,
    /// The signature; not empty. Its form depends on the key's algorithm.
    pub signature: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = [self.key_id.0.as_slice(), &self.signature].concat();
        write!(f, "{LINE_START}{} {}", self.name, STANDARD.encode(value))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        signature_line(line).ok_or(NoteError::SignatureLine(0))
    }
}

/// A text with signature lines. [`fmt::Display`] writes it as it is signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    // INVARIANT: ends in a newline, has no other control characters.
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// A note about a text of ours, such as [`crate::checkpoint::Checkpoint::to_text`].
    ///
    /// # Errors
    ///
    /// The text or the signatures do not fit a note.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        // One reader decides what a note is, also for those that we write.
        Self { text, signatures }.to_string().parse()
    }

    /// What is signed, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        let mut lines = self.signatures.iter();
        lines.try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(note.len()));
        }
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::ControlCharacter);
        }
        // The last empty line: a text may hold others.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSeparator)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::SignatureLine(0))?;
        let mut signatures = Vec::new();
        for (place, line) in lines.split('\n').enumerate() {
            if place >= SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(signature_line(line).ok_or(NoteError::SignatureLine(place))?);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }
}

fn signature_line(line: &str) -> Option<NoteSignature> {
    let (name, value) = line.strip_prefix(LINE_START)?.split_once(' ')?;
    let name = KeyName::new(name)?;
    let value = STANDARD.decode(value).ok()?;
    let (key_id, signature) = value.split_first_chunk::<4>()?;
    (!signature.is_empty()).then(|| NoteSignature {
        name,
        key_id: KeyId(*key_id),
        signature: signature.to_vec(),
    })
}
