//! `Policy`: bundles and their activations.

use std::sync::Arc;

use holdpoint_core::command::ActivationMode;
use holdpoint_core::limits::SHADOWS_MAX;
use holdpoint_proto::convert::{Malformed, digest, namespace, optional_digest};
use holdpoint_proto::v1;
use holdpoint_receipt::{Digest, Name, PolicyVersion};
use tonic::{Request, Response, Status};

use super::caller::authenticate;
use super::invalid;
use crate::admit::Lane;
use crate::gate::Gate;

/// Serves `holdpoint.v1.Policy`.
#[derive(Clone, Debug)]
pub(crate) struct PolicyService {
    gate: Arc<Gate>,
}

impl PolicyService {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

/// A bundle to store.
#[derive(Debug)]
pub(crate) struct PutCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// Its files, as they came.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

/// A bundle to put in force.
#[derive(Debug)]
pub(crate) struct ActivateCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The bundle.
    pub(crate) digest: Digest,
    /// The version that must be in force.
    pub(crate) expected: PolicyVersion,
    /// What becomes of live permits that stand in the way.
    pub(crate) mode: ActivationMode,
}

fn mode(given: i32) -> Result<ActivationMode, Malformed> {
    match v1::ActivationMode::try_from(given) {
        Ok(v1::ActivationMode::Unspecified | v1::ActivationMode::Refuse) => {
            Ok(ActivationMode::Refuse)
        }
        Ok(v1::ActivationMode::Drain) => Ok(ActivationMode::Drain),
        Ok(v1::ActivationMode::Revoke) => Ok(ActivationMode::Revoke),
        Err(_) => Err(Malformed::new(
            "mode",
            format_args!("`{given}` is none of the modes of an activation"),
        )),
    }
}

/// The bundles to evaluate beside the active one: sorted, none twice.
fn shadows(call: &v1::SetShadowRequest) -> Result<(Name, Vec<Digest>), Malformed> {
    let digests = call.digests.iter().map(|bytes| digest("digests", bytes));
    let mut digests = digests.collect::<Result<Vec<_>, _>>()?;
    digests.sort();
    digests.dedup();
    if digests.len() > SHADOWS_MAX {
        return Err(Malformed::new(
            "digests",
            format_args!("has {}, at most {SHADOWS_MAX} are evaluated", digests.len()),
        ));
    }
    Ok((namespace(&call.namespace)?, digests))
}

#[tonic::async_trait]
impl v1::policy_server::Policy for PolicyService {
    async fn put(
        &self,
        request: Request<v1::PutPolicyRequest>,
    ) -> Result<Response<v1::PutPolicyResponse>, Status> {
        let parse = |call: v1::PutPolicyRequest| {
            let files = call
                .files
                .into_iter()
                .map(|file| (file.path, file.content))
                .collect();
            Ok(PutCall {
                namespace: namespace(&call.namespace)?,
                files,
            })
        };
        answer!(
            self,
            request,
            Lane::Read,
            PutPolicyResponse,
            parse,
            put_policy
        )
    }

    async fn activate(
        &self,
        request: Request<v1::ActivatePolicyRequest>,
    ) -> Result<Response<v1::ActivatePolicyResponse>, Status> {
        let parse = |call: v1::ActivatePolicyRequest| {
            Ok(ActivateCall {
                namespace: namespace(&call.namespace)?,
                digest: digest("digest", &call.digest)?,
                mode: mode(call.mode)?,
                expected: PolicyVersion::new(call.expected_version)
                    .map_err(|error| Malformed::new("expected_version", error))?,
            })
        };
        answer!(
            self,
            request,
            Lane::Read,
            ActivatePolicyResponse,
            parse,
            activate_policy
        )
    }

    async fn list(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        let parse = |call: v1::ListPoliciesRequest| namespace(&call.namespace);
        answer!(
            self,
            request,
            Lane::Read,
            ListPoliciesResponse,
            parse,
            list_policies
        )
    }

    async fn get(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        let parse = |call: v1::GetPolicyRequest| {
            Ok((
                namespace(&call.namespace)?,
                optional_digest("digest", &call.digest)?,
            ))
        };
        answer!(
            self,
            request,
            Lane::Read,
            GetPolicyResponse,
            parse,
            get_policy
        )
    }

    async fn cancel_drain(
        &self,
        request: Request<v1::CancelDrainRequest>,
    ) -> Result<Response<v1::CancelDrainResponse>, Status> {
        let parse = |call: v1::CancelDrainRequest| namespace(&call.namespace);
        answer!(
            self,
            request,
            Lane::Read,
            CancelDrainResponse,
            parse,
            cancel_drain
        )
    }

    async fn set_shadow(
        &self,
        request: Request<v1::SetShadowRequest>,
    ) -> Result<Response<v1::SetShadowResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            SetShadowResponse,
            |call| shadows(&call),
            set_shadow
        )
    }

    /// Names no deadline: what it reads is in memory.
    async fn get_shadow(
        &self,
        request: Request<v1::GetShadowRequest>,
    ) -> Result<Response<v1::GetShadowResponse>, Status> {
        let (caller, _call) = authenticate(&request)?;
        let namespace = namespace(&request.into_inner().namespace);
        let namespace = namespace.map_err(|error| invalid(&error))?;
        let answer = self.gate.get_shadow(caller, namespace).await;
        Ok(Response::new(answer.unwrap_or_else(|refused| {
            v1::GetShadowResponse {
                refusal: Some(refused.into_refusal()),
                ..v1::GetShadowResponse::default()
            }
        })))
    }

    async fn delete(
        &self,
        request: Request<v1::DeletePolicyRequest>,
    ) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        let parse = |call: v1::DeletePolicyRequest| {
            Ok((namespace(&call.namespace)?, digest("digest", &call.digest)?))
        };
        answer!(
            self,
            request,
            Lane::Read,
            DeletePolicyResponse,
            parse,
            delete_policy
        )
    }
}
