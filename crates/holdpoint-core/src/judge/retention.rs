//! How long what has ended is kept.
//!
//! ```text
//!              passed over           taken away                    brought back by
//! permits      those not yet due     with their last attempt       PermitEnd, once they have ended
//! disclosures  of permits not ended  the salts and the inputs      the end of their permit
//! statements   of permits kept       the bytes; hashes stay        the going of their permit
//! ```
//!
//! Three cursors walk once over fences and leaves, each step bounded, and never wait for one permit
//! that takes long. The hashes of the log stay for ever, so that every proof can still be made.

use holdpoint_receipt::{ClusterTime, PermitId, Reason};

use super::Verdict;
use super::draft::decoded;
use super::ends::SweepPart;
use super::gate::Gate;
use super::usage::time_at;
use crate::command::{Retention, SetRetention};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::limits::{ATTEMPT_KEPT_MS, RETENTION_MS_MAX, RETENTION_MS_MIN};
use crate::outcome::{ChangeOutcome, Outcome};
use crate::record::{AttemptRecord, Decided, LeafRecord, PermitRecord};
use crate::view::View;

pub(super) fn set_retention<V: View>(gate: &mut Gate<'_, V>, command: &SetRetention) -> Verdict {
    if let Some(reason) = command.retention.problem() {
        let refused = ChangeOutcome::Refused { reason };
        return Verdict::Unchanged(Outcome::Changed(refused));
    }
    let replay = gate.namespace.retention == command.retention;
    gate.namespace.retention = command.retention;
    let statement = None;
    let done = ChangeOutcome::Done { statement, replay };
    Verdict::Changed(Outcome::Changed(done))
}

impl Retention {
    /// Why a namespace cannot keep things for these times; none if it can.
    ///
    /// [`Reason::RetentionTooShort`] also for statements that would go before what names them.
    #[must_use]
    pub fn problem(&self) -> Option<Reason> {
        let times = [
            self.permits_ms,
            self.disclosures_ms,
            self.statements_ms,
            self.sessions_ms,
        ];
        if times.iter().flatten().any(|kept| *kept > RETENTION_MS_MAX) {
            return Some(Reason::InvalidRequest);
        }
        let is_short = times.iter().flatten().any(|kept| *kept < RETENTION_MS_MIN);
        // None is for ever.
        let for_ever = |kept: Option<u64>| kept.unwrap_or(u64::MAX);
        let statements = for_ever(self.statements_ms);
        let is_first =
            statements < for_ever(self.permits_ms) || statements < for_ever(self.disclosures_ms);
        (is_short || is_first).then_some(Reason::RetentionTooShort)
    }
}

impl<V: View> Gate<'_, V> {
    /// Until when a permit is kept that has ended at `ended_at`, as retention is set now.
    fn kept_until(&self, ended_at: ClusterTime) -> ClusterTime {
        let permits_ms = self.namespace.retention.permits_ms;
        ended_at.saturating_add(permits_ms.unwrap_or(RETENTION_MS_MAX))
    }

    /// A permit has ended: what retention has passed over on its account goes now, or comes back later.
    pub(super) fn note_end(&mut self, permit: &PermitRecord) -> Result<(), ApplyError<V::Error>> {
        let Some(ended_at) = permit.ended_at else {
            let key = self.keys.permit(&permit.id);
            return Err(ApplyError::contradiction(key, "it has not ended"));
        };
        for known in &permit.statements {
            if known.leaf < self.namespace.swept.disclosures {
                let key = self.keys.at_leaf(Kind::Disclosure, known.leaf);
                self.draft.delete(key);
            }
        }
        if permit.fence > self.namespace.swept.fence {
            return Ok(());
        }
        // Named by its end and not by its going, so that another setting counts for it too.
        let row = self.keys.due(Kind::PermitEnd, ended_at, permit.fence);
        self.draft.write(row, &permit.id)
    }

    /// Meets permits that were passed over and have ended since.
    pub(super) fn sweep_permit_ends(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let mut part = SweepPart {
            rows: 0,
            is_done: true,
        };
        if self.namespace.retention.permits_ms.is_none() {
            return Ok(part);
        }
        let prefix = self.keys.prefix(Kind::PermitEnd);
        // One more than may go, to see whether one is left.
        let rows = self.draft.first_rows(&prefix, limit.saturating_add(1))?;
        for (place, (key, row)) in rows.into_iter().enumerate() {
            if self.kept_until(time_at(&key, prefix.len())?) > self.now() {
                break;
            }
            if place == limit {
                part.is_done = false;
                break;
            }
            let id: PermitId = decoded(&key, &row)?;
            let permit = self.must_permit(&id)?;
            self.draft.delete(key);
            self.forget(&permit)?;
            part.rows = part.rows.saturating_add(1);
        }
        Ok(part)
    }

    /// Meets the next permits that were granted as long ago as ended ones are kept.
    pub(super) fn sweep_permits(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let mut part = SweepPart {
            rows: 0,
            is_done: true,
        };
        if self.namespace.retention.permits_ms.is_none() {
            return Ok(part);
        }
        let after = self.keys.fence(self.namespace.swept.fence);
        let prefix = self.keys.prefix(Kind::Fence);
        let rows = self
            .draft
            .rows_after(&prefix, Some(&after), limit.saturating_add(1))?;
        for (place, (key, row)) in rows.into_iter().enumerate() {
            let permit = self.must_permit(&decoded::<PermitId, _>(&key, &row)?)?;
            if self.kept_until(permit.issued_at) > self.now() {
                break;
            }
            if place == limit {
                part.is_done = false;
                break;
            }
            assert!(
                permit.fence > self.namespace.swept.fence,
                "the cursor does not go back"
            );
            self.namespace.swept.fence = permit.fence;
            if permit.ended_at.is_some() {
                self.forget_or_pass(&permit)?;
            }
            part.rows = part.rows.saturating_add(1);
        }
        Ok(part)
    }

    /// Takes a permit away that has ended, or passes it over until it is due.
    fn forget_or_pass(&mut self, permit: &PermitRecord) -> Result<(), ApplyError<V::Error>> {
        let due = permit.ended_at.map(|ended_at| self.kept_until(ended_at));
        if due.is_some_and(|due| due <= self.now()) {
            self.forget(permit)
        } else {
            self.note_end(permit)
        }
    }

    /// Takes a permit away, with what only it kept.
    fn forget(&mut self, permit: &PermitRecord) -> Result<(), ApplyError<V::Error>> {
        assert!(
            permit.ended_at.is_some(),
            "only a permit that has ended is taken away"
        );
        let key = self.keys.attempt(&permit.caller, &permit.idempotency_key);
        if let Some(attempt) = self.draft.read::<AttemptRecord>(&key)?
            && attempt.decided == Decided::Permit(permit.id)
        {
            let kept_until = attempt.not_after.saturating_add(ATTEMPT_KEPT_MS);
            if kept_until > self.now() {
                let what = "its permit was kept for less time than itself";
                return Err(ApplyError::contradiction(key, what));
            }
            let (caller, name) = (&permit.caller, &permit.idempotency_key);
            self.draft
                .delete(self.keys.attempt_end(kept_until, caller, name));
            self.draft.delete(key);
        }
        let swept = self.namespace.swept;
        for known in &permit.statements {
            if known.leaf < swept.statements {
                self.draft.delete(self.keys.at_leaf(Kind::Leaf, known.leaf));
                self.forget_dispute(known.leaf);
            }
            if known.leaf < swept.disclosures {
                self.draft
                    .delete(self.keys.at_leaf(Kind::Disclosure, known.leaf));
            }
        }
        self.draft.delete(self.keys.fence(permit.fence));
        self.draft.delete(self.keys.permit(&permit.id));
        Ok(())
    }

    /// Erases what old statements only commit to.
    pub(super) fn sweep_disclosures(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let Some(kept_ms) = self.namespace.retention.disclosures_ms else {
            return Ok(nothing_due());
        };
        let mut rows = 0;
        loop {
            let leaf = self.namespace.swept.disclosures;
            let Some(record) = self.old_statement(leaf, kept_ms)? else {
                let is_done = true;
                return Ok(SweepPart { rows, is_done });
            };
            if rows >= limit as u64 {
                let is_done = false;
                return Ok(SweepPart { rows, is_done });
            }
            let permit = self.permit_of(&record)?;
            if permit.is_none_or(|permit| permit.ended_at.is_some()) {
                self.draft.delete(self.keys.at_leaf(Kind::Disclosure, leaf));
            }
            self.namespace.swept.disclosures = leaf.saturating_add(1);
            rows = rows.saturating_add(1);
        }
    }

    /// Takes old statements away. Their hashes stay.
    pub(super) fn sweep_statements(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let Some(kept_ms) = self.namespace.retention.statements_ms else {
            return Ok(nothing_due());
        };
        let mut rows = 0;
        loop {
            let leaf = self.namespace.swept.statements;
            let found = self.old_statement(leaf, kept_ms)?;
            let Some(record) = found.filter(|record| !self.may_count(record)) else {
                let is_done = true;
                return Ok(SweepPart { rows, is_done });
            };
            if rows >= limit as u64 {
                let is_done = false;
                return Ok(SweepPart { rows, is_done });
            }
            if self.permit_of(&record)?.is_none() {
                self.draft.delete(self.keys.at_leaf(Kind::Leaf, leaf));
                self.draft.delete(self.keys.at_leaf(Kind::Disclosure, leaf));
                self.forget_dispute(leaf);
            }
            let next = leaf.saturating_add(1);
            let swept = &mut self.namespace.swept;
            swept.statements = next;
            swept.disclosures = swept.disclosures.max(next);
            rows = rows.saturating_add(1);
        }
    }

    /// Whether an approval may still rest on its statement.
    fn may_count(&self, record: &LeafRecord) -> bool {
        let until = record.counts_until;
        until.is_some_and(|until| until.saturating_add(RETENTION_MS_MIN) > self.now())
    }

    /// The statement at `leaf` if it was made `kept_ms` ago or earlier; none also at the log's end.
    fn old_statement(
        &self,
        leaf: u64,
        kept_ms: u64,
    ) -> Result<Option<LeafRecord>, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Leaf, leaf);
        let record = self.draft.read::<LeafRecord>(&key)?;
        Ok(record.filter(|record| record.issued_at.saturating_add(kept_ms) <= self.now()))
    }

    /// The permit that a statement is about, if it is kept.
    fn permit_of(&self, record: &LeafRecord) -> Result<Option<PermitRecord>, ApplyError<V::Error>> {
        match &record.permit {
            Some(permit) => self.permit(permit),
            None => Ok(None),
        }
    }
}

const fn nothing_due() -> SweepPart {
    SweepPart {
        rows: 0,
        is_done: true,
    }
}
