//! `Policy`: bundles and their activations.

use std::sync::Arc;

use holdpoint_proto::convert::{Malformed, digest, namespace, optional_digest};
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, Digest, Name, PolicyVersion};
use tonic::{Request, Response, Status};

use super::caller::authenticate;
use super::{invalid, wait};
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
    /// Who stores it.
    pub(crate) caller: Caller,
    /// Its files, as they came.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

/// A bundle to put in force.
#[derive(Debug)]
pub(crate) struct ActivateCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// Who puts it in force.
    pub(crate) caller: Caller,
    /// The bundle.
    pub(crate) digest: Digest,
    /// The version that must be in force.
    pub(crate) expected: PolicyVersion,
}

/// Parses, admits and does a call that may be refused.
macro_rules! answer {
    ($self:ident, $request:ident, $response:ident, $parse:expr, $act:ident) => {{
        let caller = authenticate(&$request)?;
        let call = $request.into_inner();
        let wait = wait(call.deadline_ms).map_err(|error| invalid(&error))?;
        let parsed = ($parse)(call, caller).map_err(|error: Malformed| invalid(&error))?;
        let answer = match $self.gate.admit(Lane::Read, wait) {
            Ok(admitted) => $self.gate.$act(parsed, &admitted).await,
            Err(refused) => Err(refused),
        };
        Ok(Response::new(answer.unwrap_or_else(|refused| {
            v1::$response {
                refusal: Some(refused.into_refusal()),
                ..v1::$response::default()
            }
        })))
    }};
}

#[tonic::async_trait]
impl v1::policy_server::Policy for PolicyService {
    async fn put(
        &self,
        request: Request<v1::PutPolicyRequest>,
    ) -> Result<Response<v1::PutPolicyResponse>, Status> {
        let parse = |call: v1::PutPolicyRequest, caller| {
            let files = call
                .files
                .into_iter()
                .map(|file| (file.path, file.content))
                .collect();
            Ok(PutCall {
                namespace: namespace(&call.namespace)?,
                caller,
                files,
            })
        };
        answer!(self, request, PutPolicyResponse, parse, put_policy)
    }

    async fn activate(
        &self,
        request: Request<v1::ActivatePolicyRequest>,
    ) -> Result<Response<v1::ActivatePolicyResponse>, Status> {
        let parse = |call: v1::ActivatePolicyRequest, caller| {
            Ok(ActivateCall {
                namespace: namespace(&call.namespace)?,
                caller,
                digest: digest("digest", &call.digest)?,
                expected: PolicyVersion::new(call.expected_version)
                    .map_err(|error| Malformed::new("expected_version", error))?,
            })
        };
        answer!(
            self,
            request,
            ActivatePolicyResponse,
            parse,
            activate_policy
        )
    }

    async fn list(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        let parse = |call: v1::ListPoliciesRequest, _| namespace(&call.namespace);
        answer!(self, request, ListPoliciesResponse, parse, list_policies)
    }

    async fn get(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        let parse = |call: v1::GetPolicyRequest, _| {
            Ok((
                namespace(&call.namespace)?,
                optional_digest("digest", &call.digest)?,
            ))
        };
        answer!(self, request, GetPolicyResponse, parse, get_policy)
    }
}
