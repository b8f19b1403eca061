//! Groups of several nodes in one process, on real stores.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod applied;
mod decisions;
mod elections;
mod faults;
mod identity;
mod members;
mod node_channel;
mod outages;
mod partitions;
mod proofs;
mod snapshots;
mod support;
mod time;
mod wire;
