//! The newest trust bundle of each cluster that this user has believed, and the roots that it named.
//!
//! One file of the user's. Whoever can put an old one in its place can show an old trust bundle too, so
//! it belongs where only the user writes. It is locked while it is read and written, and replaced whole.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_receipt::keys::VerifierKey;
use holdpoint_receipt::trust::{Anchor, Seen};
use holdpoint_receipt::{ClusterId, Digest, sha256};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::output::Failure;
use crate::roots::unwritten;
use crate::shelf;

/// What every such file says first.
const SCHEMA: &str = "holdpoint.trust-seen/1";

/// The file, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    /// By cluster.
    bundles: BTreeMap<String, Entry>,
}

/// One cluster of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u64,
    digest: String,
    roots: Vec<String>,
    threshold: u32,
    /// The digest of the roots that were given by hand when it was believed.
    given: String,
}

/// What is remembered of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// The newest bundle.
    pub(crate) seen: Seen,
    /// What the next one is verified against; none if other roots are given by hand by now.
    pub(crate) anchor: Option<Anchor>,
}

/// The file, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    document: Document,
    _lock: File,
}

impl Memory {
    /// Opens the file `path`, or the user's own, and makes it if it is not there. Waits for others who
    /// have it, which takes them a moment.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let path = path.map_or_else(own, |path| Ok(path.to_owned()))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let locked = folder
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| File::create(&lock))
            .and_then(|lock| {
                flock(&lock, FlockOperation::LockExclusive)?;
                Ok(lock)
            });
        let lock = locked.map_err(|error| {
            unwritten(&path, &error).next(Some(
                "what was believed must be remembered; name another file with --state".to_owned(),
            ))
        })?;
        Ok(Self {
            document: read(&path)?,
            path,
            _lock: lock,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered of a cluster, for somebody who was given these roots by hand.
    pub(crate) fn of(
        &self,
        cluster: &ClusterId,
        given: &Anchor,
    ) -> Result<Option<Remembered>, Failure> {
        let Some(entry) = self.document.bundles.get(&cluster.to_string()) else {
            return Ok(None);
        };
        let seen = Seen {
            version: entry.version,
            digest: entry.digest.parse().map_err(|_| damaged(&self.path))?,
        };
        let is_same = entry.given == digest(given).to_string();
        let anchor = is_same.then(|| entry.anchor().ok_or_else(|| damaged(&self.path)));
        Ok(Some(Remembered {
            seen,
            anchor: anchor.transpose()?,
        }))
    }

    /// Remembers a bundle that was believed. Says whether it was not remembered so already.
    pub(crate) fn remember(
        &mut self,
        cluster: &ClusterId,
        seen: &Seen,
        anchor: &Anchor,
        given: &Anchor,
    ) -> Result<bool, Failure> {
        let entry = Entry {
            version: seen.version,
            digest: seen.digest.to_string(),
            roots: anchor.roots().iter().map(VerifierKey::to_string).collect(),
            threshold: anchor.threshold(),
            given: digest(given).to_string(),
        };
        let before = self
            .document
            .bundles
            .insert(cluster.to_string(), entry.clone());
        if before.as_ref() == Some(&entry) {
            return Ok(false);
        }
        let text = format!("{}\n", serde_json::to_string_pretty(&self.document)?);
        let written = shelf::write(&self.path, text.as_bytes());
        written.map_err(|error| unwritten(&self.path, &error))?;
        Ok(true)
    }
}

impl Entry {
    fn anchor(&self) -> Option<Anchor> {
        let roots = self.roots.iter().map(|root| root.parse().ok());
        Anchor::new(roots.collect::<Option<_>>()?, self.threshold).ok()
    }
}

/// What tells one set of roots from another.
fn digest(anchor: &Anchor) -> Digest {
    let mut lines: Vec<String> = anchor.roots().iter().map(VerifierKey::to_string).collect();
    lines.sort();
    lines.push(anchor.threshold().to_string());
    sha256(lines.join("\n").as_bytes())
}

fn read(path: &Path) -> Result<Document, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Document {
                schema: SCHEMA.to_owned(),
                bundles: BTreeMap::new(),
            });
        }
        read => read.map_err(|error| crate::inputs::unreadable(path, &error))?,
    };
    let document: Document = serde_json::from_str(&text).map_err(|_| damaged(path))?;
    if document.schema == SCHEMA {
        Ok(document)
    } else {
        Err(damaged(path))
    }
}

/// Nothing is believed then: an empty memory would take any old bundle.
fn damaged(path: &Path) -> Failure {
    let message = format!(
        "`{}` is not what this program remembers trust bundles in; restore it, or remove it if you know \
         that the bundle at hand is the newest",
        path.display()
    );
    Failure::says(Exit::Failure, message)
}

/// `$XDG_STATE_HOME/holdpoint/trust.json`, or the same below `~/.local/state`.
fn own() -> Result<PathBuf, Failure> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder =
        set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let folder = folder.ok_or_else(|| {
        Failure::usage("there is no HOME to remember trust bundles in; name a file with --state")
    })?;
    Ok(folder.join("holdpoint/trust.json"))
}
