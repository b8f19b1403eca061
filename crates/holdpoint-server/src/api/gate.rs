//! `Gate`: decisions, permits, receipts.

use std::sync::Arc;

use holdpoint_proto::convert::{
    CompleteCall, Draft, Malformed, Named, RedeemCall, ReleaseCall, namespace,
};
use holdpoint_proto::v1::{self, get_receipt_request::Subject};
use holdpoint_receipt::{Caller, ClusterTime, IdempotencyKey};
use tonic::{Request, Response, Status};

use super::authorize_stream::{self, Answers};
use super::caller::authenticate;
use super::gate_calls::{OperationCall, PermitsCall, SessionCall};
use super::{invalid, wait};
use crate::admit::{Admitted, Lane};
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
    let time = |field, at| match at {
        0 => Ok(None),
        at => ClusterTime::new(at)
            .map(Some)
            .map_err(|error| Malformed::new(field, error)),
    };
    let not_after = time("not_after_ms", call.not_after_ms)?;
    let wait_until = time("wait_until_ms", call.wait_until_ms)?;
    match (wait_until, not_after) {
        (Some(_), None) => {
            let problem = "an attempt that waits is repeated, so it names its end: give it";
            return Err(Malformed::new("not_after_ms", problem));
        }
        (Some(wait_until), Some(not_after)) if wait_until > not_after => {
            return Err(Malformed::new(
                "wait_until_ms",
                format_args!(
                    "`{}` is after the end of the attempt; give at most `{}`",
                    wait_until.get(),
                    not_after.get()
                ),
            ));
        }
        (Some(_) | None, _) => (),
    }
    Ok(Asked {
        caller: caller.clone(),
        draft: Draft::parse(operation, caller)?,
        idempotency_key: IdempotencyKey::new(call.idempotency_key)
            .map_err(|error| Malformed::new("idempotency_key", error))?,
        not_after,
        wait_until,
    })
}

/// A place for one attempt, or the answer of a gate that has none: before anything of it is read, so
/// that it costs next to nothing.
pub(super) fn admit(
    gate: &Gate,
    call: &v1::AuthorizeRequest,
) -> Result<Result<Admitted, v1::AuthorizeResponse>, Malformed> {
    let wait = wait(call.deadline_ms)?;
    let admitted = gate.admit(Lane::Ask, wait);
    Ok(admitted.map_err(Refused::into_silence))
}

/// Decides one admitted attempt, as a call of its own or from a stream.
pub(super) async fn authorize(
    gate: &Gate,
    call: v1::AuthorizeRequest,
    caller: Caller,
    mut admitted: Admitted,
) -> Result<v1::AuthorizeResponse, Malformed> {
    let asked = asked(call, caller)?;
    // Another node is told who leads before anything is held against it.
    if let Err(refused) = gate.lead_first(&mut admitted).await {
        return Ok(refused.into_silence());
    }
    gate.check_not_after(&asked)?;
    Ok(gate
        .authorize(asked, admitted)
        .await
        .unwrap_or_else(Refused::into_silence))
}

#[tonic::async_trait]
impl v1::gate_server::Gate for GateService {
    type AuthorizeStreamStream = Answers;

    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let (caller, _call) = authenticate(&request)?;
        let call = request.into_inner();
        let answer = match admit(&self.gate, &call) {
            Ok(Ok(admitted)) => authorize(&self.gate, call, caller, admitted).await,
            Ok(Err(shed)) => Ok(shed),
            Err(malformed) => Err(malformed),
        };
        answer.map(Response::new).map_err(|error| invalid(&error))
    }

    async fn authorize_stream(
        &self,
        request: Request<tonic::Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let asking = authenticate(&request)?;
        let answers = authorize_stream::serve(Arc::clone(&self.gate), asking, request.into_inner());
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

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            ReleaseResponse,
            ReleaseCall::try_from,
            release
        )
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            CloseSessionResponse,
            SessionCall::parse,
            close_session
        )
    }

    async fn list_permits(
        &self,
        request: Request<v1::ListPermitsRequest>,
    ) -> Result<Response<v1::ListPermitsResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ListPermitsResponse,
            PermitsCall::parse,
            list_permits
        )
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
