//! A permit is redeemed once: redeeming consumes it.
use holdpoint_client::{Granted, Permit};

async fn act(permit: Permit<Granted>) {
    let first = permit.redeem().await;
    let second = permit.redeem().await;
    drop((first, second));
}

fn main() {
    let _ = act;
}
