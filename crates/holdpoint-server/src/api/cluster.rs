//! `Cluster` and `Keys`: where the nodes stand, and the published keys.

use std::sync::Arc;

use holdpoint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller::authenticate;
use super::{invalid, wait};
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
        authenticate(&request)?;
        let status = self.gate.status().await;
        status
            .map(Response::new)
            .map_err(|fault| Status::internal(fault.to_string()))
    }
}

/// Serves `holdpoint.v1.Keys`.
#[derive(Clone, Debug)]
pub(crate) struct KeysService {
    gate: Arc<Gate>,
}

impl KeysService {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl v1::keys_server::Keys for KeysService {
    async fn export(
        &self,
        request: Request<v1::ExportKeysRequest>,
    ) -> Result<Response<v1::ExportKeysResponse>, Status> {
        authenticate(&request)?;
        let wait = wait(request.into_inner().deadline_ms).map_err(|error| invalid(&error))?;
        let answer = match self.gate.admit(Lane::Read, wait) {
            Ok(admitted) => self.gate.export_keys(&admitted).await,
            Err(refused) => Err(refused),
        };
        Ok(Response::new(answer.unwrap_or_else(|refused| {
            v1::ExportKeysResponse {
                refusal: Some(refused.into_refusal()),
                ..v1::ExportKeysResponse::default()
            }
        })))
    }
}
