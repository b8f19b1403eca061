//! `Gate`: decisions, permits, receipts.

use std::sync::Arc;

use holdpoint_proto::convert::{CompleteCall, Draft, Malformed, Named, RedeemCall, namespace};
use holdpoint_proto::v1::{self, get_receipt_request::Subject};
use holdpoint_receipt::{BoundKey, Caller, ClusterTime, IdempotencyKey, Name};
use tonic::{Request, Response, Status};

use super::authorize_stream::{self, Answers};
use super::caller::authenticate;
use super::{invalid, wait};
use crate::admit::Lane;
use crate::gate::{Asked, Gate, ReceiptSubject};
use crate::refused::Refused;

/// Serves `holdpoint.v1.Gate`.
#[derive(Clone, Debug)]
pub(crate) struct GateService {
    gate: Arc<Gate>,
}

impl GateService {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

/// Reads one attempt.
fn asked(call: v1::AuthorizeRequest, caller: Caller) -> Result<Asked, Malformed> {
    let operation = call
        .operation
        .ok_or_else(|| Malformed::new("operation", "is missing"))?;
    let not_after = match call.not_after_ms {
        0 => None,
        at => Some(ClusterTime::new(at).map_err(|error| Malformed::new("not_after_ms", error))?),
    };
    Ok(Asked {
        caller: caller.clone(),
        draft: Draft::parse(operation, caller)?,
        idempotency_key: IdempotencyKey::new(call.idempotency_key)
            .map_err(|error| Malformed::new("idempotency_key", error))?,
        not_after,
    })
}

/// Decides one attempt, as a call of its own or from a stream.
pub(super) async fn authorize(
    gate: &Gate,
    call: v1::AuthorizeRequest,
    caller: Caller,
) -> Result<v1::AuthorizeResponse, Malformed> {
    let wait = wait(call.deadline_ms)?;
    let asked = asked(call, caller)?;
    let admitted = match gate.admit(Lane::Ask, wait) {
        Ok(admitted) => admitted,
        Err(refused) => return Ok(refused.into_silence()),
    };
    gate.check_not_after(&asked)?;
    Ok(gate
        .authorize(asked, &admitted)
        .await
        .unwrap_or_else(Refused::into_silence))
}

/// Runs a call about a permit: parse, admit, do, and put a refusal into the answer's own field.
macro_rules! answer {
    ($self:ident, $request:ident, $lane:expr, $response:ident, $parse:expr, $act:ident) => {{
        let caller = authenticate(&$request)?;
        let call = $request.into_inner();
        let wait = wait(call.deadline_ms).map_err(|error| invalid(&error))?;
        let parsed = ($parse)(call).map_err(|error: Malformed| invalid(&error))?;
        let answer = match $self.gate.admit($lane, wait) {
            Ok(admitted) => $self.gate.$act(caller, parsed, &admitted).await,
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
impl v1::gate_server::Gate for GateService {
    type AuthorizeStreamStream = Answers;

    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let caller = authenticate(&request)?;
        let answer = authorize(&self.gate, request.into_inner(), caller).await;
        answer.map(Response::new).map_err(|error| invalid(&error))
    }

    async fn authorize_stream(
        &self,
        request: Request<tonic::Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let caller = authenticate(&request)?;
        let answers = authorize_stream::serve(Arc::clone(&self.gate), caller, request.into_inner());
        Ok(Response::new(answers))
    }

    async fn redeem(
        &self,
        request: Request<v1::RedeemRequest>,
    ) -> Result<Response<v1::RedeemResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            RedeemResponse,
            RedeemCall::try_from,
            redeem
        )
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            CompleteResponse,
            CompleteCall::try_from,
            complete
        )
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let parse = |call: v1::RevokeRequest| Named::parse(&call.namespace, &call.permit_id);
        answer!(self, request, Lane::Settle, RevokeResponse, parse, revoke)
    }

    async fn get_permit(
        &self,
        request: Request<v1::GetPermitRequest>,
    ) -> Result<Response<v1::GetPermitResponse>, Status> {
        let parse = |call: v1::GetPermitRequest| Named::parse(&call.namespace, &call.permit_id);
        answer!(
            self,
            request,
            Lane::Read,
            GetPermitResponse,
            parse,
            get_permit
        )
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            GetOperationResponse,
            OperationCall::parse,
            get_operation
        )
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            GetReceiptResponse,
            receipt_subject,
            get_receipt
        )
    }
}

/// A bounded operation by its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperationCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The surface.
    pub(crate) surface: Name,
    /// The bound.
    pub(crate) bound: Name,
    /// The rendered key.
    pub(crate) key: BoundKey,
}

impl OperationCall {
    fn parse(call: v1::GetOperationRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            surface: Name::new(call.surface).map_err(|error| Malformed::new("surface", error))?,
            bound: Name::new(call.bound).map_err(|error| Malformed::new("bound", error))?,
            key: BoundKey::new(call.key).map_err(|error| Malformed::new("key", error))?,
        })
    }
}

fn receipt_subject(call: v1::GetReceiptRequest) -> Result<ReceiptSubject, Malformed> {
    let namespace_name = namespace(&call.namespace)?;
    match call.subject {
        Some(Subject::PermitId(permit)) => {
            Named::parse(&call.namespace, &permit).map(ReceiptSubject::Permit)
        }
        Some(Subject::LeafIndex(leaf_index)) => Ok(ReceiptSubject::Leaf {
            namespace: namespace_name,
            leaf_index,
        }),
        None => Err(Malformed::new(
            "subject",
            "name a permit or a leaf of the log",
        )),
    }
}
