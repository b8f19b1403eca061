//! Signs what a testbed decides, with keys that everybody knows.

use std::collections::BTreeMap;

use holdpoint_core::MapView;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::keys::{Epoch, NodePublicKeys};
use holdpoint_receipt::receipt::{Proof, Receipt};
use holdpoint_receipt::{
    ClusterId, Digest, KeySet, Name, NodeId, NodeSecretKeys, Reason, SecretKey, Statement,
    TreeSize, sha256_domain,
};

use super::refused::{Refused, fault};

/// Separates what a testbed's keys are made of from every other digest.
const SEED_DOMAIN: &str = "holdpoint/testkit/key/v1";

/// One node that signs for a whole cluster.
///
/// Its keys follow from this source, so that every run gives the same receipts. They prove nothing to
/// anybody but a test, and every statement says that it is of a development cluster.
pub(super) struct Notary {
    cluster: ClusterId,
    node: NodeId,
    secret: NodeSecretKeys,
    keys: KeySet,
}

impl Notary {
    pub(super) fn new() -> Result<Self, Refused> {
        let key = |name: &str| SecretKey::from_seed(drawn(name).as_bytes());
        let secret = NodeSecretKeys::new(key("log"), key("cosign"));
        let secret = secret.map_err(|error| fault(&error))?;
        let cluster = drawn("cluster");
        let cluster = cluster.as_bytes().first_chunk::<16>();
        let cluster = ClusterId::from_bytes(*cluster.unwrap_or(&[0; 16]));
        let node = NodeId::new(1).map_err(|error| fault(&error))?;
        let epoch = Epoch {
            tree_size_from: TreeSize::new(0).map_err(|error| fault(&error))?,
            signers_needed: 1,
            nodes: BTreeMap::from([(node, secret.public())]),
        };
        let namespace = Name::new(NAMESPACE_DEFAULT).map_err(|error| fault(&error))?;
        let keys =
            KeySet::new(cluster, namespace, vec![epoch], vec![]).map_err(|error| fault(&error))?;
        Ok(Self {
            cluster,
            node,
            secret,
            keys,
        })
    }

    pub(super) const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn public(&self) -> NodePublicKeys {
        self.secret.public()
    }

    pub(super) const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The receipt of the statement at `leaf`, under the newest head.
    pub(super) fn certify(
        &self,
        log: &NamespaceQuery<'_, MapView>,
        namespace: &Name,
        leaf: u64,
    ) -> Result<Vec<u8>, Refused> {
        let missing = || Refused::never(Reason::NotFound);
        let head = log.head()?;
        let tree_size = TreeSize::new(head.size).map_err(|error| fault(&error))?;
        let checkpoint = Checkpoint {
            origin: Origin::new(&self.cluster, namespace),
            size: tree_size,
            root: head.root,
        };
        let seconds = log.now().get() / 1_000;
        let signature = self
            .secret
            .sign_head(&self.cluster, self.node, &checkpoint, seconds);
        let statement = log.statement(leaf)?.ok_or_else(missing)?;
        let receipt = Receipt {
            statement: Statement::parse(&statement.bytes).map_err(|error| fault(&error))?,
            proof: Proof {
                leaf_index: leaf,
                tree_size,
                hashes: log.inclusion(leaf, head.size)?.ok_or_else(missing)?,
            },
            checkpoint: checkpoint
                .to_note(vec![signature])
                .map_err(|error| fault(&error))?,
        };
        Ok(receipt.to_file().into_bytes())
    }
}

fn drawn(name: &str) -> Digest {
    sha256_domain(SEED_DOMAIN, &[name.as_bytes()])
}
