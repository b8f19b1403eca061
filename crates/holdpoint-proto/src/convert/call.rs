//! Calls about a permit that exists.

use holdpoint_core::limits::WORD_BYTES_MAX;
use holdpoint_receipt::{Digest, Fence, Name, PermitId, RedemptionId};

use super::{Malformed, digest, namespace, optional_digest, required};
use crate::v1::{CompleteRequest, Completion, RedeemRequest, ReleaseRequest};

/// The longest reason that an operator gives, in bytes.
pub const REASON_BYTES_MAX: usize = WORD_BYTES_MAX;

/// A permit in its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The namespace.
    pub namespace: Name,
    /// The permit.
    pub permit: PermitId,
}

impl Named {
    /// Reads both.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the field that does not fit.
    pub fn parse(namespace_text: &str, permit: &str) -> Result<Self, Malformed> {
        let permit = permit.parse().map_err(|error| {
            Malformed::new(
                "permit_id",
                format_args!("`{}`: {error}", permit.escape_debug()),
            )
        })?;
        Ok(Self {
            namespace: namespace(namespace_text)?,
            permit,
        })
    }
}

/// What an executor shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeemCall {
    /// The permit.
    pub named: Named,
    /// Its fence, as the executor knows it.
    pub fence: Fence,
    /// Digest of what the executor is about to do.
    pub request_digest: Digest,
    /// Names the executor's process.
    pub redemption_id: RedemptionId,
}

impl TryFrom<RedeemRequest> for RedeemCall {
    type Error = Malformed;

    fn try_from(call: RedeemRequest) -> Result<Self, Malformed> {
        Ok(Self {
            named: Named::parse(&call.namespace, &call.permit_id)?,
            fence: Fence::new(call.fence).map_err(|error| Malformed::new("fence", error))?,
            request_digest: digest("request_digest", &call.request_digest)?,
            redemption_id: required("redemption_id", call.redemption_id, RedemptionId::new)?,
        })
    }
}

/// How an effect ended, as its executor says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It happened.
    Committed {
        /// Digest of the evidence.
        evidence: Option<Digest>,
    },
    /// It did not happen.
    Aborted,
}

/// An outcome and the permit it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteCall {
    /// The permit.
    pub named: Named,
    /// The outcome.
    pub completed: Completed,
    /// Why an operator says so.
    pub reason: Option<String>,
}

impl TryFrom<CompleteRequest> for CompleteCall {
    type Error = Malformed;

    fn try_from(call: CompleteRequest) -> Result<Self, Malformed> {
        let evidence = optional_digest("evidence_digest", &call.evidence_digest)?;
        let completed = match (Completion::try_from(call.completion), evidence) {
            (Ok(Completion::Committed), evidence) => Completed::Committed { evidence },
            (Ok(Completion::Aborted), None) => Completed::Aborted,
            (Ok(Completion::Aborted), Some(_)) => {
                return Err(Malformed::new(
                    "evidence_digest",
                    "only a committed effect has evidence",
                ));
            }
            (Ok(Completion::Unspecified) | Err(_), _) => {
                let problem = "name COMPLETION_COMMITTED or COMPLETION_ABORTED";
                return Err(Malformed::new("completion", problem));
            }
        };
        Ok(Self {
            named: Named::parse(&call.namespace, &call.permit_id)?,
            completed,
            reason: reason(call.reason)?,
        })
    }
}

/// A permit whose bounds are to be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseCall {
    /// The permit.
    pub named: Named,
    /// Why.
    pub reason: Option<String>,
}

impl TryFrom<ReleaseRequest> for ReleaseCall {
    type Error = Malformed;

    fn try_from(call: ReleaseRequest) -> Result<Self, Malformed> {
        Ok(Self {
            named: Named::parse(&call.namespace, &call.permit_id)?,
            reason: reason(call.reason)?,
        })
    }
}

/// A reason that may be absent: empty.
fn reason(text: String) -> Result<Option<String>, Malformed> {
    if text.len() > REASON_BYTES_MAX {
        return Err(Malformed::new(
            "reason",
            format_args!(
                "has {} bytes, at most {REASON_BYTES_MAX} are kept",
                text.len()
            ),
        ));
    }
    Ok((!text.is_empty()).then_some(text))
}
