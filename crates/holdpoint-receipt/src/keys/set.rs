//! The published key set: `keys.json`.

mod file;
mod follow;
mod jwks;

use std::collections::BTreeMap;

use super::{KeyName, NodePublicKeys, PublicKey, VerifierKey, VerifierKeyError};
use crate::checkpoint::Origin;
use crate::digest::{Digest, sha256};
use crate::json::{JsonError, Misfit};
use crate::names::{ClusterId, Name, NodeId, TreeSize};

pub use follow::FollowError;

/// What every key set of this form says in its member `schema`.
pub const KEYS_SCHEMA: &str = "holdpoint.keys/1";

/// The longest key set: 1,024 changes of keys in a cluster of 31 voters, twice.
pub const KEYS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most nodes of one epoch; a note has room for two signatures of each.
const NODES_MAX: usize = crate::note::SIGNATURES_MAX / 2;

/// Why something is not a key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The text is not JSON as we accept it.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The set is of a form that is not known here.
    #[error("`schema` is not `{KEYS_SCHEMA}`")]
    Schema,
    /// A member is missing, unknown, or has another type.
    #[error("a key set's `{0}` is missing or malformed")]
    Member(String),
    /// A verifier key is refused.
    #[error("`{member}` of node {node}: {problem}")]
    Key {
        /// The member.
        member: &'static str,
        /// The node.
        node: NodeId,
        /// Why.
        problem: VerifierKeyError,
    },
    /// A verifier key has another name or algorithm than its place demands.
    #[error("`{member}` of node {node} must have the name `{name}` and be of its own kind")]
    KeyName {
        /// The member.
        member: &'static str,
        /// The node.
        node: NodeId,
        /// The name that it must have.
        name: KeyName,
    },
    /// No epoch, or the first does not start with the empty tree, or they do not rise.
    #[error("the epochs must start at tree size 0 and rise strictly")]
    Epochs,
    /// The nodes of an epoch are not in the order of their ids, are none, or are too many.
    #[error("the nodes of an epoch must be from 1 to {NODES_MAX}, in the order of their ids")]
    Nodes,
    /// More signers are needed than there are nodes, or none.
    #[error("`signers_needed` must be from 1 to the number of nodes")]
    SignersNeeded,
    /// A key has two owners or two roles.
    #[error("the key {0} has two owners or two roles")]
    SharedKey(String),
    /// A mark is not of keys that some node signed with before, or the marks do not rise.
    #[error(
        "`revoked` must name keys of an epoch that had begun at the leaf, in the order of the leaves"
    )]
    Revoked,
}

impl From<Misfit> for KeySetError {
    fn from(misfit: Misfit) -> Self {
        Self::Member(misfit.0)
    }
}

/// Which nodes sign heads from one tree size on, until the next epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The first tree size whose head these nodes sign.
    pub tree_size_from: TreeSize,
    /// How many of them must sign.
    pub signers_needed: u32,
    /// Their keys.
    pub nodes: BTreeMap<NodeId, NodePublicKeys>,
}

/// A mark on keys that became known to others than their node: larger heads that they sign do not
/// count. It is never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The node whose keys they are.
    pub node: NodeId,
    /// The keys. Each of the two is marked.
    pub keys: NodePublicKeys,
    /// The largest head that they sign validly.
    pub valid_to: TreeSize,
    /// The leaf of the statement that says so.
    pub recorded_at: u64,
}

/// The keys that verify the receipts of one namespace of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    authority: ClusterId,
    namespace: Name,
    // INVARIANT: not empty, from tree size 0, rising, each checked by `check`.
    epochs: Vec<Epoch>,
    // INVARIANT: rising by leaf, each of keys in an epoch that had begun by then.
    revocations: Vec<Revocation>,
}

impl KeySet {
    /// Takes the epochs of a log in the order of their tree sizes, and the marks on keys in the
    /// order of their leaves.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] names what does not hold.
    pub fn new(
        authority: ClusterId,
        namespace: Name,
        epochs: Vec<Epoch>,
        revocations: Vec<Revocation>,
    ) -> Result<Self, KeySetError> {
        let set = Self {
            authority,
            namespace,
            epochs,
            revocations,
        };
        set.check_epochs()?;
        set.check_revocations()?;
        Ok(set)
    }

    fn check_revocations(&self) -> Result<(), KeySetError> {
        let leaves = self.revocations.iter().map(|mark| mark.recorded_at);
        let is_known = |mark: &Revocation| {
            let mut begun = self.begun_by(mark.recorded_at);
            begun.any(|epoch| epoch.nodes.get(&mark.node) == Some(&mark.keys))
        };
        if leaves.is_sorted_by(|a, b| a < b) && self.revocations.iter().all(is_known) {
            Ok(())
        } else {
            Err(KeySetError::Revoked)
        }
    }

    fn check_epochs(&self) -> Result<(), KeySetError> {
        let starts: Vec<u64> = self
            .epochs
            .iter()
            .map(|epoch| epoch.tree_size_from.get())
            .collect();
        if starts.first() != Some(&0) || !starts.is_sorted_by(|a, b| a < b) {
            return Err(KeySetError::Epochs);
        }
        let mut owners = BTreeMap::new();
        for epoch in &self.epochs {
            let count = epoch.nodes.len();
            if count == 0 || count > NODES_MAX {
                return Err(KeySetError::Nodes);
            }
            if !(1..=count).contains(&(epoch.signers_needed as usize)) {
                return Err(KeySetError::SignersNeeded);
            }
            let mut hints = BTreeMap::new();
            for (node, keys) in &epoch.nodes {
                for verifier in [self.log_verifier(keys), self.cosign_verifier(*node, keys)] {
                    let bytes = *verifier.key().as_bytes();
                    let owner = (*node, verifier.algorithm());
                    let is_shared = *owners.entry(bytes).or_insert(owner) != owner;
                    // Equal hints would leave open which key a line means.
                    let hint = (verifier.name().clone(), verifier.key_id());
                    if is_shared || hints.insert(hint, owner).is_some() {
                        return Err(KeySetError::SharedKey(verifier.to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    /// The cluster history whose receipts these keys verify.
    #[must_use]
    pub const fn authority(&self) -> &ClusterId {
        &self.authority
    }

    /// The namespace whose receipts these keys verify.
    #[must_use]
    pub const fn namespace(&self) -> &Name {
        &self.namespace
    }

    /// The epochs in the order of their tree sizes.
    #[must_use]
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The marks on keys, in the order of their leaves.
    #[must_use]
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// The set as it was published at a leaf, which is what the `keys` statement there has the
    /// digest of: the epochs that had begun or were opened by it, and the marks up to it.
    #[must_use]
    pub fn as_of(&self, leaf_index: u64) -> Self {
        let marks = self.revocations.iter();
        Self {
            authority: self.authority,
            namespace: self.namespace.clone(),
            epochs: self.begun_by(leaf_index).cloned().collect(),
            revocations: marks
                .filter(|mark| mark.recorded_at <= leaf_index)
                .copied()
                .collect(),
        }
    }

    /// The epochs that leaf `leaf_index` or an earlier one opened. An epoch but the first begins one
    /// leaf after the statement that opens it; the first holds from the empty tree on.
    fn begun_by(&self, leaf_index: u64) -> impl Iterator<Item = &Epoch> {
        let size = leaf_index.saturating_add(1);
        let epochs = self.epochs.iter();
        epochs.take_while(move |epoch| epoch.tree_size_from.get() <= size)
    }

    /// The largest head that these keys sign validly; none if they are not marked. Of several marks
    /// on either key the lowest counts.
    #[must_use]
    pub fn valid_to(&self, keys: &NodePublicKeys) -> Option<TreeSize> {
        let marks = self.revocations.iter();
        marks
            .filter(|mark| mark.keys.log == keys.log || mark.keys.cosign == keys.cosign)
            .map(|mark| mark.valid_to)
            .min()
    }

    /// The origin that the heads of this log have.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::new(&self.authority, &self.namespace)
    }

    /// The epoch of a head of this size; every size has one.
    #[must_use]
    pub fn epoch_of(&self, size: TreeSize) -> Option<&Epoch> {
        self.epochs
            .iter()
            .rev()
            .find(|epoch| epoch.tree_size_from <= size)
    }

    /// Every key of every epoch; one that stays is there more than once.
    pub(crate) fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        let nodes = self.epochs.iter().flat_map(|epoch| epoch.nodes.values());
        nodes.flat_map(|keys| [keys.log, keys.cosign])
    }

    /// A node's log key under its name.
    #[must_use]
    pub fn log_verifier(&self, keys: &NodePublicKeys) -> VerifierKey {
        keys.log_verifier(&self.origin())
    }

    /// A node's co-signing key under its name.
    #[must_use]
    pub fn cosign_verifier(&self, node: NodeId, keys: &NodePublicKeys) -> VerifierKey {
        keys.cosign_verifier(&self.authority, node)
    }

    /// The file's content: canonical JSON and a newline.
    ///
    /// ```text
    /// {"authority":"<cluster id>","epochs":[{"nodes":[{"cosign_vkey":…,"log_vkey":…,"node":1}],
    ///  "signers_needed":1,"tree_size_from":0}],"namespace":…,"revoked":[{"cosign_vkey":…,
    ///  "log_vkey":…,"node":1,"recorded_at":41,"valid_to":40}],"schema":"holdpoint.keys/1"}
    /// ```
    #[must_use]
    pub fn to_file(&self) -> String {
        let mut text = self.to_json().to_canonical();
        text.push('\n');
        text
    }

    /// SHA-256 of the canonical form without the newline, as `keys` statements name it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(self.to_json().to_canonical().as_bytes())
    }
}
