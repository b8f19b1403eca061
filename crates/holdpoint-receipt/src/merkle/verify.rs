//! Verification of proofs, as in RFC 9162 sections 2.1.3.2 and 2.1.4.2.

use super::node_hash;
use crate::digest::Digest;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is outside the tree.
    #[error("the leaf's index is not below the tree's size")]
    NoSuchLeaf,
    /// The sizes are not those of an earlier, non-empty tree and a later one.
    #[error("the first tree is empty or larger than the second")]
    NotEarlier,
    /// The proof has too few or too many hashes for the sizes.
    #[error("the proof has a wrong number of hashes")]
    Length,
    /// The computed root is another one.
    #[error("the proof leads to another root")]
    Root,
}

/// The root to which an inclusion proof leads.
///
/// # Errors
///
/// The leaf is outside the tree, or the proof's length does not fit.
pub fn root_of_inclusion(
    leaf_index: u64,
    tree_size: u64,
    leaf: &Digest,
    proof: &[Digest],
) -> Result<Digest, ProofError> {
    if leaf_index >= tree_size {
        return Err(ProofError::NoSuchLeaf);
    }
    let mut place = leaf_index;
    // The last leaf's place; it tells where a level has no right sibling.
    let mut last = tree_size.saturating_sub(1);
    let mut root = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            root = node_hash(sibling, &root);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last == 0 {
        Ok(root)
    } else {
        Err(ProofError::Length)
    }
}

/// That `leaf` stands at `leaf_index` in the tree of `tree_size` leaves with this root.
///
/// # Errors
///
/// [`ProofError`] says why the proof does not show it.
pub fn verify_inclusion(
    leaf_index: u64,
    tree_size: u64,
    leaf: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if root_of_inclusion(leaf_index, tree_size, leaf, proof)? == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// That the tree of `second` leaves begins with the leaves of the tree of `first` leaves.
///
/// # Errors
///
/// [`ProofError`] says why the proof does not show it. An empty first tree shows nothing.
pub fn verify_consistency(
    first: u64,
    second: u64,
    first_root: &Digest,
    second_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if first == 0 || first > second {
        return Err(ProofError::NotEarlier);
    }
    if first == second {
        return match (proof, first_root == second_root) {
            ([], true) => Ok(()),
            ([], false) => Err(ProofError::Root),
            _ => Err(ProofError::Length),
        };
    }
    // A first tree that is one complete subtree is known to the verifier and not in the proof.
    let (start, rest) = if first.is_power_of_two() {
        (first_root, proof)
    } else {
        proof.split_first().ok_or(ProofError::Length)?
    };
    let mut place = first.saturating_sub(1);
    let mut last = second.saturating_sub(1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut first_found, mut second_found) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            first_found = node_hash(sibling, &first_found);
            second_found = node_hash(sibling, &second_found);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            second_found = node_hash(&second_found, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if first_found == *first_root && second_found == *second_root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}
