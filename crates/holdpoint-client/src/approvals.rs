//! Approvals: what waits for a yes, what exactly the yes is about, and giving it.
//!
//! Nothing here approves bytes that this host has not hashed, and no answer is believed without a
//! receipt for exactly that quorum and that digest.

mod subject;

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, ClusterTime, Digest, Name, PermitId, PolicyVersion, Request};

use crate::believe::{AnswerError, Receipt, request_of, same, standing};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::info::{caller, digest, malformed, name, optional_time, permit_id, time, version};
use crate::steps::refused;

pub use subject::{MissingApproval, SubjectBytes};

/// Requests that are asked for at a time.
const PAGE_SIZE: u32 = 1_000;
/// Pages that are read at most; the gate lists no more requests than they hold.
const PAGES_MAX: usize = 16;

/// A request that waits for approval. It is not a decision, and not proved.
#[derive(Clone, Debug)]
pub struct PendingRequest {
    /// The request; its digest was computed here.
    pub request: Request,
    /// Its digest.
    pub digest: Digest,
    /// When it was asked last.
    pub asked_at: ClusterTime,
    /// Until when it is listed.
    pub listed_until: ClusterTime,
    /// The policy version under which the approvals are missing.
    pub policy_version: PolicyVersion,
    /// Its bundle.
    pub policy_digest: Digest,
    /// What is missing now, sorted by quorum.
    pub missing: Vec<MissingApproval>,
}

/// What became of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// It counts until it expires.
    Given,
    /// Its time has passed.
    Expired,
    /// A permit has spent it.
    Spent,
    /// It was taken back.
    Revoked,
}

impl ApprovalState {
    /// The name in `UPPER_SNAKE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "GIVEN",
            Self::Expired => "EXPIRED",
            Self::Spent => "SPENT",
            Self::Revoked => "REVOKED",
        }
    }
}

/// An approval as a node last saw it. Only a [`Receipt`] proves what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The quorum.
    pub quorum: Name,
    /// What is approved.
    pub subject: Digest,
    /// Who approves.
    pub approver: Caller,
    /// When it was given.
    pub given_at: ClusterTime,
    /// From when on it no longer counts.
    pub expires_at: Option<ClusterTime>,
    /// What became of it.
    pub state: ApprovalState,
    /// The permit that has spent it.
    pub spent_by: Option<PermitId>,
}

/// What an approver decides about: the bytes, and what they belong to.
///
/// The bytes are checked against their digest; the rest is as the node says it.
#[derive(Clone, Debug)]
pub struct ApprovalSubject {
    /// What is approved.
    pub bytes: SubjectBytes,
    /// The policy version in force.
    pub policy_version: PolicyVersion,
    /// Its bundle, which an approval names.
    pub policy_digest: Digest,
    /// The name that the bundle gives itself.
    pub policy_name: String,
    /// Requests that an approval would help, the newest first. Each was checked to have the bound
    /// fields, but for the resource.
    pub requests: Vec<PendingRequest>,
    /// Approvals that there are.
    pub approvals: Vec<Approval>,
    /// How many approvals the quorum needs.
    pub needed: u32,
}

/// An approval that was given or taken back, with its proof.
#[derive(Clone, Debug)]
pub struct ApprovalAnswer {
    /// The approval as it stands.
    pub approval: Approval,
    /// Proof. It was verified, and is about this quorum and this digest.
    pub receipt: Receipt,
    /// Whether it had been so before.
    pub is_replay: bool,
}

/// The approvals of a gate; made by [`Gate::approvals`].
#[derive(Clone, Copy, Debug)]
pub struct Approvals<'a> {
    gate: &'a Gate,
}

impl Gate {
    /// What waits for approval, and approving it as this gate's caller.
    #[must_use]
    pub const fn approvals(&self) -> Approvals<'_> {
        Approvals { gate: self }
    }
}

impl Approvals<'_> {
    /// Lists the requests that wait for approval.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node answers.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn pending(self) -> Result<Vec<PendingRequest>, CallError> {
        let mut all = Vec::new();
        let mut page = Vec::new();
        for _ in 0..PAGES_MAX {
            let (requests, next) = self.page(&page).await?;
            all.extend(requests);
            if next.is_empty() {
                break;
            }
            page = next;
        }
        Ok(all)
    }

    async fn page(self, page: &[u8]) -> Result<(Vec<PendingRequest>, Vec<u8>), CallError> {
        let gate = self.gate;
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ListPendingRequest {
                namespace: gate.namespace().to_string(),
                page: page.to_vec(),
                page_size: PAGE_SIZE,
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .approvals()
                .list_pending(connection.request(message))
                .await?;
            let v1::ListPendingResponse {
                requests,
                next_page,
                refusal,
                ..
            } = answer.into_inner();
            refused(refusal)?;
            let requests = read_pending(requests, gate.namespace());
            Ok((requests.map_err(Failure::disbelieve)?, next_page))
        };
        Ok(gate.nodes().call(gate.deadline(), ask).await?.answer)
    }

    /// Reads what is behind a digest, and checks that it is that.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `UNKNOWN_SUBJECT` if nothing that waits has this digest.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn subject(self, subject: Digest) -> Result<ApprovalSubject, CallError> {
        let gate = self.gate;
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::GetSubjectRequest {
                namespace: gate.namespace().to_string(),
                subject_digest: subject.as_bytes().to_vec(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .approvals()
                .get_subject(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            read_subject(answer, subject, gate.namespace()).map_err(Failure::disbelieve)
        };
        Ok(gate.nodes().call(gate.deadline(), ask).await?.answer)
    }

    /// Approves what [`Approvals::subject`] showed, under the policy that it showed.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_APPROVER` if the quorum does not count this caller, with
    /// `VERSION_CONFLICT` if another policy is in force by now.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the approval, which can be repeated.
    pub async fn approve(self, subject: &ApprovalSubject) -> Result<ApprovalAnswer, CallError> {
        let (gate, bytes) = (self.gate, &subject.bytes);
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ApproveRequest {
                namespace: gate.namespace().to_string(),
                quorum: bytes.quorum().to_string(),
                subject_digest: bytes.digest().as_bytes().to_vec(),
                policy_digest: subject.policy_digest.as_bytes().to_vec(),
                request_canonical: Vec::new(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .approvals()
                .approve(connection.request(message))
                .await?;
            let v1::ApproveResponse {
                approval,
                receipt,
                replay,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            let proved = Receipt::believe(receipt, &gate.trust()).and_then(|receipt| {
                let (quorum, digest) = (bytes.quorum(), bytes.digest());
                let stated = standing::approved(&receipt, gate.namespace(), quorum, digest)?;
                same(
                    "policy_digest",
                    replay || stated.policy_digest == subject.policy_digest,
                )?;
                let approval = read_only(approval, quorum, digest)?;
                same("expires_at_ms", stated.expires_at == approval.expires_at)?;
                Ok(ApprovalAnswer {
                    approval,
                    receipt,
                    is_replay: replay,
                })
            });
            proved.map_err(Failure::disbelieve)
        };
        Ok(gate.nodes().call(gate.deadline(), ask).await?.answer)
    }

    /// Takes an approval back that no permit has spent: this caller's own, or for operators that of
    /// `approver`.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `UNKNOWN_APPROVAL` or `APPROVAL_SPENT`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the call, which can be repeated.
    pub async fn revoke(
        self,
        quorum: &Name,
        subject: Digest,
        approver: Option<&Caller>,
    ) -> Result<ApprovalAnswer, CallError> {
        let gate = self.gate;
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::RevokeApprovalRequest {
                namespace: gate.namespace().to_string(),
                quorum: quorum.to_string(),
                subject_digest: subject.as_bytes().to_vec(),
                approver: approver.map(Caller::to_string).unwrap_or_default(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .approvals()
                .revoke_approval(connection.request(message))
                .await?;
            let v1::RevokeApprovalResponse {
                approval,
                receipt,
                replay,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            let proved = Receipt::believe(receipt, &gate.trust()).and_then(|receipt| {
                standing::approval_revoked(&receipt, gate.namespace(), quorum, subject)?;
                Ok(ApprovalAnswer {
                    approval: read_only(approval, quorum, subject)?,
                    receipt,
                    is_replay: replay,
                })
            });
            proved.map_err(Failure::disbelieve)
        };
        Ok(gate.nodes().call(gate.deadline(), ask).await?.answer)
    }
}

/// The approval of an answer about one quorum and one subject.
fn read_only(
    approval: Option<v1::Approval>,
    quorum: &Name,
    subject: Digest,
) -> Result<Approval, AnswerError> {
    let approval = approval.ok_or_else(|| malformed("approval", "is missing"))?;
    let approval = read_approval(approval)?;
    same("quorum", approval.quorum == *quorum)?;
    same("subject_digest", approval.subject == subject)?;
    Ok(approval)
}

fn read_approval(approval: v1::Approval) -> Result<Approval, AnswerError> {
    let state = match approval.state() {
        v1::ApprovalState::Given => ApprovalState::Given,
        v1::ApprovalState::Expired => ApprovalState::Expired,
        v1::ApprovalState::Spent => ApprovalState::Spent,
        v1::ApprovalState::Revoked => ApprovalState::Revoked,
        v1::ApprovalState::Unspecified => return Err(malformed("state", "is not a known state")),
    };
    let spent_by = match approval.spent_by.as_str() {
        "" => None,
        id => Some(permit_id("spent_by", id)?),
    };
    Ok(Approval {
        quorum: name("quorum", approval.quorum)?,
        subject: digest("subject_digest", &approval.subject_digest)?,
        approver: caller("approver", approval.approver)?,
        given_at: time("given_at_ms", approval.given_at_ms)?,
        expires_at: optional_time("expires_at_ms", approval.expires_at_ms)?,
        state,
        spent_by,
    })
}

fn read_pending(
    requests: Vec<v1::PendingRequest>,
    namespace: &Name,
) -> Result<Vec<PendingRequest>, AnswerError> {
    let read = |pending: v1::PendingRequest| {
        let digest_given = digest("request_digest", &pending.request_digest)?;
        let request = request_of(&pending.request_canonical, digest_given)?;
        same("caller", request.caller.as_str() == pending.caller)?;
        let missing = pending.missing.into_iter();
        Ok(PendingRequest {
            request,
            digest: digest_given,
            asked_at: time("asked_at_ms", pending.asked_at_ms)?,
            listed_until: time("listed_until_ms", pending.listed_until_ms)?,
            policy_version: version(pending.policy_version)?,
            policy_digest: digest("policy_digest", &pending.policy_digest)?,
            missing: missing
                .map(|missing| MissingApproval::from_wire(missing, namespace))
                .collect::<Result<_, _>>()?,
        })
    };
    requests.into_iter().map(read).collect()
}

fn read_subject(
    answer: v1::GetSubjectResponse,
    subject: Digest,
    namespace: &Name,
) -> Result<ApprovalSubject, AnswerError> {
    let bytes = SubjectBytes::believe(answer.subject_json, subject, namespace)?;
    same("quorum", bytes.quorum().as_str() == answer.quorum)?;
    same("surface", bytes.surface().as_str() == answer.surface)?;
    let approvals = answer.approvals.into_iter().map(read_approval);
    let requests = read_pending(answer.requests, namespace)?;
    // Shown beside the bytes, a request that they are not about would mislead whoever approves.
    same(
        "requests",
        requests.iter().all(|pending| bytes.fits(&pending.request)),
    )?;
    Ok(ApprovalSubject {
        bytes,
        policy_version: version(answer.policy_version)?,
        policy_digest: digest("policy_digest", &answer.policy_digest)?,
        policy_name: answer.policy_name,
        requests,
        approvals: approvals.collect::<Result<_, _>>()?,
        needed: answer.needed,
    })
}
