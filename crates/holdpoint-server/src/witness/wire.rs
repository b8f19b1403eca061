//! What logs and witnesses say to each other: the bodies of C2SP `tlog-witness`.
//!
//! ```text
//! request   old <size of the last head that the witness has of the log>
//!           <hash of the proof in base64>        as many as there are, at most 63
//!                                                an empty line
//!           <the signed head>
//! answer    — <name of the witness> <base64>     one line or more
//! conflict  <size of the last head>
//! ```
//!
//! Reading says what is claimed; it verifies nothing.

use std::fmt;

use holdpoint_receipt::Digest;
use holdpoint_receipt::note::{NOTE_BYTES_MAX, Note, NoteError, NoteSignature, SIGNATURES_MAX};

/// The path of the one call.
pub(crate) const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// The kind of the answer that tells the size that a witness has.
pub(crate) const TEXT_SIZE: &str = "text/x.tlog.size";

/// Hashes of a proof.
const PROOF_HASHES_MAX: usize = 63;

/// The longest request: a proof of 45 bytes a line, and the longest note.
pub(crate) const SUBMISSION_BYTES_MAX: usize = 64 + PROOF_HASHES_MAX * 45 + NOTE_BYTES_MAX;

/// A head that a log submits, and the proof that it continues the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    /// The size of the last head, as the log knows it.
    pub(crate) old_size: u64,
    /// That the new head continues it.
    pub(crate) proof: Vec<Digest>,
    /// The new head.
    pub(crate) note: Note,
}

/// Why bytes are not a submission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubmissionError {
    /// Not text.
    #[error("the body is not text")]
    Text,
    /// No empty line before the head.
    #[error("there is no empty line before the checkpoint")]
    NoHead,
    /// The first line.
    #[error("the first line is not `old <size>`")]
    OldSize,
    /// The proof.
    #[error("the proof is not at most {PROOF_HASHES_MAX} hashes in base64, one a line")]
    Proof,
    /// The head.
    #[error("the checkpoint is not a signed note: {0}")]
    Note(#[from] NoteError),
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(f, "{}", hash.to_base64())?;
        }
        write!(f, "\n{}", self.note)
    }
}

impl Submission {
    /// Reads a request.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, SubmissionError> {
        let body = str::from_utf8(body).map_err(|_| SubmissionError::Text)?;
        let (before, note) = body.split_once("\n\n").ok_or(SubmissionError::NoHead)?;
        let mut lines = before.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old "));
        let old_size = old_size.and_then(size).ok_or(SubmissionError::OldSize)?;
        let proof: Option<Vec<Digest>> = lines.map(Digest::from_base64).collect();
        let proof = proof.filter(|proof| proof.len() <= PROOF_HASHES_MAX);
        Ok(Self {
            old_size,
            proof: proof.ok_or(SubmissionError::Proof)?,
            note: note.parse()?,
        })
    }
}

/// Reads a size in its one form.
fn size(text: &str) -> Option<u64> {
    let size: u64 = text.parse().ok()?;
    (size.to_string() == text).then_some(size)
}

/// The body that tells a log how far the witness is.
pub(crate) fn size_body(size: u64) -> String {
    format!("{size}\n")
}

/// Reads such a body.
pub(crate) fn parse_size(body: &[u8]) -> Option<u64> {
    let text = str::from_utf8(body).ok()?;
    size(text.strip_suffix('\n')?)
}

/// The body that carries lines of signatures.
pub(crate) fn lines_body(lines: &[NoteSignature]) -> String {
    lines.iter().fold(String::new(), |mut body, line| {
        body.push_str(&line.to_string());
        body.push('\n');
        body
    })
}

/// Reads such a body: one line or more, and nothing else.
pub(crate) fn parse_lines(body: &[u8]) -> Option<Vec<NoteSignature>> {
    let text = str::from_utf8(body).ok()?;
    let lines = text.strip_suffix('\n')?.split('\n');
    let lines = lines.take(SIGNATURES_MAX).map(|line| line.parse().ok());
    lines.collect()
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::sha256;

    use super::*;

    fn note() -> Note {
        let head = "example.com/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        format!("{head}\n\u{2014} example.com/log Az3grlgt\n")
            .parse()
            .unwrap()
    }

    #[test]
    fn submission_reads_back() {
        for proof in [vec![], vec![sha256(b"1"), sha256(b"2")]] {
            let submission = Submission {
                old_size: 3,
                proof,
                note: note(),
            };
            let body = submission.to_string();
            assert_eq!(Submission::parse(body.as_bytes()), Ok(submission), "{body}");
        }
    }

    #[test]
    fn request_that_is_no_submission_is_refused_with_its_first_fault() {
        let hash = sha256(b"1").to_base64();
        for (body, error) in [
            ("old 3\n".to_owned(), SubmissionError::NoHead),
            (format!("old 03\n\n{}", note()), SubmissionError::OldSize),
            (format!("old -1\n\n{}", note()), SubmissionError::OldSize),
            (format!("new 3\n\n{}", note()), SubmissionError::OldSize),
            (format!("old 3\nhash\n\n{}", note()), SubmissionError::Proof),
            (
                format!("old 3\n{}\n{}", format!("{hash}\n").repeat(64), note()),
                SubmissionError::Proof,
            ),
            (
                "old 3\n\nhead".to_owned(),
                SubmissionError::Note(NoteError::NoSeparator),
            ),
        ] {
            assert_eq!(Submission::parse(body.as_bytes()), Err(error), "{body}");
        }
        assert_eq!(Submission::parse(&[0xff]), Err(SubmissionError::Text));
    }

    #[test]
    fn size_and_lines_read_back_and_nothing_else_does() {
        assert_eq!(parse_size(size_body(90).as_bytes()), Some(90));
        for body in ["90", "090\n", "\n", "9 \n"] {
            assert_eq!(parse_size(body.as_bytes()), None, "{body}");
        }
        let note = note();
        let body = lines_body(note.signatures());
        assert_eq!(parse_lines(body.as_bytes()).unwrap(), note.signatures());
        for other in [
            String::new(),
            format!("more\n{body}"),
            body.trim_end().to_owned(),
        ] {
            assert_eq!(parse_lines(other.as_bytes()), None, "{other}");
        }
    }
}
