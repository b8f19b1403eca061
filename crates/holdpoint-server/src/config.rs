//! What the process is told: the cluster file, and the options of `serve` and `dev`.
//!
//! Reading happens once, at the start. Nothing here listens, opens a data directory or looks at the
//! environment; the binary reads [`ENV_CONFIG`] with its other variables.

mod cluster_file;
mod witness;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use holdpoint_receipt::NodeId;

use crate::key_files::SealingFile;

pub use cluster_file::{ClusterFile, NodeEntry};
pub use witness::WitnessEntry;

/// The environment variable that names the cluster file where `--config` does not.
pub const ENV_CONFIG: &str = "HOLDPOINT_CONFIG";

/// The environment variables that name what keys are encrypted under where no option does.
pub const ENV_KEY_PASSPHRASE_FILE: &str = "HOLDPOINT_KEY_PASSPHRASE_FILE";
/// The same for a key-encryption key.
pub const ENV_KEY_ENCRYPTION_KEY_FILE: &str = "HOLDPOINT_KEY_ENCRYPTION_KEY_FILE";

/// The port on which `dev` answers clients.
pub const DEV_PORT: u16 = 7400;

/// The folder in which `dev` keeps everything.
pub const DEV_DIR: &str = ".holdpoint";

/// What `holdpoint serve` is told.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The cluster file, the same on every node.
    pub config: PathBuf,
    /// Which of the listed nodes this process is.
    pub node: NodeId,
    /// What the node's keys are encrypted under, in place of what the cluster file says.
    pub sealing: Option<SealingFile>,
}

/// What `holdpoint dev` is told.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The folder of the data directory, client configuration, keys and policy.
    pub dir: PathBuf,
    /// Where clients are answered. Must be a loopback address; port 0 takes any free port.
    pub client: SocketAddr,
    /// What the node's keys are encrypted under, if they are.
    pub sealing: Option<SealingFile>,
}

impl Default for DevOptions {
    fn default() -> Self {
        let client = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEV_PORT);
        Self {
            dir: PathBuf::from(DEV_DIR),
            client,
            sealing: None,
        }
    }
}

/// Why the process does not know what it is to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The cluster file cannot be read.
    #[error("cannot read the cluster file `{}`; give its path with --config or {ENV_CONFIG}", path.display())]
    Read {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The cluster file says something that is not understood or not allowed.
    #[error("{}:{line}: {message}", path.display())]
    Invalid {
        /// The path as given.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The cluster file does not list the node.
    #[error("node {node} is not in the cluster file `{}`, which lists {listed}", path.display())]
    UnknownNode {
        /// The path as given.
        path: PathBuf,
        /// The node that was asked for.
        node: NodeId,
        /// The nodes that are there.
        listed: String,
    },
    /// An address that anyone could reach.
    #[error(
        "`{address}` is not a loopback address: callers are only believed on loopback in this \
         version (authentication `loopback`); use an address such as 127.0.0.1:{}", address.port()
    )]
    NotLoopback {
        /// The address as given.
        address: SocketAddr,
    },
}

/// Refuses an address that is not on this machine.
///
/// # Errors
///
/// [`ConfigError::NotLoopback`], because the name that a caller gives itself is believed.
pub fn require_loopback(address: SocketAddr) -> Result<(), ConfigError> {
    if address.ip().is_loopback() {
        Ok(())
    } else {
        Err(ConfigError::NotLoopback { address })
    }
}
