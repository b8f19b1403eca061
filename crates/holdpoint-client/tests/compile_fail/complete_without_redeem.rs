//! Only a redeemed permit has an outcome.
use holdpoint_client::{Granted, Permit};

async fn act(permit: Permit<Granted>) {
    let _ = permit.commit().await;
}

fn main() {
    let _ = act;
}
