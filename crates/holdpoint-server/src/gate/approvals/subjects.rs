//! What has to be approved, as the policy in force has it, and the requests that wait for it.

use holdpoint_core::View;
use holdpoint_core::command::MissingApproval;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{ActivePolicy, PendingRecord};
use holdpoint_policy::{NotApprover, Policy, Subject};
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{Caller, ClusterTime, Digest, Name, Reason, Request};
use holdpoint_storage::StoreError;

use super::refused_approval;
use crate::api::{ApproveCall, PAGE_BYTES_MAX};
use crate::evaluate::{EvaluateError, ReadFault, standing_approvals};
use crate::policies::Policies;
use crate::refused::Refused;

/// Requests that one subject shows, the newest.
const SHOWN_MAX: usize = 64;

/// A subject as the policy in force has it, and the request that it belongs to.
pub(super) struct Shown {
    pub(super) active: ActivePolicy,
    pub(super) surface: Name,
    pub(super) counts_for_ms: u64,
    pub(super) permitted: Result<(), NotApprover>,
}

/// About as many bytes as a listed request takes in a message.
pub(super) fn bytes_of(record: &PendingRecord) -> usize {
    let missing = record.missing.iter().map(|missing| missing.subject.len());
    record.request.len().saturating_add(missing.sum())
}

/// The policy in force; none if there is none or it does not load here.
pub(super) fn active_policy<V: View<Error = StoreError>>(
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
pub(super) fn waiting<V: View<Error = StoreError>>(
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

pub(super) fn shown_subject<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
    digest: &Digest,
) -> Result<Option<v1::GetSubjectResponse>, ReadFault> {
    let policy = active_policy(log, policies)?;
    let mut answer: Option<v1::GetSubjectResponse> = None;
    let mut requests: Vec<(ClusterTime, usize, v1::PendingRequest)> = Vec::new();
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
        requests.push((record.asked_at, bytes_of(&record), pending));
    }
    requests.sort_by_key(|(asked_at, _, _)| std::cmp::Reverse(*asked_at));
    requests.truncate(SHOWN_MAX);
    let mut bytes = 0_usize;
    requests.retain(|(_, more, _)| {
        let fits = bytes < PAGE_BYTES_MAX;
        bytes = bytes.saturating_add(*more);
        fits
    });
    Ok(answer.map(|answer| v1::GetSubjectResponse {
        requests: requests
            .into_iter()
            .map(|(_, _, request)| request)
            .collect(),
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
pub(super) fn find_subject<V: View<Error = StoreError>>(
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
