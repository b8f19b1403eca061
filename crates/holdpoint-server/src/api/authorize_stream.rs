//! Many attempts over one stream.
//!
//! ```text
//! client ──▶ reader ──▶ at most STREAM_IN_FLIGHT_MAX tasks, ──▶ answers ──▶ client
//!                       and those that wait for bounds
//! ```
//!
//! While as many requests are in flight as may, the stream is not read, so the client is held back
//! by the transport. A client that goes away gives up its answers, not its attempts: what was proposed
//! stays proposed.

use std::sync::Arc;

use holdpoint_proto::v1::{self, authorize_stream_response::Result as StreamResult};
use holdpoint_receipt::Caller;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::gate::authorize;
use crate::gate::Gate;
use crate::limits::{STREAM_IN_FLIGHT_MAX, WAITING_MAX};
use crate::listener::Call;

/// The answers of one stream.
pub(crate) type Answers = ReceiverStream<Result<v1::AuthorizeStreamResponse, Status>>;

type Sender = mpsc::Sender<Result<v1::AuthorizeStreamResponse, Status>>;

/// Answers the requests of `calls`, in any order, until the client ends the stream.
pub(super) fn serve(
    gate: Arc<Gate>,
    asking: (Caller, Option<Call>),
    calls: Streaming<v1::AuthorizeStreamRequest>,
) -> Answers {
    let (sender, receiver) = mpsc::channel(STREAM_IN_FLIGHT_MAX);
    tokio::spawn(read(gate, asking, calls, sender));
    ReceiverStream::new(receiver)
}

/// What happened on the stream.
enum Event {
    Call(Box<v1::AuthorizeStreamRequest>),
    Failed(Status),
    Ended,
    Answered,
    ClientGone,
}

async fn read(
    gate: Arc<Gate>,
    (caller, _call): (Caller, Option<Call>),
    mut calls: Streaming<v1::AuthorizeStreamRequest>,
    answers: Sender,
) {
    let mut in_flight = InFlight::default();
    loop {
        match next(&mut calls, &mut in_flight, &answers).await {
            Event::Call(call) => {
                let asked = call.authorize.as_ref();
                let may_wait = asked.is_some_and(|asked| asked.wait_until_ms > 0);
                let tasks = if may_wait {
                    &mut in_flight.waiting
                } else {
                    &mut in_flight.working
                };
                tasks.spawn(answer(
                    Arc::clone(&gate),
                    caller.clone(),
                    *call,
                    answers.clone(),
                ));
            }
            Event::Answered => (),
            Event::Failed(status) => {
                // The client is gone or broke the protocol; there may be nobody left to tell.
                let _ = answers.send(Err(status)).await;
                break;
            }
            Event::Ended => break,
            Event::ClientGone => return,
        }
    }
    // Whoever still listens gets every answer; a call that waits for a client that is gone would only
    // keep its attempt's place.
    tokio::select! {
        () = in_flight.answered() => (),
        () = answers.closed() => (),
    }
}

/// The calls that have no answer yet. Dropped, they end.
#[derive(Default)]
struct InFlight {
    working: JoinSet<()>,
    /// Those that may wait for bounds, which can take minutes: they keep nobody else from working.
    waiting: JoinSet<()>,
}

impl InFlight {
    fn has_room(&self) -> bool {
        self.working.len() < STREAM_IN_FLIGHT_MAX && self.waiting.len() < WAITING_MAX
    }

    /// Resolves when all have been answered.
    async fn answered(&mut self) {
        while self.working.join_next().await.is_some() {}
        while self.waiting.join_next().await.is_some() {}
    }
}

/// Only waits: for the next call while there is room, for room, or for the client to leave.
async fn next(
    calls: &mut Streaming<v1::AuthorizeStreamRequest>,
    in_flight: &mut InFlight,
    answers: &Sender,
) -> Event {
    let room = in_flight.has_room();
    tokio::select! {
        () = answers.closed() => Event::ClientGone,
        Some(_) = in_flight.working.join_next() => Event::Answered,
        Some(_) = in_flight.waiting.join_next() => Event::Answered,
        call = calls.next(), if room => match call {
            Some(Ok(call)) => Event::Call(Box::new(call)),
            Some(Err(status)) => Event::Failed(status),
            None => Event::Ended,
        },
    }
}

async fn answer(
    gate: Arc<Gate>,
    caller: Caller,
    call: v1::AuthorizeStreamRequest,
    answers: Sender,
) {
    let request_id = call.request_id;
    let result = match authorize(&gate, call.authorize.unwrap_or_default(), caller).await {
        Ok(answer) => StreamResult::Answer(answer),
        Err(malformed) => StreamResult::Malformed(v1::MalformedRequest {
            message: malformed.to_string(),
        }),
    };
    let response = v1::AuthorizeStreamResponse {
        request_id,
        result: Some(result),
    };
    // A client that has left has given up its answer.
    let _ = answers.send(Ok(response)).await;
}
