//! What the state machine promises, tested from outside.
//!
//! `transcripts` tells single stories in a small text language (`script`); `properties` compares
//! random histories with an independent model (`model`); `golden` holds the bytes; `hostile` feeds
//! what no correct leader proposes.
#![expect(clippy::unwrap_used, reason = "tests")]

mod golden;
mod hostile;
mod model;
mod properties;
mod script;
mod transcripts;
mod world;
