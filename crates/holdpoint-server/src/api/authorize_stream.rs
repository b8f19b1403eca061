//! Many attempts over one stream.
//!
//! ```text
//! client ──▶ reader ──▶ at most STREAM_IN_FLIGHT_MAX tasks ──▶ answers ──▶ client
//! ```
//!
//! While as many requests are in flight as may, the stream is not read, so the client is held back
//! by the transport. A client that goes away gives up its answers, not its attempts.

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
use crate::limits::STREAM_IN_FLIGHT_MAX;
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
    let mut in_flight = JoinSet::new();
    loop {
        match next(&mut calls, &mut in_flight, &answers).await {
            Event::Call(call) => {
                in_flight.spawn(answer(
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
    while in_flight.join_next().await.is_some() {}
}

/// Only waits: for the next call while there is room, for room, or for the client to leave.
async fn next(
    calls: &mut Streaming<v1::AuthorizeStreamRequest>,
    in_flight: &mut JoinSet<()>,
    answers: &Sender,
) -> Event {
    let room = in_flight.len() < STREAM_IN_FLIGHT_MAX;
    tokio::select! {
        () = answers.closed() => Event::ClientGone,
        Some(_) = in_flight.join_next() => Event::Answered,
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
