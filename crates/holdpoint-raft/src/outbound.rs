//! What openraft sends: its network traits over the [`Net`] seam.
//!
//! It never decides what to send, and never retries: openraft does, after a back-off.

mod stream;

use std::future::Future;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::ask_answer::Answer;
use holdpoint_proto::peer::v1::ask_request::Question;
use openraft::OptionalSend;
use openraft::base::BoxStream;
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::limits;
use crate::member::Member;
use crate::net::{Lane, Net, NetError};
use crate::peers::Peers;
use crate::snapshot::{ProvenSnapshot, parts};
use crate::types::{RaftSnapshot, TypeConfig, Vote};
use crate::wire as convert;
use crate::wire::WireError;

type RpcError = RPCError<TypeConfig>;

/// Makes one [`Link`] per peer and lane.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) peers: Arc<Peers>,
}

impl Links {
    fn link(&self, target: u64, member: &Member, lane: Lane) -> Link {
        Link {
            net: Arc::clone(&self.net),
            peers: Arc::clone(&self.peers),
            target,
            member: member.clone(),
            lane,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &Member) -> Link {
        self.link(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Link {
        self.link(target, node, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Link {
        self.link(target, node, Lane::Snapshot)
    }
}

/// The way to one peer on one lane.
#[derive(Debug)]
pub(crate) struct Link {
    net: Arc<dyn Net>,
    peers: Arc<Peers>,
    target: u64,
    member: Member,
    lane: Lane,
}

impl Link {
    fn envelope(&self) -> wire::Envelope {
        self.peers
            .envelope(self.target, Some(self.member.incarnation))
    }

    async fn ask(
        &self,
        question: Question,
        lane: Lane,
        option: &RPCOption,
    ) -> Result<Answer, Failure> {
        let wait = option.soft_ttl().min(limits::ASK);
        let request = wire::AskRequest {
            envelope: Some(self.envelope()),
            question: Some(question),
        };
        let asked = self.net.ask(&self.member.peer_address, lane, request, wait);
        match asked.await.map_err(Failure::Net)?.answer {
            Some(Answer::Refusal(refusal)) => Err(self.refused(refusal)),
            Some(answer) => Ok(answer),
            None => Err(Failure::Wire(WireError::Missing("answer"))),
        }
    }

    /// A peer that refuses is told of once and then left alone for as long as one that is down.
    fn refused(&self, refusal: wire::Refusal) -> Failure {
        self.peers.refused_by(self.target, &refusal);
        Failure::Refused(refusal)
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Net(NetError),
    #[error("the peer refuses: {}", .0.detail)]
    Refused(wire::Refusal),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Failure {
    fn into_rpc(self, link: (u64, u64), action: RPCTypes) -> RpcError {
        let (id, target) = link;
        match self {
            Self::Net(NetError::TimedOut { wait, .. }) => RPCError::Timeout(Timeout {
                action,
                id,
                target,
                timeout: wait,
            }),
            Self::Net(error @ NetError::Broken { .. }) => {
                RPCError::Network(NetworkError::new(&error))
            }
            other => RPCError::Unreachable(Unreachable::new(&other)),
        }
    }
}

impl Link {
    fn rpc(&self, failure: Failure, action: RPCTypes) -> RpcError {
        failure.into_rpc((self.peers.local().node.get(), self.target), action)
    }

    async fn vote_on(
        &self,
        question: Question,
        option: &RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let answer = match self.ask(question, Lane::Control, option).await {
            Ok(Answer::Vote(answer)) => {
                convert::vote_answer_from_wire(answer).map_err(Failure::from)
            }
            Ok(_) => Err(Failure::Wire(WireError::Missing("vote"))),
            Err(failure) => Err(failure),
        };
        answer.map_err(|failure| self.rpc(failure, RPCTypes::Vote))
    }
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = ProvenSnapshot;

    /// A heartbeat: openraft sends entries through [`Self::stream_append`] only.
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let question = Question::Heartbeat(convert::append_to_wire(&rpc));
        let outcome = match self.ask(question, self.lane, &option).await {
            Ok(Answer::Heartbeat(outcome)) => {
                convert::outcome_from_wire(outcome).map_err(Failure::from)
            }
            Ok(_) => Err(Failure::Wire(WireError::Missing("outcome"))),
            Err(failure) => Err(failure),
        };
        let outcome = outcome.map_err(|failure| self.rpc(failure, RPCTypes::AppendEntries))?;
        Ok(AppendEntriesResponse::from(outcome))
    }

    #[expect(
        clippy::elidable_lifetime_names,
        reason = "named as the trait names them"
    )]
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        if self.lane == Lane::Heartbeat {
            return openraft::network::stream_append_sequential(self, input, option);
        }
        Box::pin(self.pipeline(input))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.vote_on(Question::Vote(convert::vote_request_to_wire(&rpc)), &option)
            .await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.vote_on(
            Question::PreVote(convert::vote_request_to_wire(&rpc)),
            &option,
        )
        .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (sent, sending) = parts(&vote, snapshot, self.envelope());
        let answer = self
            .net
            .install_snapshot(&self.member.peer_address, sending);
        let answer = tokio::select! {
            closed = cancel => return Err(StreamingError::Closed(closed)),
            stalled = sent.stalled(limits::SNAPSHOT_STEP) => Err(Failure::Net(NetError::TimedOut {
                address: self.member.peer_address.clone(),
                wait: stalled,
            })),
            answer = answer => answer.map_err(Failure::Net),
        };
        let vote = answer.and_then(|answer| match answer.answer {
            Some(wire::snapshot_answer::Answer::Vote(vote)) => {
                convert::vote_from_wire(Some(vote)).map_err(Failure::from)
            }
            Some(wire::snapshot_answer::Answer::Refusal(refusal)) => Err(self.refused(refusal)),
            None => Err(Failure::Wire(WireError::Missing("answer"))),
        });
        match vote {
            Ok(vote) => Ok(SnapshotResponse::new(vote)),
            Err(failure) => Err(self.rpc(failure, RPCTypes::InstallSnapshot).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let question = Question::TransferLeader(convert::transfer_to_wire(&req));
        let answer = match self.ask(question, Lane::Control, &option).await {
            Ok(Answer::TransferLeader(answer)) => {
                convert::transfer_answer_from_wire(&answer, &req).map_err(Failure::from)
            }
            Ok(_) => Err(Failure::Wire(WireError::Missing("answer"))),
            Err(failure) => Err(failure),
        };
        answer.map_err(|failure| self.rpc(failure, RPCTypes::TransferLeader))
    }
}
