//! A stage cannot be made by hand.
use holdpoint_client::{Granted, Redeemed};

fn main() {
    let _ = Granted {};
    let _ = Redeemed {};
}
