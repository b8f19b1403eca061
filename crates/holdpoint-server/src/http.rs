//! The log as a public thing: HTTP/1.1 on the port of the clients, read-only.
//!
//! ```text
//! listener ─▶ first bytes ─▶ HTTP/2: gRPC
//!                         └▶ HTTP/1.1: path ─▶ read pool ─▶ bytes
//! ```
//!
//! Whoever asks is not asked who it is: what is shown proves itself, and holds hashes and public keys
//! only. Nothing here waits for another node, changes anything, or takes a place of the gate's calls.

pub(crate) mod connection;
mod path;
mod published;
pub(crate) mod reply;

use std::sync::Arc;

use http::{Method, Request, StatusCode};

use crate::listener::Connection;
use crate::stop::Stop;

use path::{PathError, Resource};
use published::NotShown;
use reply::{HttpResponse, content, not_allowed, refusal};

pub(crate) use published::Published;

/// Answers what is asked on one connection.
pub(crate) async fn serve(connection: Connection, published: Published, stopped: Stop) {
    let activity = Arc::clone(connection.activity());
    let answer = |request: Request<_>| {
        let (published, call) = (published.clone(), activity.begin());
        async move {
            let answer = answer(&published, request.method(), request.uri().path()).await;
            drop(call);
            answer
        }
    };
    connection::serve(connection, answer, stopped).await;
}

async fn answer(published: &Published, method: &Method, path: &str) -> HttpResponse {
    let resource = match Resource::parse(path) {
        Ok(resource) => resource,
        Err(error) => return refusal(malformed(&error), &error.to_string()),
    };
    if method != Method::GET && method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    let kind = resource.kind();
    match published.show(resource).await {
        Ok(shown) => content(kind, shown.keep, shown.bytes),
        Err(error) => refusal(status(&error), &error.to_string()),
    }
}

const fn malformed(error: &PathError) -> StatusCode {
    match error {
        PathError::Unknown => StatusCode::NOT_FOUND,
        PathError::Tile | PathError::Namespace(_) => StatusCode::BAD_REQUEST,
    }
}

const fn status(error: &NotShown) -> StatusCode {
    match error {
        NotShown::UnknownNamespace(_)
        | NotShown::NoHead(_)
        | NotShown::NoTile { .. }
        | NotShown::Removed { .. } => StatusCode::NOT_FOUND,
        NotShown::Busy => StatusCode::SERVICE_UNAVAILABLE,
        NotShown::Fault => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
