//! Values that could be guessed appear in statements only as salted commitments.
//!
//! Who holds the value and the salt can show that the statement is about it; nobody else can tell.
//! Each member has a salt of its own, derived from the statement's: handing it out opens that member
//! and leaves the others closed (see [`mod@crate::open`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::digest::{Digest, sha256_domain};
use crate::names::Name;

/// Separates commitments from every other digest.
const COMMITMENT_DOMAIN: &str = "holdpoint/commitment/v1";

/// Separates the salts of members from every other digest.
const SALT_DOMAIN: &str = "holdpoint/salt/v1";

/// Separates digests of approvals from every other digest.
const APPROVALS_DOMAIN: &str = "holdpoint/approvals/v1";

/// Separates digests of what is approved from every other digest.
const SUBJECT_DOMAIN: &str = "holdpoint/approval/v1";

/// How many bounds one request may claim, so that every statement stays within its size.
pub const BOUNDS_MAX: usize = 8;

/// Drawn by the leader for one decision and carried by the command. Never in a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

/// The salt of one member of one statement. Whoever has it can open that member, and no other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MemberSalt([u8; 32]);

impl Salt {
    /// The salt of a member, such as `caller_commitment` or `bound.workspace`.
    ///
    /// ```text
    /// sha256_domain("holdpoint/salt/v1", [member, salt])
    /// ```
    #[must_use]
    pub fn of_member(&self, member: &str) -> MemberSalt {
        MemberSalt(*sha256_domain(SALT_DOMAIN, &[member.as_bytes(), &self.0]).as_bytes())
    }
}

impl MemberSalt {
    /// Takes the 32 bytes that were handed out.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The commitment to `value`.
    ///
    /// ```text
    /// sha256_domain("holdpoint/commitment/v1", [member salt, value])
    /// ```
    #[must_use]
    pub fn commit(&self, value: &[u8]) -> Digest {
        sha256_domain(COMMITMENT_DOMAIN, &[&self.0, value])
    }
}

impl fmt::Debug for MemberSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberSalt")
    }
}

/// Commits to `value` as the statement's member `member`, under the salt of that member.
///
/// The member's name is in its salt, so that equal values of two members cannot be seen to be equal.
#[must_use]
pub fn commit(salt: &Salt, member: &str, value: &[u8]) -> Digest {
    salt.of_member(member).commit(value)
}

/// The digest of what a quorum binds, by its canonical bytes: what an approver signs off.
///
/// ```text
/// sha256_domain("holdpoint/approval/v1", [subject])
/// ```
///
/// No salt: an approver must be able to tell that two requests have the same subject.
#[must_use]
pub fn subject_digest(subject: &[u8]) -> Digest {
    sha256_domain(SUBJECT_DOMAIN, &[subject])
}

/// Names the approvals that a permit used, by the receipt hashes of their statements.
///
/// ```text
/// sha256_domain("holdpoint/approvals/v1", [hash, hash, …])    in the order of the hashes, each once
/// ```
///
/// No salt: who can guess a receipt hash has the receipt. None if there are no approvals.
#[must_use]
pub fn approvals_digest(receipt_hashes: &[Digest]) -> Option<Digest> {
    let sorted: BTreeSet<&[u8; 32]> = receipt_hashes.iter().map(Digest::as_bytes).collect();
    let parts: Vec<&[u8]> = sorted.into_iter().map(<[u8; 32]>::as_slice).collect();
    (!parts.is_empty()).then(|| sha256_domain(APPROVALS_DOMAIN, &parts))
}

/// Commitments to the keys of the bounds that a request claims, by the bound's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundCommitments(BTreeMap<Name, Digest>);

/// Why a statement cannot name another bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// There are [`BOUNDS_MAX`] already.
    #[error("a request claims at most {BOUNDS_MAX} bounds")]
    TooMany,
    /// This bound is named already.
    #[error("the bound `{0}` is claimed twice")]
    Twice(Name),
}

impl BoundCommitments {
    /// The statement's member for this bound.
    #[must_use]
    pub fn member(name: &Name) -> String {
        format!("bound.{name}")
    }

    /// Commits to the key of one more bound.
    ///
    /// # Errors
    ///
    /// There are too many, or this one is there already.
    pub fn commit(&mut self, salt: &Salt, name: &Name, key: &str) -> Result<(), BoundsError> {
        self.insert(
            name.clone(),
            commit(salt, &Self::member(name), key.as_bytes()),
        )
    }

    /// Adds a commitment that was made before.
    ///
    /// # Errors
    ///
    /// There are too many, or this one is there already.
    pub fn insert(&mut self, name: Name, commitment: Digest) -> Result<(), BoundsError> {
        if self.0.contains_key(&name) {
            return Err(BoundsError::Twice(name));
        }
        if self.0.len() >= BOUNDS_MAX {
            return Err(BoundsError::TooMany);
        }
        self.0.insert(name, commitment);
        Ok(())
    }

    /// The commitment of one bound.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Digest> {
        self.0.get(name)
    }

    /// The commitments in the order of the bounds' names.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Digest)> {
        self.0.iter()
    }
}
