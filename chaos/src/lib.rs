//! What clients saw, and whether it can be true of a gate that keeps its promises.
//!
//! A [`history`] is what clients asked and were answered, nothing that a node says of itself. Each of the
//! [`checkers`] attacks one promise and stands in a file of its own. The [`reference`](mod@reference) is a
//! gate of two hundred lines that keeps every promise, and [`planted`] are the bugs that each checker must
//! find in its histories. A checker never talks to a node and has no clock: whoever drives a cluster hands
//! the history in.

pub mod checkers;
pub mod history;
pub mod planted;
pub mod reference;
pub mod report;
pub mod story;
pub mod verdict;
