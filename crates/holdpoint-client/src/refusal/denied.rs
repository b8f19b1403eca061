//! DENY: the gate decided against.

use std::error::Error;
use std::fmt;

use holdpoint_proto::v1;
use holdpoint_receipt::{ClusterTime, Digest, Fence, PolicyVersion, Reason};

use super::AttemptName;
use crate::believe::{AnswerError, Receipt, optional_fence};
use crate::failure::reason;
use crate::info::{Bound, malformed, optional_time};

/// The gate decided against, and can prove it. A new attempt takes a new key.
#[derive(Clone, Debug)]
pub struct Denied(Box<DeniedParts>);

/// A bound that could not be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBound {
    /// The bound.
    pub bound: Bound,
    /// `BOUND_HELD`, `BOUND_EXHAUSTED` or `ALREADY_COMMITTED`.
    pub reason: Reason,
    /// Fence of the permit in the way, where one is.
    pub fence: Option<Fence>,
    /// When the claim can first succeed, where that is known.
    pub until: Option<ClusterTime>,
}

impl RefusedBound {
    pub(crate) fn from_wire(refused: v1::RefusedBound) -> Result<Self, AnswerError> {
        let bound = refused
            .bound
            .ok_or_else(|| malformed("refused_bounds", "has one without a bound"))?;
        let mut bound = Bound::from(bound);
        bound.amount = refused.amount;
        Ok(Self {
            bound,
            reason: reason(refused.reason, &refused.reason_name),
            fence: optional_fence("refused_bounds.fence", refused.fence)?,
            until: optional_time("refused_bounds.until_ms", refused.until_ms)?,
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct DeniedParts {
    pub(crate) reason: Reason,
    pub(crate) sentence: String,
    pub(crate) codes: Vec<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) retry_at: Option<ClusterTime>,
    pub(crate) holder_fence: Option<Fence>,
    pub(crate) refused_bound: Option<Bound>,
    pub(crate) refused_bounds: Vec<RefusedBound>,
    pub(crate) policy_version: PolicyVersion,
    pub(crate) policy_digest: Digest,
    pub(crate) request_digest: Digest,
    pub(crate) receipt: Receipt,
    pub(crate) is_replay: bool,
    pub(crate) attempt: AttemptName,
}

impl Denied {
    pub(crate) fn new(parts: DeniedParts) -> Self {
        Self(Box::new(parts))
    }

    /// The reason, as the receipt proves it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.0.reason
    }

    /// One sentence for people.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.0.sentence
    }

    /// Codes of the deciding policies, sorted.
    #[must_use]
    pub fn codes(&self) -> &[String] {
        &self.0.codes
    }

    /// Ids of the deciding policies, sorted.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.0.policies
    }

    /// When a new attempt can first succeed, where that is known; as the receipt proves it.
    #[must_use]
    pub const fn retry_at(&self) -> Option<ClusterTime> {
        self.0.retry_at
    }

    /// Fence of the permit that holds the bound. As the node says it: it is not in the receipt.
    #[must_use]
    pub const fn holder_fence(&self) -> Option<Fence> {
        self.0.holder_fence
    }

    /// The bound that was refused. As the node says it: its key is not in the receipt.
    #[must_use]
    pub const fn refused_bound(&self) -> Option<&Bound> {
        self.0.refused_bound.as_ref()
    }

    /// Every bound that was refused, in the order of their names. As the node says them.
    #[must_use]
    pub fn refused_bounds(&self) -> &[RefusedBound] {
        &self.0.refused_bounds
    }

    /// Policy version of the decision.
    #[must_use]
    pub const fn policy_version(&self) -> PolicyVersion {
        self.0.policy_version
    }

    /// Digest of that bundle.
    #[must_use]
    pub const fn policy_digest(&self) -> Digest {
        self.0.policy_digest
    }

    /// Digest of the request that was denied.
    #[must_use]
    pub const fn request_digest(&self) -> Digest {
        self.0.request_digest
    }

    /// The proof. It was verified.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.0.receipt
    }

    /// Whether the decision had been recorded before.
    #[must_use]
    pub const fn is_replay(&self) -> bool {
        self.0.is_replay
    }

    /// The attempt that was denied.
    #[must_use]
    pub const fn attempt(&self) -> &AttemptName {
        &self.0.attempt
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        write!(
            f,
            "DENY {}: {}",
            parts.reason,
            parts.sentence.trim_end_matches('.')
        )?;
        if !parts.codes.is_empty() {
            write!(f, " [{}]", parts.codes.join(", "))?;
        }
        match parts.retry_at {
            // The gate's own sentence may say it already.
            Some(at) if !parts.sentence.contains(&at.to_string()) => {
                write!(f, "; a new attempt can succeed after {at}")
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Error for Denied {}
