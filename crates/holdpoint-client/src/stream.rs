//! One stream that many attempts share.
//!
//! Frames go out in the order in which they were asked and answers come in any order, each with the
//! id of its request. A stream never repeats a request: when it ends, every request that waits on it
//! fails, and its call decides what to do. It never sends what nobody waits for any more.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use holdpoint_proto::v1;
use holdpoint_proto::v1::authorize_stream_response::Result as StreamResult;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_stream::Stream;
use tonic::{Request, Status, Streaming};

use crate::testkit::Link;

/// How many frames may wait to go out. Further requests wait for a place.
pub(crate) const QUEUE_MAX: usize = 1_024;

/// The frames that go out, as far as somebody still waits for their answers when it is their turn.
#[derive(Debug)]
pub(crate) struct Frames {
    queued: mpsc::Receiver<v1::AuthorizeStreamRequest>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Stream for Frames {
    type Item = v1::AuthorizeStreamRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(frame) = ready!(self.queued.poll_recv(context)) else {
                return Poll::Ready(None);
            };
            if lock(&self.waiting).by_id.contains_key(&frame.request_id) {
                return Poll::Ready(Some(frame));
            }
        }
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// It was never sent.
    NotSent,
    /// The stream, or the call, ended with this status.
    Ended(Status),
}

/// A stream of attempts to one node.
#[derive(Debug)]
pub(crate) struct AuthorizeStream {
    queue: mpsc::Sender<v1::AuthorizeStreamRequest>,
    next_id: AtomicU64,
    waiting: Arc<Mutex<Waiting>>,
    reader: AbortHandle,
}

#[derive(Debug, Default)]
struct Waiting {
    // INVARIANT: empty once `is_closed`.
    by_id: BTreeMap<u64, oneshot::Sender<Result<StreamResult, Status>>>,
    is_closed: bool,
}

impl AuthorizeStream {
    /// Opens a stream in the background. `request` adds what every call to the node carries.
    ///
    /// Must be called within a tokio runtime; the task ends with the stream or with `self`.
    pub(crate) fn open(
        mut client: v1::gate_client::GateClient<Link>,
        request: impl FnOnce(Frames) -> Request<Frames>,
    ) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let request = request(Frames {
            queued,
            waiting: Arc::clone(&waiting),
        });
        let answers_to = Arc::clone(&waiting);
        let reader = tokio::spawn(async move {
            let ended = match client.authorize_stream(request).await {
                Ok(answers) => read(answers.into_inner(), &answers_to).await,
                Err(status) => status,
            };
            close(&answers_to, &ended);
        });
        Self {
            queue,
            next_id: AtomicU64::new(1),
            waiting,
            reader: reader.abort_handle(),
        }
    }

    /// Whether a request can still be asked on it.
    pub(crate) fn is_open(&self) -> bool {
        !lock(&self.waiting).is_closed
    }

    /// Asks, and waits for the answer.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request.
    pub(crate) async fn ask(
        &self,
        authorize: v1::AuthorizeRequest,
    ) -> Result<StreamResult, StreamError> {
        let request_id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.is_closed {
                return Err(StreamError::NotSent);
            }
            waiting.by_id.insert(request_id, sender);
        }
        let _place = Place {
            waiting: &self.waiting,
            request_id,
        };
        let frame = v1::AuthorizeStreamRequest {
            request_id,
            authorize: Some(authorize),
        };
        if self.queue.send(frame).await.is_err() {
            return Err(StreamError::NotSent);
        }
        match answer.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(status)) => Err(StreamError::Ended(status)),
            Err(_) => Err(StreamError::Ended(Status::unavailable("the stream ended"))),
        }
    }
}

impl Drop for AuthorizeStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Forgets a request when its waiting ends, however it ends.
struct Place<'a> {
    waiting: &'a Mutex<Waiting>,
    request_id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.waiting).by_id.remove(&self.request_id);
    }
}

/// Hands answers out until the stream ends, and says how it ended.
async fn read(
    mut answers: Streaming<v1::AuthorizeStreamResponse>,
    waiting: &Mutex<Waiting>,
) -> Status {
    loop {
        match answers.message().await {
            Ok(Some(v1::AuthorizeStreamResponse {
                request_id,
                result: Some(result),
            })) => {
                // An answer that nobody waits for any more is dropped.
                if let Some(sender) = lock(waiting).by_id.remove(&request_id) {
                    let _ = sender.send(Ok(result));
                }
            }
            Ok(Some(_)) => return Status::internal("the node sent an answer without a result"),
            Ok(None) => return Status::unavailable("the node ended the stream"),
            Err(status) => return status,
        }
    }
}

fn close(waiting: &Mutex<Waiting>, ended: &Status) {
    let mut waiting = lock(waiting);
    waiting.is_closed = true;
    for sender in std::mem::take(&mut waiting.by_id).into_values() {
        let _ = sender.send(Err(ended.clone()));
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
