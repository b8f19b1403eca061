//! A permit cannot be copied, so there is one guard to redeem.
use holdpoint_client::{Granted, Permit};

fn act(permit: &Permit<Granted>) -> Permit<Granted> {
    permit.clone()
}

fn copy(permit: Permit<Granted>) -> impl Clone {
    permit
}

fn main() {
    let _ = (act, copy);
}
