//! Why the process did not start, or stopped by itself. Each prints once; its cause is in `source()`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use holdpoint_raft::GroupFault;
use holdpoint_receipt::NodeId;

use crate::config::ConfigError;
use crate::home::HomeError;
use crate::recognition::RecognitionError;
use crate::transport::ServeError;

/// Why the process must end with a failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It does not know what to do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}; is another node running?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The cluster knows this node otherwise than its directory has it.
    #[error(transparent)]
    Recognition(#[from] RecognitionError),
    /// The group did not start.
    #[error("the node cannot take part in its group")]
    Start(#[from] holdpoint_raft::StartError),
    /// The system gives no thread.
    #[error("the system gives no thread")]
    Thread(#[source] std::io::Error),
    /// Clients are not served any more.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Peers are not served any more.
    #[error(transparent)]
    Peers(#[from] holdpoint_raft::ServeError),
    /// A task ended that must not end before the node does.
    #[error("a part of the node ended by itself: {0}")]
    Task(&'static str),
    /// The group stopped by a fault. What the disk holds is read at the next start.
    #[error("the node stops: {}{}", .0, next(.0))]
    Fault(Arc<GroupFault>),
    /// The cluster has taken this node out.
    #[error(
        "node {node} was removed from the cluster, and its id is never used again; to let this machine \
         take part, start it with an id that was never used and an empty directory instead of `{}`",
        data_dir.display()
    )]
    Removed {
        /// This node.
        node: NodeId,
        /// Its data directory.
        data_dir: PathBuf,
    },
    /// `dev` could not set its folder up.
    #[error("cannot set up `{}`: {problem}", path.display())]
    Dev {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
}

/// What the system says of a disk that takes no more.
const FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// What to do about a fault, where that is plain.
fn next(fault: &GroupFault) -> &'static str {
    let said = fault.to_string();
    if FULL.iter().any(|full| said.contains(full)) {
        "; free space, then start again"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_storage::{Fault, StoreError};

    use super::*;

    fn check(cause: &str, expected: &str) {
        let first = Arc::new(Fault {
            doing: "write the log",
            file: None,
            cause: cause.to_owned(),
        });
        let fault = GroupFault::Store(StoreError::Poisoned { first });
        let error = RunError::Fault(Arc::new(fault));
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn stop_by_a_full_disk_says_so_and_what_to_do() {
        check(
            "IO error: No space left on device: While appending to file",
            "the node stops: could not write the log: IO error: No space left on device: While \
             appending to file; free space, then start again",
        );
        check(
            "IO error: Input/output error",
            "the node stops: could not write the log: IO error: Input/output error",
        );
    }
}
