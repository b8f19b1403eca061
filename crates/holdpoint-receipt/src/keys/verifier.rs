//! Keys with a name: the `vkey` of C2SP `signed-note`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, PublicKey};
use crate::checkpoint::Origin;
use crate::digest::{Hasher, parse_hex, write_hex};
use crate::names::{ClusterId, NodeId};

/// The first four bytes of `SHA-256(name | 0x0a | algorithm | key)`: a hint, never a proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// The name of a key in a signature line: not empty, without white space, control characters or `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Takes a name that fits.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let fits = !text.is_empty()
            && text.len() <= Self::BYTES_MAX
            && text
                .chars()
                .all(|c| !c.is_whitespace() && !c.is_control() && c != '+');
        fits.then_some(Self(text))
    }

    /// The name of every log key: the origin of the log.
    #[must_use]
    pub fn of_origin(origin: &Origin) -> Self {
        Self(origin.as_str().to_owned())
    }

    /// The name of a co-signing key: `node-<id>.<cluster id>`.
    #[must_use]
    pub fn of_node(cluster: &ClusterId, node: NodeId) -> Self {
        Self(format!("node-{node}.{cluster}"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a key signs, by its number in C2SP `signed-note`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// The note's text, plainly.
    Ed25519,
    /// A timestamp and the note's text, as C2SP `tlog-cosignature` says.
    CosignatureV1,
}

impl Algorithm {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ed25519),
            4 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

/// Why a text is not a verifier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierKeyError {
    /// Not `<name>+<key id>+<base64>`.
    #[error("a verifier key is `<name>+<8 hexadecimal digits>+<base64>`")]
    Form,
    /// A kind of key that we do not verify with.
    #[error("the key is for a kind of signature that is not known here")]
    Algorithm,
    /// The key id is not the one of name and key.
    #[error("the key id does not belong to this name and key")]
    KeyId,
    /// The key itself is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A public key with the name and the algorithm that it is used with.
///
/// Shown and parsed as `<name>+<key id>+<base64 of algorithm and key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    algorithm: Algorithm,
    key: PublicKey,
}

impl VerifierKey {
    /// Puts the parts together.
    #[must_use]
    pub const fn new(name: KeyName, algorithm: Algorithm, key: PublicKey) -> Self {
        Self {
            name,
            algorithm,
            key,
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The hint in signature lines.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let mut hasher = Hasher::new();
        hasher.update(self.name.as_str().as_bytes());
        hasher.update(&[b'\n', self.algorithm.number()]);
        hasher.update(self.key.as_bytes());
        let [a, b, c, d, ..] = *hasher.finish().as_bytes();
        KeyId([a, b, c, d])
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm.number()], self.key.as_bytes().as_slice()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            self.key_id(),
            STANDARD.encode(key)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        // The base64 may hold `+`; name and id may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(key_id), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifierKeyError::Form);
        };
        let name = KeyName::new(name).ok_or(VerifierKeyError::Form)?;
        let key_id = parse_hex(key_id).map(KeyId).ok_or(VerifierKeyError::Form)?;
        let bytes = STANDARD.decode(key).map_err(|_| VerifierKeyError::Form)?;
        let (algorithm, key) = bytes.split_first().ok_or(VerifierKeyError::Form)?;
        let algorithm = Algorithm::from_number(*algorithm).ok_or(VerifierKeyError::Algorithm)?;
        let key = key.try_into().map_err(|_| KeyError::Encoding)?;
        let verifier = Self {
            name,
            algorithm,
            key: PublicKey::from_bytes(key)?,
        };
        if verifier.key_id() == key_id {
            Ok(verifier)
        } else {
            Err(VerifierKeyError::KeyId)
        }
    }
}
