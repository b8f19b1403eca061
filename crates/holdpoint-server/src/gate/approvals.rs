//! Approvals: what waits for them, what exactly is approved, and who approves it.
//!
//! What an approver is shown is the very bytes whose digest is approved. Whether an approval counts
//! is evaluated with every verdict; what is refused here is only what could never count.

mod subjects;

use std::sync::Arc;

use holdpoint_core::Outcome;
use holdpoint_core::command::{ApprovalName, Approve, AskApproval, Command, RevokeApproval};
use holdpoint_core::limits::APPROVAL_FOR_MS_MAX;
use holdpoint_core::outcome::{ApprovalOutcome, ChangeOutcome};
use holdpoint_core::record::ActivePolicy;
use holdpoint_policy::NotApprover;
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{Caller, Digest, Name, Reason};
use tokio::time::{Duration, timeout};

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{ApproveCall, PAGE_BYTES_MAX, PendingCall, TakeBackCall};
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};

use subjects::{active_policy, bytes_of, find_subject, shown_subject, waiting};

/// How long an answer waits for its request to be listed for approval.
const LIST: Duration = Duration::from_secs(2);

impl Gate {
    /// Lists a request whose approvals are missing, before its answer leaves, so that an approver who
    /// hears of it finds it. Whether that works changes nothing for the answer.
    pub(super) async fn ask_approval(&self, ask: AskApproval, admitted: &Admitted) {
        let namespace = ask.namespace.clone();
        let command = Command::AskApproval(Box::new(ask));
        let proposed = timeout(LIST.min(admitted.left()), self.propose(command, admitted)).await;
        match proposed {
            Ok(Ok(Outcome::Changed(ChangeOutcome::Done { .. }))) => (),
            Ok(Ok(Outcome::Changed(ChangeOutcome::Refused { reason }))) => {
                tracing::warn!(%namespace, %reason, "a request is not listed for approval");
            }
            Ok(Ok(other)) => drop(self.unexpected(&other)),
            Ok(Err(_)) | Err(_) => {
                tracing::debug!(%namespace, "a request may not be listed for approval");
            }
        }
    }

    /// The requests that wait for approval.
    pub(crate) async fn list_pending(
        &self,
        caller: Caller,
        call: PendingCall,
        admitted: &Admitted,
    ) -> Result<v1::ListPendingResponse, Refused> {
        roles::require(&caller, Role::Auditor)?;
        let (policies, size) = (Arc::clone(&self.policies), call.page_size);
        let read = self.query(&call.namespace, admitted, move |log| {
            let rows = log.pendings(call.after.as_ref(), size)?;
            let policy = active_policy(log, &policies)?;
            let now = log.now();
            let (mut requests, mut next_page, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
            for (place, (digest, record)) in (1_usize..).zip(&rows) {
                if now < record.listed_until {
                    bytes = bytes.saturating_add(bytes_of(record));
                    requests.push(waiting(log, policy.as_ref(), digest, record)?);
                }
                if place >= size || bytes >= PAGE_BYTES_MAX {
                    next_page = digest.as_bytes().to_vec();
                    break;
                }
            }
            Ok(v1::ListPendingResponse {
                requests,
                next_page,
                cluster_time_ms: now.get(),
                refusal: None,
            })
        });
        read.await
    }

    /// What an approver signs off.
    pub(crate) async fn get_subject(
        &self,
        caller: Caller,
        (namespace, digest): (Name, Digest),
        admitted: &Admitted,
    ) -> Result<v1::GetSubjectResponse, Refused> {
        roles::require(&caller, Role::Auditor)?;
        let policies = Arc::clone(&self.policies);
        let read = self.query(&namespace, admitted, move |log| {
            shown_subject(log, &policies, &digest)
        });
        read.await?
            .ok_or_else(|| Refused::never(Reason::UnknownSubject))
    }

    /// Approves a subject as the authenticated caller.
    pub(crate) async fn approve(
        &self,
        caller: Caller,
        call: ApproveCall,
        admitted: &Admitted,
    ) -> Result<v1::ApproveResponse, Refused> {
        let (policies, approver) = (Arc::clone(&self.policies), caller.clone());
        let wanted = call.clone();
        let read = self.query(&call.namespace, admitted, move |log| {
            find_subject(log, &policies, &approver, &wanted)
        });
        let shown = read.await??;
        shown.permitted.map_err(|not_approver| {
            Refused::never(Reason::NotApprover).saying(sentence(&not_approver))
        })?;
        let command = Command::Approve(Approve {
            namespace: call.namespace.clone(),
            name: ApprovalName {
                quorum: call.quorum,
                subject: call.subject,
                approver: caller,
            },
            surface: shown.surface,
            policy: shown.active,
            counts_for_ms: shown.counts_for_ms.min(APPROVAL_FOR_MS_MAX),
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let (approval, receipt, replay) = self.approval(&call.namespace, command, admitted).await?;
        Ok(v1::ApproveResponse {
            approval: Some(approval),
            receipt,
            replay,
            refusal: None,
        })
    }

    /// Takes an approval back.
    pub(crate) async fn revoke_approval(
        &self,
        caller: Caller,
        call: TakeBackCall,
        admitted: &Admitted,
    ) -> Result<v1::RevokeApprovalResponse, Refused> {
        let command = Command::RevokeApproval(RevokeApproval {
            namespace: call.namespace.clone(),
            name: call.name(&caller),
            operator: roles::has(&caller, Role::Operator),
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let (approval, receipt, replay) = self.approval(&call.namespace, command, admitted).await?;
        Ok(v1::RevokeApprovalResponse {
            approval: Some(approval),
            receipt,
            replay,
            refusal: None,
        })
    }

    /// Proposes what changes an approval, and proves it.
    async fn approval(
        &self,
        namespace: &Name,
        command: Command,
        admitted: &Admitted,
    ) -> Result<(v1::Approval, Option<v1::Receipt>, bool), Refused> {
        self.lead(admitted).await?;
        let outcome = match self.propose(command, admitted).await? {
            Outcome::Approved(outcome) | Outcome::ApprovalRevoked(outcome) => outcome,
            other => return Err(self.unexpected(&other)),
        };
        match outcome {
            ApprovalOutcome::Done {
                name,
                approval,
                statement,
                replay,
            } => {
                let receipt = self.proof(namespace, statement, admitted).await?;
                let now = self.parts.group.applied().borrow().now;
                let approval = convert::approval(&name, &approval, now);
                Ok((approval, receipt, replay))
            }
            ApprovalOutcome::Refused { reason, active } => {
                Err(refused_approval(reason, active.as_ref()))
            }
        }
    }
}

fn refused_approval(reason: Reason, active: Option<&ActivePolicy>) -> Refused {
    let refused = Refused::never(reason);
    match (reason, active) {
        (Reason::PolicyMoved, Some(active)) => refused.saying(format!(
            "Another policy is in force than was shown: version {} ({}); look at the subject again.",
            active.version.get(),
            active.digest
        )),
        (_, _) => refused,
    }
}

/// The policy crate's words as a sentence.
fn sentence(not_approver: &NotApprover) -> String {
    let text = not_approver.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}
