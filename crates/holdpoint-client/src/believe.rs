//! What must hold of an answer before anything in it is believed.
//!
//! Checked with published keys only, on this host: that the receipt verifies, and that its statement is
//! about exactly the request, permit and step that was asked for. Nothing here repairs an answer.

pub(crate) mod standing;

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::chain::ChainError;
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::statement::{DecisionStatement, Outcome as StatedOutcome, PermitStep};
use holdpoint_receipt::verify::{ProvenNotes, Verified, VerifyError};
use holdpoint_receipt::{
    Body, Caller, ClusterTime, Digest, Fence, KeySet, Name, PermitId, RedemptionId, Request,
    RequestError, Salt, Statement, commit,
};

use crate::info::{digest, malformed};
use crate::operation::{Operation, OperationError};
use crate::outcome::Outcome;

/// Why an answer is not believed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// A field of the answer does not fit its type.
    #[error("`{field}` of the answer {problem}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What does not fit.
        problem: String,
    },
    /// The answer says that something was decided and shows no receipt.
    #[error("the answer has no receipt")]
    ReceiptMissing,
    /// The receipt does not verify against the published keys.
    #[error("the receipt does not verify: {0}")]
    Receipt(#[source] VerifyError),
    /// The receipt verifies and is about something else.
    #[error("`{field}` of the receipt is not that of what was asked")]
    Differs {
        /// The member of the statement.
        field: &'static str,
    },
    /// The gate's canonical request is not one.
    #[error("the canonical request of the answer: {0}")]
    Request(#[source] RequestError),
    /// The receipts verify and are not the story of one operation.
    #[error("the receipts are not the story of one operation: {0}")]
    Chain(#[source] ChainError),
    /// The gate understood another request than was asked.
    #[error("the gate understood another request than was asked")]
    RequestDiffers,
    /// The gate took this client for another caller.
    #[error("the gate took this client for `{found}` instead of `{expected}`")]
    Caller {
        /// Who this client is.
        expected: Caller,
        /// Who the gate took it for.
        found: Caller,
    },
    /// What was asked cannot be said, so no answer fits it.
    #[error(transparent)]
    Operation(#[from] OperationError),
}

/// What receipts are verified against. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) keys: Arc<KeySet>,
    /// What was verified against them before.
    pub(crate) notes: Arc<ProvenNotes>,
}

/// A receipt that was verified against the gate's keys.
#[derive(Clone, Debug)]
pub struct Receipt {
    file: Arc<[u8]>,
    verified: Arc<Verified>,
}

impl Receipt {
    /// The receipt file, byte for byte, as `holdpoint receipt verify` reads it.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// What is proved.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        self.verified.statement()
    }

    /// How it is proved: the head, who signed it, and how many had to.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// SHA-256 of the statement: the name of the receipt.
    #[must_use]
    pub fn hash(&self) -> Digest {
        *self.verified.receipt_hash()
    }

    /// Verifies a receipt as it came.
    pub(crate) fn believe(wire: Option<v1::Receipt>, trust: &Trust) -> Result<Self, AnswerError> {
        let wire = wire.ok_or(AnswerError::ReceiptMissing)?;
        let verified = trust.notes.verify(&wire.file, &trust.keys);
        let verified = verified.map_err(AnswerError::Receipt)?;
        Ok(Self {
            file: wire.file.into(),
            verified: Arc::new(verified),
        })
    }
}

/// The request as the gate understood it, checked to be ours in every field.
pub(crate) struct Understood {
    pub(crate) request: Request,
    pub(crate) digest: Digest,
}

/// Checks the gate's canonical request: ours, but for the action where we named none.
pub(crate) fn understood(
    operation: &Operation,
    namespace: &Name,
    caller: &Caller,
    canonical: &[u8],
    digest_given: &[u8],
) -> Result<Understood, AnswerError> {
    let digest_given = digest("request_digest", digest_given)?;
    let digest = digest_of_canonical(canonical);
    if let Some(action) = operation.named_action() {
        // What was understood is mostly what was asked, byte for byte.
        let ours = operation.request(namespace.as_str(), caller.clone(), action)?;
        if ours.to_canonical().as_bytes() == canonical && digest_given == digest {
            return Ok(Understood {
                request: ours,
                digest,
            });
        }
    }
    let theirs = Request::parse_canonical(canonical).map_err(AnswerError::Request)?;
    if theirs.caller != *caller {
        return Err(AnswerError::Caller {
            expected: caller.clone(),
            found: theirs.caller,
        });
    }
    let ours = operation.request(namespace.as_str(), caller.clone(), theirs.action.as_str())?;
    if ours != theirs || digest_given != digest {
        return Err(AnswerError::RequestDiffers);
    }
    Ok(Understood {
        request: ours,
        digest,
    })
}

/// The canonical request of a permit that was read, checked against the permit's digest.
pub(crate) fn request_of(canonical: &[u8], expected: Digest) -> Result<Request, AnswerError> {
    let request = Request::parse_canonical(canonical).map_err(AnswerError::Request)?;
    if digest_of_canonical(canonical) == expected {
        Ok(request)
    } else {
        Err(AnswerError::RequestDiffers)
    }
}

/// Holds if `fits`; names the member otherwise.
pub(crate) fn same(field: &'static str, fits: bool) -> Result<(), AnswerError> {
    if fits {
        Ok(())
    } else {
        Err(AnswerError::Differs { field })
    }
}

/// The decision that `receipt` proves, checked to be about this request.
pub(crate) fn decision<'a>(
    receipt: &'a Receipt,
    request: &Request,
    request_digest: Digest,
) -> Result<&'a DecisionStatement, AnswerError> {
    let statement = receipt.statement();
    let Body::Decision(decision) = &statement.body else {
        return Err(AnswerError::Differs { field: "kind" });
    };
    same("namespace", statement.namespace == request.namespace)?;
    same("request_digest", decision.request_digest == request_digest)?;
    same("surface", decision.surface == request.surface)?;
    same("action", decision.action == request.action)?;
    Ok(decision)
}

/// What is known of a permit before a step of it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) namespace: &'a Name,
    pub(crate) id: PermitId,
    pub(crate) fence: Option<Fence>,
    pub(crate) request_digest: Option<Digest>,
}

impl Expected<'_> {
    fn check(&self, statement: &Statement, step: &PermitStep) -> Result<(), AnswerError> {
        same("namespace", statement.namespace == *self.namespace)?;
        same("permit_id", step.permit_id == self.id)?;
        same("fence", self.fence.is_none_or(|fence| step.fence == fence))?;
        same(
            "request_digest",
            self.request_digest
                .is_none_or(|ours| step.request_digest == ours),
        )
    }

    /// That `receipt` proves the redemption under this id, and not another executor's; gives when the
    /// permit is in doubt.
    pub(crate) fn redeemed(
        &self,
        receipt: &Receipt,
        redemption: &RedemptionId,
        salt: &[u8],
    ) -> Result<ClusterTime, AnswerError> {
        let statement = receipt.statement();
        let Body::Redeemed {
            step,
            redemption_commitment,
            complete_by,
        } = &statement.body
        else {
            return Err(AnswerError::Differs { field: "kind" });
        };
        self.check(statement, step)?;
        let salt: [u8; 32] = salt
            .try_into()
            .map_err(|_| malformed("redemption_salt", "does not have 32 bytes"))?;
        let ours = commit(
            &Salt::from_bytes(salt),
            "redemption_commitment",
            redemption.as_str().as_bytes(),
        );
        same("redemption_commitment", *redemption_commitment == ours)?;
        Ok(*complete_by)
    }

    /// That `receipt` proves this outcome. Where it had been recorded before, evidence that we did
    /// not name may stand in it.
    pub(crate) fn completed(
        &self,
        receipt: &Receipt,
        ours: Outcome,
        has_reason: bool,
        is_replay: bool,
    ) -> Result<(), AnswerError> {
        let statement = receipt.statement();
        let Body::Completed {
            step,
            outcome,
            evidence_digest,
            reason_commitment,
        } = &statement.body
        else {
            return Err(AnswerError::Differs { field: "kind" });
        };
        self.check(statement, step)?;
        same(
            "reason_commitment",
            is_replay || reason_commitment.is_some() == has_reason,
        )?;
        let (stated, evidence) = match ours {
            Outcome::Committed { evidence } => (StatedOutcome::Committed, evidence),
            Outcome::Aborted => (StatedOutcome::Aborted, None),
        };
        same("outcome", *outcome == stated)?;
        let is_left_out = is_replay && evidence.is_none();
        same(
            "evidence_digest",
            is_left_out || *evidence_digest == evidence,
        )
    }

    /// That `receipt` proves a revocation.
    pub(crate) fn revoked(&self, receipt: &Receipt) -> Result<(), AnswerError> {
        let statement = receipt.statement();
        let Body::Revoked(step) = &statement.body else {
            return Err(AnswerError::Differs { field: "kind" });
        };
        self.check(statement, step)
    }

    /// That `receipt` proves a release. Where it had been released before, another reason may stand in
    /// it, or none.
    pub(crate) fn released(
        &self,
        receipt: &Receipt,
        has_reason: bool,
        is_replay: bool,
    ) -> Result<(), AnswerError> {
        let statement = receipt.statement();
        let Body::Released {
            step,
            reason_commitment,
        } = &statement.body
        else {
            return Err(AnswerError::Differs { field: "kind" });
        };
        same(
            "reason_commitment",
            is_replay || reason_commitment.is_some() == has_reason,
        )?;
        self.check(statement, step)
    }
}

/// That `receipt` proves that this bundle came into force as this version.
pub(crate) fn activated(
    receipt: &Receipt,
    namespace: &Name,
    bundle: Digest,
    version: u64,
) -> Result<(), AnswerError> {
    let statement = receipt.statement();
    let Body::Policy(policy) = &statement.body else {
        return Err(AnswerError::Differs { field: "kind" });
    };
    same("namespace", statement.namespace == *namespace)?;
    same("policy_digest", policy.policy_digest == bundle)?;
    same("policy_version", policy.policy_version.get() == version)
}

/// A number that the answer gives for a fence; 0 is none.
pub(crate) fn optional_fence(
    field: &'static str,
    fence: u64,
) -> Result<Option<Fence>, AnswerError> {
    match fence {
        0 => Ok(None),
        fence => Fence::new(fence)
            .map(Some)
            .map_err(|error| malformed(field, error)),
    }
}
