//! The leader's side of a dispute: it goes into the log, whatever the leader thinks of it.
//!
//! Nothing is evaluated here. A node that disputes without reason stops grants of a surface and takes
//! a permit back before anything was done with it, and that is all that it can do.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use holdpoint_core::Outcome;
use holdpoint_core::command::{Command, Dispute};
use holdpoint_core::outcome::ChangeOutcome;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::dispute_answer::{Answer, Recorded};
use holdpoint_receipt::{Name, NodeId};
use tokio::sync::{mpsc, oneshot};

use crate::gate::Gate;
use crate::limits::{DISPUTES_ASKED_MAX, DISPUTES_TOLD_MAX};
use crate::random;

/// How long it may take to put a dispute into the log.
const PROPOSE: Duration = Duration::from_secs(2);

/// A dispute of another node, or of this one.
#[derive(Debug)]
pub(crate) struct Disputed {
    from: NodeId,
    question: wire::Dispute,
    reply: oneshot::Sender<wire::DisputeAnswer>,
}

/// Where disputes come in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Door(mpsc::Sender<Disputed>);

/// A door, and what comes through it.
pub(crate) fn door() -> (Door, mpsc::Receiver<Disputed>) {
    let (door, disputed) = mpsc::channel(DISPUTES_ASKED_MAX);
    (Door(door), disputed)
}

impl Door {
    /// Answers a node that disputes a decision.
    pub(crate) async fn answer(
        &self,
        from: NodeId,
        question: wire::Dispute,
    ) -> wire::DisputeAnswer {
        let (reply, answer) = oneshot::channel();
        let disputed = Disputed {
            from,
            question,
            reply,
        };
        if self.0.try_send(disputed).is_err() {
            return declined("busy", "too many disputes wait, or the node is stopping");
        }
        let stopping = |_| declined("stopping", "the node is stopping");
        answer.await.unwrap_or_else(stopping)
    }
}

fn declined(word: &str, detail: impl Into<String>) -> wire::DisputeAnswer {
    wire::DisputeAnswer {
        answer: Some(Answer::Declined(wire::Declined {
            word: word.to_owned(),
            detail: detail.into(),
        })),
    }
}

/// Answers for as long as the node runs.
pub(super) async fn run(gate: &Gate, mut disputed: mpsc::Receiver<Disputed>) {
    let disputed = stream::poll_fn(move |context| disputed.poll_recv(context));
    let answer = |disputed: Disputed| async move {
        let Disputed {
            from,
            question,
            reply,
        } = disputed;
        let answer = record(gate, from, &question).await;
        // Whoever asked asks again.
        drop(reply.send(answer));
    };
    disputed
        .for_each_concurrent(DISPUTES_TOLD_MAX, answer)
        .await;
}

/// Puts a dispute into the log.
async fn record(gate: &Gate, from: NodeId, question: &wire::Dispute) -> wire::DisputeAnswer {
    let Ok(namespace) = Name::new(question.namespace.as_str()) else {
        return declined("malformed", "the namespace has no such name");
    };
    if gate.group().leadership().borrow().leads().is_none() {
        return declined("not_leader", "this node does not lead");
    }
    let leaf = question.leaf;
    tracing::error!(
        %namespace, leaf, node = %from,
        "ALARM: a node evaluates a decision otherwise than it was recorded; its surface is frozen"
    );
    let Ok(salt) = random::salt() else {
        return declined("fault", "there are no random numbers");
    };
    let command = Command::Dispute(Dispute {
        namespace,
        leaf,
        node: from,
        evaluator_version: question.evaluator_version,
        salt,
    });
    match gate.group().propose(command, PROPOSE).await {
        Ok(committed) => match committed.into_value() {
            Outcome::Changed(ChangeOutcome::Done { .. }) => wire::DisputeAnswer {
                answer: Some(Answer::Recorded(Recorded {})),
            },
            Outcome::Changed(ChangeOutcome::Refused { reason }) => {
                declined("refused", format!("the log refuses it: {reason}"))
            }
            Outcome::Rejected(rejection) => declined("rejected", rejection.to_string()),
            outcome => {
                tracing::error!(?outcome, "a dispute had another command's outcome");
                declined("fault", "it had another outcome")
            }
        },
        Err(error) => declined("not_proposed", error.to_string()),
    }
}
