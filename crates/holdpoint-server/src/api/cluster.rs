//! `Cluster`: where the nodes stand, and settings of the whole.

use std::sync::Arc;

use holdpoint_core::command::Retention;
use holdpoint_proto::convert::{Malformed, namespace};
use holdpoint_proto::v1;
use holdpoint_receipt::{Name, NodeId};
use tonic::{Request, Response, Status};

use super::caller::authenticate;
use crate::admit::Lane;
use crate::gate::Gate;

/// Serves `holdpoint.v1.Cluster`.
#[derive(Clone, Debug)]
pub(crate) struct ClusterService {
    gate: Arc<Gate>,
}

impl ClusterService {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl v1::cluster_server::Cluster for ClusterService {
    /// Takes no place and waits for nobody: it must answer when nothing else does.
    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let (_, _call) = authenticate(&request)?;
        let status = self.gate.status().await;
        status
            .map(Response::new)
            .map_err(|fault| Status::internal(fault.to_string()))
    }

    async fn freeze(
        &self,
        request: Request<v1::FreezeRequest>,
    ) -> Result<Response<v1::FreezeResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            FreezeResponse,
            FreezeCall::parse,
            freeze
        )
    }

    async fn change_members(
        &self,
        request: Request<v1::ChangeMembersRequest>,
    ) -> Result<Response<v1::ChangeMembersResponse>, Status> {
        let parse = |call: v1::ChangeMembersRequest| MembersCall::parse(&call);
        answer!(
            self,
            request,
            Lane::Read,
            ChangeMembersResponse,
            parse,
            change_members
        )
    }

    async fn set_retention(
        &self,
        request: Request<v1::SetRetentionRequest>,
    ) -> Result<Response<v1::SetRetentionResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            SetRetentionResponse,
            |call| retention(&call),
            set_retention
        )
    }

    async fn get_retention(
        &self,
        request: Request<v1::GetRetentionRequest>,
    ) -> Result<Response<v1::GetRetentionResponse>, Status> {
        let parse = |call: v1::GetRetentionRequest| namespace(&call.namespace);
        answer!(
            self,
            request,
            Lane::Read,
            GetRetentionResponse,
            parse,
            get_retention
        )
    }
}

/// Grants to stop, or to let go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FreezeCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The surface; none for all.
    pub(crate) surface: Option<Name>,
    /// Whether it is to be frozen.
    pub(crate) frozen: bool,
}

impl FreezeCall {
    fn parse(call: v1::FreezeRequest) -> Result<Self, Malformed> {
        let surface = (!call.surface.is_empty()).then(|| Name::new(call.surface));
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            surface: surface
                .transpose()
                .map_err(|error| Malformed::new("surface", error))?,
            frozen: call.frozen,
        })
    }
}

/// What is to become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberChange {
    /// It gets the log, without a vote.
    Add,
    /// It gets a vote.
    Promote,
    /// It is out, for ever.
    Remove,
}

/// A change of the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MembersCall {
    /// What is to happen.
    pub(crate) change: MemberChange,
    /// To which node.
    pub(crate) node: NodeId,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
}

impl MembersCall {
    fn parse(call: &v1::ChangeMembersRequest) -> Result<Self, Malformed> {
        let change = match call.change() {
            v1::MemberChange::Add => MemberChange::Add,
            v1::MemberChange::Promote => MemberChange::Promote,
            v1::MemberChange::Remove => MemberChange::Remove,
            v1::MemberChange::Unspecified => {
                return Err(Malformed::new("change", "is missing or not known"));
            }
        };
        Ok(Self {
            change,
            node: NodeId::new(call.node).map_err(|error| Malformed::new("node", error))?,
            dry_run: call.dry_run,
        })
    }
}

fn retention(call: &v1::SetRetentionRequest) -> Result<(Name, Retention), Malformed> {
    let times = call
        .retention
        .ok_or_else(|| Malformed::new("retention", "is missing"))?;
    let retention = Retention {
        permits_ms: times.permits_ms,
        disclosures_ms: times.disclosures_ms,
        statements_ms: times.statements_ms,
        sessions_ms: times.sessions_ms,
    };
    Ok((namespace(&call.namespace)?, retention))
}
