//! What the state machine promises, tested from outside.
//!
//! `transcripts` tells single stories in a small text language (`script`); `properties` compares
//! random histories with an independent model (`model`); `statements` reads what was stated; `golden`
//! holds the bytes; `hostile` feeds what no correct leader proposes.
//!
//! Each module says `cfg(test)`, because Clippy knows tests by it.
#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its texts so"
)]

#[cfg(test)]
mod cost;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod script;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
mod world;
