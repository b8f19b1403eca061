//! The right edge of a growing tree: all that appending needs.

use super::{empty_root, node_hash};
use crate::digest::Digest;

/// A complete subtree, to be stored under its level and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The subtree has `1 << level` leaves.
    pub level: u8,
    /// Its place among the subtrees of its level, from 0.
    pub index: u64,
    /// Its root.
    pub hash: Digest,
}

/// The largest complete subtrees of a tree, from left to right: one for each bit set in its size.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    // INVARIANT: size.count_ones() hashes, the largest subtree first.
    peaks: Vec<Digest>,
}

/// Why there is no such frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The number of hashes does not fit the size.
    #[error("a tree of {size} leaves has {} complete subtrees, not {count}", .size.count_ones())]
    PeakCount {
        /// Leaves in the tree.
        size: u64,
        /// Hashes that were given.
        count: usize,
    },
    /// The tree has as many leaves as it can.
    #[error("the tree is full")]
    Full,
}

impl Frontier {
    /// The frontier of the tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// A frontier that was stored as its parts.
    ///
    /// # Errors
    ///
    /// The number of hashes does not fit the size. Whether they are the right ones shows when the
    /// root is compared with a signed one.
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Result<Self, FrontierError> {
        if peaks.len() == size.count_ones() as usize {
            Ok(Self { size, peaks })
        } else {
            Err(FrontierError::PeakCount {
                size,
                count: peaks.len(),
            })
        }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the largest complete subtrees, from left to right.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends a leaf and returns every complete subtree that it completes, from the leaf upwards.
    ///
    /// # Errors
    ///
    /// The tree is full; nothing has changed.
    ///
    /// # Panics
    ///
    /// If the frontier broke its own invariant: no root of it would be worth a signature.
    pub fn append(&mut self, leaf: Digest) -> Result<Vec<Node>, FrontierError> {
        let size = self.size.checked_add(1).ok_or(FrontierError::Full)?;
        let mut node = Node {
            level: 0,
            index: self.size,
            hash: leaf,
        };
        let mut completed = vec![node];
        // An odd index means that the left sibling is the last peak.
        while node.index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            let hash = node_hash(&left, &node.hash);
            node = Node {
                level: node.level.saturating_add(1),
                index: node.index >> 1,
                hash,
            };
            completed.push(node);
        }
        self.peaks.push(node.hash);
        self.size = size;
        assert_eq!(
            self.peaks.len(),
            size.count_ones() as usize,
            "one peak for each bit set"
        );
        Ok(completed)
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        fold_peaks(&self.peaks).unwrap_or_else(empty_root)
    }
}

/// The root over complete subtrees that stand side by side, largest first; none over none.
pub(super) fn fold_peaks(peaks: &[Digest]) -> Option<Digest> {
    let (last, others) = peaks.split_last()?;
    Some(
        others
            .iter()
            .rev()
            .fold(*last, |right, left| node_hash(left, &right)),
    )
}
