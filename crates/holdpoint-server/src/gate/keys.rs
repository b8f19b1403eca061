//! Who signs the heads of the log: read, and changed one step at a time.
//!
//! ```text
//! rotate ─▶ the node makes keys, durably ─▶ the log names them ─▶ old and new signers both sign
//! ```
//!
//! A change is answered when its statement is proved, which is after the handover. Secret keys never
//! pass through here.

use holdpoint_core::command::{Command, RequireSigners, RetireKeys, RevokeKeys, RotateKeys};
use holdpoint_core::outcome::KeysOutcome;
use holdpoint_core::record::SignerRecord;
use holdpoint_core::{GroupId, Outcome, Query};
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::new_keys_answer::Answer;
use holdpoint_proto::v1;
use holdpoint_raft::{NodeAnswer, NodeQuestion};
use holdpoint_receipt::{Caller, Name, NodeId, Reason};
use tokio::time::timeout_at;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{RevokeCall, RotateCall};
use crate::home::{NamedKeys, key_id};
use crate::new_keys::KEYS_MOVED;
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};

mod published;

/// The keys of a node as the log has them.
struct Found {
    present: Option<SignerRecord>,
    /// The pair with which it signed before the present one.
    before: Option<SignerRecord>,
}

impl Gate {
    /// Has a node make new keys, and puts them in the place of those that it has.
    pub(crate) async fn rotate_keys(
        &self,
        caller: Caller,
        call: RotateCall,
        admitted: &Admitted,
    ) -> Result<v1::ChangeKeysResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let RotateCall {
            node,
            log_key,
            cosign_key,
        } = call;
        let expected = SignerRecord {
            node,
            log_key,
            cosign_key,
        };
        let found = self.keys_of(node, admitted).await?;
        if found.present.is_none() {
            return Err(Refused::never(Reason::UnknownNode));
        }
        if found.present != Some(expected) {
            // The same call, repeated, finds what it did.
            return if found.before == Some(expected) {
                self.changed_keys(None, true, admitted).await
            } else {
                Err(Refused::never(Reason::KeysMoved))
            };
        }
        let (fresh_log_key, fresh_cosign_key) = self.new_keys(&expected, admitted).await?;
        let command = Command::RotateKeys(RotateKeys {
            node,
            log_key: fresh_log_key,
            cosign_key: fresh_cosign_key,
            expected_log_key: log_key,
            expected_cosign_key: cosign_key,
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        self.change_keys(command, admitted).await
    }

    /// Takes a voter out of those that sign.
    pub(crate) async fn retire_keys(
        &self,
        caller: Caller,
        node: NodeId,
        admitted: &Admitted,
    ) -> Result<v1::ChangeKeysResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let command = Command::RetireKeys(RetireKeys {
            node,
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        self.change_keys(command, admitted).await
    }

    /// Marks keys as compromised.
    pub(crate) async fn revoke_keys(
        &self,
        caller: Caller,
        call: RevokeCall,
        admitted: &Admitted,
    ) -> Result<v1::ChangeKeysResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let command = Command::RevokeKeys(RevokeKeys {
            node: call.node,
            log_key: call.log_key,
            cosign_key: call.cosign_key,
            valid_to: call.valid_to,
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        self.change_keys(command, admitted).await
    }

    /// Says how many nodes must sign; none for a majority of the voters.
    pub(crate) async fn require_signers(
        &self,
        caller: Caller,
        signers: Option<u32>,
        admitted: &Admitted,
    ) -> Result<v1::ChangeKeysResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let command = Command::RequireSigners(RequireSigners {
            signers,
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        self.change_keys(command, admitted).await
    }

    /// Wipes the keys of this node that the state will not ask for again.
    pub(crate) async fn wipe_old_keys(&self) {
        let own = &self.parts.own;
        if own.keys.count() < 2 {
            return;
        }
        let (group, keys, node) = (self.parts.group.clone(), own.keys.clone(), own.node);
        let work = self.parts.reads.run(move || {
            let named = group
                .local_view(|view| NamedKeys::read(&Query::new(&view, GroupId::FIRST), node));
            // A state that cannot be read stops the group by itself.
            let Ok(Ok(named)) = named else { return };
            if let Err(error) = keys.wipe(|pair| named.is_done_with(pair)) {
                tracing::error!(%error, "old keys were not wiped; they are tried again at the next start");
            }
        });
        if work.await.is_err() {
            tracing::debug!("no thread had time to look for old keys");
        }
    }

    /// The keys of `node`, as the log has them now.
    async fn keys_of(&self, node: NodeId, admitted: &Admitted) -> Result<Found, Refused> {
        self.read_index(admitted).await?;
        let found = self.look(admitted, move |state| {
            let present = state.node(node)?.map(|known| SignerRecord {
                node,
                log_key: known.log_key,
                cosign_key: known.cosign_key,
            });
            let mut before = None;
            // The name of the first namespace is a constant of ours.
            if let Ok(name) = Name::new(NAMESPACE_DEFAULT)
                && let Some(log) = state.namespace(&name)?
            {
                for (_, epoch) in log.epochs()? {
                    let pair = epoch.signers.iter().find(|signer| signer.node == node);
                    before = pair
                        .copied()
                        .filter(|pair| Some(*pair) != present)
                        .or(before);
                }
            }
            Ok(Found { present, before })
        });
        found.await
    }

    /// Has the node of `expected` make keys.
    async fn new_keys(
        &self,
        expected: &SignerRecord,
        admitted: &Admitted,
    ) -> Result<([u8; 32], [u8; 32]), Refused> {
        let node = expected.node;
        let question = NodeQuestion::NewKeys(wire::NewKeys {
            log_key: expected.log_key.to_vec().into(),
            cosign_key: expected.cosign_key.to_vec().into(),
        });
        let asked = self
            .parts
            .group
            .ask_node(node, question, admitted.left())
            .await;
        let silent = |why: &str| {
            Refused::never(Reason::NoSignatures).saying(format!(
                "Node {node} makes its keys itself, and it does not answer: {why}"
            ))
        };
        let answer = match asked {
            Ok(NodeAnswer::NewKeys(wire::NewKeysAnswer {
                answer: Some(answer),
            })) => answer,
            Ok(_) => return Err(silent("it answered something else.")),
            Err(error) => return Err(silent(&format!("{error}."))),
        };
        match answer {
            Answer::Made(made) => {
                let key = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok();
                key(&made.log_key)
                    .zip(key(&made.cosign_key))
                    .ok_or_else(|| silent("what it gave are no keys."))
            }
            Answer::Declined(declined) if declined.word == KEYS_MOVED => {
                // It has not applied what this node has, or the other way round.
                Err(silent("it is at another place of the log; repeat."))
            }
            Answer::Declined(declined) => Err(silent(&format!("{}.", declined.detail))),
        }
    }

    /// Proposes a change, and answers once its signers have handed over.
    async fn change_keys(
        &self,
        command: Command,
        admitted: &Admitted,
    ) -> Result<v1::ChangeKeysResponse, Refused> {
        self.lead(admitted).await?;
        match self.propose(command, admitted).await? {
            Outcome::Keys(KeysOutcome::Done { statements, replay }) => {
                let leaf = statements
                    .iter()
                    .find(|(name, _)| name.as_str() == NAMESPACE_DEFAULT)
                    .map(|(_, statement)| statement.leaf);
                self.changed_keys(leaf, replay, admitted).await
            }
            Outcome::Keys(KeysOutcome::Refused { reason }) => Err(Refused::never(reason)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The answer to a change that is in the log.
    async fn changed_keys(
        &self,
        leaf: Option<u64>,
        replay: bool,
        admitted: &Admitted,
    ) -> Result<v1::ChangeKeysResponse, Refused> {
        let namespace = Name::new(NAMESPACE_DEFAULT).map_err(|error| fault(&error))?;
        let receipt = if let Some(leaf) = leaf {
            let file = self.receipt_of_leaf(&namespace, leaf, admitted).await;
            Some(file.map_err(Refused::in_doubt)?)
        } else {
            self.await_handover(&namespace, admitted).await?;
            None
        };
        Ok(v1::ChangeKeysResponse {
            receipt: receipt.map(|file| v1::Receipt { file }),
            replay,
            refusal: None,
        })
    }

    /// Waits until the newest signers have the log.
    async fn await_handover(&self, namespace: &Name, admitted: &Admitted) -> Result<(), Refused> {
        let name = namespace.clone();
        let newest = self.look(admitted, move |state| match state.namespace(&name)? {
            Some(log) => Ok(log.newest_epoch()?.map(|(from, _)| from)),
            None => Ok(None),
        });
        let Some(from) = newest.await.map_err(Refused::in_doubt)? else {
            return Ok(());
        };
        let covered = self.parts.cosigner.cover(namespace, from);
        match timeout_at(admitted.deadline(), covered).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.unproven(Some(&error)).in_doubt()),
            Err(_) => Err(self.unproven(None).in_doubt()),
        }
    }
}

/// A pair of keys, as it is shown.
fn shown(signer: &SignerRecord) -> v1::NodeKeys {
    v1::NodeKeys {
        node: signer.node.get(),
        log_key: signer.log_key.to_vec(),
        cosign_key: signer.cosign_key.to_vec(),
        key_id: key_id(&signer.log_key),
    }
}
