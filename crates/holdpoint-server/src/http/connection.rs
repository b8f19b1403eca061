//! One connection of HTTP/1.1, with a bound on everything that its other end can hold back.
//!
//! Never reads a request's body unless the service does.

use std::convert::Infallible;
use std::future::Future;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::HttpResponse;
use crate::limits::{HTTP_HEADER_BYTES_MAX, HTTP_HEADER_WAIT};
use crate::stop::Stop;

/// Answers the requests of one connection until its client closes it, or until `stopped`, when the
/// request that is being answered is the last one.
///
/// A request's head comes within [`HTTP_HEADER_WAIT`], counted from the end of the answer before, and
/// is at most [`HTTP_HEADER_BYTES_MAX`] long.
pub(crate) async fn serve<F: Future<Output = HttpResponse>>(
    io: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>) -> F,
    mut stopped: Stop,
) {
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_WAIT)
        .max_buf_size(HTTP_HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stopped.stopped() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of HTTP/1.1 ended");
    }
}
