//! The shipped network: gRPC over HTTP/2, one connection per peer and lane.
//!
//! It carries frames and looks into none. Connections are made when they are first used and made
//! again by themselves; what a peer may cost in time is bounded here and by whoever reads a stream.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::peer_client::PeerClient;
use holdpoint_proto::peer::v1::peer_server::{Peer, PeerServer};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::limits;
use crate::net::{Frames, Lane, Net, NetError, PeerHandler};

/// How often an idle connection is asked whether it still stands, and how long it may take to say.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Streams that one peer may have open on one connection.
const STREAMS_MAX: u32 = 256;

/// Dials peers over gRPC.
#[derive(Debug, Default)]
pub struct TonicNet {
    channels: Mutex<BTreeMap<(String, Lane), Channel>>,
}

impl TonicNet {
    /// No connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for a lane of a peer. The connection itself is made by its first use.
    fn client(&self, address: &str, lane: Lane) -> Result<PeerClient<Channel>, NetError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.to_owned(), lane);
        let channel = if let Some(channel) = channels.get(&key) {
            channel.clone()
        } else {
            let channel = connect_lazily(address)?;
            channels.insert(key, channel.clone());
            channel
        };
        Ok(PeerClient::new(channel)
            .max_decoding_message_size(limits::FRAME_BYTES_MAX)
            .max_encoding_message_size(limits::FRAME_BYTES_MAX))
    }
}

fn connect_lazily(address: &str) -> Result<Channel, NetError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| {
        NetError::Unreachable {
            address: address.to_owned(),
            reason: error.to_string(),
        }
    })?;
    let endpoint = endpoint
        .connect_timeout(limits::CONNECT)
        .tcp_nodelay(true)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_lazy())
}

/// A peer that is down and one that breaks off are told apart: openraft repeats the second at once.
fn failed(address: &str, status: &Status) -> NetError {
    let (address, reason) = (address.to_owned(), reason(status));
    match status.code() {
        Code::Cancelled | Code::Unknown => NetError::Broken { address, reason },
        _ => NetError::Unreachable { address, reason },
    }
}

/// What the system said, if it said something; else what the transport made of it.
fn reason(status: &Status) -> String {
    let mut cause = status.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| status.to_string(), ToString::to_string)
}

fn frames<T: Send + 'static>(address: String, stream: Streaming<T>) -> Frames<T> {
    stream
        .map(move |frame| frame.map_err(|status| failed(&address, &status)))
        .boxed()
}

/// Frames to be sent. A type of its own, because the compiler cannot see that a call with a boxed
/// stream may be sent to another thread.
struct Outgoing<T>(BoxStream<'static, T>);

impl<T> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next_unpin(context)
    }
}

impl Net for TonicNet {
    fn ask(
        &self,
        address: &str,
        lane: Lane,
        request: wire::AskRequest,
        wait: Duration,
    ) -> BoxFuture<'static, Result<wire::AskAnswer, NetError>> {
        let (client, address) = (self.client(address, lane), address.to_owned());
        async move {
            let mut client = client?;
            match timeout(wait, client.ask(request)).await {
                Ok(Ok(answer)) => Ok(answer.into_inner()),
                Ok(Err(status)) => Err(failed(&address, &status)),
                Err(_) => Err(NetError::TimedOut { address, wait }),
            }
        }
        .boxed()
    }

    fn append(
        &self,
        address: &str,
        requests: BoxStream<'static, wire::AppendRequest>,
    ) -> BoxFuture<'static, Result<Frames<wire::AppendAnswer>, NetError>> {
        let (client, address) = (self.client(address, Lane::Log), address.to_owned());
        async move {
            let answers = client?.append(Outgoing(requests)).await;
            let answers = answers.map_err(|status| failed(&address, &status))?;
            Ok(frames(address, answers.into_inner()))
        }
        .boxed()
    }

    fn install_snapshot(
        &self,
        address: &str,
        parts: BoxStream<'static, wire::SnapshotPart>,
    ) -> BoxFuture<'static, Result<wire::SnapshotAnswer, NetError>> {
        let (client, address) = (self.client(address, Lane::Snapshot), address.to_owned());
        async move {
            let answer = client?.install_snapshot(Outgoing(parts)).await;
            answer
                .map(Response::into_inner)
                .map_err(|status| failed(&address, &status))
        }
        .boxed()
    }
}

/// The gRPC side of a [`PeerHandler`].
#[derive(Clone, Debug)]
struct Door(Arc<dyn PeerHandler>);

/// The name by which a broken inbound connection is called; nobody dials it.
const INBOUND: &str = "a peer that called";

#[tonic::async_trait]
impl Peer for Door {
    type AppendStream = BoxStream<'static, Result<wire::AppendAnswer, Status>>;

    async fn ask(
        &self,
        request: Request<wire::AskRequest>,
    ) -> Result<Response<wire::AskAnswer>, Status> {
        Ok(Response::new(self.0.ask(request.into_inner()).await))
    }

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let requests = frames(INBOUND.to_owned(), request.into_inner());
        Ok(Response::new(self.0.append(requests).map(Ok).boxed()))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotPart>>,
    ) -> Result<Response<wire::SnapshotAnswer>, Status> {
        let parts = frames(INBOUND.to_owned(), request.into_inner());
        Ok(Response::new(self.0.install_snapshot(parts).await))
    }
}

/// Why peers are not served any more.
#[derive(Debug, thiserror::Error)]
#[error("peers are not served any more")]
pub struct ServeError(#[source] tonic::transport::Error);

/// Answers peers on `listener` with `handler` until `stop` resolves.
///
/// # Errors
///
/// [`ServeError`] if the listener breaks.
pub async fn serve_peers(
    listener: TcpListener,
    handler: Arc<dyn PeerHandler>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let door = PeerServer::new(Door(handler))
        .max_decoding_message_size(limits::FRAME_BYTES_MAX)
        .max_encoding_message_size(limits::FRAME_BYTES_MAX);
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_service(door)
        .serve_with_incoming(incoming);
    // Peers keep their streams open for ever, so a graceful end would never come.
    tokio::select! {
        served = serving => served.map_err(ServeError),
        () = stop => Ok(()),
    }
}
