//! `identity.json`: whose data a directory holds.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use holdpoint_receipt::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

use super::Owner;
use crate::durable;
use crate::error::{DiskError, OpenError};

pub(super) const FILE: &str = "identity.json";

/// The format of data directories that this version writes and reads.
pub const FORMAT: u32 = 1;

/// Drawn at random when a data directory is created, and part of the membership: a node that comes
/// back under its old id with an empty directory has another one, and its peers refuse it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// Takes 16 bytes, which the caller draws at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both are 16 bytes shown as 32 hexadecimal digits.
        fmt::Display::fmt(&ClusterId::from_bytes(self.0), f)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose data a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node in it.
    pub node: NodeId,
    /// This life of the node.
    pub incarnation: Incarnation,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    cluster: String,
    node: u64,
    incarnation: String,
}

/// Read before the rest, so that a newer format is recognised whatever else it changed.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Identity {
    pub(super) fn check(&self, root: &Path, owner: Owner) -> Result<(), OpenError> {
        if self.cluster != owner.cluster {
            let (found, expected) = (self.cluster, owner.cluster);
            return Err(OpenError::OtherCluster {
                root: root.into(),
                found,
                expected,
            });
        }
        if self.node != owner.node {
            let (found, expected) = (self.node, owner.node);
            return Err(OpenError::OtherNode {
                root: root.into(),
                found,
                expected,
            });
        }
        Ok(())
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), DiskError> {
        let document = Document {
            format: FORMAT,
            cluster: self.cluster.to_string(),
            node: self.node.get(),
            incarnation: self.incarnation.to_string(),
        };
        let mut text = serde_json::to_string_pretty(&document)
            .map_err(|error| DiskError::at("write", &root.join(FILE))(error.into()))?;
        text.push('\n');
        durable::replace_file(root, FILE, text.as_bytes(), durable::MODE_PLAIN)
    }

    /// `None` if there is no such file.
    pub(super) fn read(root: &Path) -> Result<Option<Self>, OpenError> {
        let file = root.join(FILE);
        let Some(bytes) = durable::read_if_there(&file)? else {
            return Ok(None);
        };
        let damaged = |problem: String| OpenError::DamagedFile {
            file: file.clone(),
            problem,
        };
        let FormatOnly { format } =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if format != FORMAT {
            return Err(OpenError::Format {
                root: root.into(),
                found: format,
                known: FORMAT,
            });
        }
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let id = |text: &str| ClusterId::from_str(text).map_err(|error| damaged(error.to_string()));
        Ok(Some(Self {
            cluster: id(&document.cluster)?,
            node: NodeId::new(document.node).map_err(|error| damaged(error.to_string()))?,
            incarnation: Incarnation(*id(&document.incarnation)?.as_bytes()),
        }))
    }
}
