//! A decision is not a boolean, so no refusal can be mistaken for a permit.
use holdpoint_client::{Gate, Operation};

async fn act(gate: Gate, operation: Operation) {
    if gate.authorize(&operation).await {
        println!("allowed");
    }
}

fn main() {
    let _ = act;
}
