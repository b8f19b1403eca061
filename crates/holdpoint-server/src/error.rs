//! Why the process did not start, or stopped by itself. Each prints once; its cause is in `source()`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use holdpoint_raft::GroupFault;

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
    #[error(transparent)]
    Fault(Arc<GroupFault>),
    /// `dev` could not set its folder up.
    #[error("cannot set up `{}`: {problem}", path.display())]
    Dev {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
}
