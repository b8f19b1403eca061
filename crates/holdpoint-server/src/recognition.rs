//! Whether the replicated state knows this node as its directory has it.
//!
//! The cluster's identity and a node's incarnation never change once they are there, and a node's keys
//! only to others that are on its disk. So a difference is final, and the node stops: it would look
//! healthy, and nobody could verify what it signs. Nothing here writes anything, and nothing here
//! mends a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::record::{NodeRecord, SignerRecord};
use holdpoint_core::{ApplyError, GroupId, Query};
use holdpoint_raft::Group;
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::{Incarnation, StoreError};

use crate::gate::{Gate, OwnIdentity};

/// How often a node looks that the cluster does not know yet.
const PERIOD: Duration = Duration::from_millis(200);

/// The same once it does: then only its keys change, and seldom.
const PERIOD_KNOWN: Duration = Duration::from_secs(1);

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
        "`{}` does not hold the key that the cluster knows node {node} by, so nobody could \
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

/// Looks again and again, and resolves only if the cluster knows this node otherwise. Wipes the keys
/// that nothing needs any more.
pub(crate) async fn refused(gate: Arc<Gate>) -> RecognitionError {
    loop {
        match gate.recognised().await {
            Err(refused) => return refused,
            Ok(true) => {
                gate.wipe_old_keys().await;
                tokio::time::sleep(PERIOD_KNOWN).await;
            }
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
    let named = SignerRecord {
        node: own.node,
        log_key: known.log_key,
        cosign_key: known.cosign_key,
    };
    if own.keys.take_for_present(&named) {
        return Ok(());
    }
    Err(match own.keys.swapped(&named) {
        Some((log, node)) => RecognitionError::KeysSwapped { log, node },
        None => RecognitionError::Key {
            file: own.keys.wrong_file(&named),
            node: own.node,
        },
    })
}

fn identity_file(root: &Path) -> PathBuf {
    root.join("identity.json")
}
