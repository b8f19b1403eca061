//! The cluster file: which nodes there are and where.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use holdpoint_core::limits::VOTERS_MAX;
use holdpoint_receipt::{ClusterId, NodeId};
use serde::Deserialize;
use toml::Spanned;

use super::witness::{self, Witness, WitnessEntry};
use super::{ConfigError, require_loopback};
use crate::key_files::SealingFile;
use crate::limits::CLUSTER_FILE_BYTES_MAX;

/// A cluster, as its file says it. Every node has the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFile {
    /// Where the file is, for messages.
    pub path: PathBuf,
    /// The cluster's identity, which receipts name.
    pub cluster: ClusterId,
    /// Every node, in the order of the file. At least one.
    pub nodes: Vec<NodeEntry>,
    /// The witnesses that sign its heads, in the order of the file.
    pub witnesses: Vec<WitnessEntry>,
    /// Whether nodes evaluate again what other leaders decided.
    pub audit: bool,
}

/// One node of the cluster file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its id, never used a second time.
    pub id: NodeId,
    /// Where it answers clients.
    pub client: SocketAddr,
    /// Where it answers the other nodes.
    pub peer: SocketAddr,
    /// Its data directory. A relative path counts from the cluster file's folder.
    pub data_dir: PathBuf,
    /// What its keys are encrypted under in that directory. A relative path counts from the cluster
    /// file's folder.
    pub sealing: Option<SealingFile>,
}

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    cluster_id: Spanned<String>,
    #[serde(default)]
    node: Vec<Spanned<Node>>,
    #[serde(default)]
    witness: Vec<Spanned<Witness>>,
    #[serde(default = "yes")]
    audit: bool,
}

const fn yes() -> bool {
    true
}

/// One `[[node]]`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    id: Spanned<u64>,
    client: Spanned<String>,
    peer: Spanned<String>,
    data_dir: Spanned<String>,
    key_passphrase_file: Option<Spanned<String>>,
    key_encryption_key_file: Option<Spanned<String>>,
}

impl ClusterFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`], or [`ConfigError::Invalid`] with file and line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(CLUSTER_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::parse(&text, path)
    }

    /// Reads a text; `path` is where it stands, for messages and relative paths.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with file and line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let at = Place { text, path };
        let document: Document = toml::from_str(text)
            .map_err(|error| at.invalid(error.span().unwrap_or(0..0), error.message()))?;
        let id = &document.cluster_id;
        let cluster = id.get_ref().parse().map_err(|error| {
            at.invalid(id.span(), format!("cluster_id `{}`: {error}", id.get_ref()))
        })?;
        at.check_count(&document)?;
        let nodes = document.node.iter().map(|node| at.entry(node.get_ref()));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        at.check_duplicates(&document, &nodes)?;
        Ok(Self {
            path: path.to_path_buf(),
            cluster,
            nodes,
            witnesses: witness::read(&at, &document.witness)?,
            audit: document.audit,
        })
    }

    /// The entry of `node`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownNode`] says which ones there are.
    pub fn node(&self, node: NodeId) -> Result<&NodeEntry, ConfigError> {
        self.nodes
            .iter()
            .find(|entry| entry.id == node)
            .ok_or_else(|| {
                let listed: Vec<String> = self
                    .nodes
                    .iter()
                    .map(|entry| entry.id.to_string())
                    .collect();
                ConfigError::UnknownNode {
                    path: self.path.clone(),
                    node,
                    listed: listed.join(", "),
                }
            })
    }
}

/// The text and where it stands: turns a span into file and line.
pub(super) struct Place<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Place<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count()
            .saturating_add(1)
    }

    pub(super) fn invalid(&self, span: Range<usize>, message: impl Display) -> ConfigError {
        let message = message.to_string().replace('\n', "; ");
        ConfigError::Invalid {
            path: self.path.to_path_buf(),
            line: self.line(span.start),
            message,
        }
    }

    fn check_count(&self, document: &Document) -> Result<(), ConfigError> {
        match document.node.get(VOTERS_MAX) {
            _ if document.node.is_empty() => {
                Err(self.invalid(0..0, "no [[node]] is listed; a cluster has at least one"))
            }
            None => Ok(()),
            Some(node) => Err(self.invalid(
                node.span(),
                format!(
                    "{} nodes are listed, at most {VOTERS_MAX} are accepted",
                    document.node.len()
                ),
            )),
        }
    }

    fn entry(&self, node: &Node) -> Result<NodeEntry, ConfigError> {
        let id =
            NodeId::new(*node.id.get_ref()).map_err(|error| self.invalid(node.id.span(), error))?;
        let folder = self.path.parent().unwrap_or(Path::new(""));
        if node.data_dir.get_ref().is_empty() {
            return Err(self.invalid(node.data_dir.span(), "data_dir is empty; give a path"));
        }
        Ok(NodeEntry {
            id,
            client: self.address("client", &node.client)?,
            peer: self.address("peer", &node.peer)?,
            data_dir: folder.join(node.data_dir.get_ref()),
            sealing: self.sealing(node)?,
        })
    }

    fn sealing(&self, node: &Node) -> Result<Option<SealingFile>, ConfigError> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let file = |written: &Spanned<String>, key: &str| {
            if written.get_ref().is_empty() {
                return Err(self.invalid(written.span(), format!("{key} is empty; give a path")));
            }
            Ok(folder.join(written.get_ref()))
        };
        match (&node.key_passphrase_file, &node.key_encryption_key_file) {
            (None, None) => Ok(None),
            (Some(written), None) => file(written, "key_passphrase_file")
                .map(SealingFile::Passphrase)
                .map(Some),
            (None, Some(written)) => file(written, "key_encryption_key_file")
                .map(SealingFile::KeyEncryptionKey)
                .map(Some),
            (Some(_), Some(second)) => {
                let message = "keys are encrypted under key_passphrase_file or \
                               key_encryption_key_file, not under both";
                Err(self.invalid(second.span(), message))
            }
        }
    }

    fn address(&self, key: &str, text: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
        let wrong = |message: String| self.invalid(text.span(), format!("{key} {message}"));
        let address: SocketAddr = text.get_ref().parse().map_err(|_| {
            let given = text.get_ref();
            wrong(format!(
                "`{given}` is not an IP address with a port, such as 127.0.0.1:7411"
            ))
        })?;
        if address.port() == 0 {
            return Err(wrong(format!(
                "`{address}` has no port; other nodes must know it"
            )));
        }
        require_loopback(address).map_err(|error| wrong(error.to_string()))?;
        Ok(address)
    }

    /// Nothing may be said twice: two nodes with one id, address or directory destroy each other.
    fn check_duplicates(
        &self,
        document: &Document,
        nodes: &[NodeEntry],
    ) -> Result<(), ConfigError> {
        let mut seen: BTreeMap<String, (usize, &'static str)> = BTreeMap::new();
        for (written, entry) in document.node.iter().zip(nodes) {
            let written = written.get_ref();
            let words = [
                ("id", "id", entry.id.to_string(), written.id.span()),
                (
                    "address",
                    "client",
                    entry.client.to_string(),
                    written.client.span(),
                ),
                (
                    "address",
                    "peer",
                    entry.peer.to_string(),
                    written.peer.span(),
                ),
                (
                    "data_dir",
                    "data_dir",
                    plain(&entry.data_dir),
                    written.data_dir.span(),
                ),
            ];
            for (kind, key, value, span) in words {
                let line = self.line(span.start);
                if let Some((first, first_key)) =
                    seen.insert(format!("{kind} {value}"), (line, key))
                {
                    let message = format!("{key} `{value}` is already {first_key} of line {first}");
                    return Err(self.invalid(span, message));
                }
            }
        }
        Ok(())
    }
}

/// The path without `.` and repeated separators, so that two spellings of one folder meet.
fn plain(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}
