//! What is promised of receipts, checked from outside of the crate.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "tests: a failed assumption should end them, and they may look at their environment"
)]

mod chain;
mod execute;
mod export;
mod fixture;
mod follow;
mod heads;
mod keys;
mod kinds;
mod memo;
mod mutants;
mod open;
mod python;
mod receipt;
mod registry;
mod script;
mod sealed;
mod statement;
mod story;
mod tiles;
mod trust;
mod vectors;
mod wycheproof;
