//! `Keys`: who signs the heads of the log, and changes of it.

use std::sync::Arc;

use holdpoint_proto::convert::{Malformed, namespace};
use holdpoint_proto::v1;
use holdpoint_receipt::NodeId;
use tonic::{Request, Response, Status};

use crate::admit::Lane;
use crate::gate::Gate;

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

/// A node whose keys are to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RotateCall {
    /// The node.
    pub(crate) node: NodeId,
    /// The log key that it must have.
    pub(crate) log_key: [u8; 32],
    /// The co-signing key that it must have.
    pub(crate) cosign_key: [u8; 32],
}

/// Keys to be marked as compromised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevokeCall {
    /// Whose.
    pub(crate) node: NodeId,
    /// The log key.
    pub(crate) log_key: [u8; 32],
    /// The co-signing key.
    pub(crate) cosign_key: [u8; 32],
    /// The largest head that they sign validly.
    pub(crate) valid_to: u64,
}

fn node(id: u64) -> Result<NodeId, Malformed> {
    NodeId::new(id).map_err(|error| Malformed::new("node", error))
}

fn key(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], Malformed> {
    let key = bytes.try_into();
    key.map_err(|_| Malformed::new(field, "is not 32 bytes"))
}

fn rotate(call: &v1::RotateKeysRequest) -> Result<RotateCall, Malformed> {
    Ok(RotateCall {
        node: node(call.node)?,
        log_key: key("log_key", &call.log_key)?,
        cosign_key: key("cosign_key", &call.cosign_key)?,
    })
}

fn revoke(call: &v1::RevokeKeysRequest) -> Result<RevokeCall, Malformed> {
    Ok(RevokeCall {
        node: node(call.node)?,
        log_key: key("log_key", &call.log_key)?,
        cosign_key: key("cosign_key", &call.cosign_key)?,
        valid_to: call.valid_to,
    })
}

#[tonic::async_trait]
impl v1::keys_server::Keys for KeysService {
    async fn export(
        &self,
        request: Request<v1::ExportKeysRequest>,
    ) -> Result<Response<v1::ExportKeysResponse>, Status> {
        let parse = |_| Ok(());
        answer!(
            self,
            request,
            Lane::Read,
            ExportKeysResponse,
            parse,
            export_keys
        )
    }

    async fn list(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let parse = |call: v1::ListKeysRequest| namespace(&call.namespace);
        answer!(
            self,
            request,
            Lane::Read,
            ListKeysResponse,
            parse,
            list_keys
        )
    }

    async fn rotate(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            ChangeKeysResponse,
            |call| rotate(&call),
            rotate_keys
        )
    }

    async fn retire(
        &self,
        request: Request<v1::RetireKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        let parse = |call: v1::RetireKeysRequest| node(call.node);
        answer!(
            self,
            request,
            Lane::Settle,
            ChangeKeysResponse,
            parse,
            retire_keys
        )
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            ChangeKeysResponse,
            |call| revoke(&call),
            revoke_keys
        )
    }

    async fn require(
        &self,
        request: Request<v1::RequireSignersRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        let parse =
            |call: v1::RequireSignersRequest| Ok((call.signers > 0).then_some(call.signers));
        answer!(
            self,
            request,
            Lane::Settle,
            ChangeKeysResponse,
            parse,
            require_signers
        )
    }
}
