//! What this node answers when other nodes ask it above raft.
//!
//! It only finds who knows the answer.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::dispute_answer;
use holdpoint_raft::{NodeAnswer, NodeQuestion, NodeService};
use holdpoint_receipt::NodeId;

use crate::cosign::{self, Service};
use crate::new_keys::NewKeys;

/// Answers other nodes.
#[derive(Clone)]
pub(crate) struct Answering {
    heads: Arc<Service>,
    keys: NewKeys,
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl Answering {
    pub(crate) fn new(heads: Service, keys: NewKeys) -> Self {
        Self {
            heads: Arc::new(heads),
            keys,
        }
    }
}

impl NodeService for Answering {
    fn answer(&self, from: NodeId, question: NodeQuestion) -> BoxFuture<'static, NodeAnswer> {
        let (heads, keys) = (Arc::clone(&self.heads), self.keys.clone());
        async move {
            match question {
                NodeQuestion::SignHead(question) => {
                    NodeAnswer::SignHead(cosign::channel::sign_head(&heads, question).await)
                }
                NodeQuestion::WantHead(question) => {
                    NodeAnswer::WantHead(cosign::channel::want_head(&heads, question).await)
                }
                NodeQuestion::SignedBefore(question) => NodeAnswer::SignedBefore(
                    cosign::channel::signed_before(&heads, from, &question),
                ),
                NodeQuestion::Dispute(_) => NodeAnswer::Dispute(wire::DisputeAnswer {
                    answer: Some(dispute_answer::Answer::Declined(not_here())),
                }),
                NodeQuestion::NewKeys(question) => NodeAnswer::NewKeys(keys.answer(question).await),
            }
        }
        .boxed()
    }
}

/// What a version says that does not know the question.
fn not_here() -> wire::Declined {
    wire::Declined {
        word: "unsupported".to_owned(),
        detail: "this version does not answer such questions".to_owned(),
    }
}
