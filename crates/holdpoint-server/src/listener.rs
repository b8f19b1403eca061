//! The accept loop of the client listener: bounded, and never stopped by one bad connection, nor by many
//! idle ones: where all places are taken, the connection that has been idle the longest makes room.
//!
//! Reads no more of a connection than shows what it speaks. Never closes one on which a call is being
//! answered.

mod connection;
mod sort;

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::stop::Stop;

pub(crate) use connection::{Connection, Peer};
pub(crate) use sort::sort;

/// How long to wait after the system had no descriptor left, which only time can mend.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// How often an idle connection is looked for while a newcomer waits and all are busy.
const ROOM: Duration = Duration::from_millis(250);

/// What is going on on one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    now: Mutex<Calls>,
    /// Told to make room for another one.
    evicted: Notify,
}

#[derive(Debug)]
struct Calls {
    count: usize,
    idle_since: Instant,
    is_evicted: bool,
}

impl Activity {
    fn new() -> Self {
        let now = Calls {
            count: 0,
            idle_since: Instant::now(),
            is_evicted: false,
        };
        Self {
            now: Mutex::new(now),
            evicted: Notify::new(),
        }
    }

    /// Takes note of a call that is being answered, until what this returns is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Call {
        self.change(|now| now.count = now.count.saturating_add(1));
        Call(Arc::clone(self))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Calls) -> T) -> T {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Since when nothing has been going on; none while something is, or if it is closing already.
    fn idle_since(&self) -> Option<Instant> {
        self.change(|now| (now.count == 0 && !now.is_evicted).then_some(now.idle_since))
    }

    fn evict(&self) {
        self.change(|now| now.is_evicted = true);
        self.evicted.notify_one();
    }
}

/// A call that is being answered on a connection.
#[derive(Debug)]
pub(crate) struct Call(Arc<Activity>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.change(|now| {
            now.count = now.count.saturating_sub(1);
            now.idle_since = Instant::now();
        });
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Open(Vec<Weak<Activity>>);

impl Open {
    fn add(&mut self, activity: &Arc<Activity>) {
        self.0.retain(|known| known.strong_count() > 0);
        self.0.push(Arc::downgrade(activity));
    }

    /// Closes the connection that has been idle the longest, if one is idle.
    fn make_room(&self) {
        let idle = self.0.iter().filter_map(|known| {
            let activity = known.upgrade()?;
            Some((activity.idle_since()?, activity))
        });
        if let Some((since, activity)) = idle.min_by_key(|(since, _)| *since) {
            let idle_for = since.elapsed();
            tracing::debug!(
                ?idle_for,
                "closed an idle connection to make room for another"
            );
            activity.evict();
        }
    }
}

/// The connections of `listener`, at most `open_max` open at once, none once `cut` says so.
///
/// While so many are open and none is idle, newcomers wait in the system's queue.
pub(crate) fn connections(
    listener: TcpListener,
    open_max: usize,
    cut: Stop,
) -> impl Stream<Item = Result<Connection, io::Error>> {
    let accept = Accept {
        listener,
        places: Arc::new(Semaphore::new(open_max)),
        open: Open::default(),
        cut,
    };
    unfold(accept, |mut accept| async move {
        let connection = accept.next().await?;
        Some((Ok(connection), accept))
    })
}

struct Accept {
    listener: TcpListener,
    places: Arc<Semaphore>,
    open: Open,
    cut: Stop,
}

impl Accept {
    /// Waits for the next connection; none once the places are closed, which nobody does.
    async fn next(&mut self) -> Option<Connection> {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection ended before it was accepted");
                        continue;
                    }
                    let place = self.place().await?;
                    return Some(self.connection(stream, place));
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

    /// Waits for a place, for which an idle connection has to go if there is none.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        loop {
            self.open.make_room();
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(place) = timeout(ROOM, place).await {
                return place.ok();
            }
        }
    }

    fn connection(&mut self, stream: TcpStream, place: OwnedSemaphorePermit) -> Connection {
        let activity = Arc::new(Activity::new());
        self.open.add(&activity);
        let (mut cut, evicted) = (self.cut.clone(), Arc::clone(&activity));
        let cut = async move {
            tokio::select! {
                () = cut.stopped() => (),
                () = evicted.evicted.notified() => (),
            }
        };
        Connection::new(stream, cut, activity, place)
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

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::connection::Spoken;
    use super::*;

    #[tokio::test]
    async fn one_connection_more_than_the_bound_waits_while_the_others_are_busy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_never, cut) = crate::stop::stop();
        let mut connections = Box::pin(connections(listener, 1, cut));
        let _first_client = TcpStream::connect(address).await.unwrap();
        let _second_client = TcpStream::connect(address).await.unwrap();
        let first = connections.next().await.unwrap().unwrap();
        let _call = first.activity().begin();
        assert!(futures_util::poll!(connections.next()).is_pending());
        drop(first);
        assert!(connections.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn connection_that_has_been_idle_the_longest_makes_room_for_a_newcomer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_never, cut) = crate::stop::stop();
        let mut connections = Box::pin(connections(listener, 2, cut));
        let _clients = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let mut first = connections.next().await.unwrap().unwrap();
        let mut second = connections.next().await.unwrap().unwrap();
        // The first was used last.
        drop(first.activity().begin());
        let newcomer = async { connections.next().await.unwrap().unwrap() };
        let closing = async {
            let mut buffer = [0; 1];
            let read = second.read(&mut buffer).await.unwrap();
            drop(second);
            read
        };
        let (_newcomer, read) = tokio::join!(newcomer, closing);
        assert_eq!(read, 0);
        let mut buffer = [0; 1];
        let mut reading = std::pin::pin!(first.read(&mut buffer));
        assert!(futures_util::poll!(reading.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn what_was_read_to_learn_what_a_client_speaks_is_read_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_never, cut) = crate::stop::stop();
        let mut connections = Box::pin(connections(listener, 4, cut));
        for (sent, expected) in [
            ("PRI * HTTP/2.0", Some(Spoken::Http2)),
            ("GET / HTTP/1.1", Some(Spoken::Http1)),
            ("POST / HTTP/1.1", Some(Spoken::Http1)),
            ("PRINT / HTTP/1.1", Some(Spoken::Http1)),
            ("PRI", None),
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut connection = connections.next().await.unwrap().unwrap();
            client.write_all(sent.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(connection.spoken().await.ok(), expected, "{sent}");
            if expected.is_some() {
                let mut read = String::new();
                connection.read_to_string(&mut read).await.unwrap();
                assert_eq!(read, sent);
            }
        }
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
