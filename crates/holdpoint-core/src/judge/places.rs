//! Places in queues: entering, staying and leaving. [`super::queue`] says whose turn it is.
//!
//! Every row of a waiting attempt is written and deleted here, so that none is left behind.

use holdpoint_receipt::{ClusterTime, Digest, Name, Reason};

use super::Verdict as Judgement;
use super::authorize::silent;
use super::gate::Gate;
use super::queue::with_place;
use crate::command::{AttemptName, BoundClaim, LeaveQueue, Ticket};
use crate::fault::ApplyError;
use crate::limits::{LEAVES_MAX, WAITERS_MAX, WAITERS_PER_OPERATION_MAX};
use crate::outcome::{ChangeOutcome, Outcome};
use crate::record::{ActivePolicy, RefusedBound, WaiterRecord};
use crate::rejection::{Bounded, Rejection};
use crate::view::View;

/// What an attempt wants to wait for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'c> {
    pub(super) request_digest: Digest,
    pub(super) surface: &'c Name,
    pub(super) claims: &'c [BoundClaim],
    pub(super) policy: ActivePolicy,
    pub(super) not_after: ClusterTime,
    pub(super) wait_until: ClusterTime,
}

impl<V: View> Gate<'_, V> {
    /// A waiting attempt that another row names.
    pub(super) fn must_waiter(
        &self,
        ticket: &Ticket,
    ) -> Result<WaiterRecord, ApplyError<V::Error>> {
        let AttemptName {
            caller,
            idempotency_key,
        } = &ticket.attempt;
        let key = self.keys.waiter(caller, idempotency_key);
        let waiter: WaiterRecord = self.draft.must_read(&key)?;
        if waiter.ticket == ticket.number {
            Ok(waiter)
        } else {
            Err(ApplyError::contradiction(key, "it has another ticket"))
        }
    }

    /// What waits under the name of an attempt, live or not.
    fn waiter(&self, attempt: &AttemptName) -> Result<Option<WaiterRecord>, ApplyError<V::Error>> {
        if self.namespace.waiters == 0 {
            return Ok(None);
        }
        let key = self.keys.waiter(&attempt.caller, &attempt.idempotency_key);
        self.draft.read(&key)
    }

    /// The live ticket of an attempt. One that has ended is taken out.
    pub(super) fn live_waiter(
        &mut self,
        attempt: &AttemptName,
    ) -> Result<Option<WaiterRecord>, ApplyError<V::Error>> {
        let Some(waiter) = self.waiter(attempt)? else {
            return Ok(None);
        };
        if waiter.is_live_at(self.clock()) {
            return Ok(Some(waiter));
        }
        self.leave(attempt, &waiter)?;
        Ok(None)
    }

    /// Lets an attempt wait for what refuses it: with its `earlier` ticket, or with a new one.
    pub(super) fn wait(
        &mut self,
        attempt: &AttemptName,
        wanted: Wanted<'_>,
        earlier: Option<&WaiterRecord>,
        refused: Vec<RefusedBound>,
    ) -> Result<Judgement, ApplyError<V::Error>> {
        let waiter = WaiterRecord {
            ticket: match earlier {
                Some(earlier) => earlier.ticket,
                None if self.is_full(&wanted)? => return Ok(silent(Reason::Overloaded)),
                None => self.namespace.ticket.saturating_add(1),
            },
            request_digest: wanted.request_digest,
            surface: wanted.surface.clone(),
            claims: wanted.claims.to_vec(),
            policy: wanted.policy,
            not_after: wanted.not_after,
            wait_until: wanted.wait_until,
            since: earlier.map_or(self.now(), |earlier| earlier.since),
            offer: None,
            look_at: self.next_look(&refused),
        };
        assert!(waiter.is_live_at(self.clock()), "who waits has time to");
        match earlier {
            Some(earlier) if *earlier == waiter => {}
            Some(earlier) => {
                self.leave(attempt, earlier)?;
                self.enter(attempt, &waiter)?;
            }
            None => {
                self.namespace.ticket = waiter.ticket;
                self.enter(attempt, &waiter)?;
            }
        }
        Ok(Judgement::Changed(self.waiting(&waiter, refused)))
    }

    /// Whether one more may not wait.
    fn is_full(&self, wanted: &Wanted<'_>) -> Result<bool, ApplyError<V::Error>> {
        if self.namespace.waiters >= WAITERS_MAX {
            return Ok(true);
        }
        // No queue is longer than all of them together, so mostly nothing is counted.
        if self.namespace.waiters < WAITERS_PER_OPERATION_MAX as u64 {
            return Ok(false);
        }
        for claim in with_place(wanted.claims) {
            let queue = self.keys.queue_of(wanted.surface, &claim.name, &claim.key);
            let rows = self.draft.first_rows(&queue, WAITERS_PER_OPERATION_MAX)?;
            if rows.len() >= WAITERS_PER_OPERATION_MAX {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts an attempt into the queues of all its claims.
    fn enter(
        &mut self,
        attempt: &AttemptName,
        waiter: &WaiterRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let place = Ticket {
            number: waiter.ticket,
            attempt: attempt.clone(),
        };
        for claim in with_place(&waiter.claims) {
            let key = self
                .keys
                .queue(&waiter.surface, &claim.name, &claim.key, waiter.ticket);
            self.draft.write(key, &place)?;
        }
        self.namespace.waiters = self.namespace.waiters.saturating_add(1);
        self.write_waiter(attempt, waiter)
    }

    /// Writes what waits, and when it is looked at next.
    pub(super) fn write_waiter(
        &mut self,
        attempt: &AttemptName,
        waiter: &WaiterRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let place = Ticket {
            number: waiter.ticket,
            attempt: attempt.clone(),
        };
        let end = self.keys.waiter_end(waiter.ends_at(), waiter.ticket);
        self.draft.write(end, &place)?;
        let key = self.keys.waiter(&attempt.caller, &attempt.idempotency_key);
        self.draft.write(key, waiter)
    }

    /// Takes an attempt out of all its queues. Who stands behind it may fit now.
    pub(super) fn leave(
        &mut self,
        attempt: &AttemptName,
        waiter: &WaiterRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let key = self.keys.waiter(&attempt.caller, &attempt.idempotency_key);
        let Some(left) = self.namespace.waiters.checked_sub(1) else {
            return Err(ApplyError::contradiction(key, "nobody waits"));
        };
        self.draft.delete(key);
        self.draft
            .delete(self.keys.waiter_end(waiter.ends_at(), waiter.ticket));
        for claim in with_place(&waiter.claims) {
            let key = self
                .keys
                .queue(&waiter.surface, &claim.name, &claim.key, waiter.ticket);
            self.draft.delete(key);
        }
        self.namespace.waiters = left;
        self.offer_freed(&waiter.surface, &waiter.claims);
        Ok(())
    }
}

/// Takes attempts out of their queues that still stand there with the ticket that is named.
pub(super) fn leave_queue<V: View>(
    gate: &mut Gate<'_, V>,
    command: &LeaveQueue,
) -> Result<Judgement, ApplyError<V::Error>> {
    let count = command.waiters.len();
    if count > LEAVES_MAX {
        return Ok(Judgement::reject(Rejection::TooMuch {
            what: Bounded::Tickets,
            // usize has at most 64 bits on every target that exists, so this loses nothing.
            count: count as u64,
            count_max: LEAVES_MAX as u64,
        }));
    }
    let mut has_left = false;
    for ticket in &command.waiters {
        if let Some(waiter) = gate.waiter(&ticket.attempt)?
            && waiter.ticket == ticket.number
        {
            gate.leave(&ticket.attempt, &waiter)?;
            has_left = true;
        }
    }
    let outcome = ChangeOutcome::Done {
        statement: None,
        replay: !has_left,
    };
    Ok(Judgement::Changed(Outcome::Changed(outcome)))
}
