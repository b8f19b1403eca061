//! What nodes ask of each other above raft: heads to sign, proven heads, keys, disputed verdicts.
//!
//! The channel admits frames, bounds how many questions are in work, and carries them; what a question
//! means is the [`NodeService`]'s business. It never looks into one, never repeats one, and never lets
//! one wait behind the log or delay it: questions have connections of their own.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::Refusal;
use holdpoint_proto::peer::v1::ask_answer::Answer;
use holdpoint_proto::peer::v1::ask_request::Question;
use holdpoint_proto::peer::v1::refusal::Reason;
use holdpoint_receipt::NodeId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits;
use crate::net::{Lane, Net, NetError};
use crate::peers::{Peers, refusal};

/// A question of one node to another.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeQuestion {
    /// The leader asks for a signature of a head.
    SignHead(wire::SignHead),
    /// Asks the leader for a proven head.
    WantHead(wire::WantHead),
    /// Asks what the asker signed last.
    SignedBefore(wire::SignedBefore),
    /// Tells the leader of a verdict that is not what this node evaluates.
    Dispute(wire::Dispute),
    /// The leader asks for new keys.
    NewKeys(wire::NewKeys),
}

/// The answer to a [`NodeQuestion`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeAnswer {
    /// To [`NodeQuestion::SignHead`].
    SignHead(wire::SignHeadAnswer),
    /// To [`NodeQuestion::WantHead`].
    WantHead(wire::WantHeadAnswer),
    /// To [`NodeQuestion::SignedBefore`].
    SignedBefore(wire::SignedBeforeAnswer),
    /// To [`NodeQuestion::Dispute`].
    Dispute(wire::DisputeAnswer),
    /// To [`NodeQuestion::NewKeys`].
    NewKeys(wire::NewKeysAnswer),
}

impl NodeQuestion {
    fn into_wire(self) -> Question {
        match self {
            Self::SignHead(it) => Question::SignHead(it),
            Self::WantHead(it) => Question::WantHead(it),
            Self::SignedBefore(it) => Question::SignedBefore(it),
            Self::Dispute(it) => Question::Dispute(it),
            Self::NewKeys(it) => Question::NewKeys(it),
        }
    }

    /// Whether `answer` is of the kind that this asks for.
    fn is_answered_by(&self, answer: &NodeAnswer) -> bool {
        matches!(
            (self, answer),
            (Self::SignHead(_), NodeAnswer::SignHead(_))
                | (Self::WantHead(_), NodeAnswer::WantHead(_))
                | (Self::SignedBefore(_), NodeAnswer::SignedBefore(_))
                | (Self::Dispute(_), NodeAnswer::Dispute(_))
                | (Self::NewKeys(_), NodeAnswer::NewKeys(_))
        )
    }
}

impl NodeAnswer {
    fn into_wire(self) -> Answer {
        match self {
            Self::SignHead(it) => Answer::SignHead(it),
            Self::WantHead(it) => Answer::WantHead(it),
            Self::SignedBefore(it) => Answer::SignedBefore(it),
            Self::Dispute(it) => Answer::Dispute(it),
            Self::NewKeys(it) => Answer::NewKeys(it),
        }
    }

    /// None for what answers no node's question.
    fn from_wire(answer: Answer) -> Option<Self> {
        match answer {
            Answer::SignHead(it) => Some(Self::SignHead(it)),
            Answer::WantHead(it) => Some(Self::WantHead(it)),
            Answer::SignedBefore(it) => Some(Self::SignedBefore(it)),
            Answer::Dispute(it) => Some(Self::Dispute(it)),
            Answer::NewKeys(it) => Some(Self::NewKeys(it)),
            Answer::Refusal(_)
            | Answer::Hello(_)
            | Answer::Vote(_)
            | Answer::Heartbeat(_)
            | Answer::TransferLeader(_)
            | Answer::ReadClock(_) => None,
        }
    }
}

/// Answers what other nodes ask.
pub trait NodeService: Send + Sync {
    /// Answers `question` of the member `from`, in the kind of the question.
    ///
    /// At most [`limits::NODE_QUESTIONS_MAX`] calls are in work at once, each for at most
    /// [`limits::NODE_ANSWER`]. The future may be dropped wherever it waits: its asker is gone then.
    fn answer(&self, from: NodeId, question: NodeQuestion) -> BoxFuture<'static, NodeAnswer>;
}

/// Why a node gave no answer. It may have acted on the question all the same, unless
/// [`AskNodeError::may_have_acted`] says that it certainly has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskNodeError {
    /// The membership does not name the node.
    #[error("node {node} is not a member of the group")]
    UnknownNode {
        /// Who was asked.
        node: NodeId,
    },
    /// This node asks as many questions as it may. Nothing was sent.
    #[error("overloaded: {asking_count_max} questions to other nodes wait, and no more may")]
    Overloaded {
        /// How many may wait.
        asking_count_max: usize,
    },
    /// The node cannot be reached, or did not answer in time.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The node does not admit the question, and has done nothing.
    #[error("node {node} refuses: {detail}")]
    Refused {
        /// Who was asked.
        node: NodeId,
        /// Why, in one sentence.
        detail: String,
    },
    /// What came back is no answer to what was asked.
    #[error("node {node} answered something else than it was asked")]
    OtherAnswer {
        /// Who was asked.
        node: NodeId,
    },
}

impl AskNodeError {
    /// Whether the node may have acted on the question. Only `false` is a proof.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::UnknownNode { .. } | Self::Overloaded { .. } | Self::Refused { .. } => false,
            Self::Net(_) | Self::OtherAnswer { .. } => true,
        }
    }
}

/// The service of this node, once it has one, and the places for what it works on.
pub(crate) struct Counter {
    service: OnceLock<Arc<dyn NodeService>>,
    places: Semaphore,
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter")
            .field("has_service", &self.service.get().is_some())
            .field("places", &self.places.available_permits())
            .finish()
    }
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self {
            service: OnceLock::new(),
            places: Semaphore::new(limits::NODE_QUESTIONS_MAX),
        }
    }

    /// Takes the first service that is given; says whether this is it.
    pub(crate) fn open(&self, service: Arc<dyn NodeService>) -> bool {
        self.service.set(service).is_ok()
    }

    /// Has `question` of `from` answered.
    pub(crate) async fn answer(
        &self,
        from: NodeId,
        question: NodeQuestion,
    ) -> Result<NodeAnswer, Refusal> {
        let Some(service) = self.service.get() else {
            let detail = "this node does not answer such questions yet".to_owned();
            return Err(refusal(Reason::NotReady, detail));
        };
        let Ok(_place) = self.places.try_acquire() else {
            let detail = format!(
                "this node answers {} such questions already",
                limits::NODE_QUESTIONS_MAX
            );
            return Err(refusal(Reason::Busy, detail));
        };
        let answering = service.answer(from, question);
        timeout(limits::NODE_ANSWER, answering).await.map_err(|_| {
            let detail = "this node found no answer in time".to_owned();
            refusal(Reason::NotReady, detail)
        })
    }

    /// The same as a frame answers it.
    pub(crate) async fn answer_frame(
        &self,
        from: u64,
        question: NodeQuestion,
    ) -> Result<Answer, Refusal> {
        let from = NodeId::new(from)
            .map_err(|_| refusal(Reason::Malformed, "the sender names no node".to_owned()))?;
        self.answer(from, question).await.map(NodeAnswer::into_wire)
    }
}

/// Asks other nodes.
#[derive(Debug)]
pub(crate) struct NodeAsker {
    pub(crate) peers: Arc<Peers>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) counter: Arc<Counter>,
    pub(crate) places: Semaphore,
}

impl NodeAsker {
    pub(crate) async fn ask(
        &self,
        node: NodeId,
        question: NodeQuestion,
        wait: Duration,
    ) -> Result<NodeAnswer, AskNodeError> {
        let wait = wait.min(limits::WAIT_MAX);
        if node == self.peers.local().node {
            return self.ask_self(node, question, wait).await;
        }
        let Some(member) = self.peers.member(node.get()) else {
            return Err(AskNodeError::UnknownNode { node });
        };
        let Ok(_place) = self.places.try_acquire() else {
            let asking_count_max = limits::NODE_QUESTIONS_ASKED_MAX;
            return Err(AskNodeError::Overloaded { asking_count_max });
        };
        let envelope = self.peers.envelope(node.get(), Some(member.incarnation));
        let request = wire::AskRequest {
            envelope: Some(envelope),
            question: Some(question.clone().into_wire()),
        };
        let asked = self
            .net
            .ask(&member.peer_address, Lane::Node, request, wait);
        match asked.await?.answer {
            Some(Answer::Refusal(refusal)) => {
                self.peers.refused_by(node.get(), &refusal);
                Err(refused(node, refusal))
            }
            answer => answer
                .and_then(NodeAnswer::from_wire)
                .filter(|answer| question.is_answered_by(answer))
                .ok_or(AskNodeError::OtherAnswer { node }),
        }
    }

    async fn ask_self(
        &self,
        node: NodeId,
        question: NodeQuestion,
        wait: Duration,
    ) -> Result<NodeAnswer, AskNodeError> {
        match timeout(wait, self.counter.answer(node, question)).await {
            Ok(answer) => answer.map_err(|refusal| refused(node, refusal)),
            Err(_) => Err(AskNodeError::Net(NetError::TimedOut {
                address: self.peers.local().member.peer_address.clone(),
                wait,
            })),
        }
    }
}

fn refused(node: NodeId, refusal: Refusal) -> AskNodeError {
    let detail = refusal.detail;
    AskNodeError::Refused { node, detail }
}
