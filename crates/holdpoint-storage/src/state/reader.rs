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
    db: &'a DB,
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
            db,
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

    /// Looks rows of a family up in one call, which shares the work on filters and indexes. The keys are
    /// in order, each once.
    fn read_together(&self, family: Family, keys: &[&StateKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        let bytes = keys.iter().map(|key| key.as_bytes());
        let family = self.families.get(family);
        let rows = self
            .db
            .batched_multi_get_cf_opt(family, bytes, true, &options);
        let mut seen = self.seen.borrow_mut();
        for (key, row) in keys.iter().zip(rows) {
            let row = row.map_err(|error| self.damaged(&error))?;
            seen.keep(key, row.as_deref());
        }
        Ok(())
    }

    /// A key that no row under `prefix` stands before, if one is known.
    fn start_of(&self, prefix: &[u8]) -> Option<Vec<u8>> {
        self.starts.start_of(self.version?, prefix)
    }

    /// The rows under `prefix` that stand after `after` and before `end`, the first of them.
    fn scan_between(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        end: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let after = after.filter(|after| after.as_bytes() >= prefix);
        let start = match after {
            // The smallest key after `after` is `after` and a zero byte.
            Some(after) => [after.as_bytes(), &[0]].concat(),
            None => self.start_of(prefix).unwrap_or_else(|| prefix.to_vec()),
        };
        let mut first = None;
        let mut read = |family| -> Result<Vec<Row>, StoreError> {
            let mut options = ReadOptions::default();
            if let Some(end) = end_of(prefix) {
                options.set_iterate_upper_bound(end);
            }
            let mode = IteratorMode::From(&start, Direction::Forward);
            let mut found = Vec::new();
            for row in self.rows(family, mode, options).take(limit) {
                let (key, value) = row?;
                if first.is_none() {
                    first = Some(key.as_bytes().to_vec());
                }
                // One row beyond is read where nothing else is found: the next scan begins there.
                if end.is_some_and(|end| key >= *end) {
                    break;
                }
                found.push((key, value));
            }
            Ok(found)
        };
        if let Some(family) = Family::of_prefix(prefix) {
            let rows = read(family)?;
            let from_start = self.version.filter(|_| after.is_none() && limit > 0);
            if let Some(version) = from_start
                && let Some(first) = first.or_else(|| end_of(prefix))
            {
                self.starts.remember(version, prefix, first);
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
        self.scan_between(prefix, after, None, limit)
    }

    fn scan_before(
        &self,
        prefix: &[u8],
        end: &StateKey,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let start = self.start_of(prefix);
        if start.is_some_and(|start| start.as_slice() >= end.as_bytes()) {
            return Ok(Vec::new());
        }
        self.scan_between(prefix, None, Some(end), limit)
    }

    fn foresee(&self, keys: &[StateKey]) -> Result<(), StoreError> {
        for family in Family::ALL {
            let mut keys: Vec<&StateKey> = keys
                .iter()
                .filter(|key| Family::of(key) == family)
                .collect();
            keys.sort_unstable();
            keys.dedup();
            self.read_together(family, &keys)?;
        }
        Ok(())
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
    use crate::data_dir::tests::new_dir;
    use crate::state::{Applied, StateStore};
    use holdpoint_core::{GroupId, KeySpace, Kind, Write};
    use holdpoint_receipt::{Fence, Name, PermitId};

    #[test]
    fn what_was_foreseen_is_answered_as_of_the_readers_moment() {
        let (_temp, dir) = new_dir();
        let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
        let keys = KeySpace::namespace(GroupId::FIRST, &Name::new("default").unwrap());
        // Of three families, two of each.
        let number = |number: u8| PermitId::from_bytes([number; 16]);
        let named: Vec<StateKey> = [1, 2]
            .into_iter()
            .flat_map(|it| {
                [
                    keys.permit(&number(it)),
                    keys.fence(Fence::new(u64::from(it)).unwrap()),
                    keys.at_leaf(Kind::Leaf, u64::from(it)),
                ]
            })
            .collect();
        let commit = |index, keys: &[StateKey], value: u8| {
            let put = |key: &StateKey| Write::Put {
                key: key.clone(),
                value: vec![value],
            };
            let writes: Vec<Write> = keys.iter().map(put).collect();
            let bytes = Vec::new();
            state.commit(&writes, &Applied { index, bytes }).unwrap();
        };
        commit(1, &named[..3], 1);
        let read = |reader: &RocksReader<'_>| -> Vec<Option<Vec<u8>>> {
            named.iter().map(|key| reader.get(key).unwrap()).collect()
        };
        state
            .read(|reader| {
                let expected = state.read(read).unwrap();
                commit(2, &named, 2);
                let twice = [named.as_slice(), named.as_slice()].concat();
                reader.foresee(&twice).unwrap();
                assert_eq!(reader.seen.borrow().rows.len(), named.len());
                assert_eq!(read(reader), expected);
            })
            .unwrap();
        assert_eq!(state.read(read).unwrap(), vec![Some(vec![2]); named.len()]);
    }

    #[test]
    fn the_end_of_a_prefix_is_after_everything_that_starts_with_it() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(end_of(&[0xff]), None);
        assert_eq!(end_of(&[]), None);
    }
}
