//! A fake cluster behind real gRPC: nodes that share one world and misbehave as they are told.

mod history;
mod notary;
mod operators;
mod service;
mod world;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use holdpoint_proto::v1;
use holdpoint_receipt::Reason;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;

pub(crate) use notary::Notary;
pub(crate) use operators::{DIGEST, subject};
pub(crate) use world::World;

/// What a node does with one call about a permit.
#[derive(Clone)]
pub(crate) enum Twist {
    /// Nothing unusual.
    Answer,
    /// Acts, and the answer is lost.
    LoseAnswer,
    /// Acts, says so to the test, and never answers.
    Hang,
    /// Does nothing, and says why.
    Refuse(Reason, v1::Decided),
    /// Does nothing, and names the leader.
    NotLeader(SocketAddr),
    /// Does nothing, and says in a trailer who leads.
    NotLeaderStatus(SocketAddr),
    /// Answers with something else than it should.
    Lie(fn(&mut v1::AuthorizeResponse)),
    /// Acts upon something else than was asked, and proves that.
    Mishear(fn(&mut v1::Operation)),
    /// Answers a redeem with something else than it should.
    LieRedeem(fn(&mut v1::RedeemResponse)),
    /// Acts, and ends the stream over which the request came.
    BreakStream,
    /// Lets the attempt wait, and says its place.
    Wait,
}

/// Shows what is behind a digest otherwise than it is.
pub(crate) type Misshow = fn(&mut v1::GetSubjectResponse);

/// What a node does with a stream of statements.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Flow {
    /// Sends all that there is, and then nothing more.
    #[default]
    All,
    /// Ends after so many messages.
    Break(usize),
    /// Sends something else than it should, from the second message on.
    Lie(fn(&mut v1::WatchResponse)),
    /// Streams nothing, because what is asked for is gone; this leaf is the first that is kept.
    Gone(u64),
}

/// One node of a fake cluster.
#[derive(Clone)]
pub(crate) struct FakeNode {
    pub(crate) world: Arc<Mutex<World>>,
    /// The next twists, and then the one for all further calls.
    pub(crate) twists: Arc<Mutex<(VecDeque<Twist>, Twist)>>,
    /// A call was acted upon and will never be answered.
    pub(crate) hung: Arc<Notify>,
    /// Calls that came, and streams that were opened.
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) address: SocketAddr,
    /// The next flows of statements, and then `Flow::All`.
    pub(crate) flows: Arc<Mutex<VecDeque<Flow>>>,
    /// Shows what is behind a digest otherwise than it is.
    pub(crate) misshow: Arc<Mutex<Option<Misshow>>>,
}

/// What a node has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Calls about permits, by themselves or on a stream.
    pub(crate) calls: usize,
    /// Attempts that came by themselves.
    pub(crate) alone: usize,
    /// Streams that were opened.
    pub(crate) streams: usize,
}

impl FakeNode {
    /// Starts a node of `world`.
    pub(crate) async fn start(world: &Arc<Mutex<World>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            world: Arc::clone(world),
            twists: Arc::new(Mutex::new((VecDeque::new(), Twist::Answer))),
            hung: Arc::default(),
            seen: Arc::default(),
            address: listener.local_addr().unwrap(),
            flows: Arc::default(),
            misshow: Arc::default(),
        };
        node.world().addresses.push(node.address);
        let server = tonic::transport::Server::builder()
            .add_service(v1::gate_server::GateServer::new(node.clone()))
            .add_service(v1::keys_server::KeysServer::new(node.clone()))
            .add_service(v1::cluster_server::ClusterServer::new(node.clone()))
            .add_service(v1::policy_server::PolicyServer::new(node.clone()))
            .add_service(v1::approvals_server::ApprovalsServer::new(node.clone()))
            .add_service(v1::history_server::HistoryServer::new(node.clone()));
        let connections = TcpListenerStream::new(listener).map(|connection| {
            // Without this each answer would wait for the client's delayed acknowledgement.
            connection.and_then(|connection| connection.set_nodelay(true).map(|()| connection))
        });
        tokio::spawn(server.serve_with_incoming(connections));
        node
    }

    /// The next calls go this way, the ones after that as before.
    pub(crate) fn next(&self, twists: impl IntoIterator<Item = Twist>) {
        self.twists.lock().unwrap().0.extend(twists);
    }

    /// All calls go this way from now on.
    pub(crate) fn always(&self, twist: Twist) {
        *self.twists.lock().unwrap() = (VecDeque::new(), twist);
    }

    /// What was told stays next, and after that all calls go this way.
    pub(crate) fn always_after(&self, twist: Twist) {
        self.twists.lock().unwrap().1 = twist;
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
    }

    fn twist(&self) -> Twist {
        self.seen.lock().unwrap().calls += 1;
        let mut twists = self.twists.lock().unwrap();
        let next = twists.0.pop_front();
        next.unwrap_or_else(|| twists.1.clone())
    }
}

/// A world with nobody in it yet.
pub(crate) fn world() -> Arc<Mutex<World>> {
    Arc::new(Mutex::new(World::new()))
}

/// An address at which nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// An address at which connections are accepted and nothing is ever answered.
///
/// The connections stay open as long as the runtime of the test.
pub(crate) async fn black_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut swallowed = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            swallowed.push(connection);
        }
    });
    address
}
