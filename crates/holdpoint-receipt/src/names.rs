//! The words of SPEC section 2 as types that cannot hold the wrong thing.
//!
//! Each text type has one maximum and one alphabet, checked where the text comes in; each number is
//! below 2^53, so that JSON keeps it exact. Nothing here is drawn at random or read from a clock.

mod duration;
mod ids;
mod numbers;
mod text;

#[cfg(test)]
mod tests;

pub use duration::show_duration;
pub use ids::{ClusterId, IdError, PermitId};
pub(crate) use numbers::check_number;
pub use numbers::{ClusterTime, Fence, NodeId, NumberError, PolicyVersion, TreeSize};
pub use text::{
    Actor, BoundKey, Caller, IdempotencyKey, Name, NameError, RedemptionId, SessionId, StepId,
};
