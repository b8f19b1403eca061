//! The pipelined replication stream to one peer, with a time-out of ours on every answer: openraft
//! bounds none inside a stream, so a peer that stops answering would hold it for ever.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt};
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::append_answer::Answer;
use openraft::base::BoxStream;
use openraft::network::RPCTypes;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Failure, Link, RpcError};
use crate::limits;
use crate::net::{Frames, NetError};
use crate::types::TypeConfig;
use crate::wire as convert;
use crate::wire::WireError;

/// When the requests without an answer were sent, oldest first.
#[derive(Debug, Default)]
struct Outstanding {
    sent: Mutex<VecDeque<Instant>>,
    changed: Notify,
}

impl Outstanding {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) {
        self.queue().push_back(Instant::now());
        self.changed.notify_one();
    }

    fn answered(&self) {
        self.queue().pop_front();
    }

    /// Returns once the oldest request has waited too long for its answer.
    async fn overdue(&self) {
        loop {
            let oldest = self.queue().front().copied();
            let Some(oldest) = oldest else {
                self.changed.notified().await;
                continue;
            };
            sleep_until(oldest + limits::APPEND_ANSWER).await;
            if self.queue().front() == Some(&oldest) {
                return;
            }
        }
    }
}

/// What the reader of answers holds; nothing once the stream has ended.
struct Reading<'s> {
    link: &'s Link,
    answers: Frames<wire::AppendAnswer>,
    outstanding: Arc<Outstanding>,
}

impl Link {
    /// Sends requests as they come and returns their answers in order.
    pub(super) async fn pipeline<S>(
        &self,
        input: S,
    ) -> Result<BoxStream<'_, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        let outstanding = Arc::new(Outstanding::default());
        let (sent, envelope) = (Arc::clone(&outstanding), self.envelope());
        let requests = input.map(move |request| {
            sent.sent();
            let append = Some(convert::append_to_wire(&request));
            wire::AppendRequest {
                envelope: Some(envelope.clone()),
                append,
            }
        });
        let address = self.member.peer_address.clone();
        let opening = self.net.append(&address, requests.boxed());
        let opened = match timeout(limits::APPEND_ANSWER, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(NetError::TimedOut {
                address,
                wait: limits::APPEND_ANSWER,
            }),
        };
        let answers =
            opened.map_err(|error| self.rpc(Failure::Net(error), RPCTypes::AppendEntries))?;
        let reading = Reading {
            link: self,
            answers,
            outstanding,
        };
        Ok(futures_util::stream::unfold(Some(reading), next_answer).boxed())
    }

    fn step_result(
        &self,
        answer: wire::AppendAnswer,
    ) -> Result<StreamAppendResult<TypeConfig>, Failure> {
        match answer.answer {
            Some(Answer::Outcome(outcome)) => Ok(convert::outcome_from_wire(outcome)?),
            Some(Answer::Refusal(refusal)) => Err(self.refused(refusal)),
            None => Err(Failure::Wire(WireError::Missing("answer"))),
        }
    }
}

type Step = Result<StreamAppendResult<TypeConfig>, RpcError>;

/// The next answer. The stream ends after the first that is not a match.
async fn next_answer(reading: Option<Reading<'_>>) -> Option<(Step, Option<Reading<'_>>)> {
    let mut reading = reading?;
    let answer = tokio::select! {
        biased;
        answer = reading.answers.next() => answer?,
        () = reading.outstanding.overdue() => Err(NetError::TimedOut {
            address: reading.link.member.peer_address.clone(),
            wait: limits::APPEND_ANSWER,
        }),
    };
    reading.outstanding.answered();
    let link = reading.link;
    let result = answer
        .map_err(Failure::Net)
        .and_then(|answer| link.step_result(answer))
        .map_err(|failure| link.rpc(failure, RPCTypes::AppendEntries));
    let goes_on = matches!(result, Ok(Ok(_)));
    Some((result, goes_on.then_some(reading)))
}
