//! Bytes that survive.
//!
//! [`DataDir`] is a node's directory: whose it is, locked while it is used. [`RocksLog`] keeps votes
//! and entries, durable before they are acknowledged; [`RocksState`] keeps the replicated state,
//! which the log can always make again. [`MemLog`] and [`MemState`] stand behind the same traits
//! ([`LogStore`], [`StateStore`]) for the simulation, and lose on a crash what a disk would lose.
//!
//! This crate is synchronous, never starts a runtime, never retries a failed write, never decides
//! what to purge or when to take a snapshot, and never looks into what it stores. It is the only
//! crate that names `rocksdb`.

mod crc32c;
mod data_dir;
mod durable;
mod error;
mod fault;
mod folder;
mod framing;
pub mod log;
mod rocks;
mod secret;
pub mod state;

#[cfg(test)]
mod crash_tests;

pub use data_dir::{DataDir, FORMAT, Generation, Identity, Incarnation, KeyFile, KeyFolder, Owner};
pub use error::{CreateError, DiskError, OpenError};
pub use fault::{Fault, FaultLatch, StoreError};
pub use folder::{Folder, FolderError};
pub use log::mem::{MemLog, Syncs};
pub use log::rocks::{LogOptions, RocksLog};
pub use log::{Bounds, Done, LogStore, Purged, wait};
pub use secret::{
    KeyError, SECRET_BYTES_MAX, read_credential, read_secret, replace_secret, write_secret,
};
pub use state::mem::{MemReader, MemState};
pub use state::reader::RocksReader;
pub use state::rocks::RocksState;
pub use state::{Applied, Incoming, Pinned, Snapshot, SnapshotFile, SnapshotManifest, StateStore};
