//! The wire: the messages and services of `proto/`, and conversions between them and our own words.
//!
//! This crate never decides, retries or stores anything, and nothing here is ever hashed or signed:
//! protobuf has no canonical form. Statements and receipts travel inside messages as the bytes that
//! were signed.
//!
//! The modules under `src/gen` are made by `cargo xtask codegen`, which a test compares with the
//! protocol files.

pub use prost::Message;

pub mod convert;
pub mod hint;

/// The protocol that clients speak: `proto/holdpoint/v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated; missing documentation is still an error, so every field has its comment"
)]
pub mod v1 {
    include!("gen/holdpoint.v1.rs");

    /// The compiled protocol files, for the reflection service.
    pub const DESCRIPTORS: &[u8] = include_bytes!("gen/holdpoint.v1.bin");
}

/// What nodes say to each other, on a port of its own.
pub mod peer {
    /// The protocol between nodes: `proto/holdpoint/peer/v1`.
    #[expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::pedantic,
        unused_qualifications,
        reason = "generated; missing documentation is still an error, so every field has its comment"
    )]
    pub mod v1 {
        include!("gen/holdpoint.peer.v1.rs");
    }
}
