//! Proofs of RFC 6962 section 2.1, made from stored complete subtrees.

use super::empty_root;
use super::frontier::fold_peaks;
use crate::digest::Digest;

/// Why a proof could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// The tree has no such leaf.
    #[error("there is no leaf {leaf_index} in a tree of {tree_size} leaves")]
    NoSuchLeaf {
        /// The leaf that was asked for.
        leaf_index: u64,
        /// Leaves in the tree.
        tree_size: u64,
    },
    /// The sizes are not those of an earlier, non-empty tree and a later one.
    #[error("a tree of {first} leaves is not an earlier state of one of {second} leaves")]
    NotEarlier {
        /// Leaves in the first tree.
        first: u64,
        /// Leaves in the second tree.
        second: u64,
    },
    /// A subtree that the proof needs is not stored.
    #[error("the subtree at level {level}, index {index} is not stored")]
    Missing {
        /// Its level.
        level: u8,
        /// Its index.
        index: u64,
    },
    /// The reader failed.
    #[error("a subtree could not be read")]
    Read(#[source] E),
}

/// A half-open range of leaves that starts at a multiple of a power of two which is not smaller than
/// its length: a subtree, complete or cut off at its right.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
}

impl Range {
    const fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The two subtrees below a range of two leaves or more; the left one is complete.
    const fn split(self) -> (Self, Self) {
        // The largest power of two below the length.
        let left_length = match self.length().saturating_sub(1).checked_ilog2() {
            Some(level) => 1_u64.wrapping_shl(level),
            None => 0,
        };
        let middle = self.start.saturating_add(left_length);
        (
            Self {
                start: self.start,
                end: middle,
            },
            Self {
                start: middle,
                end: self.end,
            },
        )
    }

    /// The root over the range, from the complete subtrees in it.
    fn root<E>(
        self,
        node: &mut impl FnMut(u8, u64) -> Result<Option<Digest>, E>,
    ) -> Result<Digest, ProveError<E>> {
        let mut peaks = Vec::new();
        let mut start = self.start;
        while let Some(level) = self.end.saturating_sub(start).checked_ilog2() {
            let index = start.wrapping_shr(level);
            // A level is below 64.
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            let hash = node(level, index).map_err(ProveError::Read)?;
            peaks.push(hash.ok_or(ProveError::Missing { level, index })?);
            start = start.saturating_add(1_u64.wrapping_shl(u32::from(level)));
        }
        fold_peaks(&peaks).ok_or(ProveError::Missing {
            level: 0,
            index: self.start,
        })
    }
}

/// The root of the tree of `tree_size` leaves, which may be an earlier state of the stored one.
///
/// `node` reads complete subtrees; it is asked for at most 64 of them.
///
/// # Errors
///
/// A subtree is missing or cannot be read.
pub fn root_at<E>(
    tree_size: u64,
    mut node: impl FnMut(u8, u64) -> Result<Option<Digest>, E>,
) -> Result<Digest, ProveError<E>> {
    let range = Range {
        start: 0,
        end: tree_size,
    };
    if tree_size == 0 {
        Ok(empty_root())
    } else {
        range.root(&mut node)
    }
}

/// The inclusion proof of a leaf: the siblings on its way to the root, from below.
///
/// `node` reads complete subtrees of the tree of `tree_size` leaves. It is asked for at most
/// 2 × 64 of them.
///
/// # Errors
///
/// The leaf is outside the tree, or a subtree is missing or cannot be read.
pub fn prove_inclusion<E>(
    leaf_index: u64,
    tree_size: u64,
    mut node: impl FnMut(u8, u64) -> Result<Option<Digest>, E>,
) -> Result<Vec<Digest>, ProveError<E>> {
    if leaf_index >= tree_size {
        return Err(ProveError::NoSuchLeaf {
            leaf_index,
            tree_size,
        });
    }
    let mut range = Range {
        start: 0,
        end: tree_size,
    };
    let mut path = Vec::new();
    while range.length() > 1 {
        let (left, right) = range.split();
        let (down, sibling) = if leaf_index < left.end {
            (left, right)
        } else {
            (right, left)
        };
        path.push(sibling.root(&mut node)?);
        range = down;
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof between the tree of `first` leaves and the tree of `second` leaves.
///
/// `node` reads complete subtrees of the tree of `second` leaves.
///
/// # Errors
///
/// `first` is 0 or larger than `second`, or a subtree is missing or cannot be read.
pub fn prove_consistency<E>(
    first: u64,
    second: u64,
    mut node: impl FnMut(u8, u64) -> Result<Option<Digest>, E>,
) -> Result<Vec<Digest>, ProveError<E>> {
    if first == 0 || first > second {
        return Err(ProveError::NotEarlier { first, second });
    }
    let mut range = Range {
        start: 0,
        end: second,
    };
    let mut path = Vec::new();
    // Down to the subtree whose right edge is the first tree's.
    while range.end != first {
        let (left, right) = range.split();
        let (down, sibling) = if first <= left.end {
            (left, right)
        } else {
            (right, left)
        };
        path.push(sibling.root(&mut node)?);
        range = down;
    }
    // The verifier knows this subtree already if it is the whole first tree.
    if range.start != 0 {
        path.push(range.root(&mut node)?);
    }
    path.reverse();
    Ok(path)
}
