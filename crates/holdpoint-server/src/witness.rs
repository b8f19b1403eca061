//! A witness: a program apart from the cluster that signs heads of logs which continue what it signed
//! before (C2SP `tlog-witness`).
//!
//! ```text
//! POST /add-checkpoint ─▶ signed by enough nodes? ─▶ continues the last head? ─▶ remembered ─▶ signed
//! ```
//!
//! It knows published keys and the last head of each log, and nothing of what is in a log. Whoever
//! shows two people two histories of one log needs its help for both, and does not get it: not after a
//! restart, and not with a majority of the cluster's keys.
//!
//! It never asks a node anything, and never signs what it has not remembered.

mod book;
mod judge;
mod logs;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use holdpoint_raft::{Clock as _, SystemClock};
use holdpoint_receipt::keys::VerifierKey;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::http::connection;
use crate::http::reply::{HttpResponse, Keep, TEXT, not_allowed, refusal, reply};
use crate::key_files::SealingFile;
use crate::limits::{CLOSE, WITNESS_BODY_WAIT, WITNESS_CONNECTIONS_MAX};
use crate::stop::{Stop, stop};

use book::Book;
use judge::Refusal;
use logs::{Logs, NotSigned};
use wire::{ADD_CHECKPOINT, SUBMISSION_BYTES_MAX, TEXT_SIZE, size_body};

pub use book::BookError;
pub use logs::{LogError, WatchedLog};

/// What a witness is told.
#[derive(Clone, Debug)]
pub struct WitnessOptions {
    /// Where it listens. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The file of its key, which is made at the first start.
    pub key: PathBuf,
    /// What its key is encrypted under in that file, if it is.
    pub sealing: Option<SealingFile>,
    /// The name of its key; none names it after the key.
    pub name: Option<String>,
    /// The folder of its memory.
    pub state: PathBuf,
    /// The logs that it watches.
    pub logs: Vec<WatchedLog>,
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its key or its memory.
    #[error(transparent)]
    Book(#[from] BookError),
    /// A log that it is to watch.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A witness that listens.
#[derive(Debug)]
pub struct Witness {
    logs: Arc<Logs>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Witness {
    /// Opens key and memory, reads the keys of the logs and listens. Answers nothing yet.
    ///
    /// # Errors
    ///
    /// [`WitnessError`]
    pub async fn start(options: WitnessOptions) -> Result<Self, WitnessError> {
        let WitnessOptions {
            listen,
            key,
            sealing,
            name,
            state,
            logs,
        } = options;
        let sealing = sealing.map(|file| file.read()).transpose();
        let sealing = sealing.map_err(BookError::from)?;
        let book = Book::open(&key, name.as_deref(), &state, sealing.as_ref())?;
        let logs = Logs::open(book, logs)?;
        let unheard = |source| WitnessError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?;
        Ok(Self {
            logs: Arc::new(logs),
            listener,
            address,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its key, as it is published: what the cluster file names.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        self.logs.book().verifier()
    }

    /// Answers until `stopped`, then ends what it has begun.
    pub async fn run(self, stopped: impl Future<Output = ()>) {
        let (stopping, told) = stop();
        let places = Arc::new(Semaphore::new(WITNESS_CONNECTIONS_MAX));
        let mut open = JoinSet::new();
        tokio::pin!(stopped);
        loop {
            // At most as many connections are accepted as are served.
            let place = async {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, self.listener.accept().await)
            };
            tokio::select! {
                (place, accepted) = place => match accepted {
                    Ok((stream, _)) => {
                        let serving = serve(stream, Arc::clone(&self.logs), told.clone());
                        open.spawn(async move {
                            serving.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections; trying again");
                        tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    }
                },
                Some(_) = open.join_next() => (),
                () = &mut stopped => break,
            }
        }
        stopping.stop();
        let ended = async { while open.join_next().await.is_some() {} };
        // Whoever has not sent its request yet is cut off.
        let _ = timeout(CLOSE, ended).await;
    }
}

/// How long to wait after a connection could not be accepted.
const EXHAUSTED_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

async fn serve(stream: TcpStream, logs: Arc<Logs>, stopped: Stop) {
    let answer = |request: Request<Incoming>| answer(Arc::clone(&logs), request);
    connection::serve(stream, answer, stopped).await;
}

async fn answer(logs: Arc<Logs>, request: Request<Incoming>) -> HttpResponse {
    if request.uri().path() != ADD_CHECKPOINT {
        let sentence = "There is nothing here; a witness answers POST /add-checkpoint.";
        return refusal(StatusCode::NOT_FOUND, sentence);
    }
    if request.method() != Method::POST {
        return not_allowed("POST");
    }
    let body = Limited::new(request.into_body(), SUBMISSION_BYTES_MAX).collect();
    let body = match timeout(WITNESS_BODY_WAIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            let sentence = "The body is too long, or it ended early.";
            return refusal(StatusCode::BAD_REQUEST, sentence);
        }
        Err(_) => {
            return refusal(
                StatusCode::REQUEST_TIMEOUT,
                "The body did not come in time.",
            );
        }
    };
    let at_s = SystemClock::new().wall_ms() / 1_000;
    let signed = spawn_blocking(move || logs.sign(&body, at_s)).await;
    match signed {
        Ok(Ok(lines)) => reply(StatusCode::OK, TEXT, Keep::Never, lines.into()),
        Ok(Err(NotSigned::Refused(why))) => refused(&why),
        Ok(Err(NotSigned::Fault(fault))) => {
            tracing::error!(%fault, "a witness cannot remember what it signs; it signs nothing");
            failed()
        }
        Err(_) => failed(),
    }
}

fn failed() -> HttpResponse {
    let sentence = "This witness has a fault of its own; it signs nothing until that is mended.";
    refusal(StatusCode::INTERNAL_SERVER_ERROR, sentence)
}

fn refused(why: &Refusal) -> HttpResponse {
    let status = match why {
        Refusal::Conflict { size } => {
            let body = size_body(*size).into();
            return reply(StatusCode::CONFLICT, TEXT_SIZE, Keep::Never, body);
        }
        Refusal::Malformed(_) | Refusal::Checkpoint(_) | Refusal::Backwards => {
            StatusCode::BAD_REQUEST
        }
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::NotSigned { .. } => StatusCode::FORBIDDEN,
        Refusal::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
    };
    refusal(status, &why.to_string())
}
