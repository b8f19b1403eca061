//! How nodes reach each other: a seam.
//!
//! [`Net`] is what a node dials with, [`PeerHandler`] what its accept loop hands frames to. The
//! shipped pair is [`TonicNet`](crate::TonicNet) and [`serve_peers`](crate::serve_peers); tests and
//! the simulation put a network of their own between the two.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use holdpoint_proto::peer::v1::{
    AppendAnswer, AppendRequest, AskAnswer, AskRequest, SnapshotAnswer, SnapshotPart,
};

/// What a frame is for. Each lane has a connection of its own, so that a snapshot delays no
/// heartbeat, a full pipe of entries delays no vote, and what nodes ask of each other waits behind
/// neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The log.
    Log,
    /// Heartbeats.
    Heartbeat,
    /// Votes, greetings, hand-over, clocks.
    Control,
    /// Snapshots.
    Snapshot,
    /// What nodes ask of each other above raft.
    Node,
}

/// Why a frame got no answer. Whether it arrived is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The peer cannot be reached: leave it alone for a while.
    #[error("`{address}` cannot be reached: {reason}")]
    Unreachable {
        /// The address dialled.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// No answer came in time.
    #[error("`{address}` did not answer within {} ms", wait.as_millis())]
    TimedOut {
        /// The address dialled.
        address: String,
        /// How long the caller waited.
        wait: Duration,
    },
    /// The connection broke in the middle.
    #[error("the connection to `{address}` broke: {reason}")]
    Broken {
        /// The address dialled.
        address: String,
        /// What the transport said.
        reason: String,
    },
}

/// Frames in order, or the end of the connection that brought them.
pub type Frames<T> = BoxStream<'static, Result<T, NetError>>;

/// Dials peers. Cheap calls: a connection is made at its first use and made again after it broke.
///
/// No call waits for ever: each ends by its deadline, or with the stream that it returned, whose
/// reader bounds the wait for every answer.
pub trait Net: Send + Sync + fmt::Debug + 'static {
    /// Asks one question.
    fn ask(
        &self,
        address: &str,
        lane: Lane,
        request: AskRequest,
        wait: Duration,
    ) -> BoxFuture<'static, Result<AskAnswer, NetError>>;

    /// Opens a stream of appends. Answers come in the order of the requests.
    fn append(
        &self,
        address: &str,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxFuture<'static, Result<Frames<AppendAnswer>, NetError>>;

    /// Sends a snapshot, and returns the answer to all of it.
    fn install_snapshot(
        &self,
        address: &str,
        parts: BoxStream<'static, SnapshotPart>,
    ) -> BoxFuture<'static, Result<SnapshotAnswer, NetError>>;
}

/// Answers peers. The accept loop gives it every frame that arrives, as it arrives.
pub trait PeerHandler: Send + Sync + fmt::Debug + 'static {
    /// Answers one question.
    fn ask(&self, request: AskRequest) -> BoxFuture<'static, AskAnswer>;

    /// Answers a stream of appends, in order. The stream ends after the first answer that is not a
    /// match.
    fn append(&self, requests: Frames<AppendRequest>) -> BoxStream<'static, AppendAnswer>;

    /// Takes a snapshot in.
    fn install_snapshot(&self, parts: Frames<SnapshotPart>) -> BoxFuture<'static, SnapshotAnswer>;
}
