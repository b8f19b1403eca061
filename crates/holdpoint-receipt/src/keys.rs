//! Signing keys of nodes and the published set that verifies them.
//!
//! Each node has two Ed25519 keys: the *log key* signs tree heads as notes, the *co-signing key*
//! states when this node saw a head. Neither signs anything else. Verification is strict only
//! (`verify_strict`, never in batches), and weak keys are refused when they are loaded.
//!
//! Secret keys are wiped from memory when dropped and are never shown; this module draws none. In their
//! files they can be encrypted ([`Sealing`]).

mod bytes;
mod head;
mod public;
mod sealed;
mod secret;
mod set;
mod verifier;

pub use bytes::SecretBytes;
pub use head::{HeadSignature, NodePublicKeys, SignedHead};
pub use public::{KeyError, PublicKey, SignatureInvalid};
pub use sealed::{
    KEY_FILE_BYTES_MAX, PASSPHRASE_BYTES_MAX, PASSPHRASE_BYTES_MIN, SEALING_RANDOM_BYTES, Sealing,
    SealingError, is_sealed,
};
pub use secret::{NodeSecretKeys, SecretKey, SecretPem};
pub use set::{Epoch, FollowError, KEYS_BYTES_MAX, KEYS_SCHEMA, KeySet, KeySetError, Revocation};
pub use verifier::{Algorithm, KeyId, KeyName, VerifierKey, VerifierKeyError};
