//! Connections to nodes: one per node, made when it is first asked, kept alive while idle.
//!
//! A connection never chooses a node and never repeats anything; it is thrown away when it breaks.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_proto::v1::authorize_stream_response::Result as StreamResult;
use tokio::sync::OnceCell;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;
use tonic::{Request, Status};

use crate::endpoints::{Address, Slot};
use crate::stream::{AuthorizeStream, StreamError};
use crate::testkit::{self, CallTag, Door, Link};

/// Names the caller where connections are believed because they come from this machine.
const CALLER_METADATA: &str = "holdpoint-caller";

/// How long a connection may take to come about. A share of a short deadline may end it sooner.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How often a connection is asked for a sign of life, also while idle.
pub(crate) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// How long the sign of life may take before the connection counts as broken.
pub(crate) const KEEP_ALIVE_MAX: Duration = Duration::from_secs(2);
/// From this many attempts in flight on a connection, they share one stream.
const SHARED_FROM: usize = 2;

/// One connection to one node.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Link,
    caller: MetadataValue<Ascii>,
    /// Attempts in flight.
    attempt_count: AtomicUsize,
    /// Calls that were answered, for telling a slow node from a silent one.
    answer_count: AtomicU64,
    /// Opened when attempts first share it, and again after it ended.
    stream: Mutex<Option<Arc<AuthorizeStream>>>,
}

impl Connection {
    async fn open(address: &Address, caller: MetadataValue<Ascii>) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .and_then(|endpoint| {
                endpoint.user_agent(concat!("holdpoint/", env!("CARGO_PKG_VERSION")))
            })
            .map_err(|error| root_cause(&error))?
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_MAX)
            .keep_alive_while_idle(true);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| root_cause(&error))?;
        Ok(Self::over(testkit::over(channel), caller))
    }

    fn over(link: Link, caller: MetadataValue<Ascii>) -> Self {
        let attempt_count = AtomicUsize::new(0);
        let (answer_count, stream) = (AtomicU64::new(0), Mutex::new(None));
        Self {
            link,
            caller,
            attempt_count,
            answer_count,
            stream,
        }
    }

    /// How many calls were answered over it.
    pub(crate) fn answer_count(&self) -> u64 {
        self.answer_count.load(Ordering::Relaxed)
    }

    /// A call was answered.
    pub(crate) fn answered(&self) {
        self.answer_count.fetch_add(1, Ordering::Relaxed);
    }

    /// `message` with the caller's name.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert(CALLER_METADATA, self.caller.clone());
        request
    }

    pub(crate) fn gate(&self) -> v1::gate_client::GateClient<Link> {
        v1::gate_client::GateClient::new(self.link.clone())
    }

    pub(crate) fn policy(&self) -> v1::policy_client::PolicyClient<Link> {
        v1::policy_client::PolicyClient::new(self.link.clone())
    }

    pub(crate) fn keys(&self) -> v1::keys_client::KeysClient<Link> {
        v1::keys_client::KeysClient::new(self.link.clone())
    }

    pub(crate) fn cluster(&self) -> v1::cluster_client::ClusterClient<Link> {
        v1::cluster_client::ClusterClient::new(self.link.clone())
    }

    pub(crate) fn approvals(&self) -> v1::approvals_client::ApprovalsClient<Link> {
        v1::approvals_client::ApprovalsClient::new(self.link.clone())
    }

    pub(crate) fn history(&self) -> v1::history_client::HistoryClient<Link> {
        v1::history_client::HistoryClient::new(self.link.clone())
    }

    /// Submits one attempt: by itself while it is alone, over the shared stream beside others. One that
    /// may wait goes by itself, so that the gate sees when nobody waits for it any more.
    pub(crate) async fn authorize(
        &self,
        message: v1::AuthorizeRequest,
    ) -> Result<v1::AuthorizeResponse, StreamError> {
        let place = InFlight::enter(&self.attempt_count);
        if message.wait_until_ms > 0 || place.others < SHARED_FROM - 1 {
            let answer = self.gate().authorize(self.request(message)).await;
            return answer
                .map(tonic::Response::into_inner)
                .map_err(StreamError::Ended);
        }
        match self.shared_stream().ask(message).await? {
            StreamResult::Answer(answer) => Ok(answer),
            StreamResult::Malformed(malformed) => Err(StreamError::Ended(
                Status::invalid_argument(malformed.message),
            )),
        }
    }

    fn shared_stream(&self) -> Arc<AuthorizeStream> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_ref() {
            Some(open) if open.is_open() => Arc::clone(open),
            _ => {
                let open = |requests| self.request(requests);
                let fresh = Arc::new(AuthorizeStream::open(self.gate(), open));
                *stream = Some(Arc::clone(&fresh));
                fresh
            }
        }
    }
}

/// Counts an attempt while it is in flight, however its waiting ends.
struct InFlight<'a> {
    count: &'a AtomicUsize,
    others: usize,
}

impl<'a> InFlight<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        let others = count.fetch_add(1, Ordering::AcqRel);
        Self { count, others }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A place for one connection, which whoever comes first makes for all.
type Place = Arc<OnceCell<Arc<Connection>>>;

/// The connections of a gate.
#[derive(Debug)]
pub(crate) struct Connections {
    caller: MetadataValue<Ascii>,
    places: Mutex<BTreeMap<Slot, Place>>,
    /// Where calls go instead of to nodes.
    bed: Option<Door>,
}

impl Connections {
    /// Connections of the caller of this name; none exists yet.
    pub(crate) fn new(caller: MetadataValue<Ascii>) -> Self {
        Self {
            caller,
            places: Mutex::default(),
            bed: None,
        }
    }

    /// Connections of the caller of this name to a testbed.
    #[cfg(feature = "testkit")]
    pub(crate) fn to_bed(caller: MetadataValue<Ascii>, bed: Door) -> Self {
        let bed = Some(bed);
        Self {
            bed,
            ..Self::new(caller)
        }
    }

    /// A tag for a call that begins.
    pub(crate) fn call(&self) -> CallTag {
        self.bed.as_ref().map(Door::call).unwrap_or_default()
    }

    /// The connection to the node, made now if there is none.
    ///
    /// # Errors
    ///
    /// The reason why none came about. Nothing was sent then.
    ///
    /// # Cancellation
    ///
    /// Whoever else waits for the same connection goes on making it.
    pub(crate) async fn get(
        &self,
        slot: Slot,
        address: &Address,
        tag: CallTag,
    ) -> Result<Arc<Connection>, String> {
        if let Some(bed) = &self.bed {
            let link = bed.link(address, tag);
            return Ok(Arc::new(Connection::over(link, self.caller.clone())));
        }
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(slot).or_default())
        };
        let open = || async {
            Connection::open(address, self.caller.clone())
                .await
                .map(Arc::new)
        };
        place.get_or_try_init(open).await.map(Arc::clone)
    }

    /// Throws a broken connection away, if nobody did so before.
    pub(crate) fn discard(&self, slot: Slot, broken: &Arc<Connection>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let current = places.get(&slot).and_then(|place| place.get());
        if current.is_some_and(|current| Arc::ptr_eq(current, broken)) {
            places.remove(&slot);
        }
    }
}

/// What lies at the bottom of an error: `connection refused` rather than `transport error`.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    match bottom.downcast_ref::<io::Error>() {
        // The kind says it without the number of the operating system.
        Some(io) if io.raw_os_error().is_some() || io.kind() == io::ErrorKind::TimedOut => {
            io.kind().to_string()
        }
        _ => bottom.to_string(),
    }
}
