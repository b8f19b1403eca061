//! What this node answers when another one asks about heads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdpoint_raft::Leadership;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Name, NodeId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::attempt::answer;
use super::error::SignError;
use super::heads::{Head, Proven, ProvenHeads};
use super::nodes::{Answer, Lead};
use super::prover::Want;
use super::signer::SignHead;
use super::standing::Standing;
use super::threads::Desk;

/// How long this node waits until it has applied what it is asked to sign.
const APPLY_WAIT: Duration = Duration::from_millis(500);

/// How often this node verifies a proven head that it is told of. It takes the next one as well as this.
const LEARN_EVERY: Duration = Duration::from_millis(100);

/// How long a proven head is collected for another node.
const COLLECT_WAIT: Duration = Duration::from_millis(2_500);

/// Answers other nodes. It asks none of them, except through a round if this node leads.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) desk: Desk,
    pub(crate) heads: ProvenHeads,
    pub(crate) standing: Standing,
    pub(crate) applied: watch::Receiver<holdpoint_raft::Applied>,
    pub(crate) wants: mpsc::Sender<Want>,
    /// Who leads. Not the group itself: that holds this service.
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// When it last learned a head that it was told of.
    pub(crate) learned_at: Mutex<BTreeMap<Name, Instant>>,
}

impl Service {
    /// Signs a head that the leader asks for, once this node has applied it.
    pub(crate) async fn sign_head(&self, asked: SignHead, proven: Option<Note>) -> Answer {
        let (namespace, size) = (asked.namespace.clone(), asked.head.size);
        let applied = self.applied(&namespace, size).await;
        if applied < size {
            return Answer::NotYet(applied);
        }
        let head = asked.head;
        let signed = self.desk.sign(asked).await;
        self.standing.tried(&signed);
        let answer = answer(signed);
        if let Answer::Mismatch(own) = &answer {
            self.standing.mismatched();
            tracing::error!(
                %namespace, size, root = %head.root, %own,
                "ALARM: the leader has another log of statements; this node does not sign it"
            );
        }
        if let Some(note) = proven {
            self.learn(namespace, note);
        }
        answer
    }

    /// Learns a proven head, when there is time: the one who asks does not wait for it.
    fn learn(&self, namespace: Name, note: Note) {
        let newest = self.heads.newest(&namespace);
        if newest.is_some_and(|newest| newest.note == note) || !self.is_time_to_learn(&namespace) {
            return;
        }
        let desk = self.desk.clone();
        tokio::spawn(async move {
            if let Err(error) = desk.learn(&namespace, note).await {
                tracing::debug!(%namespace, %error, "the leader's proven head is not taken");
            }
        });
    }

    /// Whether the last head of `namespace` was learned some time ago. Says so once, and counts as learning.
    fn is_time_to_learn(&self, namespace: &Name) -> bool {
        let now = Instant::now();
        let mut learned = self
            .learned_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = learned.get(namespace);
        let is_time = last.is_none_or(|last| now.saturating_duration_since(*last) >= LEARN_EVERY);
        if is_time {
            learned.insert(namespace.clone(), now);
        }
        is_time
    }

    /// How many leaves are applied, once there are `size` or the wait is over.
    async fn applied(&self, namespace: &Name, size: u64) -> u64 {
        let found = |applied: &holdpoint_raft::Applied| {
            applied.tree_sizes.get(namespace).copied().unwrap_or(0)
        };
        let mut applied = self.applied.clone();
        let reached = timeout(
            APPLY_WAIT,
            applied.wait_for(|applied| found(applied) >= size),
        )
        .await;
        match reached {
            Ok(Ok(applied)) => found(&applied),
            Ok(Err(_)) | Err(_) => found(&self.applied.borrow()),
        }
    }

    /// A proven head of at least so many leaves, if this node leads and can have it made in time.
    pub(crate) async fn want_head(&self, namespace: Name, size: u64) -> Option<Note> {
        if Lead::from(&*self.leadership.borrow()) != Lead::Own {
            return None;
        }
        let proven = match self.heads.covering(&namespace, size) {
            Some(proven) => proven,
            None => self.cover(namespace, size).await.ok()?,
        };
        Some(proven.note.clone())
    }

    async fn cover(&self, namespace: Name, size: u64) -> Result<Arc<Proven>, SignError> {
        let (reply, answer) = oneshot::channel();
        let want = Want::Cover {
            namespace,
            size,
            reply,
        };
        self.wants
            .send(want)
            .await
            .map_err(|_| SignError::Stopped)?;
        let answer = timeout(COLLECT_WAIT, answer).await;
        answer
            .map_err(|_| SignError::NoLeader)?
            .map_err(|_| SignError::Stopped)?
    }

    /// The largest head that `node` signed, as far as this node knows.
    pub(crate) fn signed_before(&self, node: NodeId, namespace: &Name) -> Option<Head> {
        self.heads.signed(namespace, node)
    }
}
