//! The replicated state machine: what every command means.
//!
//! [`apply()`] says what an entry means, [`judge()`] what one command does; both are functions.
//! [`command`] is what can be asked, [`outcome`] what it meant, [`entry`] what stands in the log,
//! [`record`] what the state holds under its [`key`]s, [`view`] how it is read, [`codec`] the bytes of
//! all of them.
//!
//! This crate never reads a file, a clock, the environment or a random source, never awaits, never
//! evaluates policy, never signs, and never iterates in hash order: the same entries give the same
//! state on every node and in every run.
#![deny(
    clippy::iter_over_hash_type,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects
)]

pub mod apply;
pub mod check;
pub mod codec;
pub mod command;
pub mod entry;
mod epochs;
pub mod fault;
mod foresee;
pub mod judge;
pub mod key;
pub mod limits;
pub mod outcome;
pub mod outline;
pub mod position;
pub mod query;
pub mod record;
pub mod rejection;
pub mod view;

pub use apply::{Applied, Head, apply, apply_membership};
pub use check::{Violation, check};
pub use codec::CodecError;
pub use command::Command;
pub use entry::Entry;
pub use fault::{ApplyError, Corruption};
pub use judge::{Judged, judge, look};
pub use key::{KeySpace, Kind, StateKey};
pub use outcome::Outcome;
pub use position::{GroupId, LogPosition};
pub use query::Query;
pub use rejection::Rejection;
pub use view::{MapView, Overlay, View, Write};
