//! Tree heads as text: C2SP `tlog-checkpoint` without extension lines, in one encoding.
//!
//! ```text
//! <cluster id>/<namespace>        the origin
//! 90                              leaves in the tree
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest::Digest;
use crate::keys::{HeadSignature, KeyName};
use crate::names::{ClusterId, Name, TreeSize};
use crate::note::{Note, NoteError};

/// Why a text is not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not exactly three lines.
    #[error("a checkpoint has exactly three lines: origin, size, root")]
    Lines,
    /// The first line is not a name.
    #[error("the origin is empty or holds white space, a control character or `+`")]
    Origin,
    /// The second line is not a number in its one form.
    #[error("the size is not a decimal number below 2^53 without leading zeros")]
    Size,
    /// The third line is not 32 bytes in base64.
    #[error("the root is not 32 bytes in base64")]
    Root,
}

/// Which log a head is of: `<cluster id>/<namespace>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin(
    // INVARIANT: fits a key's name, because it is one.
    String,
);

impl Origin {
    /// The origin of a namespace's log.
    #[must_use]
    pub fn new(cluster: &ClusterId, namespace: &Name) -> Self {
        Self(format!("{cluster}/{namespace}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The head of a log: how many leaves, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many leaves.
    pub size: TreeSize,
    /// The root of RFC 6962 over them.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed, with its last newline.
    #[must_use]
    pub fn to_text(&self) -> String {
        let root = STANDARD.encode(self.root.as_bytes());
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// The signed note: for each node, in the order of their ids, its two lines.
    ///
    /// # Errors
    ///
    /// There are no signatures, or more than a note may have.
    pub fn to_note(&self, mut signatures: Vec<HeadSignature>) -> Result<Note, NoteError> {
        signatures.sort_by_key(|signature| signature.node);
        let lines = signatures
            .into_iter()
            .flat_map(|both| [both.log, both.cosign]);
        Note::new(self.to_text(), lines.collect())
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) = (
            lines.next(),
            lines.next(),
            lines.next(),
            lines.next(),
            lines.next(),
        ) else {
            return Err(CheckpointError::Lines);
        };
        let origin = KeyName::new(origin).ok_or(CheckpointError::Origin)?;
        let parsed: TreeSize = size.parse().map_err(|_| CheckpointError::Size)?;
        if parsed.to_string() != size {
            return Err(CheckpointError::Size);
        }
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let root = root.map(Digest::from_bytes).ok_or(CheckpointError::Root)?;
        let origin = Origin(origin.as_str().to_owned());
        Ok(Self {
            origin,
            size: parsed,
            root,
        })
    }
}
