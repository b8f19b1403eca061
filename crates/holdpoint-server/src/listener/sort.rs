//! Tells connections of HTTP/2 from those of HTTP/1.1, and hands each to whoever serves it.
//!
//! One task for each connection until it is known what it speaks, then for as long as it is served over
//! HTTP/1.1. All end with this one.

use std::future::Future;
use std::io;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{Connection, Spoken};
use crate::limits::{HTTP_CONNECTIONS_MAX, OPENING_WAIT};
use crate::stop::Stop;

/// Sorts `connections` until `stopped`, then waits until those of HTTP/1.1 have ended.
///
/// A connection that has not shown what it speaks within [`OPENING_WAIT`] is closed, and so is one of
/// HTTP/1.1 while [`HTTP_CONNECTIONS_MAX`] of them are open.
pub(crate) async fn sort<F: Future<Output = ()> + Send>(
    connections: impl Stream<Item = Result<Connection, io::Error>>,
    http2: mpsc::Sender<Result<Connection, io::Error>>,
    http1: impl Fn(Connection) -> F + Clone + Send + 'static,
    mut stopped: Stop,
) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    {
        let mut connections = std::pin::pin!(connections);
        loop {
            let connection = tokio::select! {
                connection = connections.next() => connection,
                Some(_) = tasks.join_next() => continue,
                () = stopped.stopped() => break,
            };
            let Some(Ok(connection)) = connection else {
                break;
            };
            let (http1, http2, places) = (http1.clone(), http2.clone(), Arc::clone(&places));
            let mut stopped = stopped.clone();
            tasks.spawn(async move {
                let opened = tokio::select! {
                    opened = open(connection) => opened,
                    () = stopped.stopped() => None,
                };
                match opened {
                    // Refused only by a server that has stopped.
                    Some((connection, Spoken::Http2)) => drop(http2.send(Ok(connection)).await),
                    Some((connection, Spoken::Http1)) => {
                        if let Ok(_place) = places.try_acquire() {
                            http1(connection).await;
                        } else {
                            tracing::debug!("closed a connection: too many of HTTP/1.1 are open");
                        }
                    }
                    None => (),
                }
            });
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Learns what a client speaks; none if it does not say so in time.
async fn open(mut connection: Connection) -> Option<(Connection, Spoken)> {
    match timeout(OPENING_WAIT, connection.spoken()).await {
        Ok(Ok(spoken)) => Some((connection, spoken)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection ended before it said anything");
            None
        }
        Err(_) => {
            tracing::debug!("closed a connection that said nothing");
            None
        }
    }
}
