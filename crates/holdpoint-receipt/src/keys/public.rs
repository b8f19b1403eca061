//! One public key, and verification under it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::digest::write_hex;

/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Why bytes are not a key that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 32 bytes, or not the one encoding of a point of the curve.
    #[error("not the encoding of an Ed25519 public key")]
    Encoding,
    /// A point of small order, under which one signature fits many messages.
    #[error("the key is weak: it is a point of small order")]
    Weak,
    /// Not an Ed25519 private key in PKCS#8.
    #[error("not an Ed25519 private key in PKCS#8 PEM, as this program writes it")]
    SecretEncoding,
    /// Encrypted, and in no way that is taken here.
    #[error(
        "not an Ed25519 private key in encrypted PKCS#8 PEM (PBES2 with scrypt or PBKDF2-SHA-256, and \
         AES-256-CBC)"
    )]
    SealedEncoding,
    /// What was given does not decrypt it.
    #[error("the passphrase or key-encryption key does not open it")]
    SealedOtherwise,
    /// A key could not be encrypted.
    #[error("the key cannot be encrypted")]
    Sealing,
    /// A node's two keys are one.
    #[error("the log key and the co-signing key are the same; each needs a key of its own")]
    SameKey,
}

/// Why a signature is not believed. It has one form on purpose: there is nothing to learn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid under this key")]
pub struct SignatureInvalid;

/// An Ed25519 public key that is neither weak nor in a second encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes the 32 bytes of a key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Encoding`] or [`KeyError::Weak`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_canonical(bytes) {
            return Err(KeyError::Encoding);
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Encoding)?;
        if key.is_weak() {
            Err(KeyError::Weak)
        } else {
            Ok(Self(key))
        }
    }

    pub(super) const fn of(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// That `signature` is one of `message` under this key, strictly.
    ///
    /// # Errors
    ///
    /// It is not, or it is in a form that another verifier might refuse.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
        let signature = Signature::from_slice(signature).map_err(|_| SignatureInvalid)?;
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| SignatureInvalid)
    }

    /// The key as `openssl pkey -pubin` reads it.
    #[must_use]
    pub fn to_spki_pem(&self) -> String {
        let der = [SPKI_PREFIX.as_slice(), self.as_bytes()].concat();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        )
    }
}

/// Whether the y coordinate is below the field's prime, 2^255-19.
///
/// The library takes larger ones and reduces them, so that one key would have two encodings.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    !(*first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && last & 0x7f == 0x7f)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}
