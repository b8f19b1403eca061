//! What was decided, in bytes that anyone can check offline.
//!
//! This crate holds the vocabulary of the gate ([`names`], [`Decision`], [`Reason`]), the strict JSON
//! of requests and its one canonical form ([`json`], [`request`]), statements ([`statement`]), the
//! tree over them ([`merkle`], [`tiles`]), signed heads ([`checkpoint`], [`keys`]), the file that
//! proves a statement ([`receipt`]) and its offline verifier ([`mod@verify`]); and what can be said of
//! many: the story of one permit ([`chain`]), a whole log ([`export`]), the keys under offline roots
//! ([`trust`]). What a statement hides can be shown one member at a time ([`mod@open`]).
//!
//! It never reads a file, a clock, the environment or a random source, never awaits, and never
//! iterates in hash order: the same input gives the same bytes on every node and in every run. It is
//! the only crate that names `sha2`, `ed25519-dalek` and `pkcs8`.
#![deny(
    clippy::iter_over_hash_type,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]
// Tests may overflow: they panic then, as they should.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod chain;
pub mod checkpoint;
pub mod cosignature;
pub mod digest;
pub mod export;
pub mod json;
pub mod keys;
pub mod merkle;
pub mod names;
pub mod note;
pub mod open;
pub mod reason;
pub mod receipt;
pub mod request;
pub mod statement;
pub mod tiles;
pub mod trust;
pub mod verify;

pub use digest::{Digest, Hasher, sha256, sha256_domain};
pub use json::{INT_MAX, Json, JsonError, Limits};
pub use keys::{KeySet, NodeSecretKeys, PublicKey, Sealing, SecretKey};
pub use names::{
    Actor, BoundKey, Caller, ClusterId, ClusterTime, Fence, IdempotencyKey, Name, NameError,
    NodeId, PermitId, PolicyVersion, RedemptionId, SessionId, StepId, TreeSize,
};
pub use reason::{Decision, Reason, Scope};
pub use receipt::{Proof, Receipt};
pub use request::{Params, Request, RequestError};
pub use statement::{Body, Salt, Statement, StatementError, StatementText, commit};
pub use verify::{Verified, VerifyError, verify, verify_execute, verify_permit_for};
