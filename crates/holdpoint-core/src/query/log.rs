//! Reads of the namespace's log of statements: heads, leaves and proofs.

use holdpoint_receipt::Digest;
use holdpoint_receipt::merkle::{
    Frontier, ProveError, empty_root, prove_consistency, prove_inclusion,
};

use super::{NamespaceQuery, missing, read};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::outcome::Statement;
use crate::record::{DisclosureRecord, LeafRecord, TreeRecord};
use crate::view::View;

/// The root over the first `size` leaves of a namespace's log; none if it is not that long.
pub(crate) fn root_of<V: View>(
    view: &V,
    keys: &KeySpace,
    size: u64,
) -> Result<Option<Digest>, ApplyError<V::Error>> {
    let tree = read::<TreeRecord, V>(view, &keys.single(Kind::Tree))?;
    if size > tree.map_or(0, |tree| tree.size) {
        return Ok(None);
    }
    let mut peaks = Vec::new();
    for level in (0..64_u8).rev() {
        let width = size >> level;
        if width % 2 == 1 {
            let key = keys.subtree(level, width.saturating_sub(1));
            let peak = read::<Digest, V>(view, &key)?;
            peaks.push(peak.ok_or_else(|| missing(key))?);
        }
    }
    let frontier = Frontier::from_parts(size, peaks).map_err(|_unfit| {
        ApplyError::contradiction(keys.single(Kind::Tree), "the subtrees do not fit the size")
    })?;
    Ok(Some(frontier.root()))
}

/// How far the log of statements goes, and the root over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

impl<V: View> NamespaceQuery<'_, V> {
    /// The head of the log.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged. The same for every read below.
    pub fn head(&self) -> Result<LogHead, ApplyError<V::Error>> {
        let key = self.keys.single(Kind::Tree);
        let Some(tree) = read::<TreeRecord, V>(self.view, &key)? else {
            return Ok(LogHead {
                size: 0,
                root: empty_root(),
            });
        };
        let frontier = Frontier::from_parts(tree.size, tree.frontier).map_err(|_unfit| {
            ApplyError::contradiction(key, "the frontier does not fit the size")
        })?;
        Ok(LogHead {
            size: frontier.size(),
            root: frontier.root(),
        })
    }

    /// The statement at `leaf`.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn statement(&self, leaf: u64) -> Result<Option<Statement>, ApplyError<V::Error>> {
        let record = read::<LeafRecord, V>(self.view, &self.keys.at_leaf(Kind::Leaf, leaf))?;
        Ok(record.map(
            |LeafRecord {
                 statement: bytes, ..
             }| Statement { bytes, leaf },
        ))
    }

    /// What the statement at `leaf` only commits to; none once it is erased.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn disclosure(&self, leaf: u64) -> Result<Option<DisclosureRecord>, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Disclosure, leaf);
        let record = read::<DisclosureRecord, V>(self.view, &key)?;
        Ok(record.filter(|record| record.erased.is_none()))
    }

    /// The leaf of the statement that says that this one's disclosure was erased. None if it was not,
    /// or if retention has taken away what there was since.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn erased_by(&self, leaf: u64) -> Result<Option<u64>, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Disclosure, leaf);
        let record = read::<DisclosureRecord, V>(self.view, &key)?;
        Ok(record.and_then(|record| record.erased))
    }

    /// The root over the first `size` leaves; none if the log is not that long.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn root_at(&self, size: u64) -> Result<Option<Digest>, ApplyError<V::Error>> {
        root_of(self.view, &self.keys, size)
    }

    /// The inclusion proof of `leaf` in the tree of `size` leaves; none if there is no such leaf,
    /// or the log is not that long yet.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn inclusion(
        &self,
        leaf: u64,
        size: u64,
    ) -> Result<Option<Vec<Digest>>, ApplyError<V::Error>> {
        if size > self.head()?.size {
            return Ok(None);
        }
        self.proved(prove_inclusion(leaf, size, |level, index| {
            self.stored(level, index)
        }))
    }

    /// The proof that the tree of `first` leaves is the beginning of that of `second`; none if it
    /// is not, or the log is not that long yet.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn consistency(
        &self,
        first: u64,
        second: u64,
    ) -> Result<Option<Vec<Digest>>, ApplyError<V::Error>> {
        if second > self.head()?.size {
            return Ok(None);
        }
        self.proved(prove_consistency(first, second, |level, index| {
            self.stored(level, index)
        }))
    }

    /// The root of the complete subtree of `1 << level` leaves that is the `index`-th of its level. It
    /// must be there: the log is at least `(index + 1) << level` leaves long.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::head`].
    pub fn subtree(&self, level: u8, index: u64) -> Result<Digest, ApplyError<V::Error>> {
        self.stored(level, index)?
            .ok_or_else(|| missing(self.keys.subtree(level, index)))
    }

    fn stored(&self, level: u8, index: u64) -> Result<Option<Digest>, ApplyError<V::Error>> {
        read(self.view, &self.keys.subtree(level, index))
    }

    fn proved(
        &self,
        proof: Result<Vec<Digest>, ProveError<ApplyError<V::Error>>>,
    ) -> Result<Option<Vec<Digest>>, ApplyError<V::Error>> {
        match proof {
            Ok(proof) => Ok(Some(proof)),
            Err(ProveError::NoSuchLeaf { .. } | ProveError::NotEarlier { .. }) => Ok(None),
            Err(ProveError::Missing { level, index }) => {
                Err(missing(self.keys.subtree(level, index)))
            }
            Err(ProveError::Read(error)) => Err(error),
        }
    }
}
