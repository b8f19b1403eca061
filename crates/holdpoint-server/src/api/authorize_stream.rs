//! Many attempts over one stream.
//!
//! ```text
//! client ──▶ reader ─┬▶ at most STREAM_IN_FLIGHT_MAX tasks, ─┬▶ answers ──▶ client
//!                    │  and those that wait for bounds       │
//!                    └▶ no place: SILENCE at once ───────────┘
//! ```
//!
//! The stream is read as fast as it comes, so that no request waits where nobody counts its time: what
//! finds no place is told so by the reader, without a task. Only a client that does not take its answers
//! is held back by the transport. A client that goes away gives up its answers and whatever is not
//! proposed yet; what was proposed stays proposed.

use std::sync::Arc;

use holdpoint_proto::convert::Malformed;
use holdpoint_proto::v1::{self, authorize_stream_response::Result as StreamResult};
use holdpoint_receipt::Caller;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::gate::{admit, authorize};
use crate::admit::{Admitted, NotAdmitted};
use crate::gate::Gate;
use crate::limits::{STREAM_IN_FLIGHT_MAX, WAITING_MAX};
use crate::listener::Call;
use crate::refused::Refused;

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
                let request_id = call.request_id;
                let call = call.authorize.unwrap_or_default();
                match in_flight.admit(&gate, &call) {
                    Ok((tasks, admitted)) => {
                        let gate = Arc::clone(&gate);
                        let (caller, answers) = (caller.clone(), answers.clone());
                        tasks.spawn(async move {
                            let result = authorize(&gate, call, caller, admitted).await;
                            let result = match result {
                                Ok(answer) => StreamResult::Answer(answer),
                                Err(error) => malformed(&error),
                            };
                            send(&answers, request_id, result).await;
                        });
                    }
                    Err(result) => send(&answers, request_id, *result).await,
                }
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
    /// A place for `call` among those of its kind, or the answer that it gets at once.
    fn admit(
        &mut self,
        gate: &Gate,
        call: &v1::AuthorizeRequest,
    ) -> Result<(&mut JoinSet<()>, Admitted), Box<StreamResult>> {
        let (tasks, most) = if call.wait_until_ms > 0 {
            (&mut self.waiting, WAITING_MAX)
        } else {
            (&mut self.working, STREAM_IN_FLIGHT_MAX)
        };
        if tasks.len() >= most {
            let refused = Refused::from(NotAdmitted::Overloaded);
            return Err(Box::new(StreamResult::Answer(refused.into_silence())));
        }
        match admit(gate, call) {
            Ok(Ok(admitted)) => Ok((tasks, admitted)),
            Ok(Err(shed)) => Err(Box::new(StreamResult::Answer(shed))),
            Err(error) => Err(Box::new(malformed(&error))),
        }
    }

    /// Resolves when all have been answered.
    async fn answered(&mut self) {
        while self.working.join_next().await.is_some() {}
        while self.waiting.join_next().await.is_some() {}
    }
}

/// Only waits: for the next call, for an answer, or for the client to leave.
async fn next(
    calls: &mut Streaming<v1::AuthorizeStreamRequest>,
    in_flight: &mut InFlight,
    answers: &Sender,
) -> Event {
    tokio::select! {
        () = answers.closed() => Event::ClientGone,
        Some(_) = in_flight.working.join_next() => Event::Answered,
        Some(_) = in_flight.waiting.join_next() => Event::Answered,
        call = calls.next() => match call {
            Some(Ok(call)) => Event::Call(Box::new(call)),
            Some(Err(status)) => Event::Failed(status),
            None => Event::Ended,
        },
    }
}

fn malformed(malformed: &Malformed) -> StreamResult {
    StreamResult::Malformed(v1::MalformedRequest {
        message: malformed.to_string(),
    })
}

async fn send(answers: &Sender, request_id: u64, result: StreamResult) {
    let response = v1::AuthorizeStreamResponse {
        request_id,
        result: Some(result),
    };
    // A client that has left has given up its answer.
    let _ = answers.send(Ok(response)).await;
}
