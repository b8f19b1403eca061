//! One promise, one checker, one file.

pub mod budget;
pub mod convergent;
pub mod fenced;
pub mod gapless;
pub mod in_force;
pub mod in_turn;
pub mod single_valued;
