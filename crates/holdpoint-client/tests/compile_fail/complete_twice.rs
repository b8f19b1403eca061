//! A permit has one outcome: reporting it consumes the permit.
use holdpoint_client::{Permit, Redeemed};

async fn act(permit: Permit<Redeemed>) {
    let _ = permit.commit().await;
    let _ = permit.abort().await;
}

fn main() {
    let _ = act;
}
