//! What the process tells whoever started it, so that it can be printed. Structured logs are apart.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use holdpoint_receipt::{ClusterId, Digest, Name, NodeId, PolicyVersion};

/// Something worth telling, in the order in which it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The data directory is open.
    Opened {
        /// The cluster that it belongs to.
        cluster: ClusterId,
        /// The node that it belongs to.
        node: NodeId,
        /// Where it is.
        data_dir: PathBuf,
        /// Whether it was made just now.
        is_new: bool,
    },
    /// Clients and, in a cluster file, the other nodes can connect.
    Listening {
        /// Where clients are answered.
        client: SocketAddr,
        /// Where the other nodes are answered.
        peer: SocketAddr,
    },
    /// The cluster has a leader that this node knows.
    LeaderKnown {
        /// The leader.
        leader: NodeId,
        /// Whether that is this node.
        is_self: bool,
        /// The term.
        term: u64,
    },
    /// `dev` has a policy in force.
    PolicyInForce {
        /// The name that the bundle gives itself.
        name: Name,
        /// The number of the activation.
        version: PolicyVersion,
        /// The bundle.
        digest: Digest,
    },
    /// This node can decide, or knows who can.
    Ready {
        /// Time since the start.
        after: Duration,
    },
    /// The node stops: nothing new is admitted.
    Stopping {
        /// Why.
        cause: String,
    },
    /// Everything is flushed and closed.
    Stopped,
}

/// Takes events. Must not block.
pub type Listener = Box<dyn FnMut(Event) + Send>;

/// Hands events to the listener; cheap to clone.
#[derive(Clone)]
pub(crate) struct Events(std::sync::Arc<std::sync::Mutex<Listener>>);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    pub(crate) fn new(listener: Listener) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(listener)))
    }

    pub(crate) fn tell(&self, event: Event) {
        let mut listener = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        listener(event);
    }
}
