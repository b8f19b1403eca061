//! The accept loop of the client listener: bounded, and never stopped by one bad connection.
//!
//! Never reads from a connection; HTTP/2 does that.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::stop::Stop;

/// How long to wait after the system had no descriptor left, which only time can mend.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// The connections of `listener`, at most `open_max` open at once, none once `cut` says so.
///
/// While so many are open nothing is accepted: newcomers wait in the system's queue.
pub(crate) fn connections(
    listener: TcpListener,
    open_max: usize,
    cut: Stop,
) -> impl Stream<Item = Result<Connection, io::Error>> {
    let places = Arc::new(Semaphore::new(open_max));
    unfold(
        (listener, places, cut),
        |(listener, places, cut)| async move {
            let connection = next(&listener, &places, &cut).await?;
            Some((Ok(connection), (listener, places, cut)))
        },
    )
}

/// Waits for the next connection; none once the places are closed, which nobody does.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>, cut: &Stop) -> Option<Connection> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended before it was accepted");
                    continue;
                }
                let mut cut = cut.clone();
                let cut = Box::pin(async move { cut.stopped().await });
                return Some(Connection {
                    stream,
                    cut,
                    _place: place,
                });
            }
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Whether the failure is the connection's own, so that the next one can be accepted at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// One client connection, which gives its place back when it closes.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Once this resolves, the connection reads as closed by the client.
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(context).is_ready() {
            // The future must not be polled again after it has resolved.
            self.cut = Box::pin(std::future::ready(()));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn one_connection_more_than_the_bound_waits_until_another_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_never, cut) = crate::stop::stop();
        let mut connections = Box::pin(connections(listener, 1, cut));
        let _first_client = TcpStream::connect(address).await.unwrap();
        let _second_client = TcpStream::connect(address).await.unwrap();
        let first = connections.next().await.unwrap().unwrap();
        assert!(futures_util::poll!(connections.next()).is_pending());
        drop(first);
        assert!(connections.next().await.unwrap().is_ok());
    }
    #[tokio::test]
    async fn connection_that_is_cut_reads_as_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (sender, cut) = crate::stop::stop();
        let mut connections = Box::pin(connections(listener, 1, cut));
        let mut connection = connections.next().await.unwrap().unwrap();
        let mut buffer = [0; 1];
        {
            let mut reading = std::pin::pin!(connection.read(&mut buffer));
            assert!(futures_util::poll!(reading.as_mut()).is_pending());
            sender.stop();
            assert_eq!(reading.await.unwrap(), 0);
        }
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 0);
    }
}
