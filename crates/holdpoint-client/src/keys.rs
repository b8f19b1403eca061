//! Who signs the heads of the log: what operators list and change.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::statement::KeysChange;
use holdpoint_receipt::{Body, NodeId};

use crate::believe::{AnswerError, Receipt, Trust, same};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::info::malformed;
use crate::steps::refused;

/// A node's two public keys, and their name for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeKeys {
    /// The node.
    pub node: NodeId,
    /// The key that signs heads as a log.
    pub log_key: [u8; 32],
    /// The key that co-signs heads.
    pub cosign_key: [u8; 32],
    /// The beginning of the hash of the log key, 16 hex digits.
    pub key_id: String,
}

/// A node and how it stands among those that sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSigning {
    /// Its present keys.
    pub keys: NodeKeys,
    /// Whether the newest set of signers has them.
    pub signs: bool,
    /// Whether an operator has retired it, or marked its present keys.
    pub is_retired: bool,
    /// Whether it is a voter.
    pub is_voter: bool,
}

/// Who signs heads from one size on, until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerEpoch {
    /// The first size.
    pub tree_size_from: u64,
    /// How many must sign.
    pub signers_needed: u32,
    /// Who may.
    pub signers: Vec<NodeKeys>,
    /// The leaf of the statement that opens it.
    pub leaf: u64,
    /// Whether those before have handed the log over to these.
    pub is_handed_over: bool,
}

/// Keys that are marked as compromised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMark {
    /// The keys.
    pub keys: NodeKeys,
    /// The largest head that they sign validly.
    pub valid_to: u64,
    /// The leaf of the statement that says so.
    pub recorded_at: u64,
}

/// Who signs, and who signed. As a node told it: the proof is the published key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyList {
    /// Every node that has announced keys.
    pub nodes: Vec<NodeSigning>,
    /// Every set of signers, the oldest first.
    pub epochs: Vec<SignerEpoch>,
    /// Every mark, the oldest first.
    pub marks: Vec<KeyMark>,
    /// How many must sign by an operator's word; none for a majority of the voters.
    pub signers_required: Option<u32>,
    /// Whether the newest set waits until it is handed the log over.
    pub is_handover_pending: bool,
    /// Leaves in the log.
    pub tree_size: u64,
}

/// A change of keys that is in force: the signers before and after it have signed.
#[derive(Clone, Debug)]
pub struct KeysChanged {
    /// Proof of the change. It was verified. Absent where it was so before.
    pub receipt: Option<Receipt>,
    /// Whether it was so before.
    pub is_replay: bool,
}

/// Which change is asked for.
#[derive(Clone, Copy)]
enum Change<'a> {
    Rotate(&'a NodeKeys),
    Retire(NodeId),
    Revoke(&'a NodeKeys, u64),
    Require(u32),
}

impl Gate {
    /// Lists who signs the heads of the log, and who signed them.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node answers.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn list_keys(&self) -> Result<KeyList, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ListKeysRequest {
                namespace: self.namespace().to_string(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection.keys().list(connection.request(message)).await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            KeyList::from_wire(answer).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Has a node make new keys in the place of `present`, which are those that it has now. A node that
    /// was retired signs again.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `KEYS_MOVED` if they are not its present keys, with `KEYS_PENDING`
    /// while an earlier change is not handed over.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the change, which can be repeated: the same keys are
    /// replaced once.
    pub async fn rotate_keys(&self, present: &NodeKeys) -> Result<KeysChanged, CallError> {
        self.change_keys(Change::Rotate(present)).await
    }

    /// Takes a voter out of those that sign. It votes on.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `TOO_FEW_SIGNERS` if it cannot be missed.
    ///
    /// # Cancellation
    ///
    /// As [`Gate::rotate_keys`].
    pub async fn retire_keys(&self, node: NodeId) -> Result<KeysChanged, CallError> {
        self.change_keys(Change::Retire(node)).await
    }

    /// Marks keys as compromised: heads larger than `valid_to` that they sign do not count. If they are
    /// a node's present ones, it signs no more until it is given others.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `UNKNOWN_KEY`, or with `TOO_FEW_SIGNERS`: rotate first.
    ///
    /// # Cancellation
    ///
    /// As [`Gate::rotate_keys`].
    pub async fn revoke_keys(
        &self,
        keys: &NodeKeys,
        valid_to: u64,
    ) -> Result<KeysChanged, CallError> {
        self.change_keys(Change::Revoke(keys, valid_to)).await
    }

    /// Says how many nodes must sign a head; none for a majority of the voters.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `TOO_FEW_SIGNERS` if fewer sign.
    ///
    /// # Cancellation
    ///
    /// As [`Gate::rotate_keys`].
    pub async fn require_signers(&self, signers: Option<u32>) -> Result<KeysChanged, CallError> {
        let signers = signers.unwrap_or_default();
        self.change_keys(Change::Require(signers)).await
    }

    async fn change_keys(&self, change: Change<'_>) -> Result<KeysChanged, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let deadline_ms = wire_ms(budget);
            let mut keys = connection.keys();
            let answer = match change {
                Change::Rotate(present) => {
                    let message = v1::RotateKeysRequest {
                        node: present.node.get(),
                        log_key: present.log_key.to_vec(),
                        cosign_key: present.cosign_key.to_vec(),
                        deadline_ms,
                    };
                    keys.rotate(connection.request(message)).await?
                }
                Change::Retire(node) => {
                    let message = v1::RetireKeysRequest {
                        node: node.get(),
                        deadline_ms,
                    };
                    keys.retire(connection.request(message)).await?
                }
                Change::Revoke(marked, valid_to) => {
                    let message = v1::RevokeKeysRequest {
                        node: marked.node.get(),
                        log_key: marked.log_key.to_vec(),
                        cosign_key: marked.cosign_key.to_vec(),
                        valid_to,
                        deadline_ms,
                    };
                    keys.revoke(connection.request(message)).await?
                }
                Change::Require(signers) => {
                    let message = v1::RequireSignersRequest {
                        signers,
                        deadline_ms,
                    };
                    keys.require(connection.request(message)).await?
                }
            };
            let v1::ChangeKeysResponse {
                receipt,
                replay,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            let seen = self.trust();
            let mut changed = believed(receipt.clone(), replay, &change, &seen);
            // Most changes are proved under keys that they have just put in the place of ours. Asked
            // again, the gate would say that it was so before.
            if matches!(changed, Err(AnswerError::Receipt(_)))
                && self.follow_keys_over(&seen.keys, &connection, budget).await
            {
                changed = believed(receipt, replay, &change, &self.trust());
            }
            changed.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

fn believed(
    receipt: Option<v1::Receipt>,
    replay: bool,
    change: &Change<'_>,
    trust: &Trust,
) -> Result<KeysChanged, AnswerError> {
    let Some(receipt) = receipt else {
        // A mark or a number may change nothing of who signs; new keys always do.
        let may_lack = replay || !matches!(change, Change::Rotate(_));
        same("receipt", may_lack)?;
        return Ok(KeysChanged {
            receipt: None,
            is_replay: replay,
        });
    };
    let receipt = Receipt::believe(Some(receipt), trust)?;
    let Body::Keys(stated) = &receipt.statement().body else {
        return Err(AnswerError::Differs { field: "kind" });
    };
    let (node, fits) = match change {
        Change::Rotate(present) => {
            let is = matches!(stated.change, KeysChange::Rotated | KeysChange::Restored);
            (Some(present.node), is)
        }
        Change::Retire(node) => (Some(*node), stated.change == KeysChange::Retired),
        Change::Revoke(marked, _) => (Some(marked.node), stated.change == KeysChange::Revoked),
        Change::Require(_) => (None, stated.change == KeysChange::Required),
    };
    same("change", fits)?;
    same("node", stated.node == node)?;
    Ok(KeysChanged {
        receipt: Some(receipt),
        is_replay: replay,
    })
}

impl NodeKeys {
    fn from_wire(wire: Option<v1::NodeKeys>) -> Result<Self, AnswerError> {
        let wire = wire.ok_or_else(|| malformed("keys", "are missing"))?;
        let key = |field, bytes: &[u8]| {
            <[u8; 32]>::try_from(bytes).map_err(|_| malformed(field, "is not 32 bytes"))
        };
        Ok(Self {
            node: NodeId::new(wire.node).map_err(|error| malformed("node", error))?,
            log_key: key("log_key", &wire.log_key)?,
            cosign_key: key("cosign_key", &wire.cosign_key)?,
            key_id: wire.key_id,
        })
    }
}

impl KeyList {
    fn from_wire(wire: v1::ListKeysResponse) -> Result<Self, AnswerError> {
        let node = |node: v1::NodeSigning| {
            Ok(NodeSigning {
                keys: NodeKeys::from_wire(node.keys)?,
                signs: node.signs,
                is_retired: node.retired,
                is_voter: node.voter,
            })
        };
        let epoch = |epoch: v1::SignerEpoch| {
            let signers = epoch.signers.into_iter();
            Ok(SignerEpoch {
                tree_size_from: epoch.tree_size_from,
                signers_needed: epoch.signers_needed,
                signers: signers
                    .map(|keys| NodeKeys::from_wire(Some(keys)))
                    .collect::<Result<_, AnswerError>>()?,
                leaf: epoch.leaf,
                is_handed_over: epoch.handed_over,
            })
        };
        let mark = |mark: v1::KeyMark| {
            Ok(KeyMark {
                keys: NodeKeys::from_wire(mark.keys)?,
                valid_to: mark.valid_to,
                recorded_at: mark.recorded_at,
            })
        };
        let nodes: Result<_, AnswerError> = wire.nodes.into_iter().map(node).collect();
        let epochs: Result<_, AnswerError> = wire.epochs.into_iter().map(epoch).collect();
        let marks: Result<_, AnswerError> = wire.marks.into_iter().map(mark).collect();
        Ok(Self {
            nodes: nodes?,
            epochs: epochs?,
            marks: marks?,
            signers_required: (wire.signers_required > 0).then_some(wire.signers_required),
            is_handover_pending: wire.handover_pending,
            tree_size: wire.tree_size,
        })
    }
}
