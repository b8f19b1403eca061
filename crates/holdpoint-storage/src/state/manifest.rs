//! What a snapshot consists of: the first thing that a receiver is told, and what it checks the rest
//! against.
//!
//! As bytes it is one JSON object (a peer sends it, so nothing in it is believed before
//! [`SnapshotManifest::decode`] has checked it).

use std::str::FromStr;

use holdpoint_core::GroupId;
use holdpoint_receipt::Digest;
use serde::{Deserialize, Serialize};

use super::Applied;

/// Files in one snapshot, at most.
pub const SNAPSHOT_FILES_MAX: usize = 16_384;
/// Bytes in one snapshot, at most.
pub const SNAPSHOT_BYTES_MAX: u64 = 256 << 30;
/// Bytes of an encoded manifest, at most.
pub const MANIFEST_BYTES_MAX: usize = 8 << 20;
/// Bytes that a caller may keep with the applied index, at most.
const APPLIED_BYTES_MAX: usize = 1 << 20;
const NAME_BYTES_MAX: usize = 64;
/// The one file of a snapshot of a state in memory.
pub(super) const MEMORY_FILE: &str = "rows";

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not a manifest.
    #[error("not a manifest of a snapshot: {0}")]
    Malformed(String),
    /// It is larger than a limit allows.
    #[error("the snapshot has {found} {what}, at most {max} are allowed")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        max: u64,
    },
    /// A name that no file of a snapshot has, such as one that leads out of its folder.
    #[error("`{0}` is not the name of a file of a snapshot")]
    Name(String),
    /// Two files have one name, or they are not in order.
    #[error("the files of the snapshot are not in order at `{0}`")]
    Order(String),
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of its content.
    pub digest: Digest,
}

/// What a snapshot consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotManifest {
    /// The group whose state it is.
    pub group: GroupId,
    /// How far the log is applied in it.
    pub applied: Applied,
    /// Its files, ordered by name.
    pub files: Vec<SnapshotFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    group: u32,
    applied_index: u64,
    applied: String,
    files: Vec<FileDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDocument {
    name: String,
    length: u64,
    sha256: String,
}

impl SnapshotManifest {
    /// The bytes of all files together.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.length))
    }

    /// As bytes for a peer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let files = self.files.iter().map(|file| FileDocument {
            name: file.name.clone(),
            length: file.length,
            sha256: file.digest.to_string(),
        });
        let document = Document {
            group: self.group.0,
            applied_index: self.applied.index,
            applied: hex(&self.applied.bytes),
            files: files.collect(),
        };
        // Texts and numbers: there is nothing in it that could fail to become JSON.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Reads what a peer sent.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] if it is malformed, over a limit, or names a file that no snapshot has.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        limit(
            "bytes in its manifest",
            bytes.len() as u64,
            MANIFEST_BYTES_MAX as u64,
        )?;
        let malformed =
            |problem: &dyn std::fmt::Display| ManifestError::Malformed(problem.to_string());
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
        let mut files = Vec::new();
        for FileDocument {
            name,
            length,
            sha256,
        } in document.files
        {
            let digest = Digest::from_str(&sha256).map_err(|error| malformed(&error))?;
            files.push(SnapshotFile {
                name,
                length,
                digest,
            });
        }
        let applied_bytes =
            unhex(&document.applied).ok_or_else(|| malformed(&"`applied` is not hexadecimal"))?;
        let applied = Applied {
            index: document.applied_index,
            bytes: applied_bytes,
        };
        let manifest = Self {
            group: GroupId(document.group),
            applied,
            files,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks every limit, name and order.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        limit("files", self.files.len() as u64, SNAPSHOT_FILES_MAX as u64)?;
        limit("bytes", self.length(), SNAPSHOT_BYTES_MAX)?;
        limit(
            "bytes beside its index",
            self.applied.bytes.len() as u64,
            APPLIED_BYTES_MAX as u64,
        )?;
        let mut earlier = "";
        for SnapshotFile { name, .. } in &self.files {
            if !is_snapshot_name(name) {
                return Err(ManifestError::Name(name.clone()));
            }
            if name.as_str() <= earlier {
                return Err(ManifestError::Order(name.clone()));
            }
            earlier = name;
        }
        Ok(())
    }
}

fn limit(what: &'static str, found: u64, max: u64) -> Result<(), ManifestError> {
    if found <= max {
        Ok(())
    } else {
        Err(ManifestError::TooLarge { what, found, max })
    }
}

/// Whether a file of this name belongs to a database, and so cannot lead anywhere else.
fn is_snapshot_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= NAME_BYTES_MAX
        && (name == "CURRENT"
            || name == MEMORY_FILE
            || ["MANIFEST-", "OPTIONS-"]
                .iter()
                .any(|prefix| name.strip_prefix(prefix).is_some_and(is_number))
            || [".sst", ".log"]
                .iter()
                .any(|suffix| name.strip_suffix(suffix).is_some_and(is_number)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some((digit(high)? << 4) | digit(low)?))
        .collect()
}
