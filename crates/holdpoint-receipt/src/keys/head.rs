//! What a node signs a head with, and what it makes of it.

use super::{Algorithm, KeyName, PublicKey, VerifierKey};
use crate::checkpoint::Origin;
use crate::cosignature::COSIGNATURE_BYTES;
use crate::names::{ClusterId, NodeId};
use crate::note::NoteSignature;

/// The two public keys of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePublicKeys {
    /// Signs heads as notes.
    pub log: PublicKey,
    /// Signs heads with the time at which the node saw them.
    pub cosign: PublicKey,
}

/// A node's two signatures of one head, as the lines of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadSignature {
    /// Who signed.
    pub node: NodeId,
    /// The line of the log key.
    pub log: NoteSignature,
    /// The line of the co-signing key.
    pub cosign: NoteSignature,
}

/// A node's two signatures of one head, as they travel between nodes that know the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// By the log key.
    pub log: [u8; 64],
    /// By the co-signing key, behind the time.
    pub cosign: [u8; COSIGNATURE_BYTES],
}

impl HeadSignature {
    /// The lines of signatures that these keys made. Nothing is verified.
    #[must_use]
    pub fn new(
        cluster: &ClusterId,
        origin: &Origin,
        node: NodeId,
        keys: &NodePublicKeys,
        signed: &SignedHead,
    ) -> Self {
        let line = |verifier: &VerifierKey, signature: &[u8]| NoteSignature {
            name: verifier.name().clone(),
            key_id: verifier.key_id(),
            signature: signature.to_vec(),
        };
        Self {
            node,
            log: line(&keys.log_verifier(origin), &signed.log),
            cosign: line(&keys.cosign_verifier(cluster, node), &signed.cosign),
        }
    }

    /// The signatures without names; none if a line has not the length of one.
    #[must_use]
    pub fn signed(&self) -> Option<SignedHead> {
        Some(SignedHead {
            log: self.log.signature.as_slice().try_into().ok()?,
            cosign: self.cosign.signature.as_slice().try_into().ok()?,
        })
    }
}

impl NodePublicKeys {
    /// The log key under the name that heads of this origin are signed with: the origin itself.
    #[must_use]
    pub fn log_verifier(&self, origin: &Origin) -> VerifierKey {
        VerifierKey::new(KeyName::of_origin(origin), Algorithm::Ed25519, self.log)
    }

    /// The co-signing key under the node's name.
    #[must_use]
    pub fn cosign_verifier(&self, cluster: &ClusterId, node: NodeId) -> VerifierKey {
        VerifierKey::new(
            KeyName::of_node(cluster, node),
            Algorithm::CosignatureV1,
            self.cosign,
        )
    }
}
