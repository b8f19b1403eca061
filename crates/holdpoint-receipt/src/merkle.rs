//! The Merkle tree of RFC 6962: appending, proving and verifying.
//!
//! The tree's leaves are receipt hashes. Its *complete* subtrees never change once they are full, so
//! they are what a store keeps: the node at `(level, index)` covers the leaves from
//! `index << level` up to `(index + 1) << level`.
//!
//! ```text
//! level 2        (2,0)
//!            ┌─────┴─────┐
//! level 1  (1,0)       (1,1)            size 7: the frontier is (2,0) (1,2) (0,6)
//!          ┌─┴─┐       ┌─┴─┐    ┌─┴─┐
//! level 0  0   1       2   3    4   5   6
//! ```
//!
//! Nothing here stores a node or remembers a root; a reader is passed in. No input makes it panic.

mod frontier;
mod prove;
mod verify;

#[cfg(test)]
mod tests;

use crate::digest::{Digest, Hasher, sha256};

pub use frontier::{Frontier, FrontierError, Node};
pub use prove::{ProveError, prove_consistency, prove_inclusion, root_at};
pub use verify::{ProofError, root_of_inclusion, verify_consistency, verify_inclusion};

/// The root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Digest {
    sha256(b"")
}

/// The hash of a leaf: `SHA-256(0x00 | data)`.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0]);
    hasher.update(data);
    hasher.finish()
}

/// The leaf of a statement: [`leaf_hash`] over the 32 bytes of its receipt hash.
#[must_use]
pub fn leaf_of(receipt_hash: &Digest) -> Digest {
    leaf_hash(receipt_hash.as_bytes())
}

/// The hash of an inner node: `SHA-256(0x01 | left | right)`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    hasher.finish()
}
