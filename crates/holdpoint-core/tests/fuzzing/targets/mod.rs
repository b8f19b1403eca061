//! What the fuzzers run, and the tests replay: functions of any bytes at all.
//!
//! `fuzz/` includes this folder, so that the corpus means the same on every machine. Nothing here is
//! ever given a clock or a random number: the bytes decide everything.

mod decoding;
mod judging;
mod proposing;
mod source;

pub(crate) use decoding::decode;
pub(crate) use judging::judge;
