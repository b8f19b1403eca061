//! Why there is no testbed, or why it did not do what the test asked of it.

use std::fmt;

use holdpoint_policy::problem::LoadError;
use holdpoint_policy::{BundleError, DirectoryError};
use holdpoint_receipt::Reason;

use super::refused::Refused;

/// Why there is no testbed, or why it did not do what the test asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestbedError {
    /// The directory is not a bundle.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The files are not a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle does not load.
    #[error("the bundle does not load:{}", Lines(.0))]
    Policy(Vec<LoadError>),
    /// The state machine refused.
    #[error("{reason}: {sentence}")]
    Refused {
        /// Why, from the one registry.
        reason: Reason,
        /// One sentence for people.
        sentence: String,
    },
}

impl From<Vec<LoadError>> for TestbedError {
    fn from(errors: Vec<LoadError>) -> Self {
        Self::Policy(errors)
    }
}

impl From<Refused> for TestbedError {
    fn from(refused: Refused) -> Self {
        let refusal = refused.into_refusal();
        Self::Refused {
            reason: crate::failure::reason(refusal.reason, &refusal.reason_name),
            sentence: refusal.sentence,
        }
    }
}

/// Errors of a bundle, each on a line of its own.
struct Lines<'a>(&'a [LoadError]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}
