//! Policy bundles: stored, put in force, listed, read.

use holdpoint_core::Outcome;
use holdpoint_core::command::{ActivatePolicy, CancelDrain, Command, DeletePolicy, PutPolicy};
use holdpoint_core::outcome::{ActivateOutcome, PutOutcome};
use holdpoint_policy::{Bundle, CaseOutcome, EVALUATOR_VERSION, Policy};
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, Digest, Name, Reason};

use super::change::Changed;
use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{ActivateCall, PutCall};
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};
use crate::translate;

/// A bundle that was checked: what the log needs of it, or what is wrong with it.
type Checked = Result<(Bundle, Policy), Vec<String>>;

/// Loads a bundle and runs its tests. Takes as long as the bundle is large: on a pool thread.
fn check(files: Vec<(String, Vec<u8>)>) -> Checked {
    let bundle = Bundle::new(files).map_err(|error| vec![error.to_string()])?;
    let policy = Policy::load(&bundle)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let report = policy.run_tests();
    if report.is_acceptable() {
        return Ok((bundle, policy));
    }
    let failed = report.cases.iter().filter_map(|case| match &case.outcome {
        CaseOutcome::Failed { expected, got } => Some(format!(
            "{}:{}: test `{}` failed: expected {expected}, got {got}",
            case.path, case.line, case.name
        )),
        CaseOutcome::Passed => None,
    });
    Err(failed.collect())
}

impl Gate {
    /// Stores a bundle that loads and passes its own tests.
    pub(crate) async fn put_policy(
        &self,
        caller: Caller,
        call: PutCall,
        admitted: &Admitted,
    ) -> Result<v1::PutPolicyResponse, Refused> {
        roles::require(&caller, Role::PolicyAuthor)?;
        let PutCall { namespace, files } = call;
        let checked = self
            .work_on(&self.parts.reads, admitted, move || check(files))
            .await?;
        let (bundle, policy) = match checked {
            Ok(checked) => checked,
            Err(problems) => {
                let refused = Refused::never(Reason::BundleInvalid);
                return Ok(v1::PutPolicyResponse {
                    problems,
                    refusal: Some(refused.into_refusal()),
                    ..v1::PutPolicyResponse::default()
                });
            }
        };
        self.lead(admitted).await?;
        let command = Command::PutPolicy(PutPolicy {
            namespace,
            digest: policy.digest(),
            bundle: bundle.encode(),
            outline: translate::outline(&policy),
            principal: caller,
        });
        self.policies.remember(policy);
        match self.propose(command, admitted).await? {
            Outcome::PolicyPut(PutOutcome::Put { digest, replay }) => Ok(v1::PutPolicyResponse {
                digest: digest.as_bytes().to_vec(),
                replay,
                ..v1::PutPolicyResponse::default()
            }),
            Outcome::PolicyPut(PutOutcome::Refused { reason }) => Err(Refused::never(reason)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Puts a stored bundle in force, if the version in force is the expected one. A bundle that is in
    /// force already stays so under its version: another one would take issued permits their policy.
    pub(crate) async fn activate_policy(
        &self,
        caller: Caller,
        call: ActivateCall,
        admitted: &Admitted,
    ) -> Result<v1::ActivatePolicyResponse, Refused> {
        roles::require(&caller, Role::PolicyAuthor)?;
        if let Some(found) = self.in_force_already(&call, admitted).await? {
            return Ok(found);
        }
        let namespace = call.namespace.clone();
        let command = Command::ActivatePolicy(ActivatePolicy {
            mode: call.mode,
            namespace: call.namespace,
            digest: call.digest,
            expected: call.expected,
            principal: caller,
            evaluator_version: EVALUATOR_VERSION,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        match self.propose(command, admitted).await? {
            Outcome::Activated(ActivateOutcome::Activated {
                version, statement, ..
            }) => {
                let receipt = self.receipt(&namespace, &statement, admitted).await?;
                Ok(in_force(version.get(), receipt))
            }
            Outcome::Activated(ActivateOutcome::Draining {
                surfaces,
                statement,
                ..
            }) => {
                let receipt = self.proof(&namespace, statement, admitted).await?;
                Ok(v1::ActivatePolicyResponse {
                    receipt,
                    draining: surfaces.iter().map(ToString::to_string).collect(),
                    ..v1::ActivatePolicyResponse::default()
                })
            }
            Outcome::Activated(ActivateOutcome::Refused {
                reason,
                active,
                surface,
            }) => {
                let version = active.map_or(0, |active| active.version.get());
                Ok(not_activated(reason, version, surface.as_ref()))
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Gives up an activation that waits for live permits to end.
    pub(crate) async fn cancel_drain(
        &self,
        caller: Caller,
        namespace: Name,
        admitted: &Admitted,
    ) -> Result<v1::CancelDrainResponse, Refused> {
        roles::require(&caller, Role::PolicyAuthor)?;
        let command = Command::CancelDrain(CancelDrain {
            namespace: namespace.clone(),
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let Changed { receipt, .. } = self.change(&namespace, command, admitted).await?;
        Ok(v1::CancelDrainResponse {
            receipt,
            refusal: None,
        })
    }

    /// Deletes a bundle that nothing names.
    pub(crate) async fn delete_policy(
        &self,
        caller: Caller,
        (namespace, digest): (Name, Digest),
        admitted: &Admitted,
    ) -> Result<v1::DeletePolicyResponse, Refused> {
        roles::require(&caller, Role::PolicyAuthor)?;
        let command = Command::DeletePolicy(DeletePolicy {
            namespace: namespace.clone(),
            digest,
        });
        let Changed { replay, .. } = self.change(&namespace, command, admitted).await?;
        Ok(v1::DeletePolicyResponse {
            replay,
            refusal: None,
        })
    }

    /// The answer to a call that has nothing to do: its bundle is in force as the expected version, or
    /// as the one after it, which is what the same call did before.
    async fn in_force_already(
        &self,
        call: &ActivateCall,
        admitted: &Admitted,
    ) -> Result<Option<v1::ActivatePolicyResponse>, Refused> {
        let (digest, expected) = (call.digest, call.expected.get());
        let found = self.query(&call.namespace, admitted, move |log| {
            let active = log.record().active.filter(|active| {
                let version = active.version.get();
                active.digest == digest
                    && (version == expected || Some(version) == expected.checked_add(1))
            });
            let Some(active) = active else {
                return Ok(None);
            };
            let record = log.activation(active.version)?;
            // Another evaluator may read the same bundle otherwise.
            let record = record.filter(|record| record.evaluator_version == EVALUATOR_VERSION);
            Ok(record.map(|record| (active.version, record.leaf)))
        });
        let Some((version, leaf)) = found.await? else {
            return Ok(None);
        };
        let receipt = self
            .receipt_of_leaf(&call.namespace, leaf, admitted)
            .await?;
        Ok(Some(in_force(version.get(), receipt)))
    }
}

fn in_force(version: u64, receipt: Vec<u8>) -> v1::ActivatePolicyResponse {
    v1::ActivatePolicyResponse {
        version,
        receipt: Some(v1::Receipt { file: receipt }),
        ..v1::ActivatePolicyResponse::default()
    }
}

/// Why a bundle is not put in force, and the surface that stands in the way, where one does.
fn not_activated(
    reason: Reason,
    version: u64,
    surface: Option<&Name>,
) -> v1::ActivatePolicyResponse {
    let sentence = match (reason, surface) {
        (Reason::VersionConflict, _) => {
            format!("{} Version {version} is active.", reason.sentence())
        }
        (_, Some(surface)) => format!("{} The surface is `{surface}`.", reason.sentence()),
        (_, None) => reason.sentence().to_owned(),
    };
    v1::ActivatePolicyResponse {
        surface_in_use: surface.map_or_else(String::new, ToString::to_string),
        refusal: Some(Refused::never(reason).saying(sentence).into_refusal()),
        ..v1::ActivatePolicyResponse::default()
    }
}
