//! Several nodes that sign for each other, without raft: each applies the same entries, and the test says
//! who leads and who is cut off.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdpoint_core::command::{AnnounceNode, Bootstrap, Command, Freeze, RecordHandover};
use holdpoint_core::outcome::KeysOutcome;
use holdpoint_core::{Entry, GroupId, Outcome, Query, apply};
use holdpoint_raft::{Applied, Clock, Leader, Leadership, Member};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{
    Caller, ClusterId, ClusterTime, KeySet, Name, NodeId, NodeSecretKeys, Salt, SecretKey,
    Verified, verify,
};
use holdpoint_storage::{MemLog, MemState, StateStore as _, Syncs};
use tokio::sync::watch;

use super::super::heads::Head;
use super::super::nodes::{Answer, Lead, Nodes, Past};
use super::super::signer::SignHead;
use super::super::{Cosigner, Ground, Keyring, Service};

pub(super) const GROUP: GroupId = GroupId::FIRST;

/// Cluster time of every entry, and what the clocks show.
const NOW_MS: u64 = 1_795_356_725_231;

#[derive(Debug)]
pub(super) struct At(pub(super) Mutex<u64>);

impl Clock for At {
    fn wall_ms(&self) -> u64 {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(*self.0.lock().unwrap())
    }
}

pub(super) fn cluster() -> ClusterId {
    ClusterId::from_bytes([7; 16])
}

pub(super) fn id(node: u64) -> NodeId {
    NodeId::new(node).unwrap()
}

pub(super) fn default() -> Name {
    Name::new("default").unwrap()
}

/// The keys of a node in a generation.
pub(super) fn keys(node: u64, generation: u8) -> NodeSecretKeys {
    let seed = |role: u8| [u8::try_from(node).unwrap() * 16 + generation * 2 + role; 32];
    NodeSecretKeys::new(
        SecretKey::from_seed(&seed(0)),
        SecretKey::from_seed(&seed(1)),
    )
    .unwrap()
}

/// One node.
pub(super) struct SimNode {
    pub(super) id: NodeId,
    state: Mutex<Arc<MemState>>,
    commands: Mutex<Vec<Command>>,
    pub(super) log: Mutex<Arc<MemLog>>,
    pub(super) clock: Arc<At>,
    pub(super) keys: Keyring,
    applied: watch::Sender<Applied>,
    leadership: watch::Sender<Leadership>,
    index: Mutex<u64>,
    /// What runs of it; none while it is down.
    running: Mutex<Option<Running>>,
}

struct Running {
    cosigner: Cosigner,
    service: Arc<Service>,
    work: tokio::task::JoinHandle<()>,
}

/// All of them.
pub(super) struct Sim {
    pub(super) nodes: Vec<SimNode>,
    lead: Mutex<Option<NodeId>>,
    /// Nodes that nobody reaches.
    cut: Mutex<BTreeSet<NodeId>>,
    /// Nodes that gave leadership up.
    pub(super) stepped_down: Mutex<Vec<NodeId>>,
    /// How often nodes were asked to sign.
    pub(super) asked: Mutex<Vec<(NodeId, u64)>>,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sim")
    }
}

impl SimNode {
    fn new(node: u64) -> Self {
        Self {
            id: id(node),
            state: Mutex::new(Arc::new(MemState::new(GROUP))),
            commands: Mutex::default(),
            log: Mutex::new(Arc::new(MemLog::new(Syncs::AtOnce))),
            clock: Arc::new(At(Mutex::new(NOW_MS))),
            keys: Keyring::new(vec![keys(node, 0)]),
            applied: watch::Sender::new(Applied::default()),
            leadership: watch::Sender::new(Leadership::Unknown),
            index: Mutex::new(0),
            running: Mutex::new(None),
        }
    }

    pub(super) fn state(&self) -> Arc<MemState> {
        Arc::clone(&self.state.lock().unwrap())
    }

    /// Applies an entry of one command, as every node does.
    pub(super) fn apply(&self, command: Command) -> Outcome {
        self.commands.lock().unwrap().push(command.clone());
        let state = self.state();
        let mut index = self.index.lock().unwrap();
        *index += 1;
        let entry = Entry {
            group: GROUP,
            time: ClusterTime::new(NOW_MS).unwrap(),
            commands: vec![command],
        };
        let applied = state.read(|view| apply(view, 1, *index, &entry));
        let applied = applied.unwrap().unwrap();
        let done = holdpoint_storage::Applied {
            index: *index,
            bytes: Vec::new(),
        };
        state.commit(&applied.writes, &done).unwrap();
        self.applied.send_modify(|told| {
            told.index = Some(*index);
            told.now = applied.now;
            for head in &applied.heads {
                told.tree_sizes.insert(head.namespace.clone(), head.size);
            }
        });
        applied.outcomes.into_iter().next().unwrap()
    }

    pub(super) fn head(&self) -> Head {
        let head = self.state().read(|view| {
            let state = Query::new(view, GROUP);
            state
                .namespace(&default())
                .unwrap()
                .unwrap()
                .head()
                .unwrap()
        });
        let head = head.unwrap();
        Head {
            size: head.size,
            root: head.root,
        }
    }

    pub(super) fn is_frozen(&self) -> bool {
        let frozen = self.state().read(|view| {
            let state = Query::new(view, GROUP);
            state
                .namespace(&default())
                .unwrap()
                .unwrap()
                .record()
                .frozen
        });
        frozen.unwrap()
    }

    pub(super) fn published(&self) -> KeySet {
        let keys = self.state().read(|view| {
            let state = Query::new(view, GROUP);
            let log = state.namespace(&default()).unwrap().unwrap();
            log.key_set().unwrap().unwrap()
        });
        keys.unwrap()
    }

    pub(super) fn cosigner(&self) -> Cosigner {
        self.running
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .cosigner
            .clone()
    }

    /// Another tree of the same size in the place of the node's own.
    pub(super) fn replace_state_with_a_fork(&self) {
        let mut commands = std::mem::take(&mut *self.commands.lock().unwrap());
        let Some(Command::Freeze(last)) = commands.last_mut() else {
            panic!("the last command froze or thawed");
        };
        last.principal = Caller::new("loopback:somebody-else").unwrap();
        *self.state.lock().unwrap() = Arc::new(MemState::new(GROUP));
        *self.index.lock().unwrap() = 0;
        self.applied.send_replace(Applied::default());
        for command in commands {
            self.apply(command);
        }
    }

    fn service(&self) -> Option<Arc<Service>> {
        let running = self.running.lock().unwrap();
        running.as_ref().map(|running| Arc::clone(&running.service))
    }
}

/// A cluster of `count` nodes that has been founded, with every node announced and running, and node 1
/// leading.
pub(super) async fn start(count: u64) -> Arc<Sim> {
    let sim = founded(count);
    for node in 1..=count {
        sim.announce(node);
    }
    for node in 1..=count {
        sim.run(node);
    }
    sim.lead(Some(1));
    // The first who were announced hand over to all.
    sim.receipt(1, 0).await;
    sim
}

/// The same before anybody is announced or runs.
pub(super) fn founded(count: u64) -> Arc<Sim> {
    let sim = Arc::new(Sim {
        nodes: (1..=count).map(SimNode::new).collect(),
        lead: Mutex::new(None),
        cut: Mutex::default(),
        stepped_down: Mutex::default(),
        asked: Mutex::default(),
    });
    sim.apply(&Command::Bootstrap(Bootstrap {
        cluster: cluster(),
        epoch: 0,
        voters: (1..=count).map(id).collect(),
        is_dev: false,
    }));
    sim
}

impl Sim {
    pub(super) fn node(&self, node: u64) -> &SimNode {
        &self.nodes[usize::try_from(node).unwrap() - 1]
    }

    pub(super) fn announce(&self, node: u64) {
        let public = keys(node, 0).public();
        self.apply(&Command::AnnounceNode(AnnounceNode {
            node: id(node),
            incarnation: [9; 16],
            log_key: *public.log.as_bytes(),
            cosign_key: *public.cosign.as_bytes(),
            feature_level_max: 1,
            evaluator_version: 1,
        }));
    }

    /// Every node applies it; what node 1 says of it.
    pub(super) fn apply(&self, command: &Command) -> Outcome {
        let nodes = self.nodes.iter();
        let outcomes: Vec<_> = nodes.map(|node| node.apply(command.clone())).collect();
        outcomes.into_iter().next().unwrap()
    }

    /// Starts what a node runs, as a process does.
    pub(super) fn run(self: &Arc<Self>, node: u64) {
        let own = self.node(node);
        let nodes: Arc<dyn Nodes> = Arc::new(Seen {
            sim: Arc::clone(self),
            own: own.id,
        });
        let ground = Ground {
            group: GROUP,
            cluster: cluster(),
            node: own.id,
            keys: own.keys.clone(),
            state: own.state(),
            log: Arc::clone(&own.log.lock().unwrap()),
            clock: Arc::clone(&own.clock) as Arc<dyn Clock>,
            nodes,
            applied: own.applied.subscribe(),
            leadership: own.leadership.subscribe(),
        };
        let (cosigner, work, (service, _)) = Cosigner::start(ground, vec![default()]).unwrap();
        *own.running.lock().unwrap() = Some(Running {
            cosigner,
            service: Arc::new(service),
            work: tokio::spawn(work.run()),
        });
    }

    /// Stops what a node runs.
    pub(super) fn stop(&self, node: u64) {
        if let Some(running) = self.node(node).running.lock().unwrap().take() {
            running.work.abort();
        }
    }

    pub(super) fn service_of(&self, node: u64) -> Arc<Service> {
        self.node(node).service().unwrap()
    }

    pub(super) fn lead(&self, node: Option<u64>) {
        *self.lead.lock().unwrap() = node.map(id);
        for own in &self.nodes {
            let known = match node {
                None => Leadership::Unknown,
                Some(node) if id(node) == own.id => Leadership::Leads { term: 1 },
                Some(node) => Leadership::Follows(Leader {
                    node,
                    member: Member::default(),
                }),
            };
            own.leadership.send_replace(known);
        }
    }

    pub(super) fn cut(&self, nodes: &[u64]) {
        *self.cut.lock().unwrap() = nodes.iter().copied().map(id).collect();
    }

    /// Appends a statement everywhere: grants stop, or go on. Returns its leaf.
    pub(super) fn state_something(&self) -> u64 {
        let leaf = self.node(1).head().size;
        self.apply(&freeze(!self.node(1).is_frozen()));
        assert_eq!(self.node(1).head().size, leaf + 1, "one statement was made");
        leaf
    }

    /// The receipt of a leaf from a node, verified with the keys that node 1 publishes.
    pub(super) async fn receipt(&self, node: u64, leaf: u64) -> Verified {
        let (cosigner, name) = (self.node(node).cosigner(), default());
        let file = cosigner.receipt(&name, leaf);
        let file = tokio::time::timeout(Duration::from_secs(20), file).await;
        verify(&file.unwrap().unwrap(), &self.node(1).published()).unwrap()
    }

    /// That a receipt does not come while nothing changes.
    pub(super) async fn no_receipt(&self, node: u64, leaf: u64) {
        let (cosigner, name) = (self.node(node).cosigner(), default());
        let file = cosigner.receipt(&name, leaf);
        let file = tokio::time::timeout(Duration::from_millis(400), file).await;
        assert!(!matches!(file, Ok(Ok(_))), "nothing proves this statement");
    }
}

/// A command that makes one statement.
pub(super) fn freeze(frozen: bool) -> Command {
    freeze_by("loopback:dev", frozen)
}

/// The same by somebody: another statement.
pub(super) fn freeze_by(principal: &str, frozen: bool) -> Command {
    Command::Freeze(Freeze {
        namespace: default(),
        surface: None,
        frozen,
        principal: Caller::new(principal).unwrap(),
        salt: Salt::from_bytes([1; 32]),
    })
}

/// The others, as one node sees them.
#[derive(Clone, Debug)]
struct Seen {
    sim: Arc<Sim>,
    own: NodeId,
}

impl Seen {
    /// What answers at `node`, if it is reached.
    fn service(&self, node: NodeId) -> Option<Arc<Service>> {
        let cut = self.sim.cut.lock().unwrap();
        if cut.contains(&node) || cut.contains(&self.own) {
            return None;
        }
        self.sim.node(node.get()).service()
    }
}

impl Nodes for Seen {
    fn lead(&self) -> Lead {
        match *self.sim.lead.lock().unwrap() {
            None => Lead::Unknown,
            Some(leader) if leader == self.own => Lead::Own,
            Some(leader) => Lead::Other(leader),
        }
    }

    fn other_voters(&self) -> Vec<NodeId> {
        let all = self.sim.nodes.iter().map(|node| node.id);
        all.filter(|node| *node != self.own).collect()
    }

    fn sign_head(
        &self,
        node: NodeId,
        asked: SignHead,
        proven: Option<Note>,
        wait: Duration,
    ) -> BoxFuture<'static, Option<Answer>> {
        let seen = self.clone();
        async move {
            let size = asked.head.size;
            seen.sim.asked.lock().unwrap().push((node, size));
            let service = seen.service(node)?;
            let answer = service.sign_head(asked, proven);
            tokio::time::timeout(wait, answer).await.ok()
        }
        .boxed()
    }

    fn want_head(
        &self,
        leader: NodeId,
        namespace: Name,
        at_least: u64,
        wait: Duration,
    ) -> BoxFuture<'static, Option<Note>> {
        let service = self.service(leader);
        async move {
            let service = service?;
            let answer = service.want_head(namespace, at_least);
            tokio::time::timeout(wait, answer).await.ok()?
        }
        .boxed()
    }

    fn signed_before(
        &self,
        node: NodeId,
        namespace: Name,
        _wait: Duration,
    ) -> BoxFuture<'static, Past> {
        let (service, own) = (self.service(node), self.own);
        async move {
            match service.map(|service| service.signed_before(own, &namespace)) {
                Some(Some(head)) => Past::Signed(head),
                Some(None) => Past::Nothing,
                None => Past::Unheard,
            }
        }
        .boxed()
    }

    fn record_handover(&self, command: RecordHandover) -> BoxFuture<'static, bool> {
        let sim = Arc::clone(&self.sim);
        async move {
            matches!(
                sim.apply(&Command::RecordHandover(command)),
                Outcome::Keys(KeysOutcome::Done { .. })
            )
        }
        .boxed()
    }

    fn proof_moved(&self) {}

    fn step_down(&self) {
        self.sim.stepped_down.lock().unwrap().push(self.own);
    }
}
