//! Changes of the keys that sign heads. They are about the group: every namespace's log follows.

use holdpoint_receipt::{Caller, Name, NodeId, Salt};

/// Gives a node fresh keys to sign with. One that was retired signs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateKeys {
    /// The node.
    pub node: NodeId,
    /// The public key that signs its heads as a log.
    pub log_key: [u8; 32],
    /// The public key that co-signs heads.
    pub cosign_key: [u8; 32],
    /// The log key that it must have for this to take effect.
    pub expected_log_key: [u8; 32],
    /// The co-signing key that it must have.
    pub expected_cosign_key: [u8; 32],
    /// Who says so.
    pub principal: Caller,
    /// For the statements.
    pub salt: Salt,
}

/// Takes a voter out of those that sign. It votes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetireKeys {
    /// The node.
    pub node: NodeId,
    /// Who says so.
    pub principal: Caller,
    /// For the statements.
    pub salt: Salt,
}

/// Marks keys as compromised. If they are the node's present ones, it signs no more until it is
/// given others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeKeys {
    /// The node.
    pub node: NodeId,
    /// The log key of a pair with which it signed in some epoch.
    pub log_key: [u8; 32],
    /// The co-signing key of that pair.
    pub cosign_key: [u8; 32],
    /// The largest head that they sign validly.
    pub valid_to: u64,
    /// Who says so.
    pub principal: Caller,
    /// For the statements.
    pub salt: Salt,
}

/// Says how many nodes must sign a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequireSigners {
    /// How many; none for a majority of the voters, which it never falls below.
    pub signers: Option<u32>,
    /// Who says so.
    pub principal: Caller,
    /// For the statements.
    pub salt: Salt,
}

/// Keeps the head with which the signers of one epoch hand the log over to those of a later one. The
/// first that is recorded stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHandover {
    /// The namespace.
    pub namespace: Name,
    /// The epoch that it is handed over to.
    pub tree_size_from: u64,
    /// The signed note, at most [`holdpoint_receipt::note::NOTE_BYTES_MAX`] bytes.
    pub note: Vec<u8>,
}
