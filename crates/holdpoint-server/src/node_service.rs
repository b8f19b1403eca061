//! What this node answers when other nodes ask it above raft.
//!
//! It only finds who knows the answer.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdpoint_raft::{NodeAnswer, NodeQuestion, NodeService};
use holdpoint_receipt::NodeId;

use crate::audit::Door;
use crate::cosign::{self, Service};
use crate::new_keys::NewKeys;
use crate::witnesses::{Witnesses, shown_to_nodes};

/// Answers other nodes.
#[derive(Clone)]
pub(crate) struct Answering {
    heads: Arc<Service>,
    keys: NewKeys,
    disputes: Door,
    witnesses: Witnesses,
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl Answering {
    pub(crate) fn new(heads: Service, keys: NewKeys, disputes: Door, witnesses: Witnesses) -> Self {
        Self {
            heads: Arc::new(heads),
            keys,
            disputes,
            witnesses,
        }
    }
}

impl NodeService for Answering {
    fn answer(&self, from: NodeId, question: NodeQuestion) -> BoxFuture<'static, NodeAnswer> {
        let (heads, keys) = (Arc::clone(&self.heads), self.keys.clone());
        let (disputes, witnesses) = (self.disputes.clone(), self.witnesses.clone());
        async move {
            match question {
                NodeQuestion::SignHead(question) => {
                    NodeAnswer::SignHead(cosign::channel::sign_head(&heads, question).await)
                }
                NodeQuestion::WantHead(question) => {
                    let (namespace, is_shown) = (question.namespace.clone(), question.witnessed);
                    let answer = cosign::channel::want_head(&heads, question).await;
                    NodeAnswer::WantHead(if is_shown {
                        shown_to_nodes(&witnesses, &namespace, answer)
                    } else {
                        answer
                    })
                }
                NodeQuestion::SignedBefore(question) => NodeAnswer::SignedBefore(
                    cosign::channel::signed_before(&heads, from, &question),
                ),
                NodeQuestion::Dispute(question) => {
                    NodeAnswer::Dispute(disputes.answer(from, question).await)
                }
                NodeQuestion::NewKeys(question) => NodeAnswer::NewKeys(keys.answer(question).await),
            }
        }
        .boxed()
    }
}
