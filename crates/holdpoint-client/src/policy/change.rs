//! Changes of policy that live permits stand in the way of, shadows, and deleting bundles.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::statement::DrainMode;
use holdpoint_receipt::{Caller, ClusterTime, Digest, Name, PolicyVersion};

use super::PolicyActivated;
use crate::believe::{AnswerError, Receipt, activated, standing};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::info::{caller, digest, malformed, name, time, version};
use crate::steps::refused;

/// What an activation does when live permits hold bounds that it changes or removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationMode {
    /// It is refused with `BOUNDS_IN_USE`.
    #[default]
    Refuse,
    /// Nothing is granted on those surfaces until none is left; then it takes effect.
    Drain,
    /// The same, and permits that are not redeemed are revoked.
    Revoke,
}

impl ActivationMode {
    const fn to_wire(self) -> v1::ActivationMode {
        match self {
            Self::Refuse => v1::ActivationMode::Refuse,
            Self::Drain => v1::ActivationMode::Drain,
            Self::Revoke => v1::ActivationMode::Revoke,
        }
    }

    const fn stated(self) -> DrainMode {
        match self {
            Self::Refuse | Self::Drain => DrainMode::Drain,
            Self::Revoke => DrainMode::Revoke,
        }
    }
}

/// What became of an activation.
#[derive(Clone, Debug)]
pub enum ActivationOutcome {
    /// The bundle is in force.
    InForce(PolicyActivated),
    /// It comes into force when the last permit in its way has ended.
    Draining {
        /// The surfaces on which nothing is granted until then.
        surfaces: Vec<Name>,
        /// Proof that the drain began. It was verified.
        receipt: Receipt,
    },
}

/// An activation that waits for live permits to end. Not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingActivation {
    /// The bundle.
    pub digest: Digest,
    /// What becomes of permits that are not redeemed.
    pub mode: ActivationMode,
    /// The surfaces on which nothing is granted until then.
    pub surfaces: Vec<Name>,
    /// Who put it in force.
    pub principal: Caller,
    /// Since when it waits.
    pub since: ClusterTime,
}

impl PendingActivation {
    pub(super) fn from_wire(pending: v1::PendingActivation) -> Result<Self, AnswerError> {
        let mode = match pending.mode() {
            v1::ActivationMode::Drain => ActivationMode::Drain,
            v1::ActivationMode::Revoke => ActivationMode::Revoke,
            v1::ActivationMode::Refuse | v1::ActivationMode::Unspecified => {
                return Err(malformed("mode", "is none that waits"));
            }
        };
        Ok(Self {
            digest: digest("digest", &pending.digest)?,
            mode,
            surfaces: surfaces(pending.surfaces)?,
            principal: caller("principal", pending.principal)?,
            since: time("since_ms", pending.since_ms)?,
        })
    }
}

/// How one shadow differs from what was decided, as this leader has seen it. Not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowReport {
    /// The bundle.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// Decisions that it was asked about.
    pub evaluated_count: u64,
    /// Those where it says something else.
    pub differing_count: u64,
    /// Decisions that it was not asked about, because it had more to do than it may.
    pub skipped_count: u64,
    /// The newest differences, at most 100, the newest first.
    pub differences: Vec<ShadowDifference>,
}

/// A decision that a shadow would have made otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowDifference {
    /// Where its statement stands.
    pub leaf_index: u64,
    /// The surface.
    pub surface: String,
    /// The reason of what was decided, in `UPPER_SNAKE`.
    pub decided: String,
    /// The reason of what the shadow says, in `UPPER_SNAKE`.
    pub shadow: String,
    /// One sentence for people.
    pub sentence: String,
}

impl Gate {
    /// Puts a stored bundle in force as [`Gate::activate_policy`] does, or begins to drain the permits
    /// that stand in its way.
    ///
    /// # Errors
    ///
    /// As for [`Gate::activate_policy`]; [`CallError::Refused`] with `DRAIN_PENDING` if another
    /// activation waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request.
    pub async fn activate_policy_with(
        &self,
        bundle: Digest,
        expected: PolicyVersion,
        mode: ActivationMode,
    ) -> Result<ActivationOutcome, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ActivatePolicyRequest {
                mode: mode.to_wire().into(),
                namespace: self.namespace().to_string(),
                digest: bundle.as_bytes().to_vec(),
                expected_version: expected.get(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .policy()
                .activate(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            self.read_activation(answer, bundle, mode)
                .map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    fn read_activation(
        &self,
        answer: v1::ActivatePolicyResponse,
        bundle: Digest,
        mode: ActivationMode,
    ) -> Result<ActivationOutcome, AnswerError> {
        let receipt = Receipt::believe(answer.receipt, &self.trust())?;
        if answer.draining.is_empty() {
            activated(&receipt, self.namespace(), bundle, answer.version)?;
            return Ok(ActivationOutcome::InForce(PolicyActivated {
                version: version(answer.version)?,
                receipt,
            }));
        }
        standing::drain(&receipt, self.namespace(), Some(bundle), mode.stated())?;
        Ok(ActivationOutcome::Draining {
            surfaces: surfaces(answer.draining)?,
            receipt,
        })
    }

    /// Gives up the activation that waits for live permits. Gives the verified receipt.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NO_DRAIN` if none waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request.
    pub async fn cancel_drain(&self) -> Result<Receipt, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::CancelDrainRequest {
                namespace: self.namespace().to_string(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .policy()
                .cancel_drain(connection.request(message))
                .await?;
            let v1::CancelDrainResponse { receipt, refusal } = answer.into_inner();
            refused(refusal)?;
            let receipt = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                standing::drain(&receipt, self.namespace(), None, DrainMode::Cancelled)?;
                Ok(receipt)
            });
            receipt.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Says which stored bundles, at most two, are evaluated beside the active one. They never change
    /// an outcome. True if it was so before.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `BUNDLE_UNKNOWN` if one is not stored.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the change, which can be repeated.
    pub async fn set_shadows(&self, bundles: &[Digest]) -> Result<bool, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::SetShadowRequest {
                namespace: self.namespace().to_string(),
                digests: bundles
                    .iter()
                    .map(|digest| digest.as_bytes().to_vec())
                    .collect(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .policy()
                .set_shadow(connection.request(message))
                .await?;
            let v1::SetShadowResponse { replay, refusal } = answer.into_inner();
            refused(refusal)?;
            Ok(replay)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Says how the shadows differ from what was decided since the present leader began.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node leads.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn shadows(&self) -> Result<Vec<ShadowReport>, CallError> {
        let ask = |connection: Arc<Connection>, _| async move {
            let message = v1::GetShadowRequest {
                namespace: self.namespace().to_string(),
            };
            let answer = connection
                .policy()
                .get_shadow(connection.request(message))
                .await?;
            let v1::GetShadowResponse { shadows, refusal } = answer.into_inner();
            refused(refusal)?;
            let reports: Result<Vec<_>, _> = shadows.into_iter().map(read_shadow).collect();
            reports.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Deletes a bundle that nothing names. True if it was gone before.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `BUNDLE_IN_USE` while it is active, or a drain, a shadow or a
    /// retained receipt names it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request, which can be repeated.
    pub async fn delete_policy(&self, bundle: Digest) -> Result<bool, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::DeletePolicyRequest {
                namespace: self.namespace().to_string(),
                digest: bundle.as_bytes().to_vec(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .policy()
                .delete(connection.request(message))
                .await?;
            let v1::DeletePolicyResponse { replay, refusal } = answer.into_inner();
            refused(refusal)?;
            Ok(replay)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

fn surfaces(given: Vec<String>) -> Result<Vec<Name>, AnswerError> {
    given
        .into_iter()
        .map(|surface| name("surfaces", surface))
        .collect()
}

fn read_shadow(report: v1::ShadowReport) -> Result<ShadowReport, AnswerError> {
    let difference = |difference: v1::ShadowDifference| ShadowDifference {
        leaf_index: difference.leaf_index,
        surface: difference.surface,
        decided: difference.decided,
        shadow: difference.shadow,
        sentence: difference.sentence,
    };
    Ok(ShadowReport {
        digest: digest("digest", &report.digest)?,
        name: report.name,
        evaluated_count: report.evaluated,
        differing_count: report.differing,
        skipped_count: report.skipped,
        differences: report.differences.into_iter().map(difference).collect(),
    })
}
