//! The parts of `holdpoint run`, each of which can be tried without a gate.
//!
//! Never starts anything by itself: `commands::run` does, and only with a redeemed permit in its hand.

pub(crate) mod child;
pub(crate) mod environment;
pub(crate) mod report;
pub(crate) mod resolve;
pub(crate) mod sealed;
pub(crate) mod signals;
pub(crate) mod template;
