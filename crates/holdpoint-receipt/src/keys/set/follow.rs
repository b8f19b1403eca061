//! From a key set that is trusted to a later one of the same log: by the signatures of its own nodes.
//!
//! ```text
//! trusted epoch ─▶ keys statement, under a head that k of the trusted epoch
//!                  and k of the next epoch have signed ─▶ next epoch is trusted ─▶ …
//! ```
//!
//! It never believes a set because of where it came from. What is wrong leaves the trusted set as it
//! was.

use super::{Epoch, KeySet, KeySetError, NodePublicKeys};
use crate::merkle::ProofError;
use crate::receipt::Receipt;
use crate::statement::Body;
use crate::verify::{VerifyError, parse_head, verify_handover, verify_place, without_keys};

/// Why a published key set does not follow from one that is trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// It is of another cluster or namespace.
    #[error("the published keys are of another log")]
    OtherLog,
    /// It tells the past otherwise.
    #[error("the published keys contradict those that are trusted: an epoch or a mark differs")]
    Rewritten,
    /// A link is no statement about the published set.
    #[error("what links the published keys at leaf {leaf} is not a statement about them")]
    Statement {
        /// Its leaf.
        leaf: u64,
    },
    /// The signatures or the proof of a link do not hold.
    #[error(
        "what links the published keys at leaf {leaf} does not verify: {problem}; if keys of these nodes \
         were marked as compromised, get the key set anew from somebody you trust"
    )]
    Link {
        /// Its leaf.
        leaf: u64,
        /// The first check that failed.
        problem: VerifyError,
    },
    /// What follows is no key set.
    #[error(transparent)]
    Set(#[from] KeySetError),
}

impl KeySet {
    /// The set that follows from this one, which is trusted, by `links`: for each epoch that was handed
    /// over to, in order, the receipt of its `keys` statement under the head that hands over.
    ///
    /// Epochs of `published` that nothing links are left out. Its marks are taken: they can only take
    /// trust away.
    ///
    /// # Errors
    ///
    /// [`FollowError`] is the first thing that does not hold.
    pub fn follow(&self, published: &Self, links: &[Receipt]) -> Result<Self, FollowError> {
        if published.authority != self.authority || published.namespace != self.namespace {
            return Err(FollowError::OtherLog);
        }
        let is_kept = published.epochs.starts_with(&self.epochs)
            && self
                .revocations
                .iter()
                .all(|mark| published.revocations.contains(mark));
        let Some(mut last) = self.epochs.last().filter(|_| is_kept) else {
            return Err(FollowError::Rewritten);
        };
        for link in links {
            let leaf = link.proof.leaf_index;
            let Body::Keys(stated) = &link.statement.body else {
                return Err(FollowError::Statement { leaf });
            };
            if stated.tree_size_from <= last.tree_size_from {
                continue;
            }
            let as_of = published.as_of(leaf);
            let is_meant = link.statement.authority == self.authority
                && link.statement.namespace == self.namespace
                && as_of.digest() == stated.keys_digest;
            let new = published
                .epochs
                .iter()
                .find(|epoch| epoch.tree_size_from == stated.tree_size_from);
            let Some(new) = new.filter(|_| is_meant) else {
                return Err(FollowError::Statement { leaf });
            };
            published
                .verify_link(link, last, new)
                .map_err(|problem| FollowError::Link { leaf, problem })?;
            last = new;
        }
        let epochs = published.epochs.iter();
        let epochs: Vec<Epoch> = epochs
            .take_while(|epoch| epoch.tree_size_from <= last.tree_size_from)
            .cloned()
            .collect();
        let is_of = |epoch: &Epoch, mark: &super::Revocation| {
            epoch.nodes.get(&mark.node) == Some(&mark.keys)
        };
        let marks = published.revocations.iter().copied();
        let marks = marks.filter(|mark| epochs.iter().any(|epoch| is_of(epoch, mark)));
        let marks = marks.collect();
        Ok(Self::new(
            self.authority,
            self.namespace.clone(),
            epochs,
            marks,
        )?)
    }

    /// That `link` is in the log under a head that enough signers of either epoch have signed.
    fn verify_link(&self, link: &Receipt, old: &Epoch, new: &Epoch) -> Result<(), VerifyError> {
        let head = parse_head(&link.checkpoint)?;
        if head.origin != self.origin() {
            return Err(VerifyError::WrongLog {
                found: head.origin.to_string(),
            });
        }
        if head.size != link.proof.tree_size {
            return Err(VerifyError::WrongSize);
        }
        if link.proof.leaf_index >= head.size.get() {
            return Err(VerifyError::InclusionProof(ProofError::NoSuchLeaf));
        }
        verify_place(link, &link.statement.receipt_hash(), &head)?;
        let counts = |keys: &NodePublicKeys| {
            let valid_to = self.valid_to(keys);
            valid_to.is_none_or(|valid_to| valid_to >= head.size)
        };
        let counting = |epoch: &Epoch| {
            let mut epoch = epoch.clone();
            epoch.nodes.retain(|_, keys| counts(keys));
            epoch
        };
        // Lines of keys that were marked since neither count nor spoil what the others signed.
        let pairs = old.nodes.iter().chain(&new.nodes);
        let marked = pairs.filter(|(_, keys)| !counts(keys));
        let marked: Vec<_> = marked.map(|(node, keys)| (*node, *keys)).collect();
        let Some(note) = without_keys(&link.checkpoint, &self.authority, &marked)? else {
            return Err(VerifyError::NotEnoughSignatures {
                found: 0,
                needed: old.signers_needed,
            });
        };
        verify_handover(
            &note,
            &self.authority,
            &head,
            &counting(old),
            &counting(new),
        )?;
        Ok(())
    }
}
