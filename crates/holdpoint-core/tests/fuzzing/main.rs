//! What the fuzzers look for, looked for a little with every test: the corpus of `fuzz/`, and inputs
//! made from it.
//!
//! `cargo xtask fuzz` looks for longer. An input that it finds belongs into `fuzz/corpus/`, where this
//! test then replays it everywhere.
//!
//! Each module says `cfg(test)`, because Clippy knows tests by it.

#[cfg(test)]
mod replay;
#[cfg(test)]
mod targets;
