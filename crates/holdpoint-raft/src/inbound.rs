//! What peers send: checked, decoded and handed to openraft.
//!
//! A frame that is not from a known node to this very directory changes nothing. Nothing here waits
//! for anything but openraft and the stream it reads.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::Refusal;
use holdpoint_proto::peer::v1::ask_answer::Answer;
use holdpoint_proto::peer::v1::ask_request::Question;
use holdpoint_proto::peer::v1::refusal::Reason;
use openraft::raft::AppendEntriesRequest;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::disk::StateDisk;
use crate::greeting;
use crate::net::{Frames, PeerHandler};
use crate::node_channel::{Counter, NodeQuestion};
use crate::peers::{Peers, refusal};
use crate::proof::ProofDoor;
use crate::snapshot::{self, Receiver};
use crate::types::{Raft, TypeConfig};
use crate::wire as convert;

/// Answers peers for one group.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub(crate) peers: Arc<Peers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Arc<dyn StateDisk>,
    /// Set once this node has joined its group. Before, only greetings are answered.
    pub(crate) raft: Arc<OnceLock<Raft>>,
    pub(crate) own: Arc<greeting::OwnLog>,
    /// What answers the questions of other nodes.
    pub(crate) counter: Arc<Counter>,
    /// What snapshots must prove.
    pub(crate) door: Arc<ProofDoor>,
    /// Becomes `true` when this node stops taking part: every stream ends then.
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Inbound {
    fn ready(&self) -> Result<&Raft, Refusal> {
        if *self.stopped.borrow() {
            return Err(stopping());
        }
        self.raft.get().ok_or_else(|| {
            refusal(
                Reason::NotReady,
                "this node has not joined its group yet".to_owned(),
            )
        })
    }

    /// Resolves when this node stops taking part.
    fn until_stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stopped.clone();
        async move {
            // A sender that is gone has stopped, too.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    }

    fn admit(&self, envelope: Option<&wire::Envelope>, greeting: bool) -> Result<(), Refusal> {
        self.peers.admit(envelope, greeting).inspect_err(|refusal| {
            let from = envelope.map_or(0, |envelope| envelope.from);
            self.peers
                .tell_once(from, refusal, "this node refuses a peer");
        })
    }

    async fn answer(&self, request: wire::AskRequest) -> Result<Answer, Refusal> {
        let question = request
            .question
            .ok_or_else(|| refusal(Reason::Malformed, "the frame asks nothing".to_owned()))?;
        let greeting = matches!(question, Question::Hello(_));
        self.admit(request.envelope.as_ref(), greeting)?;
        let envelope = request.envelope.unwrap_or_default();
        let from = envelope.from;
        match question {
            Question::Hello(hello) => {
                let raft = self.raft.get();
                Ok(Answer::Hello(greeting::answer(
                    &self.peers,
                    &self.own,
                    raft,
                    &envelope,
                    hello,
                )))
            }
            Question::Vote(vote) => {
                let vote = convert::vote_request_from_wire(vote).map_err(malformed)?;
                let answer = self.ready()?.vote(vote).await.map_err(stopped)?;
                Ok(Answer::Vote(convert::vote_answer_to_wire(&answer)))
            }
            Question::PreVote(vote) => {
                let vote = convert::vote_request_from_wire(vote).map_err(malformed)?;
                let answer = self.ready()?.pre_vote(vote).await.map_err(stopped)?;
                Ok(Answer::Vote(convert::vote_answer_to_wire(&answer)))
            }
            Question::Heartbeat(append) => self.heartbeat(append).await,
            Question::TransferLeader(transfer) => {
                let transfer = convert::transfer_from_wire(transfer).map_err(malformed)?;
                let answer = self
                    .ready()?
                    .handle_transfer_leader(transfer)
                    .await
                    .map_err(stopped)?;
                Ok(Answer::TransferLeader(convert::transfer_answer_to_wire(
                    &answer,
                )))
            }
            Question::ReadClock(_) => Ok(Answer::ReadClock(wire::ReadClockAnswer {
                wall_ms: self.clock.wall_ms(),
            })),
            Question::SignHead(it) => self.ask_service(from, NodeQuestion::SignHead(it)).await,
            Question::WantHead(it) => self.ask_service(from, NodeQuestion::WantHead(it)).await,
            Question::SignedBefore(it) => {
                self.ask_service(from, NodeQuestion::SignedBefore(it)).await
            }
            Question::Dispute(it) => self.ask_service(from, NodeQuestion::Dispute(it)).await,
            Question::NewKeys(it) => self.ask_service(from, NodeQuestion::NewKeys(it)).await,
        }
    }

    /// Has a question answered that raft only carries, if a member asks it.
    async fn ask_service(&self, from: u64, question: NodeQuestion) -> Result<Answer, Refusal> {
        self.ready()?;
        if self.peers.member(from).is_none() {
            let detail = format!("node {from} is not a member of the group, as far as known here");
            return Err(refusal(Reason::NotReady, detail));
        }
        self.counter.answer_frame(from, question).await
    }

    async fn heartbeat(&self, append: wire::AppendEntries) -> Result<Answer, Refusal> {
        let append = convert::append_from_wire(append).map_err(malformed)?;
        let previous = append.prev_log_id;
        let answer = self
            .ready()?
            .append_entries(append)
            .await
            .map_err(stopped)?;
        let outcome = convert::heartbeat_outcome(answer, previous);
        Ok(Answer::Heartbeat(convert::outcome_to_wire(&outcome)))
    }

    fn append_request(
        &self,
        request: wire::AppendRequest,
    ) -> Result<AppendEntriesRequest<TypeConfig>, Refusal> {
        self.admit(request.envelope.as_ref(), false)?;
        let append = request
            .append
            .ok_or_else(|| refusal(Reason::Malformed, "the frame appends nothing".to_owned()))?;
        convert::append_from_wire(append).map_err(malformed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: convert::WireError) -> Refusal {
    refusal(Reason::Malformed, error.to_string())
}

fn stopped<E: std::error::Error>(error: E) -> Refusal {
    refusal(Reason::NotReady, format!("this node is stopping: {error}"))
}

fn stopping() -> Refusal {
    refusal(Reason::NotReady, "this node is stopping".to_owned())
}

fn refused(refusal: Refusal) -> wire::AppendAnswer {
    wire::AppendAnswer {
        answer: Some(wire::append_answer::Answer::Refusal(refusal)),
    }
}

impl PeerHandler for Inbound {
    fn ask(&self, request: wire::AskRequest) -> BoxFuture<'static, wire::AskAnswer> {
        let this = self.clone();
        async move {
            let answer = this.answer(request).await.unwrap_or_else(Answer::Refusal);
            wire::AskAnswer {
                answer: Some(answer),
            }
        }
        .boxed()
    }

    fn append(
        &self,
        requests: Frames<wire::AppendRequest>,
    ) -> BoxStream<'static, wire::AppendAnswer> {
        let raft = match self.ready() {
            Ok(raft) => raft.clone(),
            Err(refusal) => {
                return futures_util::stream::once(async { refused(refusal) }).boxed();
            }
        };
        let this = self.clone();
        // The first frame that is not admitted ends the input; the refusal follows the answers to
        // what came before it.
        let refusal = Arc::new(Mutex::new(None));
        let last = Arc::clone(&refusal);
        let admitted = requests
            .take_until(self.until_stopped())
            .map(move |request| request.map(|request| this.append_request(request)))
            .scan(last, |last, request| {
                let admitted = match request {
                    Ok(Ok(append)) => Some(append),
                    Ok(Err(refusal)) => {
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                        None
                    }
                    // The connection broke: nobody reads the answers any more.
                    Err(_) => None,
                };
                async move { admitted }
            });
        let outcomes = raft.stream_append(admitted).map(|result| match result {
            Ok(outcome) => wire::AppendAnswer {
                answer: Some(wire::append_answer::Answer::Outcome(
                    convert::outcome_to_wire(&outcome),
                )),
            },
            Err(fatal) => refused(stopped(fatal)),
        });
        let farewell = futures_util::stream::once(async move {
            let refusal = refusal
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            refusal.map(refused)
        });
        outcomes
            .chain(farewell.filter_map(|answer| async { answer }))
            .boxed()
    }

    fn install_snapshot(
        &self,
        parts: Frames<wire::SnapshotPart>,
    ) -> BoxFuture<'static, wire::SnapshotAnswer> {
        let this = self.clone();
        async move {
            let answer = match this.ready() {
                Ok(raft) => {
                    let admit = |envelope: Option<&wire::Envelope>| this.admit(envelope, false);
                    let parts = parts.take_until(this.until_stopped()).boxed();
                    let receiver = Receiver {
                        raft,
                        state: &this.state,
                        door: &this.door,
                        peers: &this.peers,
                    };
                    snapshot::receive(receiver, parts, admit).await
                }
                Err(refusal) => Err(refusal),
            };
            let answer = match answer {
                Ok(vote) => wire::snapshot_answer::Answer::Vote(convert::vote_to_wire(&vote)),
                Err(refusal) => wire::snapshot_answer::Answer::Refusal(refusal),
            };
            wire::SnapshotAnswer {
                answer: Some(answer),
            }
        }
        .boxed()
    }
}
