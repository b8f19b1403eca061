//! Why a data directory was not created or not opened.

use std::io;
use std::path::{Path, PathBuf};

use holdpoint_receipt::{ClusterId, NodeId};

/// Why a data directory was not created. What was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A node lives there already.
    #[error("`{}` is the data directory of a node already; start it instead", root.display())]
    AlreadyInitialised {
        /// The directory.
        root: PathBuf,
    },
    /// The directory holds something that is not ours to overwrite.
    #[error(
        "`{}` is not empty (it holds `{found}`); give an empty directory or one that does not exist",
        root.display()
    )]
    NotEmpty {
        /// The directory.
        root: PathBuf,
        /// One of the things found there.
        found: String,
    },
    /// Another process has the directory.
    #[error("`{}` is in use by another process", root.display())]
    Locked {
        /// The directory.
        root: PathBuf,
    },
    /// The disk or the database refused.
    #[error(transparent)]
    Fault(#[from] DiskError),
}

/// Why a data directory was not opened. Nothing in it was changed, except that leftovers of an
/// interrupted snapshot were removed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing to open.
    #[error("`{}` is not initialised as a data directory; create the node first", root.display())]
    NotInitialised {
        /// The directory.
        root: PathBuf,
    },
    /// The data is there and its `identity.json` is not, so nobody can say whose data it is.
    #[error(
        "`{}` holds data and no `identity.json`; a part of the directory is lost, so it must not \
         be used: add the node again under a new id and an empty directory",
        root.display()
    )]
    IdentityMissing {
        /// The directory.
        root: PathBuf,
    },
    /// `identity.json`, `CURRENT` or `log.high` cannot be understood.
    #[error("`{}` is damaged: {problem}", file.display())]
    DamagedFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer version of this program wrote the directory.
    #[error(
        "`{}` has format {found}, and this version understands format {known}; use a newer version",
        root.display()
    )]
    Format {
        /// The directory.
        root: PathBuf,
        /// Its format.
        found: u32,
        /// The format this version writes and reads.
        known: u32,
    },
    /// Another process has the directory.
    #[error("`{}` is in use by another process", root.display())]
    Locked {
        /// The directory.
        root: PathBuf,
    },
    /// The directory belongs to another cluster.
    #[error("`{}` belongs to cluster `{found}`, not to `{expected}`", root.display())]
    OtherCluster {
        /// The directory.
        root: PathBuf,
        /// The cluster it belongs to.
        found: ClusterId,
        /// The cluster that was asked for.
        expected: ClusterId,
    },
    /// The directory belongs to another node of the cluster.
    #[error("`{}` belongs to node {found}, not to node {expected}", root.display())]
    OtherNode {
        /// The directory.
        root: PathBuf,
        /// The node it belongs to.
        found: NodeId,
        /// The node that was asked for.
        expected: NodeId,
    },
    /// A part that every data directory has is gone.
    #[error(
        "`{}` is missing, and with it what this node has acknowledged; add the node again under a \
         new id and an empty directory",
        path.display()
    )]
    Missing {
        /// The file or folder that should be there.
        path: PathBuf,
    },
    /// A file of a database has bytes that nobody wrote.
    #[error(
        "`{}` is damaged at byte {offset}: {problem}; what this node has acknowledged cannot be \
         read back, so it does not start: add it again under a new id and an empty directory",
        file.display()
    )]
    DamagedRecord {
        /// The file.
        file: PathBuf,
        /// Where in the file the first damaged record starts.
        offset: u64,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The log ends before an entry that was durable.
    #[error(
        "the log of group {group} ends at entry {last}, but entry {high} was durable; the log \
         directory was replaced or a part of it is lost: add the node again under a new id and an \
         empty directory"
    )]
    LogShort {
        /// The group.
        group: u32,
        /// The last entry found, 0 if there is none.
        last: u64,
        /// A lower bound of the last durable entry.
        high: u64,
    },
    /// The log has a hole.
    #[error("the log of group {group} has a hole: entry {expected} should come, {found} does")]
    LogHole {
        /// The group.
        group: u32,
        /// The index that should come.
        expected: u64,
        /// The index that does.
        found: u64,
    },
    /// The disk or the database refused.
    #[error(transparent)]
    Fault(#[from] DiskError),
}

/// A file operation that failed, or a database that refused.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing} `{}`", path.display())]
pub struct DiskError {
    /// What was tried, as in "sync".
    pub doing: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// A closure for `map_err` that says what was tried on which path.
    pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            doing,
            path,
            source,
        }
    }
}
