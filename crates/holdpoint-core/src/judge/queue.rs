//! Whose turn it is: one ticket for everything that an attempt claims.
//!
//! ```text
//! Waiter     attempt            what it wants, and its ticket
//! Queue      operation, ticket  the attempt; the oldest live ticket is the head
//! WaiterEnd  time, ticket       the attempt: its wait or its offer ends, or it is looked at again
//! ```
//!
//! A claim fits only if no older live ticket names its operation. So the oldest ticket of all waits for
//! no other, and no two attempts wait for each other. Whoever lets something go notes it with
//! [`Gate::offer_freed`]; at the end of the command the heads of what was freed are looked at. An offer
//! claims nothing: its ticket keeps everybody behind it away until it is granted or has lapsed. One whose
//! time ends under another leader than it was made is not lapsed but made again, if it still can be.
//!
//! Nothing here grants. A waiting attempt is decided by its own command only, evaluated again.

use std::collections::BTreeSet;

use holdpoint_receipt::{ClusterTime, Name, Reason};

use super::Verdict as Judgement;
use super::bounds::summary;
use super::draft::decoded;
use super::ends::SweepPart;
use super::gate::Gate;
use crate::command::{AttemptName, BoundClaim, Ticket};
use crate::fault::ApplyError;
use crate::key::{Kind, StateKey};
use crate::limits::{QUEUE_PAGE_MAX, WAIT_OFFER_MS, WAITERS_MET_MAX};
use crate::outcome::{AuthorizeOutcome, Offer, Outcome, Waiting};
use crate::outline::BoundKind;
use crate::record::{OfferRecord, RefusedBound, WaiterRecord};
use crate::view::View;

/// What one command has done to the queues so far.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// The beginnings of the queues of operations that may have room now.
    freed: BTreeSet<Vec<u8>>,
    /// The offers made, in their order.
    offers: Vec<Offer>,
    /// Ended tickets that were taken out on the way.
    met: usize,
}

impl Queues {
    pub(super) fn into_offers(self) -> Vec<Offer> {
        self.offers
    }
}

/// What is to become of a waiting attempt.
enum Outlook {
    /// It is to be evaluated again: its claims fit, or can never fit, or are of another policy.
    Decide,
    /// It goes on waiting.
    Wait {
        /// What stands in its way.
        refused: Vec<RefusedBound>,
    },
}

/// A waiting attempt and its name.
type Waiter = (AttemptName, WaiterRecord);

impl<V: View> Gate<'_, V> {
    /// Notes that `claims` on `surface` were let go, wholly or in part: who waits for them may fit.
    pub(super) fn offer_freed(&mut self, surface: &Name, claims: &[BoundClaim]) {
        if self.namespace.waiters == 0 {
            return;
        }
        for claim in with_place(claims) {
            let queue = self.keys.queue_of(surface, &claim.name, &claim.key);
            self.queues.freed.insert(queue);
        }
    }

    /// Looks at the heads of everything that was let go.
    ///
    /// One pass is enough. Heads of different queues do not name each other's operations unless one
    /// of them waits for the other, and a head that does not fit is looked at again when what stands
    /// in its way goes.
    pub(super) fn make_offers(&mut self) -> Result<(), ApplyError<V::Error>> {
        // Looking may end tickets and permits, which frees more: each once, so this ends.
        while let Some(queue) = self.queues.freed.pop_first() {
            if let Some(head) = self.head(&queue, None)?
                && head.1.offer.is_none()
            {
                self.look_at(&head)?;
            }
        }
        Ok(())
    }

    fn look_at(&mut self, (attempt, waiter): &Waiter) -> Result<(), ApplyError<V::Error>> {
        let mut next = waiter.clone();
        match self.outlook(waiter)? {
            Outlook::Decide => {
                let until = self.now().saturating_add(WAIT_OFFER_MS);
                let until = until.min(waiter.wait_until);
                let term = self.clock().term;
                next.offer = Some(OfferRecord { until, term });
                next.look_at = None;
                self.queues.offers.push(Offer {
                    namespace: self.name.clone(),
                    attempt: attempt.clone(),
                    ticket: waiter.ticket,
                    until,
                });
            }
            Outlook::Wait { refused } => {
                next.offer = None;
                next.look_at = self.next_look(&refused);
            }
        }
        if next == *waiter {
            return Ok(());
        }
        self.draft
            .delete(self.keys.waiter_end(waiter.ends_at(), waiter.ticket));
        self.write_waiter(attempt, &next)
    }

    /// When what refuses claims is known to go by time alone.
    pub(super) fn next_look(&self, refused: &[RefusedBound]) -> Option<ClusterTime> {
        let (_, at) = summary(refused);
        at.filter(|at| *at > self.now())
    }

    fn outlook(&mut self, waiter: &WaiterRecord) -> Result<Outlook, ApplyError<V::Error>> {
        // Claims of another policy are not this policy's bounds: they are not even compared.
        if self.namespace.active != Some(waiter.policy) {
            return Ok(Outlook::Decide);
        }
        let refused =
            self.refused_or_behind(&waiter.surface, &waiter.claims, Some(waiter.ticket))?;
        let is_free = refused.is_empty();
        Ok(if is_free || !may_go(&refused, waiter.wait_until) {
            Outlook::Decide
        } else {
            Outlook::Wait { refused }
        })
    }

    /// The claims that cannot be granted now to the holder of `ticket`, in their order: those refused
    /// by themselves, and those for which somebody has waited longer.
    pub(super) fn refused_or_behind(
        &mut self,
        surface: &Name,
        claims: &[BoundClaim],
        ticket: Option<u64>,
    ) -> Result<Vec<RefusedBound>, ApplyError<V::Error>> {
        let mut refused = self.refused_claims(surface, claims)?;
        if self.namespace.waiters == 0 {
            return Ok(refused);
        }
        for claim in with_place(claims) {
            let queue = self.keys.queue_of(surface, &claim.name, &claim.key);
            if self.head(&queue, ticket)?.is_none() {
                continue;
            }
            match refused.iter_mut().find(|bound| bound.claim == *claim) {
                // Nobody knows how long those before it take. A committed effect stays for its time.
                Some(bound) if bound.reason != Reason::AlreadyCommitted => bound.until = None,
                Some(_) => {}
                None => refused.push(RefusedBound {
                    claim: claim.clone(),
                    reason: Reason::BoundHeld,
                    fence: None,
                    until: None,
                }),
            }
        }
        refused.sort_by(|before, after| before.claim.name.cmp(&after.claim.name));
        Ok(refused)
    }

    /// The oldest live ticket of a queue; none if there is none older than `before`.
    fn head(
        &mut self,
        queue: &[u8],
        before: Option<u64>,
    ) -> Result<Option<Waiter>, ApplyError<V::Error>> {
        let mut after: Option<StateKey> = None;
        loop {
            let rows = self
                .draft
                .rows_after(queue, after.as_ref(), QUEUE_PAGE_MAX)?;
            for (key, row) in &rows {
                let ticket: Ticket = decoded(key, row)?;
                if before.is_some_and(|own| ticket.number >= own) {
                    return Ok(None);
                }
                let waiter = self.must_waiter(&ticket)?;
                if waiter.is_live_at(self.clock()) {
                    return Ok(Some((ticket.attempt, waiter)));
                }
                // An ended ticket counts for nothing whether or not its rows are there, so how
                // many are taken out on the way may be bounded. Sweeps find the others.
                if self.queues.met < WAITERS_MET_MAX {
                    self.queues.met = self.queues.met.saturating_add(1);
                    self.leave(&ticket.attempt, &waiter)?;
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == QUEUE_PAGE_MAX => after = Some(key.clone()),
                Some(_) | None => return Ok(None),
            }
        }
    }

    /// What an attempt that waits is told without an evaluation; none if it is to be evaluated.
    pub(super) fn still_waiting(
        &mut self,
        waiter: &WaiterRecord,
    ) -> Result<Option<Judgement>, ApplyError<V::Error>> {
        if waiter.offer.is_some() {
            return Ok(None);
        }
        Ok(match self.outlook(waiter)? {
            Outlook::Decide => None,
            Outlook::Wait { refused } => {
                let outcome = self.waiting(waiter, refused);
                Some(Judgement::Unchanged(outcome))
            }
        })
    }

    pub(super) fn waiting(&self, waiter: &WaiterRecord, refused: Vec<RefusedBound>) -> Outcome {
        let waiting = Waiting {
            ticket: waiter.ticket,
            since: waiter.since,
            wait_until: waiter.wait_until,
            refused,
            now: self.now(),
        };
        Outcome::Authorized(AuthorizeOutcome::Waiting(Box::new(waiting)))
    }

    /// Meets at most `limit` waiting attempts whose time has come, the earliest first: takes out those
    /// whose wait or offer is over, and looks at the others again: they may fit now, or have an offer
    /// whose leader was lost.
    pub(super) fn sweep_waiters(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let mut part = SweepPart {
            rows: 0,
            is_done: true,
        };
        if self.namespace.waiters == 0 {
            return Ok(part);
        }
        // One more than may go, to see whether one is left.
        let rows = self.rows_until(Kind::WaiterEnd, self.now(), limit.saturating_add(1))?;
        for (place, (key, row)) in rows.iter().enumerate() {
            // Looking at one may have taken out another.
            if self.draft.read::<Ticket>(key)?.is_none() {
                continue;
            }
            let ticket: Ticket = decoded(key, row)?;
            let waiter = self.must_waiter(&ticket)?;
            if place == limit {
                part.is_done = false;
                break;
            }
            if waiter.is_live_at(self.clock()) {
                self.look_at(&(ticket.attempt, waiter))?;
            } else {
                self.leave(&ticket.attempt, &waiter)?;
            }
            part.rows = part.rows.saturating_add(1);
        }
        Ok(part)
    }
}

/// The claims that have a place in a queue: what charges nothing waits for nobody, and nobody for it.
pub(crate) fn with_place(claims: &[BoundClaim]) -> impl Iterator<Item = &BoundClaim> {
    claims.iter().filter(|claim| claim.amount > 0)
}

/// Whether everything that refuses claims can go before `wait_until`. A committed effect goes when its
/// time is over, and an amount above the limit never fits.
pub(super) fn may_go(refused: &[RefusedBound], wait_until: ClusterTime) -> bool {
    refused.iter().all(|bound| match bound.claim.kind {
        BoundKind::Exclusive => true,
        BoundKind::Once { .. } => {
            bound.reason != Reason::AlreadyCommitted
                || bound.until.is_some_and(|until| until < wait_until)
        }
        BoundKind::Capacity { limit } | BoundKind::Budget { limit, .. } => {
            bound.claim.amount <= limit
        }
    })
}
