//! Makes real receipts: one log, one node, k = 1.

use std::collections::BTreeMap;
use std::convert::Infallible;

use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::keys::Epoch;
use holdpoint_receipt::merkle::{Frontier, leaf_of, prove_inclusion};
use holdpoint_receipt::receipt::{Proof, Receipt};
use holdpoint_receipt::statement::{Place, Statement};
use holdpoint_receipt::{
    Body, ClusterId, ClusterTime, Digest, KeySet, Name, NodeId, NodeSecretKeys, SecretKey, TreeSize,
};

/// The cluster time at which everything happens.
pub(crate) const NOW_MS: u64 = 1_795_356_725_231;

/// A log with its signer.
pub(crate) struct Notary {
    cluster: ClusterId,
    namespace: Name,
    secret: NodeSecretKeys,
    node: NodeId,
    tree: Frontier,
    nodes: BTreeMap<(u8, u64), Digest>,
    size: u64,
    /// Every statement with the receipt that it got.
    stated: Vec<(Statement, Vec<u8>)>,
}

impl Notary {
    /// A log of its own; another `seed` is another cluster.
    pub(crate) fn new(seed: u8) -> Self {
        let key = |byte: u8| SecretKey::from_seed(&[byte; 32]);
        Self {
            cluster: ClusterId::from_bytes([seed; 16]),
            namespace: Name::new("default").unwrap(),
            secret: NodeSecretKeys::new(key(seed), key(seed.wrapping_add(100))).unwrap(),
            node: NodeId::new(1).unwrap(),
            tree: Frontier::new(),
            nodes: BTreeMap::new(),
            size: 0,
            stated: Vec::new(),
        }
    }

    /// Every statement so far with its receipt, in the order of the log.
    pub(crate) fn stated(&self) -> &[(Statement, Vec<u8>)] {
        &self.stated
    }

    /// The published keys.
    pub(crate) fn keys(&self) -> KeySet {
        let epoch = Epoch {
            tree_size_from: TreeSize::new(0).unwrap(),
            signers_needed: 1,
            nodes: BTreeMap::from([(self.node, self.secret.public())]),
        };
        KeySet::new(self.cluster, self.namespace.clone(), vec![epoch], vec![]).unwrap()
    }

    /// The identity of the cluster.
    pub(crate) fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Appends a statement and proves it: the receipt's file, and the statement's hash.
    pub(crate) fn certify(&mut self, body: Body) -> (Vec<u8>, Digest) {
        let leaf_index = self.size;
        let statement = Statement {
            authority: self.cluster,
            namespace: self.namespace.clone(),
            place: Place::new(leaf_index, leaf_index + 7, 3, 0).unwrap(),
            issued_at: ClusterTime::new(NOW_MS).unwrap(),
            is_dev: true,
            body,
        };
        let hash = statement.receipt_hash();
        for node in self.tree.append(leaf_of(&hash)).unwrap() {
            self.nodes.insert((node.level, node.index), node.hash);
        }
        self.size += 1;
        let origin = Origin::new(&self.cluster, &self.namespace);
        let size = TreeSize::new(self.size).unwrap();
        let head = Checkpoint {
            origin,
            size,
            root: self.tree.root(),
        };
        let signature = self
            .secret
            .sign_head(&self.cluster, self.node, &head, NOW_MS / 1_000);
        let node = |level, index| Ok::<_, Infallible>(self.nodes.get(&(level, index)).copied());
        let hashes = prove_inclusion(leaf_index, self.size, node).unwrap();
        let receipt = Receipt {
            statement,
            proof: Proof {
                leaf_index,
                tree_size: size,
                hashes,
            },
            checkpoint: head.to_note(vec![signature]).unwrap(),
        };
        let file = receipt.to_file().into_bytes();
        self.stated.push((receipt.statement, file.clone()));
        (file, hash)
    }
}
