//! Approvals: what waits for them, what exactly is approved, and who approves it.

use holdpoint_core::Outcome;
use holdpoint_core::command::{ApprovalName, Approve, Command, MissingApproval, RevokeApproval};
use holdpoint_core::limits::APPROVAL_FOR_MS_MAX;
use holdpoint_core::outcome::ApprovalOutcome;
use holdpoint_core::record::PendingRecord;
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{Caller, Digest, Name, Reason, Request as Asked};
use tonic::{Request, Response, Status};

use super::{Service, invalid, unfit};
use crate::testkit::deciding::standing;
use crate::testkit::refused::{Refused, fault};
use crate::testkit::script::Call;
use crate::testkit::world::{World, unexpected};

/// Requests of a list at most. A testbed has one page.
const LISTED_MAX: usize = 1_000;

/// A quorum and what it would approve, as a call names them.
struct Named {
    namespace: Name,
    quorum: Name,
    subject: Digest,
}

impl Named {
    fn parse(namespace: &str, quorum: String, subject: &[u8]) -> Result<Self, Status> {
        Ok(Self {
            namespace: convert::namespace(namespace).map_err(|error| invalid(&error))?,
            quorum: Name::new(quorum).map_err(|error| unfit("quorum", error))?,
            subject: convert::digest("subject_digest", subject).map_err(|error| invalid(&error))?,
        })
    }
}

#[tonic::async_trait]
impl v1::approvals_server::Approvals for Service {
    async fn list_pending(
        &self,
        request: Request<v1::ListPendingRequest>,
    ) -> Result<Response<v1::ListPendingResponse>, Status> {
        let list = |world: &mut World, _, _| Ok(pending(world));
        self.bed.serve(None, request, list).await
    }

    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let show = |world: &mut World, _, message: v1::GetSubjectRequest| {
            let digest = convert::digest("subject_digest", &message.subject_digest);
            Ok(shown(world, &digest.map_err(|error| invalid(&error))?))
        };
        self.bed.serve(None, request, show).await
    }

    async fn approve(
        &self,
        request: Request<v1::ApproveRequest>,
    ) -> Result<Response<v1::ApproveResponse>, Status> {
        let approve = |world: &mut World, approver, message: v1::ApproveRequest| {
            let subject = &message.subject_digest;
            let named = Named::parse(&message.namespace, message.quorum, subject)?;
            let policy = convert::digest("policy_digest", &message.policy_digest);
            let policy = policy.map_err(|error| invalid(&error))?;
            let given = approval(world, named, approver, policy);
            Ok(
                given.map(|(approval, receipt, replay)| v1::ApproveResponse {
                    approval,
                    receipt,
                    replay,
                    refusal: None,
                }),
            )
        };
        self.bed.serve(Some(Call::Approve), request, approve).await
    }

    async fn revoke_approval(
        &self,
        request: Request<v1::RevokeApprovalRequest>,
    ) -> Result<Response<v1::RevokeApprovalResponse>, Status> {
        let revoke = |world: &mut World, caller: Caller, message: v1::RevokeApprovalRequest| {
            let subject = &message.subject_digest;
            let named = Named::parse(&message.namespace, message.quorum, subject)?;
            let approver = match message.approver.as_str() {
                "" => caller.clone(),
                other => Caller::new(other).map_err(|error| unfit("approver", error))?,
            };
            let command = Command::RevokeApproval(RevokeApproval {
                namespace: named.namespace,
                name: ApprovalName {
                    quorum: named.quorum,
                    subject: named.subject,
                    approver,
                },
                principal: caller,
                operator: true,
                salt: world.salt(),
            });
            let taken = changed(world, command);
            Ok(
                taken.map(|(approval, receipt, replay)| v1::RevokeApprovalResponse {
                    approval,
                    receipt,
                    replay,
                    refusal: None,
                }),
            )
        };
        self.bed.serve(None, request, revoke).await
    }
}

/// An approval with its proof, and whether it was so before.
type Proved = (Option<v1::Approval>, Option<v1::Receipt>, bool);

/// Approves a subject of a listed request, if the quorum counts the approver.
fn approval(
    world: &mut World,
    named: Named,
    approver: Caller,
    shown: Digest,
) -> Result<Proved, Refused> {
    world.require(&named.namespace)?;
    let (active, policy) = world
        .active()?
        .ok_or_else(|| Refused::never(Reason::NoActivePolicy))?;
    if active.digest != shown {
        return Err(Refused::never(Reason::PolicyMoved));
    }
    let mut found = Err(Refused::never(Reason::UnknownSubject));
    for (request, subject) in listed_subjects(world, &named, &policy)? {
        match policy.may_approve(&named.quorum, &approver, &request.caller) {
            Ok(()) => {
                found = Ok((request.surface, subject.max_age_ms));
                break;
            }
            Err(not) => found = Err(Refused::never(Reason::NotApprover).saying(not.to_string())),
        }
    }
    let (surface, counts_for_ms) = found?;
    let command = Command::Approve(Approve {
        namespace: named.namespace,
        name: ApprovalName {
            quorum: named.quorum,
            subject: named.subject,
            approver,
        },
        surface,
        policy: active,
        counts_for_ms: counts_for_ms.min(APPROVAL_FOR_MS_MAX),
        salt: world.salt(),
    });
    changed(world, command)
}

/// The listed requests that have this subject, as the policy in force sees them.
fn listed_subjects(
    world: &World,
    named: &Named,
    policy: &holdpoint_policy::Policy,
) -> Result<Vec<(Asked, holdpoint_policy::Subject)>, Refused> {
    let log = world.log()?;
    let mut found = Vec::new();
    for digest in log.pending_of(&named.subject)? {
        let Some(record) = log.pending(&digest)? else {
            continue;
        };
        let request = Asked::parse_canonical(&record.request).map_err(|error| fault(&error))?;
        let mut subjects = policy.subjects(&request).unwrap_or_default().into_iter();
        let subject = subjects.find(|it| it.quorum == named.quorum && it.digest == named.subject);
        found.extend(subject.map(|subject| (request, subject)));
    }
    Ok(found)
}

/// Changes an approval, and proves it.
fn changed(world: &mut World, command: Command) -> Result<Proved, Refused> {
    let outcome = match world.propose(command)? {
        Outcome::Approved(outcome) | Outcome::ApprovalRevoked(outcome) => outcome,
        other => return Err(unexpected(&other)),
    };
    match outcome {
        ApprovalOutcome::Done {
            name,
            approval,
            statement,
            replay,
        } => {
            let receipt = statement.map(|statement| world.receipt(&statement));
            let approval = convert::approval(&name, &approval, world.log()?.now());
            Ok((Some(approval), receipt.transpose()?, replay))
        }
        ApprovalOutcome::Refused { reason, .. } => Err(Refused::never(reason)),
    }
}

fn pending(world: &World) -> Result<v1::ListPendingResponse, Refused> {
    let log = world.log()?;
    let rows = log.pendings(None, LISTED_MAX)?;
    let mut requests = Vec::new();
    for (digest, record) in &rows {
        if log.now() < record.listed_until {
            requests.push(listed(world, digest, record)?);
        }
    }
    Ok(v1::ListPendingResponse {
        requests,
        next_page: Vec::new(),
        cluster_time_ms: log.now().get(),
        refusal: None,
    })
}

/// A listed request with how many approvals count for each of its quorums.
fn listed(
    world: &World,
    digest: &Digest,
    record: &PendingRecord,
) -> Result<v1::PendingRequest, Refused> {
    let have: Result<Vec<u32>, Refused> = record
        .missing
        .iter()
        .map(|missing| count(world, record, missing))
        .collect();
    Ok(convert::pending(digest, record, &have?))
}

fn count(world: &World, record: &PendingRecord, missing: &MissingApproval) -> Result<u32, Refused> {
    let Some((_, policy)) = world.active()? else {
        return Ok(0);
    };
    let approvals = standing(&world.log()?, &missing.quorum, &missing.digest, None)?;
    let counting = approvals.iter().filter(|(name, _)| {
        let may = policy.may_approve(&missing.quorum, &name.approver, &record.caller);
        may.is_ok()
    });
    Ok(u32::try_from(counting.count()).unwrap_or(u32::MAX))
}

/// What an approver signs off, with the requests that have it.
fn shown(world: &World, digest: &Digest) -> Result<v1::GetSubjectResponse, Refused> {
    let log = world.log()?;
    let (active, policy) = world
        .active()?
        .ok_or_else(|| Refused::never(Reason::NoActivePolicy))?;
    let mut answer: Option<v1::GetSubjectResponse> = None;
    for request in log.pending_of(digest)? {
        let Some(record) = log.pending(&request)? else {
            continue;
        };
        let Some(missing) = record.missing.iter().find(|it| it.digest == *digest) else {
            continue;
        };
        let parsed = Asked::parse_canonical(&record.request).map_err(|error| fault(&error))?;
        let approvals = log.approvals_of(&missing.quorum, digest)?;
        let answer = answer.get_or_insert_with(|| v1::GetSubjectResponse {
            quorum: missing.quorum.to_string(),
            subject_json: missing.subject.clone(),
            policy_version: active.version.get(),
            policy_digest: active.digest.as_bytes().to_vec(),
            policy_name: policy.name().to_string(),
            approvals: approvals
                .iter()
                .map(|(name, record)| convert::approval(name, record, log.now()))
                .collect(),
            needed: missing.needed,
            surface: parsed.surface.to_string(),
            ..v1::GetSubjectResponse::default()
        });
        answer.requests.push(listed(world, &request, &record)?);
    }
    answer.ok_or_else(|| Refused::never(Reason::UnknownSubject))
}
