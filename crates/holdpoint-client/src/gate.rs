//! The gate, as its callers hold it.

mod builder;

use std::sync::Arc;
use std::time::Duration;

use holdpoint_receipt::verify::ProvenNotes;
use holdpoint_receipt::{Caller, KeySet, Name, PermitId, Reason};

use crate::authorize::Authorize;
use crate::believe::{Expected, Receipt, Trust};
use crate::call::{NoAnswer, Nodes};
use crate::connection::Connection;
use crate::failure::Refused;
use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::permit::{AdoptError, Granted, Permit, PermitHandle, PermitReading};
use crate::pinned::{Pinned, Published};
use crate::refusal::Silence;

pub use builder::{ConnectError, GateBuilder};

pub(crate) use builder::fetch_published;
#[cfg(feature = "testkit")]
pub(crate) use builder::of_bed;

/// How long a call may take unless the builder says otherwise.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// The longest deadline of a call.
pub const DEADLINE_MAX: Duration = Duration::from_mins(1);
/// How far ahead an attempt ends unless the builder or the operation says otherwise.
///
/// Half of what the gate accepts, so that the clocks of client and cluster may differ by minutes.
pub const ATTEMPT_FOR_DEFAULT: Duration = Duration::from_mins(5);
/// The farthest ahead that an attempt may end, by the cluster's clock.
pub const ATTEMPT_FOR_MAX: Duration = Duration::from_mins(10);

/// Why a call other than a decision has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The gate refused, and asking again cannot change that.
    #[error(transparent)]
    Refused(Refused),
    /// No answer came, or none that can be believed.
    #[error(transparent)]
    Silence(Silence),
}

impl CallError {
    /// The reason, from the one registry.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refused) => refused.reason,
            Self::Silence(silence) => silence.reason(),
        }
    }
}

impl From<NoAnswer> for CallError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Refused(refused) => Self::Refused(refused),
            NoAnswer::Unanswered(unanswered) => {
                Self::Silence(Silence::unanswered(unanswered, None))
            }
        }
    }
}

/// A gate: one namespace of one cluster, seen by one caller.
///
/// Cheap to clone; clones share connections and what is known of the nodes. It must be used within a
/// tokio runtime. Every call ends at the deadline, and is repeated until then, elsewhere and under the
/// same key.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    nodes: Nodes,
    namespace: Name,
    caller: Caller,
    keys: Pinned,
    notes: Arc<ProvenNotes>,
    attempt_for: Duration,
}

impl Gate {
    /// Connects to any of `endpoints` (`host:port`), with everything else as [`GateBuilder`] has it.
    ///
    /// The rest of the cluster is learned from answers. The verification keys are fetched from the
    /// first node that answers; [`GateBuilder::keys`] says what that is worth.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which argument does not fit, or why no node gave its keys.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect<E: AsRef<str>>(
        endpoints: impl IntoIterator<Item = E>,
    ) -> Result<Self, ConnectError> {
        Self::builder().endpoints(endpoints).connect().await
    }

    /// Says more than [`Gate::connect`].
    #[must_use]
    pub fn builder() -> GateBuilder {
        GateBuilder::new()
    }

    /// The same gate with another deadline for each call, at most [`DEADLINE_MAX`].
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            deadline: deadline.min(DEADLINE_MAX),
        }
    }

    /// The deadline of each call.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The namespace of operations that name none.
    #[must_use]
    pub fn namespace(&self) -> &Name {
        &self.shared.namespace
    }

    /// Who this gate takes us for.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.shared.caller
    }

    /// The keys that every receipt is verified against now. They follow the cluster's changes of keys, as
    /// far as enough nodes of the earlier keys have signed the later ones.
    #[must_use]
    pub fn keys(&self) -> Arc<KeySet> {
        self.shared.keys.now()
    }

    /// The same with what was verified against them before.
    pub(crate) fn trust(&self) -> Trust {
        Trust {
            keys: self.keys(),
            notes: Arc::clone(&self.shared.notes),
        }
    }

    /// Follows the published keys, where `seen` did not verify what came. Says whether they are others
    /// now.
    pub(crate) async fn follow_keys(&self, seen: &Arc<KeySet>) -> bool {
        let (nodes, deadline) = (self.nodes(), self.deadline());
        let fetch = || fetch_published(nodes, deadline);
        let keys = &self.shared.keys;
        keys.follow(seen, nodes.now(), fetch).await
    }

    /// The same over one connection.
    pub(crate) async fn follow_keys_over(
        &self,
        seen: &Arc<KeySet>,
        connection: &Connection,
        budget: Duration,
    ) -> bool {
        let fetch = || Published::fetch(connection, budget);
        let now = self.nodes().now();
        self.shared.keys.follow(seen, now, fetch).await
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        &self.shared.nodes
    }

    /// Asks for a decision on one attempt, when the answer is awaited.
    ///
    /// Asks until the deadline, always with the same idempotency key and `not_after`. What it gives
    /// was proved by a receipt that verifies and is about this very request. A retry can find a
    /// permit that is past ISSUED; [`Permit::state`] says so, and redeeming it is refused.
    /// [`Authorize::wait`] waits for bounds that are held.
    ///
    /// # Errors
    ///
    /// [`Refusal::Denied`](crate::Refusal::Denied) is a decision and stays one for this key.
    /// [`Refusal::Silence`](crate::Refusal::Silence) is none; calling again with the same operation is
    /// a retry of the same attempt.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the request: a permit may be granted. Calling again
    /// with the same operation finds it.
    pub const fn authorize<'a>(&'a self, operation: &'a Operation) -> Authorize<'a> {
        Authorize::new(self, operation)
    }

    /// How long an attempt lives unless the operation says otherwise.
    pub(crate) fn attempt_for(&self) -> Duration {
        self.shared.attempt_for
    }

    /// A guard for a permit that was read with [`Gate::permit`], with a redemption of its own.
    ///
    /// # Errors
    ///
    /// [`AdoptError`]: the request is no longer stored, or the operating system gave no randomness for
    /// the redemption id.
    pub fn adopt(&self, reading: PermitReading) -> Result<Permit<Granted>, AdoptError> {
        Permit::read(self.clone(), reading)
    }

    /// A guard that goes on with a redemption which this process began, where its future was dropped.
    ///
    /// Of all guards of one redemption, one gets the redeemed permit.
    pub fn resume(&self, handle: &PermitHandle) -> Permit<Granted> {
        Permit::resumed(self.clone(), handle)
    }

    /// Reports how a redeemed permit ended, by its id: for an executor that lost its guard, and for
    /// operators. Gives the verified receipt.
    ///
    /// # Errors
    ///
    /// As for [`Permit::complete`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the report, which can be repeated.
    pub async fn complete(&self, id: PermitId, outcome: Outcome) -> Result<Receipt, CallError> {
        let namespace = self.namespace();
        let expected = Expected {
            namespace,
            id,
            fence: None,
            request_digest: None,
        };
        Ok(self.complete_expected(expected, outcome, None).await?)
    }

    /// Reports how a permit ended, as an operator who found out, and why. Gives the verified receipt,
    /// which commits to the reason and does not show it.
    ///
    /// `reason` has at most 512 bytes and is not empty.
    ///
    /// # Errors
    ///
    /// As for [`Permit::complete`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the report, which can be repeated.
    pub async fn resolve(
        &self,
        id: PermitId,
        outcome: Outcome,
        reason: &str,
    ) -> Result<Receipt, CallError> {
        let namespace = self.namespace();
        let expected = Expected {
            namespace,
            id,
            fence: None,
            request_digest: None,
        };
        Ok(self
            .complete_expected(expected, outcome, Some(reason))
            .await?)
    }

    /// Takes an unredeemed permit back. Gives the verified receipt.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] leaves open whether it was revoked; asking again is harmless.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the revocation.
    pub async fn revoke(&self, id: PermitId) -> Result<Receipt, CallError> {
        Ok(self.revoke_expected(self.namespace(), id).await?)
    }
}
