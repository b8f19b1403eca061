//! Calls over one connection.

use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::super::NoAnswer;
use super::wire::{
    self, Range, RangeAnswer, StatusQuestion, Txn, TxnAnswer, WatchAnswer, WatchCancel,
    WatchCreate, WatchFilter, WatchQuestion,
};

/// Questions of one watcher that may wait to go out.
const WATCH_QUESTIONS_MAX: usize = 8;

/// A client of one member.
#[derive(Clone, Debug)]
pub(super) struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    pub(super) fn new(channel: Channel) -> Self {
        let grpc = Grpc::new(channel);
        Self { grpc }
    }

    pub(super) async fn txn(&mut self, question: Txn) -> Result<TxnAnswer, NoAnswer> {
        self.ask("/etcdserverpb.KV/Txn", question)
            .await
            .map_err(no_answer)
    }

    pub(super) async fn range(&mut self, question: Range) -> Result<RangeAnswer, NoAnswer> {
        self.ask("/etcdserverpb.KV/Range", question)
            .await
            .map_err(no_answer)
    }

    pub(super) async fn status(&mut self) -> Result<wire::Status, Status> {
        let path = "/etcdserverpb.Maintenance/Status";
        self.ask(path, StatusQuestion {}).await
    }

    async fn ask<Q, A>(&mut self, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.ready().await?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.grpc.unary(Request::new(question), path, codec).await?;
        Ok(answer.into_inner())
    }

    /// A stream of watches that begins with one of `key`, for its deletion. Its server answers the call
    /// only when it has been asked for something.
    pub(super) async fn watcher(&mut self, key: Vec<u8>) -> Result<Watcher, NoAnswer> {
        const FIRST: i64 = 1;
        let (questions, queue) = mpsc::channel(WATCH_QUESTIONS_MAX);
        let asked = questions.try_send(watch(key, FIRST));
        asked.map_err(|_| NoAnswer("the watch has no place".to_owned()))?;
        self.ready().await.map_err(no_answer)?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchQuestion, WatchAnswer>::default();
        let request = Request::new(ReceiverStream::new(queue));
        let opened = self.grpc.streaming(request, path, codec).await;
        Ok(Watcher {
            questions,
            answers: opened.map_err(no_answer)?.into_inner(),
            watch_id: FIRST,
        })
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))
    }
}

/// A stream of watches, one at a time.
#[derive(Debug)]
pub(super) struct Watcher {
    questions: mpsc::Sender<WatchQuestion>,
    answers: Streaming<WatchAnswer>,
    watch_id: i64,
}

impl Watcher {
    /// Watches another key.
    pub(super) async fn watch(&mut self, key: Vec<u8>) -> Result<(), NoAnswer> {
        self.watch_id = self.watch_id.saturating_add(1);
        self.say(watch(key, self.watch_id)).await
    }

    /// Waits until the watch is there: what happens to the key from then on is told.
    pub(super) async fn begun(&mut self) -> Result<(), NoAnswer> {
        self.until(|answer| answer.created).await
    }

    /// Waits until the key is deleted.
    pub(super) async fn deleted(&mut self) -> Result<(), NoAnswer> {
        let is_deleted =
            |answer: &WatchAnswer| answer.events.iter().any(|event| event.kv.is_some());
        self.until(is_deleted).await
    }

    /// Watches the key no longer.
    pub(super) async fn end(&mut self) -> Result<(), NoAnswer> {
        let watch_id = self.watch_id;
        self.say(WatchQuestion {
            create: None,
            cancel: Some(WatchCancel { watch_id }),
        })
        .await
    }

    async fn until(&mut self, is_it: impl Fn(&WatchAnswer) -> bool) -> Result<(), NoAnswer> {
        loop {
            let answer = self.answers.message().await.map_err(no_answer)?;
            let answer = answer.ok_or_else(|| NoAnswer("the watch ended".to_owned()))?;
            // Of an earlier watch.
            if answer.watch_id != self.watch_id {
                continue;
            }
            if answer.canceled {
                return Err(NoAnswer("the watch was canceled".to_owned()));
            }
            if is_it(&answer) {
                return Ok(());
            }
        }
    }

    async fn say(&self, question: WatchQuestion) -> Result<(), NoAnswer> {
        let said = self.questions.send(question).await;
        said.map_err(|_| NoAnswer("the watch ended".to_owned()))
    }
}

fn watch(key: Vec<u8>, watch_id: i64) -> WatchQuestion {
    let create = WatchCreate {
        key,
        filters: vec![WatchFilter::NoPut.into()],
        watch_id,
    };
    WatchQuestion {
        create: Some(create),
        cancel: None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of an error")]
fn no_answer(status: Status) -> NoAnswer {
    NoAnswer(format!("{:?}", status.code()))
}
