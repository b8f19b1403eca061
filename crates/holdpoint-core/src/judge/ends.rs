//! Taking away what has ended: rows of an index whose time has come, and what they name.

use holdpoint_receipt::ClusterTime;

use super::gate::Gate;
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::view::{Row, View};

/// What one part of a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SweepPart {
    /// Rows that were looked at and are done with.
    pub(super) rows: u64,
    /// Whether nothing else is due.
    pub(super) is_done: bool,
}

impl<V: View> Gate<'_, V> {
    /// The first rows of an index by time whose time is not after `until`, the earliest first.
    pub(super) fn rows_until(
        &self,
        index: Kind,
        until: ClusterTime,
        limit: usize,
    ) -> Result<Vec<Row>, ApplyError<V::Error>> {
        let end = self.keys.after(index, until);
        self.draft
            .rows_before(&self.keys.prefix(index), &end, limit)
    }

    /// Hands the names of at most `limit` rows of `index` whose time is not after `until` to `take`,
    /// the earliest first, and deletes the rows.
    ///
    /// Keys of the index are a time and then the name of a row of another kind
    /// ([`crate::key::KeySpace::end_of`]).
    pub(super) fn sweep_ends(
        &mut self,
        index: Kind,
        until: ClusterTime,
        limit: usize,
        mut take: impl FnMut(&mut Self, &[u8]) -> Result<(), ApplyError<V::Error>>,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let mut part = SweepPart {
            rows: 0,
            is_done: true,
        };
        // One more than may go, to see whether one is left.
        let rows = self.rows_until(index, until, limit.saturating_add(1))?;
        for (place, (key, _)) in rows.iter().enumerate() {
            let split = key.parts().and_then(|parts| parts.rest.split_at_checked(8));
            let Some((_, named)) = split else {
                let what = "the key does not name what its kind says";
                return Err(ApplyError::contradiction(key.clone(), what));
            };
            if place == limit {
                part.is_done = false;
                break;
            }
            take(self, named)?;
            self.draft.delete(key.clone());
            part.rows = part.rows.saturating_add(1);
        }
        Ok(part)
    }
}
