//! What only time brings about, in bounded steps.
//!
//! ```text
//! expiry · holds of offline permits · releases · waiting · drain
//! attempts · approvals · pending requests · sessions · tombstones · windows of budgets
//! permits · disclosures · statements
//! ```
//!
//! In this order: nothing is taken away that a record further left still names. No decision depends
//! on how far sweeps have come, but for what retention has taken away: time counts from the moment it
//! passes.

use holdpoint_receipt::{ClusterTime, Name, PermitId, Salt};

use super::Verdict;
use super::draft::{Draft, decoded};
use super::ends::SweepPart;
use super::gate::Gate;
use crate::command::Sweep;
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::limits::SWEEP_ROWS_MAX;
use crate::outcome::{Outcome, SweepOutcome};
use crate::position::{GroupId, LogPosition};
use crate::query::Query;
use crate::record::{AttemptRecord, GroupRecord, ReleaseRecord, TombstoneRecord, UsageRecord};
use crate::view::View;

pub(super) fn sweep<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Sweep,
) -> Result<Verdict, ApplyError<V::Error>> {
    let outcome = gate.sweep(command.salt, SWEEP_ROWS_MAX)?;
    Ok(Verdict::Changed(Outcome::Swept(outcome)))
}

/// Whether a sweep of `namespace` at `now` would change anything: one is tried, of one row of each
/// kind, and not kept.
pub(crate) fn is_due<V: View>(
    view: &V,
    group: GroupId,
    namespace: &Name,
    now: ClusterTime,
) -> Result<bool, ApplyError<V::Error>> {
    // What is not kept stands nowhere. In a later term other things may be done, but not nothing.
    let at = LogPosition {
        group,
        term: Query::new(view, group).clock()?.term,
        index: 0,
        place: 0,
    };
    let draft = Draft::new(view, at, now);
    let group_key = KeySpace::group(group).single(Kind::Group);
    let Some(record) = draft.read::<GroupRecord>(&group_key)? else {
        return Ok(false);
    };
    let Some(mut gate) = Gate::open(draft, &record, namespace)? else {
        return Ok(false);
    };
    gate.sweep(Salt::from_bytes([0; 32]), 1)?;
    Ok(!gate.close()?.writes.is_empty())
}

impl SweepOutcome {
    fn add(&mut self, part: SweepPart) {
        self.rows = self.rows.saturating_add(part.rows);
        self.is_done &= part.is_done;
    }
}

impl<V: View> Gate<'_, V> {
    /// One step, of at most `limit` rows of each kind.
    fn sweep(&mut self, salt: Salt, limit: usize) -> Result<SweepOutcome, ApplyError<V::Error>> {
        let mut outcome = SweepOutcome {
            is_done: true,
            ..SweepOutcome::default()
        };
        outcome.add(part(self.let_due_go(Kind::Expiry, limit)?));
        outcome.add(part(self.let_due_go(Kind::HeldEnd, limit)?));
        let (released, met) = self.sweep_releases(salt, limit)?;
        outcome.released = released;
        outcome.add(met);
        outcome.add(self.sweep_waiters(limit)?);
        let drain = self.step_drain(salt, limit)?;
        outcome.activated = drain.activated.map(|(active, _)| active);
        outcome.add(drain.part);
        outcome.add(self.sweep_attempts(limit)?);
        outcome.add(self.sweep_approvals(limit)?);
        outcome.add(self.sweep_pending(limit)?);
        outcome.add(self.sweep_sessions(limit)?);
        outcome.add(self.sweep_tombstones(limit)?);
        outcome.add(self.sweep_usages(limit)?);
        outcome.add(self.sweep_permit_ends(limit)?);
        outcome.add(self.sweep_permits(limit)?);
        // Statements go last: whatever names one has gone before.
        if outcome.is_done {
            outcome.add(self.sweep_disclosures(limit)?);
            outcome.add(self.sweep_statements(limit)?);
        }
        Ok(outcome)
    }

    /// Releases permits that have been in doubt for as long as their surface says.
    fn sweep_releases(
        &mut self,
        salt: Salt,
        limit: usize,
    ) -> Result<(Vec<PermitId>, SweepPart), ApplyError<V::Error>> {
        let mut released = Vec::new();
        // One more than may go, to see whether one is left.
        let rows = self.rows_until(Kind::ReleaseAt, self.now(), limit.saturating_add(1))?;
        for (key, row) in rows {
            if released.len() == limit {
                return Ok((released, part((limit, false))));
            }
            let mut permit = self.must_permit(&decoded(&key, &row)?)?;
            let release = ReleaseRecord {
                principal: None,
                reason: None,
                released_at: self.now(),
            };
            self.let_doubt_go(&mut permit, release, salt)?;
            released.push(permit.id);
        }
        let part = part((released.len(), true));
        Ok((released, part))
    }

    /// Takes records of attempts away that no retry can ask for any more.
    fn sweep_attempts(&mut self, limit: usize) -> Result<SweepPart, ApplyError<V::Error>> {
        let now = self.now();
        self.sweep_ends(Kind::AttemptEnd, now, limit, |gate, named| {
            let key = gate.keys.named_row(Kind::Attempt, named);
            let attempt: AttemptRecord = gate.draft.must_read(&key)?;
            assert!(attempt.not_after <= now, "an attempt that goes on is kept");
            gate.draft.delete(key);
            Ok(())
        })
    }

    /// Takes tombstones away that no longer count.
    fn sweep_tombstones(&mut self, limit: usize) -> Result<SweepPart, ApplyError<V::Error>> {
        let now = self.now();
        self.sweep_ends(Kind::TombstoneEnd, now, limit, |gate, named| {
            let key = gate.keys.named_row(Kind::Tombstone, named);
            let tombstone: TombstoneRecord = gate.draft.must_read(&key)?;
            gate.unbury(&key, &tombstone)
        })
    }

    /// Takes usages of budgets away whose window is over. What live permits still hold goes with the
    /// last of them.
    fn sweep_usages(&mut self, limit: usize) -> Result<SweepPart, ApplyError<V::Error>> {
        let now = self.now();
        self.sweep_ends(Kind::UsageEnd, now, limit, |gate, named| {
            let key = gate.keys.named_row(Kind::Usage, named);
            let usage: UsageRecord = gate.draft.must_read(&key)?;
            if usage.live == 0 {
                gate.draft.delete(key);
            }
            Ok(())
        })
    }
}

/// What a part did that counts its rows.
fn part((rows, is_done): (usize, bool)) -> SweepPart {
    SweepPart {
        // usize has at most 64 bits on every target that exists, so this loses nothing.
        rows: rows as u64,
        is_done,
    }
}
