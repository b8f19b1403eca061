//! A gate of two hundred lines that keeps every promise, and clients that lose some of its answers.
//!
//! Its histories are clean by construction: each operation takes effect at one instant, on one state. So
//! no checker may raise an alarm over them, and a bug that is [planted](crate::planted) in one is the only
//! one there. It is a model for checkers, written from `SPEC` section 4 alone: nothing of it is ever used
//! by the product, and nothing of the product by it.

mod clients;
mod dice;
mod gate;
mod script;

pub use clients::invent;
pub use dice::Dice;

/// What is to be invented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The same seed gives the same history.
    pub seed: u64,
    /// About how many operations.
    pub operations: usize,
    /// Bounded operations in each namespace.
    pub keys: u64,
    /// Clients in each namespace.
    pub clients: u64,
    /// Of a thousand answers, how many are lost: half of them of operations that took effect.
    pub lost_permille: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            operations: 2_000,
            keys: 20,
            clients: 8,
            lost_permille: 60,
        }
    }
}
