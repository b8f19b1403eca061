//! The offline verifier.
//!
//! ```text
//! the file has its one encoding          MALFORMED, NOT_CANONICAL, UNKNOWN_SCHEMA
//! the statement has the proof's hash     RECEIPT_HASH_MISMATCH, STATEMENT_MALFORMED
//! it is of the keys' cluster and log     WRONG_AUTHORITY, WRONG_NAMESPACE
//! the head is one of that log            CHECKPOINT_MALFORMED, WRONG_LOG, WRONG_SIZE
//! exactly k of its nodes signed it       UNKNOWN_KEY, SIGNATURE_INVALID, SIGNATURE_ORDER,
//!                                        TIMESTAMP, KEY_REVOKED, NOT_ENOUGH_SIGNATURES,
//!                                        SURPLUS_SIGNATURES
//! the statement is a leaf under it       INCLUSION_PROOF
//! it is what its holder asks for         WRONG_KIND, DEV_MODE, BINDING_MISMATCH, EXPIRED
//! ```
//!
//! The checks run in this order and the first that fails is the answer. Up to the last line this is
//! an audit: it says what was decided. [`verify_execute`] asks the rest too, at a time that is passed
//! in: whether this is a permit for these bytes that has not expired. It needs the published keys, and
//! never a network or a clock.

mod binding;
mod execute;
mod heads;
mod memo;
mod signatures;

use crate::checkpoint::Checkpoint;
use crate::digest::Digest;
use crate::keys::KeySet;
use crate::merkle;
use crate::names::{NodeId, TreeSize};
use crate::note::Note;
use crate::receipt::Receipt;
use crate::statement::{Statement, StatementError};

pub use binding::verify_permit_for;
pub use execute::{Execution, Live, verify_execute};
pub(crate) use heads::{parse_head, without_keys};
pub use heads::{verify_handover, verify_head_signature, verify_note, verify_published};
pub use memo::ProvenNotes;

/// Why a receipt is not believed: the first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The file is not JSON, or its members are not those of a receipt.
    #[error("the file is not a receipt: {0}")]
    Malformed(String),
    /// The file says the same in another encoding.
    #[error("the file is not what `jq -cS .` prints; a receipt has exactly one encoding")]
    NotCanonical,
    /// The receipt is of a form that is not known here.
    #[error("the receipt is of a form that this program does not know; a newer one may")]
    UnknownSchema,
    /// The statement's hash is another one than the proof names.
    #[error("the statement is not the one that was signed")]
    ReceiptHashMismatch,
    /// The statement is not one.
    #[error("the statement is malformed: {0}")]
    StatementMalformed(#[source] StatementError),
    /// Another cluster states it.
    #[error("the receipt is of cluster {found}, the keys are of another; get that cluster's keys")]
    WrongAuthority {
        /// The cluster that the statement names.
        found: String,
    },
    /// It is about another namespace.
    #[error("the receipt is of namespace `{found}`, the keys are of another")]
    WrongNamespace {
        /// The namespace that the statement names.
        found: String,
    },
    /// The head is not a signed note about a checkpoint.
    #[error("the checkpoint is malformed: {0}")]
    CheckpointMalformed(String),
    /// The head is of another log.
    #[error("the checkpoint is of the log `{found}`, not of the statement's")]
    WrongLog {
        /// The origin that the head names.
        found: String,
    },
    /// The head is of another size than the proof.
    #[error("the checkpoint and the proof are of different tree sizes")]
    WrongSize,
    /// The head has another root than the tree that it is said to be of.
    #[error("the checkpoint has another root than the tree")]
    WrongRoot,
    /// A line is of a key that is not published for this size.
    #[error(
        "the key `{name}` ({key_id}) is not published for this tree size; are the keys current?"
    )]
    UnknownKey {
        /// The name in the line.
        name: String,
        /// The hint in the line.
        key_id: String,
    },
    /// A signature does not verify.
    #[error("the signature of node {node} is not valid")]
    SignatureInvalid {
        /// The node whose key it names.
        node: NodeId,
    },
    /// The lines are not a pair for each node, in the order of the nodes' ids.
    #[error("the signature lines are not a log and a co-signing line for each node, in order")]
    SignatureOrder,
    /// A co-signature names no time that a clock shows.
    #[error("the co-signature of node {node} has an impossible time")]
    Timestamp {
        /// The node that co-signed.
        node: NodeId,
    },
    /// A signature is by keys that are marked as compromised before this tree size.
    #[error(
        "the keys of node {node} are revoked for trees of more than {valid_to} leaves; \
         ask the gate for a fresh proof: `holdpoint receipt refresh`"
    )]
    KeyRevoked {
        /// The node whose keys they were.
        node: NodeId,
        /// The largest head that they sign validly.
        valid_to: TreeSize,
    },
    /// Fewer nodes signed than must.
    #[error("{found} nodes signed the checkpoint, {needed} must")]
    NotEnoughSignatures {
        /// How many did.
        found: usize,
        /// How many must.
        needed: u32,
    },
    /// More nodes signed than a receipt carries.
    #[error("{found} nodes signed the checkpoint; a receipt carries exactly {needed}")]
    SurplusSignatures {
        /// How many did.
        found: usize,
        /// How many a receipt carries.
        needed: u32,
    },
    /// The statement is not a leaf under the head.
    #[error("the statement is not in the log under the signed checkpoint: {0}")]
    InclusionProof(#[source] merkle::ProofError),
    /// The receipt is genuine, but of another kind than was asked for.
    #[error("the receipt is genuine, but it is not {expected}")]
    WrongKind {
        /// What was asked for.
        expected: &'static str,
    },
    /// The receipt is genuine, but only a development node's.
    #[error("the receipt is genuine, but a development node's, whose word nobody else should take")]
    DevMode,
    /// The receipt is genuine, but about something else.
    #[error("the receipt is genuine, but its `{member}` is another")]
    BindingMismatch {
        /// The statement's member that differs.
        member: &'static str,
    },
    /// The permit was granted, and is not live any more at the given time.
    #[error("the permit is genuine, but it expired {ago_ms} ms ago")]
    Expired {
        /// How long ago.
        ago_ms: u64,
    },
}

impl VerifyError {
    /// The published code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "MALFORMED",
            Self::NotCanonical => "NOT_CANONICAL",
            Self::UnknownSchema => "UNKNOWN_SCHEMA",
            Self::ReceiptHashMismatch => "RECEIPT_HASH_MISMATCH",
            Self::StatementMalformed(_) => "STATEMENT_MALFORMED",
            Self::WrongAuthority { .. } => "WRONG_AUTHORITY",
            Self::WrongNamespace { .. } => "WRONG_NAMESPACE",
            Self::CheckpointMalformed(_) => "CHECKPOINT_MALFORMED",
            Self::WrongLog { .. } => "WRONG_LOG",
            Self::WrongSize => "WRONG_SIZE",
            Self::WrongRoot => "WRONG_ROOT",
            Self::UnknownKey { .. } => "UNKNOWN_KEY",
            Self::SignatureInvalid { .. } => "SIGNATURE_INVALID",
            Self::SignatureOrder => "SIGNATURE_ORDER",
            Self::Timestamp { .. } => "TIMESTAMP",
            Self::KeyRevoked { .. } => "KEY_REVOKED",
            Self::NotEnoughSignatures { .. } => "NOT_ENOUGH_SIGNATURES",
            Self::SurplusSignatures { .. } => "SURPLUS_SIGNATURES",
            Self::InclusionProof(_) => "INCLUSION_PROOF",
            Self::WrongKind { .. } => "WRONG_KIND",
            Self::DevMode => "DEV_MODE",
            Self::BindingMismatch { .. } => "BINDING_MISMATCH",
            Self::Expired { .. } => "EXPIRED",
        }
    }
}

/// A node that signed a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The node.
    pub node: NodeId,
    /// When it says it did, in seconds since the Unix epoch by its own clock.
    pub at_s: u64,
}

/// A receipt that verifies. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    receipt: Receipt,
    receipt_hash: Digest,
    head: Checkpoint,
    signers: Vec<Signer>,
    signers_needed: u32,
}

impl Verified {
    /// What is stated.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.receipt.statement
    }

    /// The receipt as it was read.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// SHA-256 of the statement.
    #[must_use]
    pub const fn receipt_hash(&self) -> &Digest {
        &self.receipt_hash
    }

    /// The head that covers it.
    #[must_use]
    pub const fn head(&self) -> &Checkpoint {
        &self.head
    }

    /// The nodes that signed that head, in the order of their ids.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// How many nodes had to sign.
    #[must_use]
    pub const fn signers_needed(&self) -> u32 {
        self.signers_needed
    }
}

/// Verifies a receipt's file against published keys.
///
/// # Errors
///
/// [`VerifyError`] is the first check that failed, in the order of the module's table.
pub fn verify(file: &[u8], keys: &KeySet) -> Result<Verified, VerifyError> {
    verify_by(file, keys, |note, size| signers_of(note, size, keys))
}

/// Who signed a head, and how many had to.
type Signed = (Vec<Signer>, u32);

/// The same, where `signers` says whose signatures a note has.
fn verify_by(
    file: &[u8],
    keys: &KeySet,
    signers: impl FnOnce(&Note, TreeSize) -> Result<Signed, VerifyError>,
) -> Result<Verified, VerifyError> {
    let receipt = Receipt::parse_if(file, |statement| check_owner(statement, keys))?;
    verify_signed(receipt, keys, signers)
}

fn signers_of(note: &Note, size: TreeSize, keys: &KeySet) -> Result<Signed, VerifyError> {
    signatures::verify_proven(note.text(), note.signatures(), size, keys)
}

/// Verifies a receipt that was read or put together before.
///
/// # Errors
///
/// As for [`verify`].
pub fn verify_parsed(receipt: Receipt, keys: &KeySet) -> Result<Verified, VerifyError> {
    verify_signed(receipt, keys, |note, size| signers_of(note, size, keys))
}

fn verify_signed(
    receipt: Receipt,
    keys: &KeySet,
    signers: impl FnOnce(&Note, TreeSize) -> Result<Signed, VerifyError>,
) -> Result<Verified, VerifyError> {
    let statement = &receipt.statement;
    check_owner(statement, keys)?;
    let head = parse_head(&receipt.checkpoint)?;
    if head.origin != keys.origin() {
        return Err(VerifyError::WrongLog {
            found: head.origin.to_string(),
        });
    }
    if head.size != receipt.proof.tree_size {
        return Err(VerifyError::WrongSize);
    }
    let (signers, signers_needed) = signers(&receipt.checkpoint, head.size)?;
    let receipt_hash = statement.receipt_hash();
    verify_place(&receipt, &receipt_hash, &head)?;
    Ok(Verified {
        receipt,
        receipt_hash,
        head,
        signers,
        signers_needed,
    })
}

/// That the statement is of the cluster and namespace that the keys are of.
fn check_owner(statement: &Statement, keys: &KeySet) -> Result<(), VerifyError> {
    if statement.authority != *keys.authority() {
        return Err(VerifyError::WrongAuthority {
            found: statement.authority.to_string(),
        });
    }
    if statement.namespace != *keys.namespace() {
        return Err(VerifyError::WrongNamespace {
            found: statement.namespace.to_string(),
        });
    }
    Ok(())
}

/// That the statement is the leaf that it says, under the head.
pub(crate) fn verify_place(
    receipt: &Receipt,
    receipt_hash: &Digest,
    head: &Checkpoint,
) -> Result<(), VerifyError> {
    let proof = &receipt.proof;
    if receipt.statement.place.leaf_index() != proof.leaf_index {
        return Err(VerifyError::InclusionProof(merkle::ProofError::NoSuchLeaf));
    }
    let leaf = merkle::leaf_of(receipt_hash);
    merkle::verify_inclusion(
        proof.leaf_index,
        head.size.get(),
        &leaf,
        &proof.hashes,
        &head.root,
    )
    .map_err(VerifyError::InclusionProof)
}
