use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, AnnounceNode, Bootstrap, Command, PutPolicy,
};
use holdpoint_core::outline::{Executor, PolicyOutline, SurfaceOutline};
use holdpoint_core::{Entry, GroupId, Outcome, apply};
use holdpoint_raft::Clock;
use holdpoint_receipt::keys::Epoch;
use holdpoint_receipt::{
    Caller, ClusterId, ClusterTime, KeySet, Name, NodeId, NodeSecretKeys, PolicyVersion, Salt,
    SecretKey, TreeSize, sha256, verify,
};
use holdpoint_storage::{Applied, MemLog, MemState, StateStore as _, Syncs};

use super::memory::{self, Head};
use super::{Cosigner, Identity, SignError, Signer, Wanted};

const GROUP: GroupId = GroupId::FIRST;

#[derive(Debug)]
struct At(u64);

impl Clock for At {
    fn wall_ms(&self) -> u64 {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// One node's stores, and a log of statements in them.
struct Node {
    state: Arc<MemState>,
    log: Arc<MemLog>,
    index: u64,
}

fn cluster() -> ClusterId {
    ClusterId::from_bytes([7; 16])
}

fn node() -> NodeId {
    NodeId::new(1).unwrap()
}

fn default() -> Name {
    Name::new("default").unwrap()
}

fn keys() -> NodeSecretKeys {
    NodeSecretKeys::new(
        SecretKey::from_seed(&[1; 32]),
        SecretKey::from_seed(&[2; 32]),
    )
    .unwrap()
}

impl Node {
    /// A bootstrapped cluster of one, with no statement.
    fn new() -> Self {
        let log = Arc::new(MemLog::new(Syncs::AtOnce));
        let mut node = Self {
            state: Arc::new(MemState::new(GROUP)),
            log,
            index: 0,
        };
        node.apply(Command::Bootstrap(Bootstrap {
            cluster: cluster(),
            epoch: 0,
            voters: vec![self::node()],
            is_dev: false,
        }));
        node
    }

    fn announced() -> Self {
        let mut node = Self::new();
        let public = keys().public();
        node.apply(Command::AnnounceNode(AnnounceNode {
            node: self::node(),
            incarnation: [9; 16],
            log_key: *public.log.as_bytes(),
            cosign_key: *public.cosign.as_bytes(),
            feature_level_max: 1,
            evaluator_version: 1,
        }));
        node
    }

    fn apply(&mut self, command: Command) -> Outcome {
        self.index += 1;
        let time = ClusterTime::new(1_000).unwrap();
        let entry = Entry {
            group: GROUP,
            time,
            commands: vec![command],
        };
        let applied = self
            .state
            .read(|view| apply(view, 1, self.index, &entry))
            .unwrap()
            .unwrap();
        let done = Applied {
            index: self.index,
            bytes: Vec::new(),
        };
        self.state.commit(&applied.writes, &done).unwrap();
        applied.outcomes.into_iter().next().unwrap()
    }

    /// Appends a statement: the activation of a bundle, which differs by `salt`.
    fn state_something(&mut self, salt: u8) -> u64 {
        let caller = Caller::new("loopback:dev").unwrap();
        let surface = SurfaceOutline {
            surface: Name::new("demo.echo").unwrap(),
            actions: vec![Name::new("echo").unwrap()],
            bounds: Vec::new(),
            executors: vec![Executor::Caller],
            permit_for_ms: 60_000,
            complete_within_ms: 60_000,
            honor_issued: false,
            offline: false,
            release_after_ms: None,
        };
        let digest = sha256(b"bundle");
        self.apply(Command::PutPolicy(PutPolicy {
            namespace: default(),
            digest,
            bundle: b"bundle".to_vec(),
            outline: PolicyOutline {
                surfaces: vec![surface],
            },
            principal: caller.clone(),
        }));
        let size = self.head().size;
        self.apply(Command::ActivatePolicy(ActivatePolicy {
            mode: ActivationMode::Refuse,
            namespace: default(),
            digest,
            expected: PolicyVersion::new(size).unwrap(),
            principal: caller,
            evaluator_version: 1,
            salt: Salt::from_bytes([salt; 32]),
        }));
        assert_eq!(self.head().size, size + 1, "the activation was recorded");
        size
    }

    fn head(&self) -> Head {
        let head = self.state.read(|view| {
            let state = holdpoint_core::Query::new(view, GROUP);
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

    fn signer(&self) -> Signer<MemState, MemLog> {
        let identity = Identity {
            cluster: cluster(),
            node: node(),
            keys: keys(),
        };
        let clock = Arc::new(At(1_795_356_725_231));
        Signer::new(
            GROUP,
            identity,
            Arc::clone(&self.state),
            Arc::clone(&self.log),
            clock,
        )
    }

    fn remembered(&self) -> Option<Head> {
        memory::read(&*self.log, GROUP, &default()).unwrap()
    }
}

fn receipt(signer: &mut Signer<MemState, MemLog>, leaf: u64) -> Result<Vec<u8>, SignError> {
    let wanted = [Wanted {
        namespace: default(),
        leaf,
    }];
    signer.receipts(&wanted).into_iter().next().unwrap()
}

fn published() -> KeySet {
    let epoch = Epoch {
        tree_size_from: TreeSize::new(0).unwrap(),
        signers_needed: 1,
        nodes: [(node(), keys().public())].into(),
    };
    KeySet::new(cluster(), default(), vec![epoch], vec![]).unwrap()
}

#[test]
fn receipts_of_one_batch_verify_under_one_head() {
    let mut node = Node::announced();
    let leaves: Vec<u64> = (0..5).map(|salt| node.state_something(salt)).collect();
    let wanted: Vec<_> = leaves
        .iter()
        .map(|leaf| Wanted {
            namespace: default(),
            leaf: *leaf,
        })
        .collect();
    let receipts = node.signer().receipts(&wanted);
    let heads = receipts.into_iter().map(|file| {
        let verified = verify(&file.unwrap(), &published()).unwrap();
        assert_eq!(
            verified.signers().first().map(|signer| signer.at_s),
            Some(1_795_356_725)
        );
        verified.receipt().checkpoint.to_string()
    });
    let mut heads: Vec<_> = heads.collect();
    heads.dedup();
    assert_eq!(heads.len(), 1);
    assert_eq!(node.remembered(), Some(node.head()));
}

#[test]
fn head_is_remembered_on_disk_before_its_signature_leaves() {
    let mut node = Node::announced();
    let leaf = node.state_something(1);
    node.log = Arc::new(MemLog::new(Syncs::WhenTold));
    let mut signer = node.signer();
    let log = Arc::clone(&node.log);
    let syncing = std::thread::spawn(move || {
        while log.unsynced_count() == 0 {
            std::thread::yield_now();
        }
        log.sync();
    });
    // Returns only because the other thread makes the record durable.
    assert!(receipt(&mut signer, leaf).is_ok());
    syncing.join().unwrap();
    node.log = Arc::new(node.log.crash());
    assert_eq!(node.remembered(), Some(node.head()));
}

#[test]
fn smaller_tree_than_the_one_signed_is_not_signed_until_it_has_caught_up() {
    let mut node = Node::announced();
    let leaf = node.state_something(1);
    let later = Head {
        size: 9,
        root: sha256(b"later"),
    };
    memory::write(&*node.log, GROUP, &default(), later).unwrap();
    let refused = receipt(&mut node.signer(), leaf);
    assert!(
        matches!(
            refused,
            Err(SignError::Behind {
                signed: 9,
                applied: 1,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(node.remembered(), Some(later));
}

#[test]
fn tree_that_contradicts_a_signed_head_ends_all_signing() {
    let mut node = Node::announced();
    let leaf = node.state_something(1);
    let other = Head {
        size: 1,
        root: sha256(b"another history"),
    };
    memory::write(&*node.log, GROUP, &default(), other).unwrap();
    let mut signer = node.signer();
    assert_eq!(
        receipt(&mut signer, leaf),
        Err(SignError::Diverged(default()))
    );
    let leaf = node.state_something(2);
    assert_eq!(
        receipt(&mut signer, leaf),
        Err(SignError::Diverged(default()))
    );
    assert_eq!(
        receipt(&mut node.signer(), leaf),
        Err(SignError::Diverged(default()))
    );
    assert_eq!(node.remembered(), Some(other));
}

#[test]
fn tree_that_grew_is_signed_after_a_restart() {
    let mut node = Node::announced();
    let leaf = node.state_something(1);
    assert!(receipt(&mut node.signer(), leaf).is_ok());
    let grown = node.state_something(2);
    let file = receipt(&mut node.signer(), grown).unwrap();
    assert_eq!(verify(&file, &published()).unwrap().head().size.get(), 2);
}

#[test]
fn node_that_nobody_could_verify_signs_nothing() {
    let mut node = Node::new();
    let leaf = node.state_something(1);
    assert_eq!(
        receipt(&mut node.signer(), leaf),
        Err(SignError::NotAnnounced)
    );
    assert_eq!(node.remembered(), None);
}

#[test]
fn leaf_that_is_not_there_has_no_receipt() {
    let node = Node::announced();
    let missing = receipt(&mut node.signer(), 3);
    assert_eq!(
        missing,
        Err(SignError::NoStatement {
            namespace: default(),
            leaf: 3
        })
    );
}

#[tokio::test]
async fn node_that_signs_nothing_any_more_shows_why() {
    let mut node = Node::announced();
    let leaf = node.state_something(1);
    let cosigner = Cosigner::start(node.signer()).unwrap();
    cosigner.receipt(&default(), leaf).await.unwrap();
    assert_eq!(cosigner.trouble(), None);
    assert!(cosigner.receipt(&default(), 99).await.is_err());
    assert_eq!(cosigner.trouble(), None, "the node is well");
    let other = Head {
        root: sha256(b"other"),
        ..node.head()
    };
    memory::write(&*node.log, GROUP, &default(), other).unwrap();
    let cosigner = Cosigner::start(node.signer()).unwrap();
    assert!(cosigner.receipt(&default(), leaf).await.is_err());
    let trouble = cosigner.trouble();
    assert_eq!(trouble.map(|trouble| trouble.word()), Some("diverged"));
}
