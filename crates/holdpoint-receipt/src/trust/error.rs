//! Why a trust bundle is not believed.

use super::{ROOTS_MAX, TRUST_SCHEMA};
use crate::json::{JsonError, Misfit};
use crate::keys::{KeyName, KeySetError};

/// Why a trust bundle is not one, or is not trusted: the first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file is not JSON as we accept it.
    #[error("the file is not a trust bundle: {0}")]
    Json(#[from] JsonError),
    /// The file says the same in another encoding.
    #[error("the file is not what `jq -cS .` prints; a trust bundle has exactly one encoding")]
    NotCanonical,
    /// The bundle is of a form that is not known here.
    #[error("`schema` is not `{TRUST_SCHEMA}`; a newer program may know it")]
    UnknownSchema,
    /// A member is missing, unknown, or has another type.
    #[error("a trust bundle's `{0}` is missing or malformed")]
    Member(String),
    /// A key set in it is refused.
    #[error("`keys`: {0}")]
    Keys(#[from] KeySetError),
    /// Not one key set for each namespace, by rising name, all of the bundle's cluster.
    #[error("`keys` must hold one key set of this cluster for each namespace, by rising name")]
    Namespaces,
    /// Roots are none, too many, twice there, of another kind, or keys of nodes.
    #[error("`{0}` must be up to {ROOTS_MAX} Ed25519 keys, each once, that sign nothing else")]
    Roots(&'static str),
    /// More roots must sign than there are, or none.
    #[error("`threshold` must be from 1 to the number of roots")]
    Threshold,
    /// A signature by a key that is neither a root nor a former one.
    #[error("the key `{0}` is no root of this bundle")]
    UnknownRoot(KeyName),
    /// A signature does not verify.
    #[error("the signature of root `{0}` is not valid")]
    SignatureInvalid(KeyName),
    /// Fewer of the bundle's own roots signed than it asks for.
    #[error("{found} of the bundle's own roots signed it, {needed} must")]
    NotEnoughSignatures {
        /// How many did.
        found: usize,
        /// How many must.
        needed: u32,
    },
    /// Fewer of the roots that are trusted already signed than must.
    #[error(
        "{found} of the roots that are trusted here signed the bundle, {needed} must; \
         take the versions between, one after the other"
    )]
    NotAnchored {
        /// How many did.
        found: usize,
        /// How many must.
        needed: u32,
    },
    /// A newer bundle has been seen.
    #[error("version {version} is older than {seen}, which has been seen; get the newest bundle")]
    RolledBack {
        /// The bundle's version.
        version: u64,
        /// The newest that was seen.
        seen: u64,
    },
    /// Another bundle of this version has been seen.
    #[error(
        "version {version} is not the one that has been seen: the roots signed two bundles of one \
         version; ask who keeps them"
    )]
    Ambiguous {
        /// The version of both.
        version: u64,
    },
    /// The bundle is too old to be trusted.
    #[error("the bundle expired {ago_ms} ms ago; get the newest one")]
    Expired {
        /// How long ago.
        ago_ms: u64,
    },
}

impl TrustError {
    /// The published code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json(_)
            | Self::Member(_)
            | Self::Keys(_)
            | Self::Namespaces
            | Self::Roots(_)
            | Self::Threshold => "TRUST_MALFORMED",
            Self::NotCanonical => "TRUST_NOT_CANONICAL",
            Self::UnknownSchema => "TRUST_UNKNOWN_SCHEMA",
            Self::UnknownRoot(_) => "TRUST_UNKNOWN_ROOT",
            Self::SignatureInvalid(_) => "TRUST_SIGNATURE_INVALID",
            Self::NotEnoughSignatures { .. } => "TRUST_NOT_ENOUGH_SIGNATURES",
            Self::NotAnchored { .. } => "TRUST_NOT_ANCHORED",
            Self::RolledBack { .. } => "TRUST_ROLLED_BACK",
            Self::Ambiguous { .. } => "TRUST_AMBIGUOUS",
            Self::Expired { .. } => "TRUST_EXPIRED",
        }
    }
}

impl From<Misfit> for TrustError {
    fn from(misfit: Misfit) -> Self {
        Self::Member(misfit.0)
    }
}
