//! One question to a witness over HTTP/1.1, on a connection of its own. The caller bounds its time.

use bytes::Bytes;
use holdpoint_receipt::cosignature;
use holdpoint_receipt::note::NoteSignature;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Trouble;
use crate::config::WitnessEntry;
use crate::limits::WITNESS_ANSWER_BYTES_MAX;
use crate::witness::wire::{ADD_CHECKPOINT, Submission, TEXT_SIZE, parse_lines, parse_size};

/// Where a URL without a port points.
const HTTP_PORT: u16 = 80;

/// Characters of what a witness says that are shown.
const SENTENCE_CHARS_MAX: usize = 200;

/// What a witness answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its signature, which was verified.
    Signed(NoteSignature),
    /// The size of the last head that it signed.
    Conflict(u64),
}

/// Submits a head.
pub(super) async fn submit(
    entry: &WitnessEntry,
    submission: &Submission,
) -> Result<Answer, Trouble> {
    let response = post(entry, submission.to_string()).await;
    let response = response.map_err(|error| Trouble::Unreachable(error.to_string()))?;
    let (parts, body) = response.into_parts();
    match parts.status {
        StatusCode::OK => {
            let line = signature(entry, submission.note.text(), &body);
            line.map(Answer::Signed).ok_or(Trouble::Signature)
        }
        StatusCode::CONFLICT if parts.headers.get(CONTENT_TYPE).is_some_and(is_size) => {
            let size = parse_size(&body).map(Answer::Conflict);
            size.ok_or_else(|| refused(parts.status, &body))
        }
        status => Err(refused(status, &body)),
    }
}

fn is_size(kind: &http::HeaderValue) -> bool {
    kind.as_bytes() == TEXT_SIZE.as_bytes()
}

fn refused(status: StatusCode, body: &[u8]) -> Trouble {
    let text = String::from_utf8_lossy(body);
    let shown = text.chars().filter(|character| !character.is_control());
    Trouble::Refused {
        status: status.as_u16(),
        sentence: shown.take(SENTENCE_CHARS_MAX).collect(),
    }
}

/// The line of this witness among those of an answer, if it is valid. Lines of others are left out.
fn signature(entry: &WitnessEntry, text: &str, body: &[u8]) -> Option<NoteSignature> {
    let verifier = &entry.verifier;
    let lines = parse_lines(body)?;
    lines.into_iter().find(|line| {
        line.name == *verifier.name()
            && line.key_id == verifier.key_id()
            && cosignature::verify(verifier.key(), &line.signature, text).is_ok()
    })
}

async fn post(
    entry: &WitnessEntry,
    body: String,
) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let host = entry.url.host().unwrap_or_default();
    let port = entry.url.port_u16().unwrap_or(HTTP_PORT);
    // An address of version 6 is in brackets in a URL only.
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = format!("{}{ADD_CHECKPOINT}", entry.url.path().trim_end_matches('/'));
    let authority = entry.url.authority().map_or(host, |given| given.as_str());
    let request = Request::post(path)
        .header(HOST, authority)
        .body(Full::new(Bytes::from(body)))?;
    let answering = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, WITNESS_ANSWER_BYTES_MAX).collect();
        Ok(Response::from_parts(parts, body.await?.to_bytes()))
    };
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        answer = &mut answering => answer,
        // What was received before the connection ended is still read.
        _ = connection => answering.await,
    }
}
