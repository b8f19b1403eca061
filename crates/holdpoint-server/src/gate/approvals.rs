//! Approvals: what waits for them, what exactly is approved, and who approves it.
//!
//! What an approver is shown is the very bytes whose digest is approved. Whether an approval counts
//! is evaluated with every verdict; what is refused here is only what could never count.

use std::sync::Arc;

use holdpoint_core::Outcome;
use holdpoint_core::View;
use holdpoint_core::command::{
    ApprovalName, Approve, AskApproval, Command, MissingApproval, RevokeApproval,
};
use holdpoint_core::limits::APPROVAL_FOR_MS_MAX;
use holdpoint_core::outcome::{ApprovalOutcome, ChangeOutcome};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{ActivePolicy, PendingRecord};
use holdpoint_policy::{NotApprover, Policy, Subject};
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{Caller, ClusterTime, Digest, Name, Reason, Request};
use holdpoint_storage::StoreError;
use tokio::time::{Duration, timeout};

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{ApproveCall, PendingCall, TakeBackCall};
use crate::evaluate::{EvaluateError, ReadFault, standing_approvals};
use crate::policies::Policies;
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// Requests that one subject shows, the newest.
const SHOWN_MAX: usize = 64;

/// How long an answer waits for its request to be listed for approval.
const LIST: Duration = Duration::from_secs(2);

/// A subject as the policy in force has it, and the request that it belongs to.
struct Shown {
    active: ActivePolicy,
    surface: Name,
    counts_for_ms: u64,
    permitted: Result<(), NotApprover>,
}

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
            let next_page = match rows.last() {
                Some((last, _)) if rows.len() >= size => last.as_bytes().to_vec(),
                Some(_) | None => Vec::new(),
            };
            let policy = active_policy(log, &policies)?;
            let now = log.now();
            let mut requests = Vec::new();
            for (digest, record) in &rows {
                if now < record.listed_until {
                    requests.push(waiting(log, policy.as_ref(), digest, record)?);
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

/// The policy in force; none if there is none or it does not load here.
fn active_policy<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
) -> Result<Option<(ActivePolicy, Policy)>, ReadFault> {
    let Some(active) = log.record().active else {
        return Ok(None);
    };
    let Some(record) = log.bundle(&active.digest)? else {
        return Ok(None);
    };
    let policy = policies.get::<EvaluateError>(active.digest, || Ok(record.bundle));
    Ok(policy.ok().map(|policy| (active, policy)))
}

/// What `request` has to have approved under `policy`; nothing if it does not fit that any more.
fn subjects(policy: &Policy, request: &Request) -> Vec<Subject> {
    policy.subjects(request).unwrap_or_default()
}

/// A listed request with what is missing now, under the policy in force.
fn waiting<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policy: Option<&(ActivePolicy, Policy)>,
    digest: &Digest,
    record: &PendingRecord,
) -> Result<v1::PendingRequest, ReadFault> {
    let mut have = Vec::new();
    for missing in &record.missing {
        have.push(count(log, policy, record, missing)?);
    }
    Ok(convert::pending(digest, record, &have))
}

/// How many approvals of one quorum count for a listed request, under the policy in force.
fn count<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policy: Option<&(ActivePolicy, Policy)>,
    record: &PendingRecord,
    missing: &MissingApproval,
) -> Result<u32, ReadFault> {
    let Some((_, policy)) = policy else {
        return Ok(0);
    };
    let approvals = standing_approvals(log, &missing.quorum, &missing.digest, log.now(), None)?;
    let counting = approvals.iter().filter(|(name, _)| {
        let may = policy.may_approve(&missing.quorum, &name.approver, &record.caller);
        may.is_ok()
    });
    Ok(u32::try_from(counting.count()).unwrap_or(u32::MAX))
}

fn shown_subject<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
    digest: &Digest,
) -> Result<Option<v1::GetSubjectResponse>, ReadFault> {
    let policy = active_policy(log, policies)?;
    let mut answer: Option<v1::GetSubjectResponse> = None;
    let mut requests: Vec<(ClusterTime, v1::PendingRequest)> = Vec::new();
    for request in log.pending_of(digest)? {
        let Some(record) = log.pending(&request)? else {
            continue;
        };
        let Some(missing) = record.missing.iter().find(|it| it.digest == *digest) else {
            continue;
        };
        if answer.is_none() {
            answer = Some(subject_of(log, policy.as_ref(), &record, missing)?);
        }
        let pending = waiting(log, policy.as_ref(), &request, &record)?;
        requests.push((record.asked_at, pending));
    }
    requests.sort_by_key(|(asked_at, _)| std::cmp::Reverse(*asked_at));
    requests.truncate(SHOWN_MAX);
    Ok(answer.map(|answer| v1::GetSubjectResponse {
        requests: requests.into_iter().map(|(_, request)| request).collect(),
        ..answer
    }))
}

/// One subject of a listed request, with the approvals that there are.
fn subject_of<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policy: Option<&(ActivePolicy, Policy)>,
    record: &PendingRecord,
    missing: &MissingApproval,
) -> Result<v1::GetSubjectResponse, ReadFault> {
    let approvals = log.approvals_of(&missing.quorum, &missing.digest)?;
    let surface = Request::parse_canonical(&record.request).map(|request| request.surface);
    let (version, digest, name) = match policy {
        Some((active, policy)) => (
            active.version.get(),
            active.digest.as_bytes().to_vec(),
            policy.name().to_string(),
        ),
        None => (0, Vec::new(), String::new()),
    };
    Ok(v1::GetSubjectResponse {
        quorum: missing.quorum.to_string(),
        subject_json: missing.subject.clone(),
        policy_version: version,
        policy_digest: digest,
        policy_name: name,
        approvals: approvals
            .iter()
            .map(|(name, record)| convert::approval(name, record, log.now()))
            .collect(),
        needed: missing.needed,
        surface: surface.map_or_else(|_| String::new(), |surface| surface.to_string()),
        ..v1::GetSubjectResponse::default()
    })
}

/// The subject that a call approves, as the policy in force has it: of the request that the call
/// brings, else of one that is listed.
fn find_subject<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
    approver: &Caller,
    call: &ApproveCall,
) -> Result<Result<Shown, Refused>, ReadFault> {
    let Some((active, policy)) = active_policy(log, policies)? else {
        return Ok(Err(Refused::never(Reason::NoActivePolicy)));
    };
    if active.digest != call.policy {
        return Ok(Err(refused_approval(Reason::PolicyMoved, Some(&active))));
    }
    let mut requests = Vec::new();
    match &call.request {
        Some(request) if request.namespace == call.namespace => requests.push(request.clone()),
        Some(_) => (),
        None => {
            for digest in log.pending_of(&call.subject)? {
                let record = log.pending(&digest)?;
                let request = record.map(|record| Request::parse_canonical(&record.request));
                requests.extend(request.and_then(Result::ok));
            }
        }
    }
    let mut found: Option<Shown> = None;
    for request in requests {
        let mut subjects = subjects(&policy, &request).into_iter();
        let subject = subjects.find(|it| it.quorum == call.quorum && it.digest == call.subject);
        let Some(subject) = subject else { continue };
        let shown = Shown {
            active,
            permitted: policy.may_approve(&call.quorum, approver, &request.caller),
            surface: request.surface,
            counts_for_ms: subject.max_age_ms,
        };
        // Of several requests with this subject, one that others asked for is enough.
        if shown.permitted.is_ok() {
            return Ok(Ok(shown));
        }
        found.get_or_insert(shown);
    }
    Ok(found.ok_or_else(|| Refused::never(Reason::UnknownSubject)))
}
