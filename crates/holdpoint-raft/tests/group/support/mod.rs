//! Several nodes in one process: real stores in a temporary folder, a network that can be cut.

pub(crate) mod clock;
pub(crate) mod commands;
pub(crate) mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_core::{Command, GroupId, Outcome};
use holdpoint_raft::{
    Committed, Founder, Group, GroupConfig, GroupSpec, LocalNode, Member, ProposeError,
};
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::{DataDir, FaultLatch, Identity, Incarnation, LogOptions, OpenError};
use tempfile::TempDir;

use clock::{TestClock, World};
use commands::{announce, cluster_time};
use net::TestNet;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// What a caller waits for one outcome.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([7; 16]);

pub(crate) fn node_id(node: u64) -> NodeId {
    NodeId::new(node).unwrap()
}

pub(crate) fn peer_address(node: u64) -> String {
    format!("peer-{node}")
}

/// Polls until `condition` gives something.
pub(crate) async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A cluster whose nodes can be started, stopped, cut off and wiped one by one.
pub(crate) struct Cluster {
    folder: TempDir,
    pub(crate) net: TestNet,
    pub(crate) config: GroupConfig,
    pub(crate) founders: Vec<u64>,
    pub(crate) groups: BTreeMap<u64, Group>,
    pub(crate) world: Arc<World>,
    pub(crate) clocks: BTreeMap<u64, Arc<TestClock>>,
    incarnations: u8,
}

impl Cluster {
    pub(crate) fn new(founders: &[u64]) -> Self {
        let world = Arc::new(World::new());
        let clock = |node: &u64| (*node, Arc::new(TestClock::new(Arc::clone(&world))));
        Self {
            folder: tempfile::tempdir().unwrap(),
            net: TestNet::new(),
            config: GroupConfig {
                clock_period: Duration::from_millis(50),
                ..GroupConfig::default()
            },
            founders: founders.to_vec(),
            groups: BTreeMap::new(),
            clocks: founders.iter().map(clock).collect(),
            world,
            incarnations: 0,
        }
    }

    /// A running cluster of three with a leader.
    pub(crate) async fn of_three() -> Self {
        let mut cluster = Self::new(&[1, 2, 3]);
        for node in [1, 2, 3] {
            cluster.start(node).await;
        }
        cluster.leader().await;
        cluster
    }

    pub(crate) fn directory(&self, node: u64) -> PathBuf {
        self.folder.path().join(format!("node-{node}"))
    }

    pub(crate) fn group(&self, node: u64) -> &Group {
        self.groups.get(&node).expect("a running node")
    }

    pub(crate) fn clock(&self, node: u64) -> &Arc<TestClock> {
        self.clocks.get(&node).expect("a founder")
    }

    /// Starts a node on its directory, which is made if it is not there. One that did not found the
    /// group has a cluster file that lists it beside those who did.
    pub(crate) async fn start(&mut self, node: u64) {
        self.start_in(node, CLUSTER).await;
    }

    pub(crate) async fn start_in(&mut self, node: u64, id: ClusterId) {
        let world = Arc::clone(&self.world);
        let clock = self.clocks.entry(node);
        clock.or_insert_with(|| Arc::new(TestClock::new(world)));
        let directory = self.open(node, id).await;
        let identity = *directory.identity();
        let faults = FaultLatch::new();
        let log = directory
            .open_log(LogOptions::default(), faults.clone())
            .unwrap();
        let state = directory.open_state(GroupId::FIRST, faults).unwrap();
        let member = Member {
            incarnation: identity.incarnation,
            peer_address: peer_address(node),
            client_address: format!("client-{node}"),
        };
        let (cluster, group) = (identity.cluster, GroupId::FIRST);
        let founder = |node: &u64| Founder {
            node: node_id(*node),
            peer_address: peer_address(*node),
        };
        let spec = GroupSpec {
            local: LocalNode {
                cluster,
                group,
                node: node_id(node),
                member,
            },
            founders: self.file_of(node).iter().map(founder).collect(),
            epoch: 0,
            is_dev: false,
            config: self.config.clone(),
        };
        let clock = Arc::clone(self.clock(node));
        let net = self.net.at(&peer_address(node));
        let group = Group::start(spec, net, clock, Arc::new(log), Arc::new(state))
            .await
            .unwrap();
        self.net.listen(&peer_address(node), group.peer_handler());
        self.groups.insert(node, group);
    }

    /// The nodes in the cluster file of `node`.
    fn file_of(&self, node: u64) -> BTreeSet<u64> {
        let founders = self.founders.iter().copied();
        founders.chain([node]).collect()
    }

    async fn open(&mut self, node: u64, cluster: ClusterId) -> DataDir {
        let root = self.directory(node);
        if !root.exists() {
            self.incarnations += 1;
            let incarnation = Incarnation::from_bytes([self.incarnations; 16]);
            let identity = Identity {
                cluster,
                node: node_id(node),
                incarnation,
            };
            return DataDir::create(&root, identity).unwrap();
        }
        // The process before it may not have let go of the directory yet.
        until("the directory is free", || {
            match DataDir::open(&root, None) {
                Ok(directory) => Some(directory),
                Err(OpenError::Locked { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await
    }

    /// Stops a node in good order.
    pub(crate) async fn stop(&mut self, node: u64) {
        let group = self.groups.remove(&node).unwrap();
        group.shutdown().await;
        self.net.hang_up(&peer_address(node));
    }

    /// Stops a node that can tell nobody.
    pub(crate) async fn kill(&mut self, node: u64) {
        self.net.hang_up(&peer_address(node));
        self.isolate(node);
        self.stop(node).await;
        self.net.heal();
    }

    /// Cuts a node off, both ways.
    pub(crate) fn isolate(&self, node: u64) {
        for other in self.clocks.keys().filter(|other| **other != node) {
            self.part(node, *other);
        }
    }

    /// Cuts two nodes off from each other.
    pub(crate) fn part(&self, one: u64, other: u64) {
        self.net.cut(&peer_address(one), &peer_address(other));
        self.net.cut(&peer_address(other), &peer_address(one));
    }

    /// Removes the directory of a stopped node.
    pub(crate) async fn wipe(&self, node: u64) {
        let root = self.directory(node);
        until("the directory is free", || {
            match DataDir::open(&root, None) {
                Ok(directory) => {
                    drop(directory);
                    Some(())
                }
                Err(OpenError::Locked { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        std::fs::remove_dir_all(root).unwrap();
    }

    /// A running node that does not lead.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        let mut others = self.groups.keys().filter(|node| **node != leader);
        *others.next().expect("another node")
    }

    /// The node that leads, once there is one among the running.
    pub(crate) async fn leader(&self) -> u64 {
        until("a leader", || self.leads(|_| true)).await
    }

    /// A node other than `before` that leads.
    pub(crate) async fn leader_after(&self, before: u64) -> u64 {
        until("another leader", || self.leads(|node| node != before)).await
    }

    fn leads(&self, wanted: impl Fn(u64) -> bool) -> Option<u64> {
        let leads = |group: &Group| group.leadership().borrow().leads().is_some();
        let found = self
            .groups
            .iter()
            .find(|(node, group)| wanted(**node) && leads(group));
        found.map(|(node, _)| *node)
    }

    /// Proposes until the command is committed, as a client does.
    pub(crate) async fn propose(&self, command: &Command) -> Committed<Outcome> {
        let start = Instant::now();
        loop {
            for group in self.groups.values() {
                if let Ok(outcome) = group.propose(command.clone(), WAIT).await {
                    return outcome;
                }
            }
            assert!(start.elapsed() < PATIENCE, "no node commits");
        }
    }

    /// Writes an entry after a leader has read the clocks as they are now, and returns cluster time.
    pub(crate) async fn tick(&self) -> u64 {
        let start = Instant::now();
        loop {
            let leader = self.leader().await;
            if let Some(time) = self.tick_on(leader).await {
                return time;
            }
            assert!(start.elapsed() < PATIENCE, "no leader stays");
        }
    }

    /// The same on the node `leader`; `None` if it does not lead any more.
    pub(crate) async fn tick_on(&self, leader: u64) -> Option<u64> {
        let (group, clock) = (self.group(leader), self.clock(leader));
        let leads = || group.leadership().borrow().leads().is_some();
        let before = clock.read_count();
        // A round reads the node's own clock at its begin and at its end.
        until("the clocks are read", || {
            (clock.read_count() >= before + 4 || !leads()).then_some(())
        })
        .await;
        let done = group.propose(announce(1), WAIT).await;
        done.ok().map(|_| cluster_time(group).get())
    }

    /// Waits until all running nodes have applied what the leader has, and returns their hashes.
    pub(crate) async fn settled(&self) -> Vec<holdpoint_receipt::Digest> {
        // A leader writes time entries by itself: hashes count only if nothing was applied meanwhile.
        let applied = || -> Vec<_> { self.groups.values().map(Group::applied_index).collect() };
        until("equal applied indexes", || {
            let before = applied();
            let first = before.first()?;
            before.iter().all(|other| other == first).then_some(())?;
            let hashes = self.groups.values();
            let hashes = hashes.map(|group| group.state_hash().unwrap()).collect();
            (applied() == before).then_some(hashes)
        })
        .await
    }
}

/// The error of a proposal that must fail.
pub(crate) fn error<T: std::fmt::Debug>(result: Result<T, ProposeError>) -> ProposeError {
    result.expect_err("the proposal must fail")
}
