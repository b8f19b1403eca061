//! The later steps of a permit: redeem, complete, revoke, release.

use holdpoint_core::Outcome;
use holdpoint_core::command::{Command, Complete, CompletionResult, Redeem, Release, Revoke};
use holdpoint_core::outcome::{PermitView, StepOutcome};
use holdpoint_proto::convert::{self, CompleteCall, Completed, Named, RedeemCall, ReleaseCall};
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, Name, PermitId, Reason, Salt};
use tokio::time::timeout_at;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// What became of a step.
#[derive(Default)]
struct Step {
    /// The permit as it stands; none if it is not known.
    permit: Option<PermitView>,
    /// The proof of the step, or of the conflict that it is.
    receipt: Option<Vec<u8>>,
    /// The step had been taken before.
    replay: bool,
    /// Where the statement of the step stands; none if it was refused.
    leaf: Option<u64>,
    /// Set if the step was refused.
    refused: Option<Refused>,
}

impl Step {
    fn wire_permit(&self) -> Option<v1::Permit> {
        self.permit.as_ref().map(convert::permit)
    }
}

fn wire_receipt(file: Option<Vec<u8>>) -> Option<v1::Receipt> {
    file.map(|file| v1::Receipt { file })
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
        self.require_proven(&namespace, call.named.permit, admitted)
            .await?;
        let salt = random::salt().map_err(|error| fault(&error))?;
        let command = Command::Redeem(Redeem {
            namespace: call.named.namespace,
            permit: call.named.permit,
            principal,
            fence: call.fence,
            request_digest: call.request_digest,
            redemption_id: call.redemption_id,
            salt,
        });
        let step = self.step(&namespace, command, admitted).await?;
        // What was not redeemed shows no permit: nobody may act on it.
        if let Some(refused) = step.refused {
            return Err(refused);
        }
        let salt = match step.leaf.filter(|_| step.replay) {
            Some(leaf) => self.salt_of(&namespace, leaf, admitted).await?,
            None => Some(salt),
        };
        Ok(v1::RedeemResponse {
            permit: step.wire_permit(),
            receipt: wire_receipt(step.receipt),
            replay: step.replay,
            refusal: None,
            redemption_salt: salt.map_or_else(Vec::new, |salt| salt.as_bytes().to_vec()),
        })
    }

    /// That enough nodes have signed the decision that granted `permit`: nothing is redeemed that only
    /// this node may have seen. A permit that this node does not know is refused later.
    async fn require_proven(
        &self,
        namespace: &Name,
        permit: PermitId,
        admitted: &Admitted,
    ) -> Result<(), Refused> {
        self.lead(admitted).await?;
        let name = namespace.clone();
        let granted = self.look(admitted, move |state| {
            let Some(namespace) = state.namespace(&name)? else {
                return Ok(None);
            };
            let permit = namespace.permit(&permit)?;
            Ok(permit.and_then(|permit| Some(permit.record.statements.first()?.leaf)))
        });
        let Some(leaf) = granted.await? else {
            return Ok(());
        };
        let cosigner = &self.parts.cosigner;
        let proven = cosigner.cover(namespace, leaf.saturating_add(1));
        match timeout_at(admitted.deadline(), proven).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.unproven(Some(&error))),
            Err(_) => Err(self.unproven(None)),
        }
    }

    /// The salt under which the statement at `leaf` was made; none once it is erased.
    pub(super) async fn salt_of(
        &self,
        namespace: &Name,
        leaf: u64,
        admitted: &Admitted,
    ) -> Result<Option<Salt>, Refused> {
        let namespace = namespace.clone();
        let read = self.look(admitted, move |state| {
            match state.namespace(&namespace)? {
                Some(namespace) => namespace.disclosure(leaf),
                None => Ok(None),
            }
        });
        // The step itself has been taken.
        let disclosed = read.await.map_err(Refused::in_doubt)?;
        Ok(disclosed.map(|disclosed| disclosed.salt))
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
            reason: call.reason,
            namespace: call.named.namespace,
            permit: call.named.permit,
            operator: roles::has(&principal, Role::Operator),
            principal,
            result: match call.completed {
                Completed::Committed { evidence } => CompletionResult::Committed { evidence },
                Completed::Aborted => CompletionResult::Aborted,
            },
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let step = self.step(&namespace, command, admitted).await?;
        Ok(v1::CompleteResponse {
            permit: step.wire_permit(),
            receipt: wire_receipt(step.receipt),
            replay: step.replay,
            refusal: step.refused.map(Refused::into_refusal),
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
            operator: roles::has(&principal, Role::Operator),
            principal,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let step = self.step(&namespace, command, admitted).await?;
        Ok(v1::RevokeResponse {
            permit: step.wire_permit(),
            receipt: wire_receipt(step.receipt),
            replay: step.replay,
            refusal: step.refused.map(Refused::into_refusal),
        })
    }

    /// Gives up the bounds of a permit in doubt.
    pub(crate) async fn release(
        &self,
        principal: Caller,
        call: ReleaseCall,
        admitted: &Admitted,
    ) -> Result<v1::ReleaseResponse, Refused> {
        roles::require(&principal, Role::Operator)?;
        let namespace = call.named.namespace.clone();
        let command = Command::Release(Release {
            namespace: call.named.namespace,
            permit: call.named.permit,
            operator: true,
            principal,
            reason: call.reason,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let step = self.step(&namespace, command, admitted).await?;
        Ok(v1::ReleaseResponse {
            permit: step.wire_permit(),
            receipt: wire_receipt(step.receipt),
            replay: step.replay,
            refusal: step.refused.map(Refused::into_refusal),
        })
    }

    /// Proposes a step and proves what is recorded of it.
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
            | Outcome::Revoked(outcome)
            | Outcome::Released(outcome) => *outcome,
            other => return Err(self.unexpected(&other)),
        };
        match outcome {
            StepOutcome::Done {
                permit,
                statement,
                replay,
            } => {
                let receipt = self.receipt(namespace, &statement, admitted).await?;
                let (permit, receipt) = (Some(permit), Some(receipt));
                Ok(Step {
                    permit,
                    receipt,
                    replay,
                    leaf: Some(statement.leaf),
                    refused: None,
                })
            }
            StepOutcome::Refused {
                reason,
                permit,
                conflict,
            } => {
                let receipt = match conflict {
                    Some(conflict) => Some(self.receipt(namespace, &conflict, admitted).await?),
                    None => None,
                };
                let refused = Some(refused_step(reason, permit.as_ref()));
                Ok(Step {
                    permit,
                    receipt,
                    replay: false,
                    leaf: None,
                    refused,
                })
            }
        }
    }
}

/// Why a step was refused, and where the permit stands.
fn refused_step(reason: Reason, permit: Option<&PermitView>) -> Refused {
    let refused = Refused::never(reason);
    match permit {
        Some(permit) => refused.saying(format!(
            "{} The permit is {} (fence {}).",
            reason.sentence(),
            permit.state.as_str(),
            permit.fence()
        )),
        None => refused,
    }
}
