//! SHA-256 and how this product separates its uses of it.
//!
//! Never a keyed hash, and never truncated: a [`Digest`] is always the whole 32 bytes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

/// Bytes in a digest.
pub const DIGEST_BYTES: usize = 32;

/// A SHA-256 value. Shown and parsed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; DIGEST_BYTES]);

impl Digest {
    /// Takes 32 bytes that are a digest already.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// The bytes in base64, as C2SP writes hashes of a tree.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Digest::to_base64`] writes, and no other spelling of it.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: give exactly 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        parse_hex(text).map(Self).ok_or(DigestError)
    }
}

/// Writes `bytes` as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    // Piece by piece rather than digit by digit: statements are mostly digests, and each piece is a call.
    for piece in bytes.chunks(DIGEST_BYTES) {
        let mut digits = [0; 2 * DIGEST_BYTES];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(piece) {
            *pair = [digit_of(byte >> 4), digit_of(byte & 0xf)];
        }
        let written = digits
            .get(..piece.len().saturating_mul(2))
            .unwrap_or_default();
        f.write_str(str::from_utf8(written).map_err(|_| fmt::Error)?)?;
    }
    Ok(())
}

/// The digit of a number below 16.
const fn digit_of(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0'.wrapping_add(nibble),
        _ => b'a'.wrapping_add(nibble & 0xf).wrapping_sub(10),
    }
}

/// Reads exactly `2 * N` lower-case hexadecimal digits, and nothing else.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

/// Plain SHA-256, as `sha256sum` prints it.
///
/// For bytes that others hash too: files, statements, tree nodes. Everything that only this product
/// hashes goes through [`sha256_domain`].
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 over `parts`, separated from every other use by `domain`.
///
/// ```text
/// domain | 0x00 | for each part: length (8 bytes, big endian) | part
/// ```
///
/// The length in front of each part means that no two lists of parts share an input. `domain` is one
/// of our own constants and holds no zero byte.
#[must_use]
pub fn sha256_domain(domain: &str, parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::with_domain(domain);
    for part in parts {
        hasher.part(part);
    }
    hasher.finish()
}

/// SHA-256 that takes its input piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// An empty hasher, for plain SHA-256.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A hasher that has taken `domain` and its closing zero byte, as [`sha256_domain`] does.
    #[must_use]
    pub fn with_domain(domain: &str) -> Self {
        let mut hasher = Self::new();
        hasher.update(domain.as_bytes());
        hasher.update(&[0]);
        hasher
    }

    /// Takes bytes as they are.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes one part with its length in front, as [`sha256_domain`] does.
    pub fn part(&mut self, part: &[u8]) {
        // usize has at most 64 bits on every target that exists, so this loses nothing.
        let length = part.len() as u64;
        self.update(&length.to_be_bytes());
        self.update(part);
    }

    /// The digest of everything taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_digest_is_the_one_of_fips_180() {
        assert_eq!(
            sha256(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn parts_that_concatenate_to_the_same_bytes_have_different_digests() {
        assert_ne!(
            sha256_domain("d", &[b"ab", b"c"]),
            sha256_domain("d", &[b"a", b"bc"])
        );
        assert_ne!(
            sha256_domain("d", &[b"ab"]),
            sha256_domain("d", &[b"ab", b""])
        );
    }

    #[test]
    fn domain_digest_is_drawn_as_documented() {
        let drawn = sha256(b"d\0\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\x01c");
        assert_eq!(sha256_domain("d", &[b"ab", b"c"]), drawn);
    }

    #[test]
    fn digest_text_has_one_form() {
        let digest = sha256(b"x");
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(text.to_uppercase().parse::<Digest>(), Err(DigestError));
        assert_eq!(text.get(1..).unwrap().parse::<Digest>(), Err(DigestError));
        assert_eq!(format!("{text}0").parse::<Digest>(), Err(DigestError));
        let text = digest.to_base64();
        assert_eq!(Digest::from_base64(&text), Some(digest));
        assert_eq!(Digest::from_base64(text.trim_end_matches('=')), None);
        assert_eq!(Digest::from_base64("AAAA"), None);
    }
}
