//! Reads the state as it was at one moment.

use std::cell::RefCell;
use std::collections::HashMap;

use holdpoint_core::view::Row;
use holdpoint_core::{StateKey, View};
use holdpoint_receipt::{Digest, Hasher};
use rocksdb::{DB, DBIterator, Direction, IteratorMode, ReadOptions};

use super::families::{Families, Family};
use super::starts::{Starts, Version};
use crate::fault::{FaultLatch, StoreError};
use crate::rocks;

/// Domain of the digest over all rows; [`holdpoint_core::MapView::state_hash`] uses the same.
const HASH_DOMAIN: &str = "holdpoint/state/v1";

/// Keys and rows that one reader remembers. What exceeds it is read again.
const SEEN_BYTES_MAX: usize = 2 << 20;

/// A consistent view of the state on disk.
///
/// A row that cannot be read trips the latch: a state that is damaged in one place is trusted in
/// none.
pub struct RocksReader<'a> {
    snapshot: rocksdb::Snapshot<'a>,
    families: Families<'a>,
    starts: &'a Starts,
    /// None if a commit went on when the snapshot was taken.
    version: Option<Version>,
    /// What was read already, absent rows too: an entry asks for the same ones with each command.
    seen: RefCell<Seen>,
    faults: &'a FaultLatch,
}

/// Rows that were read, and how many bytes they have.
#[derive(Default)]
struct Seen {
    rows: HashMap<StateKey, Option<Vec<u8>>>,
    bytes: usize,
}

impl Seen {
    fn keep(&mut self, key: &StateKey, row: Option<&[u8]>) {
        let bytes = row.map_or(0, <[u8]>::len);
        let bytes = bytes.saturating_add(key.as_bytes().len());
        if self.bytes.saturating_add(bytes) <= SEEN_BYTES_MAX {
            self.bytes = self.bytes.saturating_add(bytes);
            self.rows.insert(key.clone(), row.map(<[u8]>::to_vec));
        }
    }
}

impl std::fmt::Debug for RocksReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksReader").finish_non_exhaustive()
    }
}

impl<'a> RocksReader<'a> {
    pub(super) fn new(
        db: &'a DB,
        families: Families<'a>,
        starts: &'a Starts,
        faults: &'a FaultLatch,
    ) -> Self {
        // The snapshot is of a version if no commit began before, or goes on after it was taken.
        let before = starts.version();
        let snapshot = db.snapshot();
        let version = before.filter(|_| before == starts.version());
        Self {
            snapshot,
            families,
            starts,
            version,
            seen: RefCell::default(),
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
        if let Some(row) = self.seen.borrow().rows.get(key) {
            return Ok(row.clone());
        }
        let row = self
            .snapshot
            .get_cf(self.families.get(Family::of(key)), key.as_bytes())
            .map_err(|error| self.damaged(&error))?;
        self.seen.borrow_mut().keep(key, row.as_deref());
        Ok(row)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let after = after.filter(|after| after.as_bytes() >= prefix);
        let from_start = self.version.filter(|_| after.is_none());
        let known = from_start.and_then(|version| self.starts.start_of(version, prefix));
        let start = match (after, known) {
            // The smallest key after `after` is `after` and a zero byte.
            (Some(after), _) => [after.as_bytes(), &[0]].concat(),
            (None, Some(known)) => known,
            (None, None) => prefix.to_vec(),
        };
        let read = |family| -> Result<Vec<Row>, StoreError> {
            let mut options = ReadOptions::default();
            if let Some(end) = end_of(prefix) {
                options.set_iterate_upper_bound(end);
            }
            let mode = IteratorMode::From(&start, Direction::Forward);
            self.rows(family, mode, options).take(limit).collect()
        };
        if let Some(family) = Family::of_prefix(prefix) {
            let rows = read(family)?;
            if let Some(version) = from_start.filter(|_| limit > 0) {
                let first = rows.first().map(|(key, _)| key.as_bytes().to_vec());
                if let Some(first) = first.or_else(|| end_of(prefix)) {
                    self.starts.remember(version, prefix, first);
                }
            }
            return Ok(rows);
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
