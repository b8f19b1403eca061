//! Co-signatures of heads: C2SP `tlog-cosignature`, version 1.
//!
//! A co-signature says that its signer saw the head at a time, consistent with every head that it
//! signed before. It is made over
//!
//! ```text
//! cosignature/v1
//! time <seconds since the Unix epoch>
//! <the head's text>
//! ```
//!
//! and stands in its line as `timestamp (8 bytes, big endian) | signature (64 bytes)`. The time is
//! passed in; nothing here reads a clock.

use crate::keys::{PublicKey, SecretKey, SignatureInvalid};

/// Bytes in a co-signature.
pub const COSIGNATURE_BYTES: usize = 72;

/// What is signed.
#[must_use]
pub fn message(at_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {at_s}\n{text}")
}

/// Signs a head's text at a time.
#[must_use]
pub fn sign(key: &SecretKey, at_s: u64, text: &str) -> [u8; COSIGNATURE_BYTES] {
    let signature = key.sign(message(at_s, text).as_bytes());
    let mut bytes = [0; COSIGNATURE_BYTES];
    let (time, rest) = bytes.split_at_mut(8);
    time.copy_from_slice(&at_s.to_be_bytes());
    rest.copy_from_slice(&signature);
    bytes
}

/// The time of a co-signature that is valid for this text.
///
/// # Errors
///
/// [`SignatureInvalid`], also if it has another length.
pub fn verify(key: &PublicKey, bytes: &[u8], text: &str) -> Result<u64, SignatureInvalid> {
    let (time, signature) = bytes.split_first_chunk::<8>().ok_or(SignatureInvalid)?;
    let at_s = u64::from_be_bytes(*time);
    key.verify(message(at_s, text).as_bytes(), signature)?;
    Ok(at_s)
}
