//! What stands around a request: approvals, sessions, and those that wait.

use holdpoint_receipt::{Caller, ClusterTime, Digest, Name, PermitId};

use super::{ActivePolicy, ClockRecord};
use crate::command::{BoundClaim, MissingApproval, Ticket};

/// An approval ([`crate::key::Kind::Approval`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRecord {
    /// The surface of its subject.
    pub surface: Name,
    /// When it was given.
    pub given_at: ClusterTime,
    /// From when on it no longer counts.
    pub expires_at: ClusterTime,
    /// The policy that was shown to the approver.
    pub policy: ActivePolicy,
    /// Where its statement stands.
    pub leaf: u64,
    /// The receipt hash of that statement, which outlives it here.
    pub receipt: Digest,
    /// What became of it.
    pub state: ApprovalState,
}

impl ApprovalRecord {
    /// Whether it counts at `now` for an attempt whose grant would supersede `superseded`, if that
    /// permit's approvals come back ([`super::PermitRecord::gives_approvals_back`]).
    #[must_use]
    pub fn counts_at(&self, now: ClusterTime, superseded: Option<PermitId>) -> bool {
        let is_free = match self.state {
            ApprovalState::Given => true,
            ApprovalState::Spent(permit) => superseded == Some(permit),
            ApprovalState::Revoked { .. } => false,
        };
        is_free && now < self.expires_at
    }
}

/// What became of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// It counts until it expires.
    Given,
    /// This permit has spent it.
    Spent(PermitId),
    /// It was taken back; where the statement of that stands.
    Revoked {
        /// The leaf.
        leaf: u64,
    },
}

/// A request that is listed for approval ([`crate::key::Kind::Pending`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRecord {
    /// The canonical bytes of the request.
    pub request: Vec<u8>,
    /// Who asks.
    pub caller: Caller,
    /// When it was asked last.
    pub asked_at: ClusterTime,
    /// Until when it is listed.
    pub listed_until: ClusterTime,
    /// The policy under which the approvals are missing.
    pub policy: ActivePolicy,
    /// What was missing then, sorted by quorum.
    pub missing: Vec<MissingApproval>,
}

impl PendingRecord {
    /// What it counts for in [`crate::limits::PENDING_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let subjects = self.missing.iter().map(|missing| missing.subject.len());
        let bytes = subjects.fold(self.request.len(), usize::saturating_add);
        // usize has at most 64 bits on every target that exists, so this loses nothing.
        bytes as u64
    }
}

/// A session ([`crate::key::Kind::Session`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose it is: the first caller whose decision named it, or who closed it.
    pub owner: Caller,
    /// The last decision that named it, or its closing.
    pub used_at: ClusterTime,
    /// How it was closed.
    pub closed: Option<SessionClosed>,
}

/// How a session was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClosed {
    /// When.
    pub at: ClusterTime,
    /// By whom.
    pub by: Caller,
    /// Where its statement stands.
    pub leaf: u64,
}

/// An attempt that waits for bounds ([`crate::key::Kind::Waiter`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiterRecord {
    /// Its place in every queue that it stands in.
    pub ticket: u64,
    /// The digest of the request.
    pub request_digest: Digest,
    /// The surface.
    pub surface: Name,
    /// What it wants to claim.
    pub claims: Vec<BoundClaim>,
    /// The policy whose bounds they are. Under another one they mean nothing until it is evaluated
    /// again.
    pub policy: ActivePolicy,
    /// The attempt's end.
    pub not_after: ClusterTime,
    /// Until when it waits.
    pub wait_until: ClusterTime,
    /// Since when.
    pub since: ClusterTime,
    /// What it wants is kept for it; none while others hold it.
    pub offer: Option<OfferRecord>,
    /// When what stands in its way is known to go by time alone.
    // INVARIANT: none while it has an offer.
    pub look_at: Option<ClusterTime>,
}

impl WaiterRecord {
    /// Whether others still stand behind it.
    #[must_use]
    pub fn is_live_at(&self, clock: ClockRecord) -> bool {
        clock.now < self.wait_until && self.offer.is_none_or(|offer| offer.is_open_at(clock))
    }

    /// When it is to be looked at next: its offer lapses, it may fit, or its wait is over.
    #[must_use]
    pub fn ends_at(&self) -> ClusterTime {
        let sooner = self.offer.map(|offer| offer.until).or(self.look_at);
        sooner.map_or(self.wait_until, |at| at.min(self.wait_until))
    }
}

/// What a waiting attempt wants, kept for it for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferRecord {
    /// Until when, if the leader stays.
    pub until: ClusterTime,
    /// The term in which it was made.
    pub term: u64,
}

impl OfferRecord {
    /// Whether it still keeps others away. It lapses only if all of its time has passed in one term:
    /// nobody could take it up between two leaders, and cluster time goes on there.
    ///
    /// So while no term lasts, only the end of the wait ends an offer that nobody takes up.
    #[must_use]
    pub fn is_open_at(&self, clock: ClockRecord) -> bool {
        clock.now < self.until || clock.term != self.term
    }
}

/// A place in the queue of one bounded operation ([`crate::key::Kind::Queue`]), and when it ends
/// ([`crate::key::Kind::WaiterEnd`]).
pub type QueueRecord = Ticket;
