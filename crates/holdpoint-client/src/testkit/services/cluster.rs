//! What operators change, and the keys.

use holdpoint_core::command::{Command, Freeze};
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::Name;
use tonic::{Request, Response, Status};

use super::{Service, invalid, unfit, unserved};
use crate::testkit::world::World;

#[tonic::async_trait]
impl v1::cluster_server::Cluster for Service {
    async fn freeze(
        &self,
        request: Request<v1::FreezeRequest>,
    ) -> Result<Response<v1::FreezeResponse>, Status> {
        let freeze = |world: &mut World, principal, message: v1::FreezeRequest| {
            let namespace =
                convert::namespace(&message.namespace).map_err(|error| invalid(&error))?;
            let surface = match message.surface.as_str() {
                "" => None,
                text => Some(Name::new(text).map_err(|error| unfit("surface", error))?),
            };
            let command = Command::Freeze(Freeze {
                namespace: namespace.clone(),
                surface,
                frozen: message.frozen,
                principal,
                salt: world.salt(),
            });
            let changed = world.change(&namespace, command);
            Ok(changed.map(|(receipt, replay)| v1::FreezeResponse {
                receipt,
                replay,
                refusal: None,
            }))
        };
        self.bed.serve(None, request, freeze).await
    }

    async fn change_members(
        &self,
        _request: Request<v1::ChangeMembersRequest>,
    ) -> Result<Response<v1::ChangeMembersResponse>, Status> {
        Err(unserved())
    }

    async fn set_retention(
        &self,
        _request: Request<v1::SetRetentionRequest>,
    ) -> Result<Response<v1::SetRetentionResponse>, Status> {
        Err(unserved())
    }

    async fn get_retention(
        &self,
        _request: Request<v1::GetRetentionRequest>,
    ) -> Result<Response<v1::GetRetentionResponse>, Status> {
        Err(unserved())
    }

    async fn status(
        &self,
        _request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Err(unserved())
    }
}

#[tonic::async_trait]
impl v1::keys_server::Keys for Service {
    async fn export(
        &self,
        request: Request<v1::ExportKeysRequest>,
    ) -> Result<Response<v1::ExportKeysResponse>, Status> {
        let export = |world: &mut World, _, _| {
            Ok(Ok(v1::ExportKeysResponse {
                keys_json: world.keys().to_file().into_bytes(),
                links: Vec::new(),
                refusal: None,
            }))
        };
        self.bed.serve(None, request, export).await
    }

    async fn list(
        &self,
        _request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        Err(unserved())
    }

    async fn rotate(
        &self,
        _request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(unserved())
    }

    async fn retire(
        &self,
        _request: Request<v1::RetireKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(unserved())
    }

    async fn revoke(
        &self,
        _request: Request<v1::RevokeKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(unserved())
    }

    async fn require(
        &self,
        _request: Request<v1::RequireSignersRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(unserved())
    }
}
