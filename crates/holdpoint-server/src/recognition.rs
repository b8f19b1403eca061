//! Whether the replicated state knows this node as its directory has it.
//!
//! What is compared never changes once it is there: the cluster's identity from its first entry on, a
//! node's incarnation and keys from its announcement on. So a difference is final, and the node
//! stops: it would look healthy, and nobody could verify what it signs. Nothing here writes anything,
//! and nothing here mends a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::record::NodeRecord;
use holdpoint_core::{ApplyError, GroupId, Query};
use holdpoint_raft::Group;
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::{Incarnation, StoreError};

use crate::gate::{Gate, OwnIdentity};

/// How often a node looks that the cluster does not know yet.
const PERIOD: Duration = Duration::from_millis(200);

/// How this node differs from the one that the replicated state knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecognitionError {
    /// The identity file names another cluster than the state beside it.
    #[error(
        "`{}` names cluster {own}, and the state in its folder belongs to cluster {known}; restore \
         the file, then start again",
        file.display()
    )]
    Cluster {
        /// The identity file.
        file: PathBuf,
        /// The cluster that it names.
        own: ClusterId,
        /// The cluster of the state.
        known: ClusterId,
    },
    /// The identity file names another incarnation than the cluster knows.
    #[error(
        "`{}` names incarnation {own}, and the cluster knows node {node} with incarnation {known}; \
         restore the file, then start again",
        file.display()
    )]
    Incarnation {
        /// The identity file.
        file: PathBuf,
        /// This node.
        node: NodeId,
        /// The incarnation that it names.
        own: Incarnation,
        /// The incarnation of the state.
        known: Incarnation,
    },
    /// Each of the two key files holds the other's key.
    #[error(
        "`{}` and `{}` hold each other's keys; swap the two files, then start again",
        log.display(), node.display()
    )]
    KeysSwapped {
        /// The file of the log key.
        log: PathBuf,
        /// The file of the co-signing key.
        node: PathBuf,
    },
    /// A key file holds another key than the cluster knows.
    #[error(
        "`{}` does not hold the key that node {node} announced to the cluster, so nobody could \
         verify what it signs; restore the file, or add the node again under a new id and an empty \
         directory",
        file.display()
    )]
    Key {
        /// The key file.
        file: PathBuf,
        /// This node.
        node: NodeId,
    },
}

/// Where a node keeps its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPaths {
    /// The key that signs heads as a log.
    pub(crate) log: PathBuf,
    /// The key that co-signs heads.
    pub(crate) node: PathBuf,
}

/// Whether what `group` has applied here names this node; reads on this thread.
///
/// # Errors
///
/// It names this node otherwise. A state that cannot be read stops the group by itself.
pub(crate) fn recognise(group: &Group, own: &OwnIdentity) -> Result<bool, RecognitionError> {
    let known = group.local_view(|view| {
        let state = Query::new(&view, GroupId::FIRST);
        Ok::<_, ApplyError<StoreError>>((state.group()?, state.node(own.node)?))
    });
    let Ok(Ok((group, node))) = known else {
        return Ok(false);
    };
    if let Some(group) = group {
        compare_cluster(&own.root, own.cluster, group.cluster)?;
    }
    match node {
        Some(known) => compare(own, &known).map(|()| true),
        None => Ok(false),
    }
}

/// Looks until the cluster knows this node, and resolves only if it knows it otherwise.
pub(crate) async fn refused(gate: Arc<Gate>) -> RecognitionError {
    loop {
        match gate.recognised().await {
            Err(refused) => return refused,
            // It stays so.
            Ok(true) => std::future::pending::<()>().await,
            Ok(false) => tokio::time::sleep(PERIOD).await,
        }
    }
}

fn compare_cluster(root: &Path, own: ClusterId, known: ClusterId) -> Result<(), RecognitionError> {
    if own == known {
        return Ok(());
    }
    let file = identity_file(root);
    Err(RecognitionError::Cluster { file, own, known })
}

fn compare(own: &OwnIdentity, known: &NodeRecord) -> Result<(), RecognitionError> {
    let incarnation = Incarnation::from_bytes(known.incarnation);
    if own.incarnation != incarnation {
        return Err(RecognitionError::Incarnation {
            file: identity_file(&own.root),
            node: own.node,
            own: own.incarnation,
            known: incarnation,
        });
    }
    let (log, cosign) = (own.keys.log.as_bytes(), own.keys.cosign.as_bytes());
    let KeyPaths {
        log: log_file,
        node,
    } = own.key_paths.clone();
    if (log, cosign) == (&known.cosign_key, &known.log_key) {
        let log = log_file;
        return Err(RecognitionError::KeysSwapped { log, node });
    }
    let file = if *log != known.log_key {
        log_file
    } else if *cosign != known.cosign_key {
        node
    } else {
        return Ok(());
    };
    Err(RecognitionError::Key {
        file,
        node: own.node,
    })
}

fn identity_file(root: &Path) -> PathBuf {
    root.join("identity.json")
}
