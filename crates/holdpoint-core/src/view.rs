//! How the state machine reads, and what it writes.
//!
//! [`crate::judge()`] borrows a [`View`] and returns [`Write`]s: it cannot change the state. The node
//! reads through RocksDB, tests and the simulator through [`MapView`]; both apply the same writes,
//! so they cannot drift apart. Nothing here interprets a value.

use std::collections::BTreeMap;
use std::convert::Infallible;

use holdpoint_receipt::{Digest, Hasher};

use crate::key::StateKey;

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the value under a key.
    Put {
        /// Where.
        key: StateKey,
        /// The encoded record.
        value: Vec<u8>,
    },
    /// Takes the key away; it may be absent.
    Delete {
        /// Where.
        key: StateKey,
    },
}

/// An entry of the state: a key and its encoded record.
pub type Row = (StateKey, Vec<u8>);

/// A state to read from: consistent, and unchanged while it is borrowed.
pub trait View {
    /// A fault of what holds the state, such as a damaged block. It never says anything about a
    /// command.
    type Error;

    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// The state could not be read; the node must stop.
    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Self::Error>;

    /// At most `limit` rows whose key starts with `prefix`, in order of their keys, strictly after
    /// `after`.
    ///
    /// # Errors
    ///
    /// The state could not be read; the node must stop.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, Self::Error>;

    /// The rows that [`View::scan`] finds from the start of `prefix`, as far as they stand before `end`.
    ///
    /// For indexes of which mostly nothing is due: a state that knows where such an index begins answers
    /// without a look.
    ///
    /// # Errors
    ///
    /// The state could not be read; the node must stop.
    fn scan_before(
        &self,
        prefix: &[u8],
        end: &StateKey,
        limit: usize,
    ) -> Result<Vec<Row>, Self::Error> {
        let mut rows = self.scan(prefix, None, limit)?;
        rows.retain(|(key, _)| key < end);
        Ok(rows)
    }

    /// Says which rows will be asked for, so that a state can look them up together. It changes no
    /// answer: a row that is not named here is found as well, and one that is named need not be asked
    /// for.
    ///
    /// # Errors
    ///
    /// The state could not be read; the node must stop.
    fn foresee(&self, _keys: &[StateKey]) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A state in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapView {
    rows: BTreeMap<StateKey, Vec<u8>>,
}

impl MapView {
    /// An empty state, as a new node has it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies what `judge` or `apply` returned.
    pub fn commit(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Put { key, value } => {
                    self.rows.insert(key.clone(), value.clone());
                }
                Write::Delete { key } => {
                    self.rows.remove(key);
                }
            }
        }
    }

    /// Every row, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&StateKey, &[u8])> {
        self.rows.iter().map(|(key, value)| (key, value.as_slice()))
    }

    /// A digest over every row. Nodes that applied the same entries have the same.
    #[must_use]
    pub fn state_hash(&self) -> Digest {
        let mut hasher = Hasher::with_domain("holdpoint/state/v1");
        for (key, value) in &self.rows {
            hasher.part(key.as_bytes());
            hasher.part(value);
        }
        hasher.finish()
    }

    fn rows_after<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&StateKey>,
    ) -> impl Iterator<Item = (&'a StateKey, &'a Vec<u8>)> {
        rows_after(&self.rows, prefix, after)
    }
}

/// The rows of `map` under `prefix`, strictly after `after`.
fn rows_after<'a, T>(
    map: &'a BTreeMap<StateKey, T>,
    prefix: &'a [u8],
    after: Option<&StateKey>,
) -> impl Iterator<Item = (&'a StateKey, &'a T)> {
    use std::ops::Bound;
    let first = StateKey::from_bytes(prefix.to_vec());
    // An `after` before the prefix must not bring in rows that are not under it.
    let start = match after {
        Some(after) if *after >= first => Bound::Excluded(after.clone()),
        _ => Bound::Included(first),
    };
    map.range((start, Bound::Unbounded))
        .take_while(move |(key, _)| key.as_bytes().starts_with(prefix))
}

impl View for MapView {
    type Error = Infallible;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, Infallible> {
        let rows = self.rows_after(prefix, after).take(limit);
        Ok(rows
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}

/// A state with pending writes over it, which reads see and the state does not.
#[derive(Debug)]
pub struct Overlay<'a, V> {
    base: &'a V,
    /// `None` stands for a deleted row.
    pending: BTreeMap<StateKey, Option<Vec<u8>>>,
}

impl<'a, V: View> Overlay<'a, V> {
    /// No pending writes over `base`.
    #[must_use]
    pub fn new(base: &'a V) -> Self {
        Self {
            base,
            pending: BTreeMap::new(),
        }
    }

    /// Sets a row.
    pub fn put(&mut self, key: StateKey, value: Vec<u8>) {
        self.pending.insert(key, Some(value));
    }

    /// Takes a row away.
    pub fn delete(&mut self, key: StateKey) {
        self.pending.insert(key, None);
    }

    /// Takes in the writes of another overlay.
    pub fn commit(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Put { key, value } => self.put(key, value),
                Write::Delete { key } => self.delete(key),
            }
        }
    }

    /// What a scan of the base finds, with the pending writes among its rows over it.
    fn scan_over(
        &self,
        pending: &BTreeMap<&StateKey, &Option<Vec<u8>>>,
        limit: usize,
        scan: impl FnOnce(&V, usize) -> Result<Vec<Row>, V::Error>,
    ) -> Result<Vec<Row>, V::Error> {
        // Deleted rows take places in the base's answer, so ask for as many more.
        let deleted_count = pending.values().filter(|value| value.is_none()).count();
        let found = scan(self.base, limit.saturating_add(deleted_count))?;
        if pending.is_empty() {
            return Ok(found);
        }
        let mut rows: BTreeMap<StateKey, Vec<u8>> = found.into_iter().collect();
        for (key, value) in pending {
            match value {
                Some(value) => rows.insert((*key).clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    /// The pending writes, one per key, in order of the keys.
    #[must_use]
    pub fn into_writes(self) -> Vec<Write> {
        self.pending
            .into_iter()
            .map(|(key, value)| match value {
                Some(value) => Write::Put { key, value },
                None => Write::Delete { key },
            })
            .collect()
    }
}

impl<V: View> View for Overlay<'_, V> {
    type Error = V::Error;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, V::Error> {
        match self.pending.get(key) {
            Some(pending) => Ok(pending.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, V::Error> {
        let pending = rows_after(&self.pending, prefix, after).collect();
        self.scan_over(&pending, limit, |base, limit| {
            base.scan(prefix, after, limit)
        })
    }

    fn scan_before(
        &self,
        prefix: &[u8],
        end: &StateKey,
        limit: usize,
    ) -> Result<Vec<Row>, V::Error> {
        let pending = rows_after(&self.pending, prefix, None);
        let pending = pending.take_while(|(key, _)| *key < end).collect();
        self.scan_over(&pending, limit, |base, limit| {
            base.scan_before(prefix, end, limit)
        })
    }

    fn foresee(&self, keys: &[StateKey]) -> Result<(), V::Error> {
        self.base.foresee(keys)
    }
}

#[cfg(test)]
mod tests;
