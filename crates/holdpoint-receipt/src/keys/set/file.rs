//! The key set as JSON, written and read side by side.

use std::collections::BTreeMap;

use super::{Epoch, KEYS_BYTES_MAX, KEYS_SCHEMA, KeySet, KeySetError, Revocation};
use crate::checkpoint::Origin;
use crate::json::{Json, Limits, Members, parse};
use crate::keys::{Algorithm, KeyName, NodePublicKeys, VerifierKey};
use crate::names::{ClusterId, Name, NodeId, TreeSize};

/// Object, epochs, epoch, nodes, node.
const LIMITS: Limits = Limits {
    bytes_max: KEYS_BYTES_MAX,
    depth_max: 5,
};

impl KeySet {
    /// The object, which a trust bundle holds too.
    pub(crate) fn to_json(&self) -> Json {
        let signer = |node: NodeId, keys: &NodePublicKeys| {
            let cosign = self.cosign_verifier(node, keys).to_string();
            vec![
                ("cosign_vkey", Json::str(cosign)),
                ("log_vkey", Json::str(self.log_verifier(keys).to_string())),
                ("node", int(node.get())),
            ]
        };
        let epoch = |epoch: &Epoch| {
            let nodes = epoch.nodes.iter();
            let nodes = nodes.map(|(node, keys)| Json::object(signer(*node, keys)));
            Json::object([
                ("nodes", Json::Array(nodes.collect())),
                ("signers_needed", int(epoch.signers_needed.into())),
                ("tree_size_from", int(epoch.tree_size_from.get())),
            ])
        };
        let revoked = |mark: &Revocation| {
            let mut members = signer(mark.node, &mark.keys);
            members.push(("recorded_at", int(mark.recorded_at)));
            members.push(("valid_to", int(mark.valid_to.get())));
            Json::object(members)
        };
        let epochs = self.epochs.iter().map(epoch).collect();
        let revoked = self.revocations.iter().map(revoked).collect();
        Json::object([
            ("authority", Json::str(self.authority.to_string())),
            ("epochs", Json::Array(epochs)),
            ("namespace", Json::str(self.namespace.as_str())),
            ("revoked", Json::Array(revoked)),
            ("schema", Json::str(KEYS_SCHEMA)),
        ])
    }

    /// Reads a key set in any spelling of its JSON; members are exactly those of the form.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] names the first member that does not fit. Weak keys are refused.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        Self::from_json(parse(text, LIMITS)?)
    }

    /// Reads the object that [`KeySet::to_json`] writes.
    pub(crate) fn from_json(value: Json) -> Result<Self, KeySetError> {
        let mut top = Members::of(value, "key set")?;
        if top.text("schema")? != KEYS_SCHEMA {
            return Err(KeySetError::Schema);
        }
        let authority = top.parsed("authority")?;
        let namespace: Name = top.parsed("namespace")?;
        let (epochs, revoked) = (top.array("epochs")?, top.array("revoked")?);
        top.finish()?;
        let reader = Reader {
            origin: Origin::new(&authority, &namespace),
            authority,
        };
        let epochs = epochs.into_iter().map(|epoch| reader.epoch(epoch));
        let epochs = epochs.collect::<Result<_, _>>()?;
        let revoked = revoked.into_iter().map(|mark| reader.revocation(mark));
        Self::new(
            authority,
            namespace,
            epochs,
            revoked.collect::<Result<_, _>>()?,
        )
    }
}

/// Node ids, leaves and tree sizes are below 2^53.
fn int(value: u64) -> Json {
    Json::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Knows which names the keys must have.
struct Reader {
    authority: ClusterId,
    origin: Origin,
}

impl Reader {
    fn epoch(&self, value: Json) -> Result<Epoch, KeySetError> {
        let mut members = Members::of(value, "epochs")?;
        let tree_size_from = size(&mut members, "tree_size_from")?;
        let signers_needed = u32::try_from(members.number("signers_needed")?);
        let signers_needed = signers_needed.map_err(|_| KeySetError::SignersNeeded)?;
        let items = members.array("nodes")?;
        members.finish()?;
        let mut nodes = BTreeMap::new();
        for item in items {
            let mut members = Members::of(item, "nodes")?;
            let (node, keys) = self.signer(&mut members)?;
            members.finish()?;
            let last = nodes.last_key_value();
            if last.is_some_and(|(last, _)| *last >= node) {
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

    fn revocation(&self, value: Json) -> Result<Revocation, KeySetError> {
        let mut members = Members::of(value, "revoked")?;
        let (node, keys) = self.signer(&mut members)?;
        let valid_to = size(&mut members, "valid_to")?;
        let recorded_at = members.number("recorded_at")?;
        members.finish()?;
        Ok(Revocation {
            node,
            keys,
            valid_to,
            recorded_at,
        })
    }

    fn signer(&self, members: &mut Members) -> Result<(NodeId, NodePublicKeys), KeySetError> {
        let node = NodeId::new(members.number("node")?);
        let node = node.map_err(|_| KeySetError::Member("node".to_owned()))?;
        let log_name = KeyName::of_origin(&self.origin);
        let log = verifier(members, "log_vkey", node, log_name, Algorithm::Ed25519)?;
        let name = KeyName::of_node(&self.authority, node);
        let cosign = verifier(members, "cosign_vkey", node, name, Algorithm::CosignatureV1)?;
        let (log, cosign) = (*log.key(), *cosign.key());
        Ok((node, NodePublicKeys { log, cosign }))
    }
}

fn size(members: &mut Members, member: &'static str) -> Result<TreeSize, KeySetError> {
    let size = TreeSize::new(members.number(member)?);
    size.map_err(|_| KeySetError::Member(member.to_owned()))
}

fn verifier(
    members: &mut Members,
    member: &'static str,
    node: NodeId,
    name: KeyName,
    algorithm: Algorithm,
) -> Result<VerifierKey, KeySetError> {
    let verifier = members.text(member)?.parse::<VerifierKey>();
    let verifier = verifier.map_err(|problem| KeySetError::Key {
        member,
        node,
        problem,
    })?;
    if *verifier.name() == name && verifier.algorithm() == algorithm {
        Ok(verifier)
    } else {
        Err(KeySetError::KeyName { member, node, name })
    }
}
