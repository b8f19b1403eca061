//! The published key set: `keys.json`.

use std::collections::BTreeMap;

use super::{Algorithm, KeyName, NodePublicKeys, VerifierKey, VerifierKeyError};
use crate::checkpoint::Origin;
use crate::digest::{Digest, sha256};
use crate::json::{Json, JsonError, Limits, parse};
use crate::names::{ClusterId, Name, NodeId, TreeSize};

/// What every key set of this form says in its member `schema`.
pub const KEYS_SCHEMA: &str = "holdpoint.keys/1";

/// The longest key set.
pub const KEYS_BYTES_MAX: usize = 1024 * 1024;

/// The most nodes of one epoch; a note has room for two signatures of each.
const NODES_MAX: usize = crate::note::SIGNATURES_MAX / 2;

/// Object, epochs, epoch, nodes, node.
const LIMITS: Limits = Limits {
    bytes_max: KEYS_BYTES_MAX,
    depth_max: 5,
};

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

/// The keys that verify the receipts of one namespace of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    authority: ClusterId,
    namespace: Name,
    // INVARIANT: not empty, from tree size 0, rising, each checked by `check`.
    epochs: Vec<Epoch>,
}

impl KeySet {
    /// Takes the epochs of a log, in the order of their tree sizes.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] names what does not hold.
    pub fn new(
        authority: ClusterId,
        namespace: Name,
        epochs: Vec<Epoch>,
    ) -> Result<Self, KeySetError> {
        let set = Self {
            authority,
            namespace,
            epochs,
        };
        set.check()?;
        Ok(set)
    }

    fn check(&self) -> Result<(), KeySetError> {
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
    ///  "signers_needed":1,"tree_size_from":0}],"namespace":…,"schema":"holdpoint.keys/1"}
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

    fn to_json(&self) -> Json {
        // Node ids and tree sizes are below 2^53.
        let int = |value: u64| Json::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let node = |(id, keys): (&NodeId, &NodePublicKeys)| {
            Json::object([
                (
                    "cosign_vkey",
                    Json::str(self.cosign_verifier(*id, keys).to_string()),
                ),
                ("log_vkey", Json::str(self.log_verifier(keys).to_string())),
                ("node", int(id.get())),
            ])
        };
        let epoch = |epoch: &Epoch| {
            Json::object([
                ("nodes", Json::Array(epoch.nodes.iter().map(node).collect())),
                ("signers_needed", int(epoch.signers_needed.into())),
                ("tree_size_from", int(epoch.tree_size_from.get())),
            ])
        };
        Json::object([
            ("authority", Json::str(self.authority.to_string())),
            (
                "epochs",
                Json::Array(self.epochs.iter().map(epoch).collect()),
            ),
            ("namespace", Json::str(self.namespace.as_str())),
            ("schema", Json::str(KEYS_SCHEMA)),
        ])
    }

    /// Reads a key set in any spelling of its JSON; members are exactly those of the form.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] names the first member that does not fit. Weak keys are refused.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let mut top = Members::of(parse(text, LIMITS)?, "key set")?;
        if top.text("schema")? != KEYS_SCHEMA {
            return Err(KeySetError::Schema);
        }
        let authority = top
            .text("authority")?
            .parse()
            .map_err(|_| malformed("authority"))?;
        let namespace = top
            .text("namespace")?
            .parse()
            .map_err(|_| malformed("namespace"))?;
        let epochs = top.array("epochs")?;
        top.finish()?;
        let origin = Origin::new(&authority, &namespace);
        let epochs = epochs
            .into_iter()
            .map(|epoch| read_epoch(epoch, &authority, &origin));
        Self::new(authority, namespace, epochs.collect::<Result<_, _>>()?)
    }
}

fn read_epoch(value: Json, authority: &ClusterId, origin: &Origin) -> Result<Epoch, KeySetError> {
    let mut members = Members::of(value, "epochs")?;
    let tree_size_from = TreeSize::new(members.number("tree_size_from")?);
    let tree_size_from = tree_size_from.map_err(|_| malformed("tree_size_from"))?;
    let signers_needed = u32::try_from(members.number("signers_needed")?);
    let signers_needed = signers_needed.map_err(|_| KeySetError::SignersNeeded)?;
    let items = members.array("nodes")?;
    members.finish()?;
    let mut nodes = BTreeMap::new();
    for item in items {
        let mut members = Members::of(item, "nodes")?;
        let node = NodeId::new(members.number("node")?).map_err(|_| malformed("node"))?;
        let log = members.verifier("log_vkey", node)?;
        let cosign = members.verifier("cosign_vkey", node)?;
        members.finish()?;
        let keys = NodePublicKeys {
            log: *log.key(),
            cosign: *cosign.key(),
        };
        let expected = [
            (
                "log_vkey",
                log,
                KeyName::of_origin(origin),
                Algorithm::Ed25519,
            ),
            (
                "cosign_vkey",
                cosign,
                KeyName::of_node(authority, node),
                Algorithm::CosignatureV1,
            ),
        ];
        for (member, verifier, name, algorithm) in expected {
            if *verifier.name() != name || verifier.algorithm() != algorithm {
                return Err(KeySetError::KeyName { member, node, name });
            }
        }
        if nodes
            .last_key_value()
            .is_some_and(|(last, _)| *last >= node)
        {
            return Err(KeySetError::Nodes);
        }
        nodes.insert(node, keys);
    }
    Ok(Epoch {
        tree_size_from,
        signers_needed,
        nodes,
    })
}

fn malformed(member: &str) -> KeySetError {
    KeySetError::Member(member.to_owned())
}

/// Members that were not read yet.
struct Members(BTreeMap<String, Json>);

impl Members {
    fn of(value: Json, what: &str) -> Result<Self, KeySetError> {
        if let Json::Object(members) = value {
            Ok(Self(members))
        } else {
            Err(malformed(what))
        }
    }

    fn text(&mut self, member: &str) -> Result<String, KeySetError> {
        match self.0.remove(member) {
            Some(Json::Str(text)) => Ok(text),
            _ => Err(malformed(member)),
        }
    }

    fn number(&mut self, member: &str) -> Result<u64, KeySetError> {
        let value = self.0.remove(member).and_then(|value| value.as_int());
        value
            .and_then(|value| u64::try_from(value).ok())
            .ok_or_else(|| malformed(member))
    }

    fn array(&mut self, member: &str) -> Result<Vec<Json>, KeySetError> {
        match self.0.remove(member) {
            Some(Json::Array(items)) => Ok(items),
            _ => Err(malformed(member)),
        }
    }

    fn verifier(&mut self, member: &'static str, node: NodeId) -> Result<VerifierKey, KeySetError> {
        let text = self.text(member)?;
        text.parse().map_err(|problem| KeySetError::Key {
            member,
            node,
            problem,
        })
    }

    fn finish(self) -> Result<(), KeySetError> {
        match self.0.into_keys().next() {
            Some(unknown) => Err(KeySetError::Member(unknown)),
            None => Ok(()),
        }
    }
}
