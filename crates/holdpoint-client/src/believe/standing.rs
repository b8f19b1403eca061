//! What must hold of receipts about the gate itself, and not about one permit.

use holdpoint_receipt::statement::{ApprovalStatement, DrainMode};
use holdpoint_receipt::{Body, Digest, Name, PermitId, Salt, commit};

use super::{AnswerError, Receipt, same};
use crate::info::malformed;

const OTHER_KIND: AnswerError = AnswerError::Differs { field: "kind" };

/// The approval that `receipt` proves, checked to be for this quorum and of this subject.
pub(crate) fn approved<'a>(
    receipt: &'a Receipt,
    namespace: &Name,
    quorum: &Name,
    subject: Digest,
) -> Result<&'a ApprovalStatement, AnswerError> {
    let Body::Approved(approval) = &receipt.statement().body else {
        return Err(OTHER_KIND);
    };
    about(receipt, namespace, approval, quorum, subject)?;
    Ok(approval)
}

/// That `receipt` proves that an approval for this quorum and of this subject was taken back.
pub(crate) fn approval_revoked(
    receipt: &Receipt,
    namespace: &Name,
    quorum: &Name,
    subject: Digest,
) -> Result<(), AnswerError> {
    let Body::ApprovalRevoked(approval) = &receipt.statement().body else {
        return Err(OTHER_KIND);
    };
    about(receipt, namespace, approval, quorum, subject)
}

fn about(
    receipt: &Receipt,
    namespace: &Name,
    approval: &ApprovalStatement,
    quorum: &Name,
    subject: Digest,
) -> Result<(), AnswerError> {
    same("namespace", receipt.statement().namespace == *namespace)?;
    same("quorum", approval.quorum == *quorum)?;
    same("subject_digest", approval.subject_digest == subject)
}

/// That `receipt` proves the closing of `session`. Without the salt, which retention may have erased,
/// it could be of any.
pub(crate) fn session_closed(
    receipt: &Receipt,
    namespace: &Name,
    session: &str,
    salt: Option<&Salt>,
) -> Result<(), AnswerError> {
    let Body::SessionClosed(stated) = &receipt.statement().body else {
        return Err(OTHER_KIND);
    };
    same("namespace", receipt.statement().namespace == *namespace)?;
    let ours = salt.map(|salt| commit(salt, "session_commitment", session.as_bytes()));
    same(
        "session_commitment",
        ours.is_none_or(|ours| stated.session_commitment == ours),
    )
}

/// A salt of which no bytes say that it is not disclosed any more.
pub(crate) fn optional_salt(bytes: &[u8]) -> Result<Option<Salt>, AnswerError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let salt = bytes.try_into().map(Salt::from_bytes);
    let salt = salt.map_err(|_| malformed("salt", "does not have 32 bytes"))?;
    Ok(Some(salt))
}

/// That `receipt` proves that what was stored of a request was erased: of this permit if one is named,
/// and for the reason if one was given now.
pub(crate) fn erased(
    receipt: &Receipt,
    namespace: &Name,
    permit: Option<PermitId>,
    reason: Option<&str>,
    salt: Option<&Salt>,
) -> Result<(), AnswerError> {
    let Body::Erased(stated) = &receipt.statement().body else {
        return Err(OTHER_KIND);
    };
    same("namespace", receipt.statement().namespace == *namespace)?;
    let is_of_it = permit.is_none_or(|permit| stated.permit_id == Some(permit));
    same("permit_id", is_of_it)?;
    let (Some(reason), Some(salt)) = (reason, salt) else {
        return Ok(());
    };
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    let ours = reason.map(|reason| commit(salt, "reason_commitment", reason.as_bytes()));
    same("reason_commitment", stated.reason_commitment == ours)
}

/// That `receipt` proves that grants on `surface`, or all of them, were stopped or go on.
pub(crate) fn frozen(
    receipt: &Receipt,
    namespace: &Name,
    surface: Option<&Name>,
    is_frozen: bool,
) -> Result<(), AnswerError> {
    let Body::Frozen(stated) = &receipt.statement().body else {
        return Err(OTHER_KIND);
    };
    same("namespace", receipt.statement().namespace == *namespace)?;
    same("surface", stated.surface.as_ref() == surface)?;
    same("freeze", stated.frozen == is_frozen)
}

/// That `receipt` proves that a drain began or was given up; of any bundle if none is named.
pub(crate) fn drain(
    receipt: &Receipt,
    namespace: &Name,
    bundle: Option<Digest>,
    mode: DrainMode,
) -> Result<(), AnswerError> {
    let Body::Drain(stated) = &receipt.statement().body else {
        return Err(OTHER_KIND);
    };
    same("namespace", receipt.statement().namespace == *namespace)?;
    same(
        "policy_digest",
        bundle.is_none_or(|bundle| stated.policy_digest == bundle),
    )?;
    same("mode", stated.mode == mode)
}
