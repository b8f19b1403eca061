//! One client connection: cut off when it must, and read a little to learn what it speaks.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::Activity;

/// One client connection, which gives its place back when it closes.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read to learn what it speaks, and is to be read again.
    opening: Bytes,
    /// Once this resolves, the connection reads as closed by the client.
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    activity: Arc<Activity>,
    _place: OwnedSemaphorePermit,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP/1.1, as far as its first bytes show.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How HTTP/2 begins. No method of HTTP/1.1 does: the word is reserved (RFC 9113 section 3.4).
const HTTP2_BEGINS: &[u8] = b"PRI ";

impl Connection {
    /// A connection that was accepted. Once `cut` resolves it reads as closed.
    pub(super) fn new(
        stream: TcpStream,
        cut: impl Future<Output = ()> + Send + 'static,
        activity: Arc<Activity>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream,
            opening: Bytes::new(),
            cut: Box::pin(cut),
            activity,
            _place: place,
        }
    }

    /// What is going on on it.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Reads as much as shows what the client speaks; it is read again later.
    pub(super) async fn spoken(&mut self) -> io::Result<Spoken> {
        let mut opening = BytesMut::with_capacity(HTTP2_BEGINS.len());
        let spoken = loop {
            if !HTTP2_BEGINS.starts_with(&opening) {
                break Spoken::Http1;
            }
            let missing = HTTP2_BEGINS.len().saturating_sub(opening.len());
            if missing == 0 {
                break Spoken::Http2;
            }
            let mut rest = (&mut *self).take(u64::try_from(missing).unwrap_or(0));
            if rest.read_buf(&mut opening).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        self.opening = opening.freeze();
        Ok(spoken)
    }
}

/// What each call knows of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its addresses.
    pub(crate) tcp: TcpConnectInfo,
    /// What is going on on it.
    pub(crate) activity: Arc<Activity>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer {
            tcp: self.stream.connect_info(),
            activity: Arc::clone(&self.activity),
        }
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
        if !self.opening.is_empty() {
            let fitting = self.opening.len().min(buffer.remaining());
            buffer.put_slice(&self.opening.split_to(fitting));
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
