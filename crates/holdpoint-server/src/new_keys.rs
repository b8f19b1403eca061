//! Keys that this node makes when the leader asks for others in the place of those that it has.
//!
//! The secret halves are on this node's disk before the public ones leave it. Asked again before the
//! new keys are in the log, it answers with the same. It never proposes anything: whether the keys
//! are taken is said by the log.

use std::sync::Arc;

use holdpoint_core::record::SignerRecord;
use holdpoint_core::{ApplyError, GroupId, Query};
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::new_keys_answer::{Answer, Made};
use holdpoint_receipt::NodeId;
use holdpoint_receipt::keys::NodePublicKeys;
use holdpoint_storage::{RocksState, StateStore, StoreError};

use crate::home::{Generations, HomeError, NamedKeys};

/// The word of a node whose keys are not those that are to be replaced.
pub(crate) const KEYS_MOVED: &str = "keys_moved";

/// Makes keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct NewKeys {
    node: NodeId,
    state: Arc<RocksState>,
    keys: Generations,
}

/// Why no keys are made.
#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error("the keys of node {0} are not those that are to be replaced")]
    Moved(NodeId),
    #[error(transparent)]
    Disk(#[from] HomeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] ApplyError<StoreError>),
    #[error("the node is stopping")]
    Stopping,
}

impl NotMade {
    const fn word(&self) -> &'static str {
        match self {
            Self::Moved(_) => KEYS_MOVED,
            Self::Disk(_) => "disk",
            Self::Store(_) | Self::State(_) => "fault",
            Self::Stopping => "stopping",
        }
    }
}

impl NewKeys {
    pub(crate) fn new(node: NodeId, state: Arc<RocksState>, keys: Generations) -> Self {
        Self { node, state, keys }
    }

    /// Answers the leader.
    pub(crate) async fn answer(&self, question: wire::NewKeys) -> wire::NewKeysAnswer {
        let this = self.clone();
        let made = tokio::task::spawn_blocking(move || this.make(&question)).await;
        let answer = match made.unwrap_or(Err(NotMade::Stopping)) {
            Ok(keys) => Answer::Made(Made {
                log_key: keys.log.as_bytes().to_vec().into(),
                cosign_key: keys.cosign.as_bytes().to_vec().into(),
            }),
            Err(error) => {
                tracing::warn!(%error, "asked for new keys, and made none");
                Answer::Declined(wire::Declined {
                    word: error.word().to_owned(),
                    detail: error.to_string(),
                })
            }
        };
        wire::NewKeysAnswer {
            answer: Some(answer),
        }
    }

    fn make(&self, question: &wire::NewKeys) -> Result<NodePublicKeys, NotMade> {
        let named = self
            .state
            .read(|view| NamedKeys::read(&Query::new(view, GroupId::FIRST), self.node))??;
        let is_meant = |present: &SignerRecord| {
            present.log_key[..] == question.log_key[..]
                && present.cosign_key[..] == question.cosign_key[..]
        };
        if !named.present.as_ref().is_some_and(is_meant) {
            return Err(NotMade::Moved(self.node));
        }
        Ok(self.keys.unnamed(|pair| named.names(pair))?)
    }
}
