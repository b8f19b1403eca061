//! Who signs the heads of a namespace's log, and what was marked, disputed or found wrong in it.

use holdpoint_receipt::{ClusterTime, Digest, NodeId};

/// An epoch ([`crate::key::Kind::Epoch`]): who signs heads from one tree size on, until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    /// How many of the signers must sign.
    pub signers_needed: u32,
    /// Who may, in the order of their ids.
    // INVARIANT: at least as many as are needed, none twice.
    pub signers: Vec<SignerRecord>,
    /// Where the statement stands that opens it: below the first size that it signs, but for the
    /// first epoch, which signs every size before the second.
    pub leaf: u64,
    /// The head with which the signers before handed the log over to these: a signed note. None
    /// until they have, and always for the first epoch.
    pub handover: Option<Vec<u8>>,
}

/// A node and the keys with which it signs in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerRecord {
    /// The node.
    pub node: NodeId,
    /// The public key that signs heads as a log.
    pub log_key: [u8; 32],
    /// The public key that co-signs heads.
    pub cosign_key: [u8; 32],
}

/// A mark on keys that others may have ([`crate::key::Kind::KeyRevocation`]), by the leaf of its
/// statement: heads larger than `valid_to` that they sign do not count. It is never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRevocationRecord {
    /// The keys and the node whose they are.
    pub signer: SignerRecord,
    /// The largest head that they sign validly.
    pub valid_to: u64,
}

/// A decision that a node disputes ([`crate::key::Kind::Dispute`]), by the leaf of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisputeRecord {
    /// Who disputes it.
    pub node: NodeId,
    /// The evaluator that both have.
    pub evaluator_version: u32,
    /// When.
    pub disputed_at: ClusterTime,
    /// Where the statement stands that froze the surface.
    pub leaf: u64,
    /// The receipt hash of that statement, which outlives it here.
    pub receipt: Digest,
}
