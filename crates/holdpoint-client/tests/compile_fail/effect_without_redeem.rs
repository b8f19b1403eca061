//! An effect that asks for a redeemed permit cannot start with a granted one.
use holdpoint_client::{Granted, Permit, Redeemed};

async fn transfer(_permit: &Permit<Redeemed>) {}

async fn act(permit: Permit<Granted>) {
    transfer(&permit).await;
}

fn main() {
    let _ = act;
}
