//! `Approvals`: what waits for approval, and who approves it.

use std::sync::Arc;

use holdpoint_core::command::ApprovalName;
use holdpoint_core::limits::REQUEST_BYTES_MAX;
use holdpoint_proto::convert::{Malformed, digest, namespace};
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, Digest, Name, Request as Asked};
use tonic::{Request, Response, Status};

use super::{page, page_size};
use crate::admit::Lane;
use crate::gate::Gate;

/// Serves `holdpoint.v1.Approvals`.
#[derive(Clone, Debug)]
pub(crate) struct ApprovalsService {
    gate: Arc<Gate>,
}

impl ApprovalsService {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl v1::approvals_server::Approvals for ApprovalsService {
    async fn list_pending(
        &self,
        request: Request<v1::ListPendingRequest>,
    ) -> Result<Response<v1::ListPendingResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ListPendingResponse,
            |call| PendingCall::parse(&call),
            list_pending
        )
    }

    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let parse = |call: v1::GetSubjectRequest| {
            Ok((
                namespace(&call.namespace)?,
                digest("subject_digest", &call.subject_digest)?,
            ))
        };
        answer!(
            self,
            request,
            Lane::Read,
            GetSubjectResponse,
            parse,
            get_subject
        )
    }

    async fn approve(
        &self,
        request: Request<v1::ApproveRequest>,
    ) -> Result<Response<v1::ApproveResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            ApproveResponse,
            ApproveCall::parse,
            approve
        )
    }

    async fn revoke_approval(
        &self,
        request: Request<v1::RevokeApprovalRequest>,
    ) -> Result<Response<v1::RevokeApprovalResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            RevokeApprovalResponse,
            TakeBackCall::parse,
            revoke_approval
        )
    }
}

/// A page of requests that wait for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The last request seen.
    pub(crate) after: Option<Digest>,
    /// Requests of a page.
    pub(crate) page_size: usize,
}

impl PendingCall {
    fn parse(call: &v1::ListPendingRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            after: page::<32>(&call.page)?.map(Digest::from_bytes),
            page_size: page_size(call.page_size)?,
        })
    }
}

/// What is approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApproveCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The quorum.
    pub(crate) quorum: Name,
    /// The digest that was shown.
    pub(crate) subject: Digest,
    /// The policy that was shown.
    pub(crate) policy: Digest,
    /// The request that it is about, where none is listed.
    pub(crate) request: Option<Asked>,
}

impl ApproveCall {
    fn parse(call: v1::ApproveRequest) -> Result<Self, Malformed> {
        let unfit = |problem: String| Malformed::new("request_canonical", problem);
        let bytes = &call.request_canonical;
        if bytes.len() > REQUEST_BYTES_MAX {
            let count = bytes.len();
            return Err(unfit(format!(
                "has {count} bytes, at most {REQUEST_BYTES_MAX} are accepted"
            )));
        }
        let request = (!bytes.is_empty()).then(|| Asked::parse_canonical(bytes));
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            quorum: quorum(call.quorum)?,
            subject: digest("subject_digest", &call.subject_digest)?,
            policy: digest("policy_digest", &call.policy_digest)?,
            request: request
                .transpose()
                .map_err(|error| unfit(error.to_string()))?,
        })
    }
}

/// An approval to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TakeBackCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The quorum.
    pub(crate) quorum: Name,
    /// What was approved.
    pub(crate) subject: Digest,
    /// Whose approval; none for the caller's own.
    pub(crate) approver: Option<Caller>,
}

impl TakeBackCall {
    fn parse(call: v1::RevokeApprovalRequest) -> Result<Self, Malformed> {
        let approver = (!call.approver.is_empty()).then(|| Caller::new(call.approver));
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            quorum: quorum(call.quorum)?,
            subject: digest("subject_digest", &call.subject_digest)?,
            approver: approver
                .transpose()
                .map_err(|error| Malformed::new("approver", error))?,
        })
    }

    /// The approval, as `caller` names it.
    pub(crate) fn name(&self, caller: &Caller) -> ApprovalName {
        ApprovalName {
            quorum: self.quorum.clone(),
            subject: self.subject,
            approver: self.approver.clone().unwrap_or_else(|| caller.clone()),
        }
    }
}

fn quorum(text: String) -> Result<Name, Malformed> {
    Name::new(text).map_err(|error| Malformed::new("quorum", error))
}
