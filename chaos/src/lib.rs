//! What clients saw, and whether it can be true of a gate that keeps its promises.
//!
//! A [`history`] is what clients were answered, nothing that a node says of itself. Each checker
//! attacks one promise and stands in a file of its own. This crate never talks to a node and has no
//! clock: whoever drives a cluster hands the history in.

pub mod checkers;
pub mod history;
