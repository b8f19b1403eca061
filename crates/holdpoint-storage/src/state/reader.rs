//! Reads the state as it was at one moment.

use holdpoint_core::view::Row;
use holdpoint_core::{StateKey, View};
use holdpoint_receipt::{Digest, Hasher};
use rocksdb::{DB, DBIterator, Direction, IteratorMode, ReadOptions};

use super::families::{Families, Family};
use crate::fault::{FaultLatch, StoreError};
use crate::rocks;

/// Domain of the digest over all rows; [`holdpoint_core::MapView::state_hash`] uses the same.
const HASH_DOMAIN: &str = "holdpoint/state/v1";

/// A consistent view of the state on disk.
///
/// A row that cannot be read trips the latch: a state that is damaged in one place is trusted in
/// none.
pub struct RocksReader<'a> {
    snapshot: rocksdb::Snapshot<'a>,
    families: Families<'a>,
    faults: &'a FaultLatch,
}

impl std::fmt::Debug for RocksReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksReader").finish_non_exhaustive()
    }
}

impl<'a> RocksReader<'a> {
    pub(super) fn new(db: &'a DB, families: Families<'a>, faults: &'a FaultLatch) -> Self {
        Self {
            snapshot: db.snapshot(),
            families,
            faults,
        }
    }

    fn damaged(&self, error: &rocksdb::Error) -> StoreError {
        self.faults.trip(rocks::fault("read the state", error))
    }

    pub(super) fn state_hash(&self) -> Result<Digest, StoreError> {
        let mut hasher = Hasher::with_domain(HASH_DOMAIN);
        let mut families = Vec::new();
        for family in Family::ALL {
            families.push(
                self.rows(family, IteratorMode::Start, ReadOptions::default())
                    .peekable(),
            );
        }
        // The next row is the first of the family that stands lowest.
        loop {
            let mut next: Option<(usize, StateKey)> = None;
            for (place, rows) in families.iter_mut().enumerate() {
                match rows.peek() {
                    Some(Err(error)) => return Err(error.clone()),
                    Some(Ok((key, _))) if next.as_ref().is_none_or(|(_, next)| key < next) => {
                        next = Some((place, key.clone()));
                    }
                    Some(Ok(_)) | None => {}
                }
            }
            let rows = next.and_then(|(place, _)| families.get_mut(place));
            let Some(row) = rows.and_then(Iterator::next) else {
                return Ok(hasher.finish());
            };
            let (key, value) = row?;
            hasher.part(key.as_bytes());
            hasher.part(&value);
        }
    }

    fn rows(
        &self,
        family: Family,
        mode: IteratorMode<'_>,
        options: ReadOptions,
    ) -> impl Iterator<Item = Result<Row, StoreError>> {
        let family = self.families.get(family);
        let rows: DBIterator<'_> = self.snapshot.iterator_cf_opt(family, options, mode);
        rows.map(|row| {
            let (key, value) = row.map_err(|error| self.damaged(&error))?;
            Ok((StateKey::from_bytes(key.into_vec()), value.into_vec()))
        })
    }
}

impl View for RocksReader<'_> {
    type Error = StoreError;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot
            .get_cf(self.families.get(Family::of(key)), key.as_bytes())
            .map_err(|error| self.damaged(&error))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        // The smallest key after `after` is `after` and a zero byte.
        let start = after
            .filter(|after| after.as_bytes() >= prefix)
            .map_or_else(
                || prefix.to_vec(),
                |after| [after.as_bytes(), &[0]].concat(),
            );
        let read = |family| -> Result<Vec<Row>, StoreError> {
            let mut options = ReadOptions::default();
            if let Some(end) = end_of(prefix) {
                options.set_iterate_upper_bound(end);
            }
            let mode = IteratorMode::From(&start, Direction::Forward);
            self.rows(family, mode, options).take(limit).collect()
        };
        if let Some(family) = Family::of_prefix(prefix) {
            return read(family);
        }
        let mut rows = Vec::new();
        for family in Family::ALL {
            rows.extend(read(family)?);
        }
        rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        rows.truncate(limit);
        Ok(rows)
    }
}

/// The smallest key after every key that starts with `prefix`; `None` if there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    let byte = end.last_mut()?;
    *byte = byte.saturating_add(1);
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_after_everything_that_starts_with_it() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(end_of(&[0xff]), None);
        assert_eq!(end_of(&[]), None);
    }
}
