//! Secret keys: held, used, wiped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use super::{HeadSignature, KeyError, NodePublicKeys, PublicKey, SignedHead};
use crate::checkpoint::Checkpoint;
use crate::cosignature;
use crate::names::{ClusterId, NodeId};

/// What stands before the 32 bytes of an Ed25519 key in a PKCS#8 `PrivateKeyInfo` (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The length of such a `PrivateKeyInfo`.
pub(super) const PKCS8_BYTES: usize = 48;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----\n";
const PEM_END: &str = "\n-----END PRIVATE KEY-----\n";

/// An Ed25519 secret key. Wiped when dropped; its `Debug` shows nothing of it.
pub struct SecretKey(SigningKey);

/// A secret key as text for its file. Wiped when dropped; its `Debug` shows nothing of it.
pub struct SecretPem(Zeroizing<String>);

impl SecretPem {
    pub(super) const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the file that only its owner reads.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SecretKey {
    /// Takes 32 random bytes. Wiping the caller's own copy is the caller's part.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Draws a key: `fill` puts 32 random bytes where they are wiped.
    ///
    /// # Errors
    ///
    /// Whatever `fill` says.
    pub fn draw<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(&mut seed)?;
        Ok(Self::from_seed(&seed))
    }

    /// Reads the text that [`SecretKey::to_pem`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`KeyError::SecretEncoding`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let body = text
            .strip_prefix(PEM_BEGIN)
            .and_then(|text| text.strip_suffix(PEM_END));
        let body = body.ok_or(KeyError::SecretEncoding)?;
        let der = STANDARD.decode(body).map(Zeroizing::new);
        let der = der.map_err(|_| KeyError::SecretEncoding)?;
        Self::from_der(&der).ok_or(KeyError::SecretEncoding)
    }

    /// Reads the one PKCS#8 that we write; none if it is another.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let seed = der.strip_prefix(PKCS8_PREFIX.as_slice())?;
        Some(Self::from_seed(seed.try_into().ok()?))
    }

    /// Writes the key in PKCS#8 to the first [`PKCS8_BYTES`] of `room`.
    pub(super) fn write_der(&self, room: &mut [u8]) {
        let bytes = PKCS8_PREFIX.iter().chain(self.0.as_bytes());
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
    }

    /// The key in PKCS#8 PEM, as openssl reads it too.
    #[must_use]
    pub fn to_pem(&self) -> SecretPem {
        let mut der = Zeroizing::new([0; PKCS8_BYTES]);
        self.write_der(&mut der[..]);
        let body = Zeroizing::new(STANDARD.encode(&der[..]));
        // Room for everything at once, so that no partial copy is left behind by growing.
        let length = [PEM_BEGIN, &body, PEM_END]
            .iter()
            .fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(PEM_BEGIN);
        text.push_str(&body);
        text.push_str(PEM_END);
        SecretPem(text)
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::of(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPem")
    }
}

/// The two secret keys of a node.
#[derive(Debug)]
pub struct NodeSecretKeys {
    log: SecretKey,
    cosign: SecretKey,
}

impl NodeSecretKeys {
    /// Takes a node's two keys.
    ///
    /// # Errors
    ///
    /// [`KeyError::SameKey`]: what one key may sign, the other must not be able to.
    pub fn new(log: SecretKey, cosign: SecretKey) -> Result<Self, KeyError> {
        if log.public() == cosign.public() {
            return Err(KeyError::SameKey);
        }
        Ok(Self { log, cosign })
    }

    /// The two public keys.
    #[must_use]
    pub fn public(&self) -> NodePublicKeys {
        NodePublicKeys {
            log: self.log.public(),
            cosign: self.cosign.public(),
        }
    }

    /// Signs a head with both keys. `at_s` is the node's own wall clock, in seconds since the Unix
    /// epoch.
    ///
    /// The caller has applied the tree itself and has made durable that it signs this size: nothing
    /// here remembers what was signed before.
    #[must_use]
    pub fn sign_head(
        &self,
        cluster: &ClusterId,
        node: NodeId,
        head: &Checkpoint,
        at_s: u64,
    ) -> HeadSignature {
        let text = head.to_text();
        let signed = SignedHead {
            log: self.log.sign(text.as_bytes()),
            cosign: cosignature::sign(&self.cosign, at_s, &text),
        };
        HeadSignature::new(cluster, &head.origin, node, &self.public(), &signed)
    }
}
