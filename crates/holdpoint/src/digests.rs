//! Digests as people type them.

use holdpoint_receipt::Digest;

/// Reads 64 hex digits, with or without `sha256:` before them.
///
/// # Errors
///
/// A sentence for whoever typed it.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    digits
        .parse()
        .map_err(|error| format!("`{text}` is {error}"))
}
