//! openraft's own suite for stores, on the real ones.

use std::io;
use std::sync::Arc;

use futures_util::Stream;
use holdpoint_core::GroupId;
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::{
    DataDir, FaultLatch, Identity, Incarnation, LogOptions, MemLog, MemState, Syncs,
};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{AsyncRuntime, OptionalSend, StorageError};
use tempfile::TempDir;

use crate::clock::SystemClock;
use crate::disk::StateDisk;
use crate::log_store::Log;
use crate::member::Member;
use crate::peers::{LocalNode, Peers};
use crate::proof::ProofDoor;
use crate::snapshot::ProvenSnapshot;
use crate::state_machine::{Builder, Progress, StateMachine};
use crate::types::{LogId, RaftSnapshot, Runtime, SnapshotMeta, StoredMembership, TypeConfig};

/// The state machine behind a wire: what it installs was received, as a snapshot of a peer is. The
/// suite hands a snapshot over without one.
struct Received {
    machine: StateMachine,
    state: Arc<dyn StateDisk>,
}

impl RaftStateMachine<TypeConfig> for Received {
    type SnapshotData = ProvenSnapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        self.machine.applied_state().await
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        self.machine.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.machine
            .try_create_snapshot_builder(true)
            .await
            .unwrap()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        sent: ProvenSnapshot,
    ) -> Result<(), io::Error> {
        let ProvenSnapshot {
            snapshot: sent,
            proof,
        } = sent;
        let mut incoming = self.state.receive(sent.manifest().clone()).unwrap();
        for (place, file) in sent.manifest().files.iter().enumerate() {
            let length = usize::try_from(file.length).unwrap();
            let bytes = sent.read(place, 0, length).unwrap();
            if !bytes.is_empty() {
                incoming.write(place, 0, &bytes).unwrap();
            }
        }
        let snapshot = incoming.finish().unwrap();
        self.machine
            .install_snapshot(meta, ProvenSnapshot { snapshot, proof })
            .await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        self.machine.get_current_snapshot().await
    }
}

/// The state machine over `state`.
fn machine(state: Arc<dyn StateDisk>) -> StateMachine {
    let peers = Peers::new(LocalNode {
        cluster: ClusterId::from_bytes([7; 16]),
        group: GroupId::FIRST,
        node: NodeId::new(1).unwrap(),
        member: Member::default(),
    });
    let progress = Progress::new(u64::MAX, Arc::new(SystemClock::new()));
    let door = Arc::new(ProofDoor::default());
    StateMachine::open(state, Arc::new(peers), door, Arc::new(progress)).unwrap()
}

struct OnDisk;

impl StoreBuilder<TypeConfig, Log, Received, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, Log, Received), StorageError<TypeConfig>> {
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
        let machine = machine(state.clone());
        Ok((folder, log, Received { machine, state }))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, Log, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), Log, StateMachine), StorageError<TypeConfig>> {
        let state = Arc::new(MemState::new(GroupId::FIRST));
        let log = Arc::new(MemLog::new(Syncs::AtOnce));
        let log = Log::new(log, state.clone(), GroupId::FIRST);
        Ok(((), log, machine(state)))
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
