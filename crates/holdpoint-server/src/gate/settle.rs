//! The later steps of a permit: redeem, complete, revoke.

use holdpoint_core::Outcome;
use holdpoint_core::command::{Command, Complete, CompletionResult, Redeem, Revoke};
use holdpoint_core::outcome::{PermitView, StepOutcome};
use holdpoint_proto::convert::{self, CompleteCall, Completed, Named, RedeemCall};
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, Name};

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::random;
use crate::refused::Refused;

/// Before roles exist, a caller on loopback has every role.
const IS_OPERATOR: bool = true;

/// A step that was taken, with its proof.
struct Step {
    permit: PermitView,
    receipt: Vec<u8>,
    replay: bool,
}

impl Gate {
    /// Turns an issued permit into a redeemed one.
    pub(crate) async fn redeem(
        &self,
        principal: Caller,
        call: RedeemCall,
        admitted: &Admitted,
    ) -> Result<v1::RedeemResponse, Refused> {
        let namespace = call.named.namespace.clone();
        let command = Command::Redeem(Redeem {
            namespace: call.named.namespace,
            permit: call.named.permit,
            principal,
            fence: call.fence,
            request_digest: call.request_digest,
            redemption_id: call.redemption_id,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let step = self.step(&namespace, command, admitted).await?;
        Ok(v1::RedeemResponse {
            permit: Some(convert::permit(&step.permit)),
            receipt: Some(v1::Receipt { file: step.receipt }),
            replay: step.replay,
            refusal: None,
        })
    }

    /// Records how the effect of a redeemed permit ended.
    pub(crate) async fn complete(
        &self,
        principal: Caller,
        call: CompleteCall,
        admitted: &Admitted,
    ) -> Result<v1::CompleteResponse, Refused> {
        let namespace = call.named.namespace.clone();
        let command = Command::Complete(Complete {
            namespace: call.named.namespace,
            permit: call.named.permit,
            principal,
            operator: IS_OPERATOR,
            result: match call.completed {
                Completed::Committed { evidence } => CompletionResult::Committed { evidence },
                Completed::Aborted => CompletionResult::Aborted,
            },
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let step = self.step(&namespace, command, admitted).await?;
        Ok(v1::CompleteResponse {
            permit: Some(convert::permit(&step.permit)),
            receipt: Some(v1::Receipt { file: step.receipt }),
            replay: step.replay,
            refusal: None,
        })
    }

    /// Takes an issued permit back.
    pub(crate) async fn revoke(
        &self,
        principal: Caller,
        named: Named,
        admitted: &Admitted,
    ) -> Result<v1::RevokeResponse, Refused> {
        let namespace = named.namespace.clone();
        let command = Command::Revoke(Revoke {
            namespace: named.namespace,
            permit: named.permit,
            principal,
            operator: IS_OPERATOR,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let step = self.step(&namespace, command, admitted).await?;
        Ok(v1::RevokeResponse {
            permit: Some(convert::permit(&step.permit)),
            receipt: Some(v1::Receipt { file: step.receipt }),
            replay: step.replay,
            refusal: None,
        })
    }

    /// Proposes a step and proves it.
    async fn step(
        &self,
        namespace: &Name,
        command: Command,
        admitted: &Admitted,
    ) -> Result<Step, Refused> {
        self.lead(admitted).await?;
        let outcome = match self.propose(command, admitted).await? {
            Outcome::Redeemed(outcome)
            | Outcome::Completed(outcome)
            | Outcome::Revoked(outcome) => *outcome,
            other => return Err(self.unexpected(&other)),
        };
        match outcome {
            StepOutcome::Done {
                permit,
                statement,
                replay,
            } => {
                let receipt = self.receipt(namespace, &statement, admitted).await?;
                Ok(Step {
                    permit,
                    receipt,
                    replay,
                })
            }
            StepOutcome::Refused {
                reason,
                permit,
                conflict: _,
            } => {
                let refused = Refused::never(reason);
                Err(match permit {
                    Some(permit) => refused.saying(format!(
                        "{} The permit is {} (fence {}).",
                        reason.sentence(),
                        permit.state.as_str(),
                        permit.fence()
                    )),
                    None => refused,
                })
            }
        }
    }
}
