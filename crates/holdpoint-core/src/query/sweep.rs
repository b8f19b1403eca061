//! When a sweep has something to do.

use holdpoint_receipt::{ClusterTime, Fence, PermitId};

use super::{NamespaceQuery, decode, number_at, read, rows, unreadable};
use crate::fault::ApplyError;
use crate::judge::sweep_is_due;
use crate::key::{Kind, StateKey};
use crate::record::LeafRecord;
use crate::view::{Row, View};

impl<V: View> NamespaceQuery<'_, V> {
    /// Whether a [`crate::command::Sweep`] at `now` would change anything. Reads a few rows of each
    /// kind, however many there are.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged. The same for every read below.
    pub fn is_sweep_due(&self, now: ClusterTime) -> Result<bool, ApplyError<V::Error>> {
        sweep_is_due(self.view, self.group, &self.name, now)
    }

    /// The earliest time at which a sweep may have something to do if no command comes before: `now` if
    /// it has; none if it never will. That it then has is not promised.
    ///
    /// A permit that comes in doubt counts. No sweep changes it, but nobody hears of it until an entry
    /// carries a time that is late enough.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::is_sweep_due`].
    pub fn next_due(&self, now: ClusterTime) -> Result<Option<ClusterTime>, ApplyError<V::Error>> {
        if self.is_sweep_due(now)? {
            return Ok(Some(now));
        }
        let doubt = self.next_doubt()?;
        if doubt.is_some_and(|at| at <= now) {
            return Ok(Some(now));
        }
        let retention = self.record.retention;
        let swept = self.record.swept;
        let mut times = vec![doubt];
        for index in [
            Kind::Expiry,
            Kind::HeldEnd,
            Kind::ReleaseAt,
            Kind::WaiterEnd,
            Kind::AttemptEnd,
            Kind::ApprovalEnd,
            Kind::PendingEnd,
            Kind::TombstoneEnd,
            Kind::UsageEnd,
        ] {
            times.push(self.first_of(index, Some(0))?);
        }
        times.push(self.first_of(Kind::SessionEnd, retention.sessions_ms)?);
        if let Some(permits_ms) = retention.permits_ms {
            times.push(self.first_of(Kind::PermitEnd, Some(permits_ms))?);
            times.push(self.next_permit(permits_ms)?);
        }
        if let Some(disclosures_ms) = retention.disclosures_ms {
            times.push(self.next_statement(swept.disclosures, disclosures_ms)?);
        }
        if let Some(statements_ms) = retention.statements_ms {
            times.push(self.next_statement(swept.statements, statements_ms)?);
        }
        // What lies in the past and is not due waits for something else.
        Ok(times.into_iter().flatten().filter(|at| *at > now).min())
    }

    /// When the next permit comes in doubt that is not in doubt yet as far as the log says.
    fn next_doubt(&self) -> Result<Option<ClusterTime>, ApplyError<V::Error>> {
        let prefix = self.keys.prefix(Kind::Doubt);
        // No permit has the fence 0, so this stands before all that come in doubt later than now.
        let later = self.now().saturating_add(1);
        let after = self.keys.due(Kind::Doubt, later, Fence::default());
        let found = self.first_after(&prefix, Some(&after))?;
        found.map(|(key, _)| time_of(&key, &prefix)).transpose()
    }

    /// `later_ms` after the first time of an index.
    fn first_of(
        &self,
        index: Kind,
        later_ms: Option<u64>,
    ) -> Result<Option<ClusterTime>, ApplyError<V::Error>> {
        let Some(later_ms) = later_ms else {
            return Ok(None);
        };
        let prefix = self.keys.prefix(index);
        let first = self.first_after(&prefix, None)?;
        let at = first.map(|(key, _)| time_of(&key, &prefix)).transpose()?;
        Ok(at.map(|at| at.saturating_add(later_ms)))
    }

    fn first_after(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
    ) -> Result<Option<Row>, ApplyError<V::Error>> {
        Ok(rows(self.view, prefix, after, 1)?.pop())
    }

    /// When retention meets the next permit.
    fn next_permit(&self, permits_ms: u64) -> Result<Option<ClusterTime>, ApplyError<V::Error>> {
        let after = self.keys.fence(self.record.swept.fence);
        let prefix = self.keys.prefix(Kind::Fence);
        let Some((key, row)) = self.first_after(&prefix, Some(&after))? else {
            return Ok(None);
        };
        let id: PermitId = decode(&key, &row)?;
        let permit = self.must_permit(&id)?;
        Ok(Some(permit.record.issued_at.saturating_add(permits_ms)))
    }

    /// When retention meets the statement at `leaf`.
    fn next_statement(
        &self,
        leaf: u64,
        kept_ms: u64,
    ) -> Result<Option<ClusterTime>, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Leaf, leaf);
        let record = read::<LeafRecord, V>(self.view, &key)?;
        Ok(record.map(|record| record.issued_at.saturating_add(kept_ms)))
    }
}

/// The time that stands in `key` behind `prefix`.
fn time_of<E>(key: &StateKey, prefix: &[u8]) -> Result<ClusterTime, ApplyError<E>> {
    let at = ClusterTime::new(number_at(key, prefix.len())?);
    at.map_err(|_beyond| unreadable(key))
}
