//! The later steps of a permit, and sessions.

use std::pin::Pin;

use holdpoint_core::Outcome;
use holdpoint_core::command::{
    CloseSession, Command, Complete, CompletionResult, Redeem, Release, Revoke,
};
use holdpoint_core::outcome::{ChangeOutcome, PermitView, Statement, StepOutcome};
use holdpoint_proto::convert::{self, CompleteCall, Completed, Named, RedeemCall, ReleaseCall};
use holdpoint_proto::v1;
use holdpoint_receipt::{Name, SessionId};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{Service, invalid, unfit, unserved};
use crate::testkit::refused::Refused;
use crate::testkit::script::Call;
use crate::testkit::world::{World, unexpected};

/// A step that was taken, or refused with what is recorded of it.
struct Step {
    permit: Option<v1::Permit>,
    receipt: Option<v1::Receipt>,
    replay: bool,
    leaf: Option<u64>,
    refused: Option<Refused>,
}

macro_rules! settled {
    ($answer:ident, $step:expr) => {{
        let step = $step;
        let refusal = step.refused.map(Refused::into_refusal);
        v1::$answer {
            permit: step.permit,
            receipt: step.receipt,
            replay: step.replay,
            refusal,
        }
    }};
}

impl World {
    /// Takes a step of a permit, and proves what is recorded of it.
    fn step(&mut self, namespace: &Name, command: Command) -> Result<Step, Refused> {
        self.require(namespace)?;
        let outcome = match self.propose(command)? {
            Outcome::Redeemed(outcome)
            | Outcome::Completed(outcome)
            | Outcome::Revoked(outcome)
            | Outcome::Released(outcome) => *outcome,
            other => return Err(unexpected(&other)),
        };
        match outcome {
            StepOutcome::Done {
                permit,
                statement,
                replay,
            } => Ok(Step {
                permit: Some(convert::permit(&permit)),
                receipt: Some(self.receipt(&statement)?),
                replay,
                leaf: Some(statement.leaf),
                refused: None,
            }),
            StepOutcome::Refused {
                reason,
                permit,
                conflict,
            } => {
                let receipt = conflict.map(|conflict| self.receipt(&conflict));
                let refused = Refused::never(reason);
                let refused = match &permit {
                    Some(permit) => refused.saying(stands(reason.sentence(), permit)),
                    None => refused,
                };
                Ok(Step {
                    permit: permit.as_ref().map(convert::permit),
                    receipt: receipt.transpose()?,
                    replay: false,
                    leaf: None,
                    refused: Some(refused),
                })
            }
        }
    }
}

/// Why a step was refused, and where the permit stands.
fn stands(sentence: &str, permit: &PermitView) -> String {
    let (state, fence) = (permit.state.as_str(), permit.fence());
    format!("{sentence} The permit is {state} (fence {fence}).")
}

#[tonic::async_trait]
impl v1::gate_server::Gate for Service {
    type AuthorizeStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::AuthorizeStreamResponse, Status>> + Send>>;

    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        self.attempt(request).await
    }

    /// Each call of a testbed has a connection of its own, so none is shared.
    async fn authorize_stream(
        &self,
        _request: Request<Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        Err(unserved())
    }

    async fn redeem(
        &self,
        request: Request<v1::RedeemRequest>,
    ) -> Result<Response<v1::RedeemResponse>, Status> {
        let redeem = |world: &mut World, principal, message| {
            let call = RedeemCall::try_from(message).map_err(|error| invalid(&error))?;
            let salt = world.salt();
            let namespace = call.named.namespace.clone();
            let command = Command::Redeem(Redeem {
                namespace: call.named.namespace,
                permit: call.named.permit,
                principal,
                fence: call.fence,
                request_digest: call.request_digest,
                redemption_id: call.redemption_id,
                salt,
            });
            let answer = world.step(&namespace, command).and_then(|step| {
                // What was not redeemed shows no permit: nobody may act on it.
                if let Some(refused) = step.refused {
                    return Err(refused);
                }
                let salt = match step.leaf.filter(|_| step.replay) {
                    Some(leaf) => world.log()?.disclosure(leaf)?.map(|it| it.salt),
                    None => Some(salt),
                };
                Ok(v1::RedeemResponse {
                    permit: step.permit,
                    receipt: step.receipt,
                    replay: step.replay,
                    refusal: None,
                    redemption_salt: salt.map_or_else(Vec::new, |salt| salt.as_bytes().to_vec()),
                })
            });
            Ok(answer)
        };
        self.bed.serve(Some(Call::Redeem), request, redeem).await
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        let complete = |world: &mut World, principal, message| {
            let call = CompleteCall::try_from(message).map_err(|error| invalid(&error))?;
            let namespace = call.named.namespace.clone();
            let command = Command::Complete(Complete {
                namespace: call.named.namespace,
                permit: call.named.permit,
                principal,
                operator: true,
                result: match call.completed {
                    Completed::Committed { evidence } => CompletionResult::Committed { evidence },
                    Completed::Aborted => CompletionResult::Aborted,
                },
                reason: call.reason,
                salt: world.salt(),
            });
            let step = world.step(&namespace, command);
            Ok(step.map(|step| settled!(CompleteResponse, step)))
        };
        self.bed
            .serve(Some(Call::Complete), request, complete)
            .await
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let revoke = |world: &mut World, principal, message: v1::RevokeRequest| {
            let named = Named::parse(&message.namespace, &message.permit_id);
            let named = named.map_err(|error| invalid(&error))?;
            let command = Command::Revoke(Revoke {
                namespace: named.namespace.clone(),
                permit: named.permit,
                principal,
                operator: true,
                salt: world.salt(),
            });
            let step = world.step(&named.namespace, command);
            Ok(step.map(|step| settled!(RevokeResponse, step)))
        };
        self.bed.serve(Some(Call::Revoke), request, revoke).await
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let release = |world: &mut World, principal, message| {
            let call = ReleaseCall::try_from(message).map_err(|error| invalid(&error))?;
            let namespace = call.named.namespace.clone();
            let command = Command::Release(Release {
                namespace: call.named.namespace,
                permit: call.named.permit,
                principal,
                operator: true,
                reason: call.reason,
                salt: world.salt(),
            });
            let step = world.step(&namespace, command);
            Ok(step.map(|step| settled!(ReleaseResponse, step)))
        };
        self.bed.serve(None, request, release).await
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let close = |world: &mut World, principal, message: v1::CloseSessionRequest| {
            let namespace =
                convert::namespace(&message.namespace).map_err(|error| invalid(&error))?;
            let session =
                SessionId::new(message.session).map_err(|error| unfit("session", error))?;
            let command = Command::CloseSession(CloseSession {
                namespace: namespace.clone(),
                session,
                principal,
                operator: true,
                salt: world.salt(),
            });
            let answer = world.changed(&namespace, command).and_then(|closed| {
                let (statement, replay) = closed;
                let salt = match &statement {
                    Some(statement) => world.log()?.disclosure(statement.leaf)?,
                    None => None,
                };
                let receipt = statement.map(|statement| world.receipt(&statement));
                Ok(v1::CloseSessionResponse {
                    receipt: receipt.transpose()?,
                    replay,
                    refusal: None,
                    salt: salt.map_or_else(Vec::new, |it| it.salt.as_bytes().to_vec()),
                })
            });
            Ok(answer)
        };
        self.bed.serve(None, request, close).await
    }

    async fn list_permits(
        &self,
        request: Request<v1::ListPermitsRequest>,
    ) -> Result<Response<v1::ListPermitsResponse>, Status> {
        self.permits(request).await
    }

    async fn get_permit(
        &self,
        request: Request<v1::GetPermitRequest>,
    ) -> Result<Response<v1::GetPermitResponse>, Status> {
        self.permit(request).await
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        self.operation(request).await
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        self.receipt(request).await
    }
}

impl World {
    /// Changes a setting, and proves it where it has a statement.
    pub(super) fn change(
        &mut self,
        namespace: &Name,
        command: Command,
    ) -> Result<(Option<v1::Receipt>, bool), Refused> {
        let (statement, replay) = self.changed(namespace, command)?;
        let receipt = statement.map(|statement| self.receipt(&statement));
        Ok((receipt.transpose()?, replay))
    }

    /// The same without the proof.
    fn changed(
        &mut self,
        namespace: &Name,
        command: Command,
    ) -> Result<(Option<Statement>, bool), Refused> {
        self.require(namespace)?;
        match self.propose(command)? {
            Outcome::Changed(ChangeOutcome::Done { statement, replay }) => Ok((statement, replay)),
            Outcome::Changed(ChangeOutcome::Refused { reason }) => Err(Refused::never(reason)),
            other => Err(unexpected(&other)),
        }
    }
}
