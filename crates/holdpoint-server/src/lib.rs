//! The process: configuration in, requests through, clean shutdown.
//!
//! [`serve()`] runs a node of a cluster file, [`dev()`] a single node for development, [`Node`] is what
//! both start. The composition root, as a library: the binary and tests start nodes with it. It never
//! decides what a command means (that is `holdpoint-core`), never touches a database directly, and
//! prints nothing: what happens is told by [`events`] and traced.

mod admit;
mod api;
mod audit;
pub mod config;
mod cosign;
mod dev;
mod error;
mod evaluate;
pub mod events;
mod gate;
mod home;
mod housekeeping;
mod http;
pub mod key_files;
pub mod limits;
mod listener;
mod members;
mod neighbours;
mod new_keys;
mod node;
mod node_service;
mod policies;
mod pool;
mod quorum;
mod random;
mod recognition;
mod recorded;
mod refused;
mod roles;
mod serve;
mod shadow;
pub mod stop;
mod tasks;
mod translate;
mod transport;
mod waiting;
pub mod witness;
mod witnesses;

pub use dev::dev;
pub use error::RunError;
pub use evaluate::{ByPolicy, Evaluator};
pub use home::{HomeError, reencrypt_keys};
pub use node::{Node, NodeOptions, until_released};
pub use recognition::RecognitionError;
pub use serve::serve;
pub use transport::ServeError;
