//! What carries a call: a connection to a node, or a function call into a testbed.
//!
//! A testbed is called through the services that the protocol's generator makes, so a message passes
//! the encoding of the wire both ways. There is no socket and no task.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use holdpoint_receipt::KeySet;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::service::Routes;
use tonic::transport::{Channel, Error};

use super::bed::Bed;
use super::clock::BedClock;
use super::services;
use crate::endpoints::Address;

/// Tells the submissions of one call from those of others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallTag {
    /// The number of the call.
    pub(super) number: u64,
    /// When the caller gives the submission up, by the testbed's clock.
    pub(super) give_up_at: Duration,
}

impl CallTag {
    /// The tag of a submission that is given up then.
    pub(crate) const fn until(self, give_up_at: Duration) -> Self {
        Self { give_up_at, ..self }
    }
}

/// What carries calls to a node.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// A connection.
    Net(Channel),
    /// A testbed, in this process.
    Bed(BedLink),
}

/// A way into a testbed, for the submissions of one call to one of its nodes.
#[derive(Clone, Debug)]
pub(crate) struct BedLink {
    routes: Routes,
    tag: Tag,
}

/// Rides along with every submission to a testbed.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    /// The node that is asked.
    pub(super) node: String,
    /// Which call it is a submission of, and until when its answer is waited for.
    pub(super) call: CallTag,
}

/// What carries calls over `channel`.
pub(crate) const fn over(channel: Channel) -> Link {
    Link::Net(channel)
}

impl Service<http::Request<Body>> for Link {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Net(channel) => channel.poll_ready(context),
            Self::Bed(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match self {
            Self::Net(channel) => Box::pin(channel.call(request)),
            Self::Bed(_) if !services::serves(request.uri().path()) => {
                let answer = services::unserved().into_http();
                Box::pin(async { Ok(answer) })
            }
            Self::Bed(BedLink { routes, tag }) => {
                request.extensions_mut().insert(tag.clone());
                let answer = routes.call(request);
                Box::pin(async { answer.await.map_err(|never: Infallible| match never {}) })
            }
        }
    }
}

/// Where the gates of a testbed send their calls.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    bed: Arc<Bed>,
    routes: Routes,
}

impl Door {
    pub(super) fn new(bed: Arc<Bed>) -> Self {
        let routes = services::routes(&bed);
        Self { bed, routes }
    }

    pub(super) const fn bed(&self) -> &Arc<Bed> {
        &self.bed
    }

    /// A tag for a call that begins.
    pub(crate) fn call(&self) -> CallTag {
        CallTag {
            number: self.bed.calls.fetch_add(1, Ordering::Relaxed),
            give_up_at: Duration::ZERO,
        }
    }

    /// The way to one node for the submissions of one call.
    pub(crate) fn link(&self, node: &Address, call: CallTag) -> Link {
        let (routes, node) = (self.routes.clone(), node.to_string());
        let tag = Tag { node, call };
        Link::Bed(BedLink { routes, tag })
    }

    /// The address of the node that leads now.
    pub(crate) fn first(&self) -> String {
        self.bed.world().leader_address()
    }

    /// The keys that the testbed signs with.
    pub(crate) fn keys(&self) -> &KeySet {
        &self.bed.keys
    }

    /// The testbed's clock.
    pub(crate) fn clock(&self) -> &BedClock {
        &self.bed.clock
    }
}
