//! The client against fake nodes: real connections, real signatures, faults on demand.
//!
//! No test sleeps or measures time. A test that needs a node not to answer waits for nothing longer
//! than a share of the call's own deadline.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod attempts;
mod beliefs;
mod fake;
mod faults;
mod guards;
mod history;
mod operators;
mod status;
mod waiting;

use std::net::SocketAddr;
use std::time::Duration;

use fake::FakeNode;
use holdpoint_client::{Gate, Operation};

/// A gate for the nodes at these addresses, with the keys of the node's world.
async fn gate_at(node: &FakeNode, addresses: &[SocketAddr], deadline: Duration) -> Gate {
    let keys = node.world().notary.keys();
    let endpoints = addresses.iter().map(SocketAddr::to_string);
    Gate::builder()
        .endpoints(endpoints)
        .keys(keys)
        .deadline(deadline)
        .connect()
        .await
        .unwrap()
}

/// A gate for one node.
async fn gate(node: &FakeNode) -> Gate {
    gate_at(node, &[node.address], Duration::from_secs(5)).await
}

/// An operation on a workspace of its own.
fn apply(workspace: &str) -> Operation {
    Operation::new("infra.apply").param("workspace", workspace)
}
