//! openraft's own suite for stores, on the real ones.

use std::sync::Arc;

use holdpoint_core::GroupId;
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::{
    DataDir, FaultLatch, Identity, Incarnation, LogOptions, MemLog, MemState, Syncs,
};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::log_store::Log;
use crate::state_machine::{Progress, StateMachine};
use crate::types::{Runtime, TypeConfig};
use openraft::AsyncRuntime;

struct OnDisk;

impl StoreBuilder<TypeConfig, Log, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, Log, StateMachine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity {
            cluster: ClusterId::from_bytes([7; 16]),
            node: NodeId::new(1).unwrap(),
            incarnation: Incarnation::from_bytes([1; 16]),
        };
        let root = folder.path().join("node");
        let directory = DataDir::create(&root, identity).unwrap();
        let faults = FaultLatch::new();
        let log = directory
            .open_log(LogOptions::default(), faults.clone())
            .unwrap();
        let state = Arc::new(directory.open_state(GroupId::FIRST, faults).unwrap());
        let log = Log::new(Arc::new(log), state.clone(), GroupId::FIRST);
        let progress = Arc::new(Progress::new(u64::MAX));
        let machine = StateMachine::open(state, GroupId::FIRST, progress).unwrap();
        Ok((folder, log, machine))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, Log, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), Log, StateMachine), StorageError<TypeConfig>> {
        let state = Arc::new(MemState::new(GroupId::FIRST));
        let log = Arc::new(MemLog::new(Syncs::AtOnce));
        let log = Log::new(log, state.clone(), GroupId::FIRST);
        let progress = Arc::new(Progress::new(u64::MAX));
        Ok((
            (),
            log,
            StateMachine::open(state, GroupId::FIRST, progress).unwrap(),
        ))
    }
}

#[test]
fn the_store_on_disk_passes_the_suite_of_openraft() {
    Runtime::run(Suite::test_all(OnDisk)).unwrap();
}

#[test]
fn the_store_in_memory_passes_the_suite_of_openraft() {
    Runtime::run(Suite::test_all(InMemory)).unwrap();
}
