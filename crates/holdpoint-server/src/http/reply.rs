//! Answers of HTTP/1.1: a status, a kind of content, how long it may be kept, and the bytes.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;

/// What goes out.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// The kind of a text.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// The kind of tiles.
pub(crate) const BYTES: &str = "application/octet-stream";

/// The kind of key sets.
pub(crate) const JSON: &str = "application/json";

/// How long whoever gets an answer may keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It never changes.
    ForEver,
    /// It does not change, but another one replaces it.
    AMinute,
    /// It changes all the time.
    AMoment,
    /// Not at all.
    Never,
}

impl Keep {
    const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::ForEver => "public, max-age=31536000, immutable",
            Self::AMinute => "public, max-age=60",
            Self::AMoment => "public, max-age=1",
            Self::Never => "no-store",
        })
    }
}

/// An answer with content.
pub(crate) fn content(kind: &'static str, keep: Keep, bytes: impl Into<Bytes>) -> HttpResponse {
    reply(StatusCode::OK, kind, keep, bytes.into())
}

/// A refusal, in one sentence.
pub(crate) fn refusal(status: StatusCode, sentence: &str) -> HttpResponse {
    let mut response = reply(status, TEXT, Keep::Never, format!("{sentence}\n").into());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
    response
}

/// The refusal of a method.
pub(crate) fn not_allowed(allowed: &'static str) -> HttpResponse {
    let sentence = format!("Only {allowed} is answered here.");
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &sentence);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// Any answer.
pub(crate) fn reply(
    status: StatusCode,
    kind: &'static str,
    keep: Keep,
    bytes: Bytes,
) -> HttpResponse {
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, keep.header());
    response
}
