//! Whether a genuine receipt is about what its holder is about to do.

use super::{Verified, VerifyError, verify};
use crate::digest::Digest;
use crate::keys::KeySet;
use crate::names::{Fence, Name, PermitId};
use crate::statement::{
    ApprovalStatement, Body, DecisionStatement, Grant, Outcome, PermitStep, Verdict,
};

/// Verifies a receipt and that it is a PERMIT for the request with this digest.
///
/// The digest is the caller's own, computed from what it is about to do; never one that came with
/// the receipt.
///
/// # Errors
///
/// As for [`verify`], and [`VerifyError::WrongKind`] or [`VerifyError::BindingMismatch`].
pub fn verify_permit_for(
    file: &[u8],
    keys: &KeySet,
    request_digest: &Digest,
) -> Result<(Verified, Grant), VerifyError> {
    let verified = verify(file, keys)?;
    let (_, grant) = verified.permit_for(request_digest)?;
    Ok((verified, grant))
}

impl Verified {
    /// What this PERMIT grants, whatever it is for.
    pub(super) fn grant(&self) -> Result<Grant, VerifyError> {
        let decision = self.statement().body.decision();
        let grant = decision.and_then(|decision| decision.verdict.grant());
        grant.copied().ok_or(VerifyError::WrongKind {
            expected: "a PERMIT",
        })
    }

    /// The PERMIT for the request with this digest.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or for another request.
    pub fn permit_for(
        &self,
        request_digest: &Digest,
    ) -> Result<(&DecisionStatement, Grant), VerifyError> {
        match self.decision_for("a PERMIT", request_digest)? {
            (decision, Verdict::Permit(grant)) => Ok((decision, *grant)),
            (_, Verdict::Deny { .. }) => Err(VerifyError::WrongKind {
                expected: "a PERMIT",
            }),
        }
    }

    /// The DENY of the request with this digest.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or for another request.
    pub fn denial_of(&self, request_digest: &Digest) -> Result<&DecisionStatement, VerifyError> {
        match self.decision_for("a DENY", request_digest)? {
            (decision, Verdict::Deny { .. }) => Ok(decision),
            (_, Verdict::Permit(_)) => Err(VerifyError::WrongKind { expected: "a DENY" }),
        }
    }

    fn decision_for(
        &self,
        expected: &'static str,
        request_digest: &Digest,
    ) -> Result<(&DecisionStatement, &Verdict), VerifyError> {
        let Body::Decision(decision) = &self.statement().body else {
            return Err(VerifyError::WrongKind { expected });
        };
        same("request_digest", &decision.request_digest, request_digest)?;
        Ok((decision, &decision.verdict))
    }

    /// The redemption of this permit, under its fence and for the request with this digest.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or its permit, fence or request is another.
    pub fn redemption_of(
        &self,
        permit_id: &PermitId,
        fence: Fence,
        request_digest: &Digest,
    ) -> Result<&PermitStep, VerifyError> {
        let Body::Redeemed { step, .. } = &self.statement().body else {
            return Err(VerifyError::WrongKind {
                expected: "a redemption",
            });
        };
        same("permit_id", &step.permit_id, permit_id)?;
        same("fence", &step.fence, &fence)?;
        same("request_digest", &step.request_digest, request_digest)?;
        Ok(step)
    }

    /// The completion of this permit with this outcome.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or its permit or outcome is another.
    pub fn completion_of(
        &self,
        permit_id: &PermitId,
        expected: Outcome,
    ) -> Result<&PermitStep, VerifyError> {
        let Body::Completed { step, outcome, .. } = &self.statement().body else {
            return Err(VerifyError::WrongKind {
                expected: "a completion",
            });
        };
        same("permit_id", &step.permit_id, permit_id)?;
        same("outcome", outcome, &expected)?;
        Ok(step)
    }

    /// The revocation of this permit.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or its permit is another.
    pub fn revocation_of(&self, permit_id: &PermitId) -> Result<&PermitStep, VerifyError> {
        let Body::Revoked(step) = &self.statement().body else {
            return Err(VerifyError::WrongKind {
                expected: "a revocation",
            });
        };
        same("permit_id", &step.permit_id, permit_id)?;
        Ok(step)
    }

    /// The release of this permit.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or its permit is another.
    pub fn release_of(&self, permit_id: &PermitId) -> Result<&PermitStep, VerifyError> {
        let Body::Released { step, .. } = &self.statement().body else {
            return Err(VerifyError::WrongKind {
                expected: "a release",
            });
        };
        same("permit_id", &step.permit_id, permit_id)?;
        Ok(step)
    }

    /// The approval that counts for this quorum and is of exactly this subject.
    ///
    /// The digest is the holder's own, computed from what is to be approved; never one that came with
    /// the receipt. It does not say that the approval counts still: it may have been taken back.
    ///
    /// # Errors
    ///
    /// The receipt is of another kind, or its quorum or subject is another.
    pub fn approval_of(
        &self,
        quorum: &Name,
        subject_digest: &Digest,
    ) -> Result<&ApprovalStatement, VerifyError> {
        let Body::Approved(approval) = &self.statement().body else {
            return Err(VerifyError::WrongKind {
                expected: "an approval",
            });
        };
        same("quorum", &approval.quorum, quorum)?;
        same("subject_digest", &approval.subject_digest, subject_digest)?;
        Ok(approval)
    }
}

fn same<T: PartialEq>(member: &'static str, found: &T, expected: &T) -> Result<(), VerifyError> {
    if found == expected {
        Ok(())
    } else {
        Err(VerifyError::BindingMismatch { member })
    }
}
