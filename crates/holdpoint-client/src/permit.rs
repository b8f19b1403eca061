//! A permit as a guard: each step consumes it, and no step can be taken twice or out of order.
//!
//! ```text
//! Gate::authorize ─▶ Permit<Granted> ─redeem─▶ Permit<Redeemed> ─commit / abort─▶ Receipt
//! ```

mod complete;
mod redeem;
mod redemption;
mod watch;

use std::fmt;
use std::sync::Arc;

use holdpoint_receipt::{
    ClusterTime, Digest, Fence, Json, Name, Params, PermitId, PolicyVersion, RedemptionId, Request,
};

use crate::believe::Receipt;
use crate::erase::Erasure;
use crate::gate::Gate;
use crate::info::{Bound, PermitInfo, PermitState};
use crate::operation::digest_param;
use crate::random::RandomnessError;
use crate::refusal::AttemptName;

pub use complete::{CompleteError, CompleteSilence};
pub use redeem::{RedeemError, RedeemSilence};

use redemption::Redemption;
use watch::Watch;

/// A stage: granted, not redeemed. Made by the gate's decision only.
#[derive(Debug)]
pub struct Granted {
    redemption: Arc<Redemption>,
    watch: Watch,
}

/// A stage: redeemed by this guard, so its holder may act, once. Made by [`Permit::redeem`] only.
#[derive(Debug)]
pub struct Redeemed {
    receipt: Receipt,
    complete_by: ClusterTime,
    watch: Watch,
}

/// A permit in one of its stages, [`Granted`] or [`Redeemed`].
///
/// It cannot be cloned, and every step consumes it. Dropping it never blocks and never panics: it logs
/// a warning, because the gate goes on holding the permit's bounds. An unredeemed permit ends at
/// [`Permit::expires_at`]; a redeemed one without an outcome is in doubt until somebody resolves it.
#[must_use = "a permit that is dropped holds its bounds until it expires or is resolved"]
pub struct Permit<Stage> {
    facts: Box<Facts>,
    gate: Gate,
    stage: Stage,
}

/// What does not change from stage to stage.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) request: Request,
    pub(crate) request_digest: Digest,
    pub(crate) id: PermitId,
    pub(crate) fence: Fence,
    pub(crate) issued_at: ClusterTime,
    pub(crate) expires_at: ClusterTime,
    pub(crate) state: PermitState,
    pub(crate) bounds: Vec<Bound>,
    pub(crate) policy_version: PolicyVersion,
    pub(crate) policy_digest: Digest,
    pub(crate) policies: Vec<String>,
    pub(crate) failed_exit_aborts: bool,
    pub(crate) is_replay: bool,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) attempt: Option<AttemptName>,
}

/// What names a permit together with one executor's redemption of it.
///
/// Keep it where a future may be dropped: [`Gate::resume`] makes a guard of it again, with the same
/// redemption id, and one redemption hands out one redeemed permit, however many guards share it. It
/// is meant for the memory of one process and cannot be serialized: an executor that was restarted did
/// not send the first redeem, and must not act on a second.
#[derive(Clone, Debug)]
pub struct PermitHandle {
    facts: Arc<Facts>,
    redemption: Arc<Redemption>,
}

impl PermitHandle {
    /// The permit.
    #[must_use]
    pub fn id(&self) -> PermitId {
        self.facts.id
    }

    /// The redemption id.
    #[must_use]
    pub fn redemption_id(&self) -> &RedemptionId {
        self.redemption.id()
    }
}

/// A permit as a linearizable read found it, with the request that it permits while that is stored.
#[derive(Clone, Debug)]
pub struct PermitReading {
    /// The permit.
    pub info: PermitInfo,
    /// The request; its digest was checked against the permit's. None once it is no longer stored,
    /// which it is as long as the permit has not ended.
    pub request: Option<Request>,
    /// What says that the request was erased, where an operator did.
    pub erasure: Option<Erasure>,
    /// Cluster time of the state that was read.
    pub cluster_time: ClusterTime,
}

/// Why a permit that was read has no guard.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdoptError {
    /// The request is no longer stored, so the permit has ended.
    #[error("the permit has ended, and its request is no longer stored")]
    NoRequest,
    /// There is no redemption id.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

impl PermitReading {
    fn into_facts(self) -> Option<Facts> {
        let Self { info, request, .. } = self;
        Some(Facts {
            request: request?,
            request_digest: info.request_digest,
            id: info.id,
            fence: info.fence,
            issued_at: info.issued_at,
            expires_at: info.expires_at,
            state: info.state,
            bounds: info.bounds,
            policy_version: info.policy_version,
            policy_digest: info.policy_digest,
            policies: Vec::new(),
            failed_exit_aborts: info.failed_exit_aborts,
            is_replay: true,
            receipt: None,
            attempt: None,
        })
    }
}

/// The digest of `request` with the digests of bound inputs put in place of its own.
pub(crate) fn digest_with<N: AsRef<str>>(
    request: &Request,
    inputs: impl IntoIterator<Item = (N, Digest)>,
) -> Option<Digest> {
    let mut members = request.params.as_json().as_object()?.clone();
    for (name, digest) in inputs {
        members.insert(digest_param(name.as_ref()), Json::str(digest.to_string()));
    }
    let params = Params::from_json(Json::Object(members)).ok()?;
    Some(
        Request {
            params,
            ..request.clone()
        }
        .digest(),
    )
}

impl<Stage> Permit<Stage> {
    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> PermitId {
        self.facts.id
    }

    /// Its fence. Strictly increasing over all permits of the namespace, so a downstream store that
    /// remembers the highest can refuse a stale writer.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.facts.fence
    }

    /// The request that it permits.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.facts.request
    }

    /// Digest of that request.
    #[must_use]
    pub const fn request_digest(&self) -> Digest {
        self.facts.request_digest
    }

    /// When it was granted, by the cluster's clock.
    #[must_use]
    pub const fn issued_at(&self) -> ClusterTime {
        self.facts.issued_at
    }

    /// First instant at which it cannot be redeemed any more, by the cluster's clock.
    #[must_use]
    pub const fn expires_at(&self) -> ClusterTime {
        self.facts.expires_at
    }

    /// Bounded operations that it holds. As the node says them: the receipt has only commitments.
    #[must_use]
    pub fn bounds(&self) -> &[Bound] {
        &self.facts.bounds
    }

    /// Policy version under which it was granted.
    #[must_use]
    pub const fn policy_version(&self) -> PolicyVersion {
        self.facts.policy_version
    }

    /// Digest of that bundle.
    #[must_use]
    pub const fn policy_digest(&self) -> Digest {
        self.facts.policy_digest
    }

    /// Ids of the deciding policies, sorted; empty for a permit that was read again.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.facts.policies
    }

    /// Advice of the bundle to whoever guards a command with this permit: a failing exit means that
    /// nothing happened, so the permit is aborted. Otherwise it is left in doubt.
    #[must_use]
    pub const fn failed_exit_aborts(&self) -> bool {
        self.facts.failed_exit_aborts
    }

    /// The attempt that it was granted to; absent for a permit that was read again.
    #[must_use]
    pub const fn attempt(&self) -> Option<&AttemptName> {
        self.facts.attempt.as_ref()
    }

    /// Proof of the decision. Always there, and verified, on a permit that
    /// [`Gate::authorize`] gave; absent on one that was read again.
    #[must_use]
    pub const fn decision_receipt(&self) -> Option<&Receipt> {
        self.facts.receipt.as_ref()
    }
}

impl Permit<Granted> {
    pub(crate) fn granted(gate: Gate, facts: Facts) -> Result<Self, RandomnessError> {
        let redemption = Arc::new(Redemption::draw()?);
        Ok(Self::with_redemption(gate, facts, redemption))
    }

    /// A guard for a permit that was read, with a redemption id of its own.
    pub(crate) fn read(gate: Gate, reading: PermitReading) -> Result<Self, AdoptError> {
        let facts = reading.into_facts().ok_or(AdoptError::NoRequest)?;
        Ok(Self::granted(gate, facts)?)
    }

    /// A guard for a permit that this process may have tried to redeem before.
    pub(crate) fn resumed(gate: Gate, handle: &PermitHandle) -> Self {
        let facts = (*handle.facts).clone();
        Self::with_redemption(gate, facts, Arc::clone(&handle.redemption))
    }

    fn with_redemption(gate: Gate, facts: Facts, redemption: Arc<Redemption>) -> Self {
        let watch = Watch::granted(facts.id);
        let stage = Granted { redemption, watch };
        Self {
            facts: Box::new(facts),
            gate,
            stage,
        }
    }

    /// Where the permit stood when the gate answered.
    ///
    /// ISSUED for a fresh decision. A retry can find a permit that is past that: then redeeming it is
    /// refused, or says that it is in doubt.
    #[must_use]
    pub const fn state(&self) -> PermitState {
        self.facts.state
    }

    /// Whether the decision had been recorded before.
    #[must_use]
    pub const fn is_replay(&self) -> bool {
        self.facts.is_replay
    }

    /// What to keep in order to go on with this very redemption if its future is dropped.
    #[must_use]
    pub fn handle(&self) -> PermitHandle {
        let facts = Arc::new((*self.facts).clone());
        PermitHandle {
            facts,
            redemption: Arc::clone(&self.stage.redemption),
        }
    }

    /// Puts the guard away without redeeming and without a warning. The gate holds the permit's
    /// bounds until it expires, or until [`Gate::revoke`].
    pub fn set_aside(self) {
        self.stage.watch.settled();
    }
}

impl Permit<Redeemed> {
    /// Proof of the redemption. It was verified.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.stage.receipt
    }

    /// When the permit is in doubt if no outcome was reported, by the cluster's clock.
    #[must_use]
    pub const fn complete_by(&self) -> ClusterTime {
        self.stage.complete_by
    }

    /// Gives the guard up without an outcome, because nobody knows whether the effect happened, and
    /// without a warning. The gate holds the permit's bounds until an operator resolves it.
    pub fn leave_in_doubt(self) {
        self.stage.watch.settled();
    }
}

impl<Stage> fmt::Debug for Permit<Stage> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = std::any::type_name::<Stage>()
            .rsplit("::")
            .next()
            .unwrap_or_default();
        write!(
            f,
            "Permit<{name}>({}, fence {})",
            self.facts.id, self.facts.fence
        )
    }
}

impl Facts {
    pub(crate) const fn namespace(&self) -> &Name {
        &self.request.namespace
    }
}
