//! One promise, one checker, one file.

pub mod convergent;
pub mod fenced;
pub mod single_valued;
