//! A network in memory that can be cut, in either direction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use holdpoint_proto::peer::v1::ask_request::Question;
use holdpoint_proto::peer::v1::{
    AppendAnswer, AppendRequest, AskAnswer, AskRequest, SnapshotAnswer, SnapshotPart,
};
use holdpoint_raft::{Frames, Lane, Net, NetError, PeerHandler};
use tokio::sync::watch;
use tokio::time::timeout;

type Handlers = BTreeMap<String, Arc<dyn PeerHandler>>;
/// Directions in which nothing passes, from and to.
type Cuts = BTreeSet<(String, String)>;

/// The network that all nodes of a test share.
#[derive(Clone, Debug)]
pub(crate) struct TestNet {
    handlers: Arc<Mutex<Handlers>>,
    cuts: Arc<watch::Sender<Cuts>>,
    /// How often each node asked whether it would be elected.
    pre_votes: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Who was answered by whom.
    answered: Arc<Mutex<Cuts>>,
    /// Whether questions for votes pass.
    votes_pass: Arc<watch::Sender<bool>>,
}

impl TestNet {
    pub(crate) fn new() -> Self {
        Self {
            handlers: Arc::default(),
            cuts: Arc::new(watch::Sender::new(Cuts::new())),
            pre_votes: Arc::default(),
            answered: Arc::default(),
            votes_pass: Arc::new(watch::Sender::new(true)),
        }
    }

    /// How often the node at `address` asked somebody whether it would be elected.
    pub(crate) fn pre_votes_of(&self, address: &str) -> u64 {
        self.pre_votes
            .lock()
            .unwrap()
            .get(address)
            .copied()
            .unwrap_or(0)
    }

    /// Holds questions for votes back, or lets them pass again.
    pub(crate) fn let_votes_pass(&self, pass: bool) {
        self.votes_pass.send_replace(pass);
    }

    /// Whether `from` asked `to` something and was answered.
    pub(crate) fn has_asked(&self, from: &str, to: &str) -> bool {
        let way = (from.to_owned(), to.to_owned());
        self.answered.lock().unwrap().contains(&way)
    }

    /// The network as the node at `address` sees it.
    pub(crate) fn at(&self, address: &str) -> Arc<dyn Net> {
        Arc::new(NodeNet {
            net: self.clone(),
            own: address.to_owned(),
        })
    }

    pub(crate) fn listen(&self, address: &str, handler: Arc<dyn PeerHandler>) {
        self.handlers
            .lock()
            .unwrap()
            .insert(address.to_owned(), handler);
    }

    pub(crate) fn hang_up(&self, address: &str) {
        self.handlers.lock().unwrap().remove(address);
    }

    /// Nothing passes from `from` to `to` any more. The other direction stays.
    pub(crate) fn cut(&self, from: &str, to: &str) {
        self.cuts.send_modify(|cuts| {
            cuts.insert((from.to_owned(), to.to_owned()));
        });
    }

    pub(crate) fn heal(&self) {
        self.cuts.send_modify(Cuts::clear);
    }

    fn handler(&self, address: &str) -> Result<Arc<dyn PeerHandler>, NetError> {
        let handler = self.handlers.lock().unwrap().get(address).cloned();
        handler.ok_or_else(|| NetError::Unreachable {
            address: address.to_owned(),
            reason: "nobody listens".to_owned(),
        })
    }

    /// Waits until a frame can pass, as a transport that sends again does.
    async fn pass(&self, from: &str, to: &str) {
        let way = (from.to_owned(), to.to_owned());
        let mut cuts = self.cuts.subscribe();
        cuts.wait_for(|cuts| !cuts.contains(&way)).await.unwrap();
    }

    /// Lets frames pass one by one while the way is open and somebody listens at `listener`.
    fn carry<T: Send + 'static>(
        &self,
        frames: BoxStream<'static, T>,
        way: (&str, &str),
        listener: &str,
    ) -> Frames<T> {
        let (net, listener) = (self.clone(), listener.to_owned());
        let (from, to) = (way.0.to_owned(), way.1.to_owned());
        frames
            .then(move |frame| {
                let (net, from, to) = (net.clone(), from.clone(), to.clone());
                let listener = listener.clone();
                async move {
                    net.pass(&from, &to).await;
                    net.handler(&listener).map(|_| frame)
                }
            })
            .boxed()
    }
}

#[derive(Debug)]
struct NodeNet {
    net: TestNet,
    own: String,
}

impl Net for NodeNet {
    fn ask(
        &self,
        address: &str,
        _lane: Lane,
        request: AskRequest,
        wait: Duration,
    ) -> BoxFuture<'static, Result<AskAnswer, NetError>> {
        let (net, own, address) = (self.net.clone(), self.own.clone(), address.to_owned());
        if matches!(request.question, Some(Question::PreVote(_))) {
            *net.pre_votes
                .lock()
                .unwrap()
                .entry(own.clone())
                .or_default() += 1;
        }
        let is_vote = matches!(
            request.question,
            Some(Question::PreVote(_) | Question::Vote(_))
        );
        async move {
            if is_vote {
                let mut votes = net.votes_pass.subscribe();
                votes.wait_for(|pass| *pass).await.unwrap();
            }
            let late = NetError::TimedOut {
                address: address.clone(),
                wait,
            };
            let asked = async {
                net.pass(&own, &address).await;
                let answer = net.handler(&address)?.ask(request).await;
                net.pass(&address, &own).await;
                net.answered.lock().unwrap().insert((own, address));
                Ok(answer)
            };
            timeout(wait, asked).await.unwrap_or(Err(late))
        }
        .boxed()
    }

    fn append(
        &self,
        address: &str,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxFuture<'static, Result<Frames<AppendAnswer>, NetError>> {
        let (net, own, address) = (self.net.clone(), self.own.clone(), address.to_owned());
        async move {
            net.pass(&own, &address).await;
            let requests = net.carry(requests, (&own, &address), &address);
            let answers = net.handler(&address)?.append(requests);
            Ok(net.carry(answers, (&address, &own), &address))
        }
        .boxed()
    }

    fn install_snapshot(
        &self,
        address: &str,
        parts: BoxStream<'static, SnapshotPart>,
    ) -> BoxFuture<'static, Result<SnapshotAnswer, NetError>> {
        let (net, own, address) = (self.net.clone(), self.own.clone(), address.to_owned());
        async move {
            let parts = net.carry(parts, (&own, &address), &address);
            let answer = net.handler(&address)?.install_snapshot(parts).await;
            net.pass(&address, &own).await;
            Ok(answer)
        }
        .boxed()
    }
}
