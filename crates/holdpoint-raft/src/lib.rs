//! Turns a command into a committed outcome.
//!
//! [`Group`] is the handle: [`Group::propose`] for commands, [`Group::read_index`] for current reads,
//! [`Group::ask_node`] for what nodes ask of each other, [`Group::add_learner`], [`Group::promote`] and
//! [`Group::remove`] for the membership, [`Group::fault`] for the end. Behind it openraft runs over three seams, so that a simulation can
//! take their place: [`Net`] and [`PeerHandler`] (frames between nodes, shipped as [`TonicNet`] and
//! [`serve_peers`]), the log and the state of `holdpoint-storage`, and [`Clock`].
//!
//! This crate is the only one that names `openraft`. It never decides what a command means, never
//! evaluates policy, never signs and never verifies a signature (a [`ProofGate`] does), never listens by itself, never retries a proposal, and never
//! believes a peer that it cannot tell from another one started empty under the same id.

mod applied;
mod applied_bytes;
mod batcher;
mod blocking;
mod change_members;
mod clock;
mod clock_handover;
mod clock_readings;
mod clock_status;
mod clock_steering;
mod clocks;
mod committed;
mod config;
mod disk;
mod error;
mod greeting;
mod group;
mod held;
mod inbound;
mod leadership;
pub mod limits;
mod log_store;
mod member;
mod membership;
mod net;
mod node_channel;
mod outbound;
mod payload;
mod peers;
mod proof;
mod reads;
mod recent;
mod snapshot;
mod state_machine;
mod status;
mod term;
mod timekeeper;
mod tonic_net;
mod types;
mod wire;

#[cfg(test)]
mod suite_tests;

pub use applied::{Applied, AppliedCommands, AppliedEntry, AppliedHook};
pub use clock::{Clock, SystemClock};
pub use clock_status::ClockStatus;
pub use committed::Committed;
pub use config::{ConfigError, GroupConfig};
pub use disk::StateView;
pub use error::{
    ChangeMembersError, GroupFault, ProposeError, ReadError, StartError, TransferError,
};
pub use group::{Founder, Group, GroupSpec};
pub use leadership::{Leader, Leadership};
pub use member::{ADDRESS_BYTES_MAX, Member};
pub use membership::{GroupMembership, MemberPlace};
pub use net::{Frames, Lane, Net, NetError, PeerHandler};
pub use node_channel::{AskNodeError, NodeAnswer, NodeQuestion, NodeService};
pub use peers::LocalNode;
pub use proof::ProofGate;
pub use reads::ReadGuard;
pub use status::{GroupStatus, MemberStatus, Place, Role};
pub use tonic_net::{ServeError, TonicNet, serve_peers};
