//! Whether a receipt is a live permit for what its holder is about to do.

use super::{Verified, VerifyError, verify};
use crate::digest::Digest;
use crate::keys::KeySet;
use crate::statement::Grant;

/// What an executor is about to do, and when.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    /// The digest of the request, computed by the executor from what it is about to do; never one
    /// that came with the receipt.
    pub request_digest: &'a Digest,
    /// The executor's own clock, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Whether a development node's word is taken.
    pub is_dev_accepted: bool,
}

/// A permit for exactly this request that had not expired at the given time.
///
/// It does not say that the permit is still there: whether it was redeemed, revoked or superseded
/// since, only the gate knows, and only redeeming asks it. An executor that does not redeem acts on
/// this alone, which its surface must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    verified: Verified,
    grant: Grant,
    left_ms: u64,
}

impl Live {
    /// The receipt.
    #[must_use]
    pub const fn verified(&self) -> &Verified {
        &self.verified
    }

    /// What is granted.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// How long it has not expired yet, in milliseconds; from 1.
    #[must_use]
    pub const fn left_ms(&self) -> u64 {
        self.left_ms
    }
}

/// Verifies a receipt, and that it is a permit for this execution.
///
/// # Errors
///
/// As for [`verify`]; then, in this order, [`VerifyError::WrongKind`] (not a PERMIT),
/// [`VerifyError::DevMode`], [`VerifyError::BindingMismatch`] (for another request) and
/// [`VerifyError::Expired`].
pub fn verify_execute(
    file: &[u8],
    keys: &KeySet,
    execution: &Execution<'_>,
) -> Result<Live, VerifyError> {
    let verified = verify(file, keys)?;
    let grant = verified.grant()?;
    if verified.statement().is_dev && !execution.is_dev_accepted {
        return Err(VerifyError::DevMode);
    }
    verified.permit_for(execution.request_digest)?;
    let expires_at_ms = grant.expires_at.get();
    match expires_at_ms.checked_sub(execution.now_ms) {
        Some(left_ms @ 1..) => Ok(Live {
            verified,
            grant,
            left_ms,
        }),
        Some(0) | None => Err(VerifyError::Expired {
            ago_ms: execution.now_ms.saturating_sub(expires_at_ms),
        }),
    }
}
