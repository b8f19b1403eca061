//! Policy bundles and their activations.

mod change;

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, ClusterTime, Digest, PolicyVersion, Reason};

use crate::believe::{AnswerError, Receipt};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::{Failure, Refused};
use crate::fault::Decided;
use crate::gate::{CallError, Gate};
use crate::info::{digest, optional_caller, time, version};
use crate::steps::refused;

pub use change::{
    ActivationMode, ActivationOutcome, PendingActivation, ShadowDifference, ShadowReport,
};

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Path inside the bundle, with `/`.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Why a bundle was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutPolicyError {
    /// The bundle does not load, or its own tests fail. Nothing was stored.
    #[error("the bundle is not accepted:\n{}", .0.join("\n"))]
    Problems(Vec<String>),
    /// The gate did not take it.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A stored bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPut {
    /// Its digest.
    pub digest: Digest,
    /// Whether it had been stored before.
    pub is_replay: bool,
}

/// A policy version that came into force.
#[derive(Clone, Debug)]
pub struct PolicyActivated {
    /// The version.
    pub version: PolicyVersion,
    /// Proof of the activation. It was verified.
    pub receipt: Receipt,
}

/// What is stored and what was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyList {
    /// Stored bundles, by digest.
    pub stored: Vec<StoredPolicy>,
    /// Activations, oldest first; the last one is in force.
    pub activations: Vec<Activation>,
    /// The activation that waits for live permits to end.
    pub draining: Option<PendingActivation>,
    /// Bundles that are evaluated beside the active one.
    pub shadows: Vec<Digest>,
}

/// A stored bundle in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its digest.
    pub digest: Digest,
    /// The name that it gives itself.
    pub name: String,
}

/// One activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The policy version.
    pub version: PolicyVersion,
    /// The bundle put in force.
    pub digest: Digest,
    /// Cluster time of the activation.
    pub activated_at: ClusterTime,
    /// Who put it in force, where the node says so.
    pub activated_by: Option<Caller>,
    /// Where its statement stands.
    pub leaf_index: u64,
}

/// A bundle as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyBundle {
    /// Its digest, as the node says it: load the files to check it.
    pub digest: Digest,
    /// Its files, sorted by path.
    pub files: Vec<BundleFile>,
    /// The version under which it is in force; none when it is not.
    pub version: Option<PolicyVersion>,
}

impl Gate {
    /// Stores a bundle, at most 384 KiB. Storing the same again changes nothing.
    ///
    /// # Errors
    ///
    /// [`PutPolicyError::Problems`] names file and line of everything that is wrong with it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request, which can be repeated.
    pub async fn put_policy(&self, files: &[BundleFile]) -> Result<PolicyPut, PutPolicyError> {
        let wire_file = |file: &BundleFile| v1::BundleFile {
            path: file.path.clone(),
            content: file.content.clone(),
        };
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::PutPolicyRequest {
                namespace: self.namespace().to_string(),
                files: files.iter().map(wire_file).collect(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection.policy().put(connection.request(message)).await?;
            let v1::PutPolicyResponse {
                digest: bytes,
                replay,
                problems,
                refusal,
                ..
            } = answer.into_inner();
            // Problems explain a refusal, so they come first.
            if !problems.is_empty() {
                return Ok(Err(PutPolicyError::Problems(problems)));
            }
            refused(refusal)?;
            let digest = digest("digest", &bytes).map_err(Failure::disbelieve)?;
            Ok(Ok(PolicyPut {
                digest,
                is_replay: replay,
            }))
        };
        self.nodes()
            .call(self.deadline(), ask)
            .await
            .map_err(CallError::from)?
            .answer
    }

    /// Puts a stored bundle in force, if the version in force is still `expected` (0: none is).
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `VERSION_CONFLICT` and `decided: unknown` can mean that an earlier
    /// submission of this very call did it: [`Gate::policies`] tells.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request.
    pub async fn activate_policy(
        &self,
        bundle: Digest,
        expected: PolicyVersion,
    ) -> Result<PolicyActivated, CallError> {
        let mode = ActivationMode::Refuse;
        match self.activate_policy_with(bundle, expected, mode).await? {
            ActivationOutcome::InForce(activated) => Ok(activated),
            // It was told not to; whoever did so meanwhile finds it in the list.
            ActivationOutcome::Draining { .. } => Err(CallError::Refused(Refused {
                reason: Reason::DrainPending,
                sentence: Reason::DrainPending.sentence().to_owned(),
                decided: Decided::Unknown,
            })),
        }
    }

    /// Lists the stored bundles and the activations.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node answers.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn policies(&self) -> Result<PolicyList, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ListPoliciesRequest {
                namespace: self.namespace().to_string(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .policy()
                .list(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            read_list(answer).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Reads one bundle; without a digest, the one in force.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `BUNDLE_UNKNOWN` or `NO_ACTIVE_POLICY` if there is none.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn policy(&self, bundle: Option<Digest>) -> Result<PolicyBundle, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::GetPolicyRequest {
                namespace: self.namespace().to_string(),
                digest: bundle
                    .map(|digest| digest.as_bytes().to_vec())
                    .unwrap_or_default(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection.policy().get(connection.request(message)).await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            read_bundle(answer).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

fn read_list(answer: v1::ListPoliciesResponse) -> Result<PolicyList, AnswerError> {
    let stored = answer.policies.into_iter().map(|stored| {
        Ok(StoredPolicy {
            digest: digest("digest", &stored.digest)?,
            name: stored.name,
        })
    });
    let activations = answer.activations.into_iter().map(|activation| {
        Ok(Activation {
            version: version(activation.version)?,
            digest: digest("digest", &activation.digest)?,
            activated_at: time("activated_at_ms", activation.activated_at_ms)?,
            activated_by: optional_caller("activated_by", activation.activated_by)?,
            leaf_index: activation.leaf_index,
        })
    });
    let shadows = answer.shadows.iter();
    let shadows = shadows.map(|shadow| digest("shadows", shadow));
    Ok(PolicyList {
        draining: answer
            .draining
            .map(PendingActivation::from_wire)
            .transpose()?,
        shadows: shadows.collect::<Result<_, _>>()?,
        stored: stored.collect::<Result<_, AnswerError>>()?,
        activations: activations.collect::<Result<_, AnswerError>>()?,
    })
}

fn read_bundle(answer: v1::GetPolicyResponse) -> Result<PolicyBundle, AnswerError> {
    let file = |file: v1::BundleFile| BundleFile {
        path: file.path,
        content: file.content,
    };
    let version = match answer.version {
        0 => None,
        given => Some(version(given)?),
    };
    Ok(PolicyBundle {
        digest: digest("digest", &answer.digest)?,
        files: answer.files.into_iter().map(file).collect(),
        version,
    })
}
