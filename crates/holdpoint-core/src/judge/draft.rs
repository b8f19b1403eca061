//! The state as one command sees and changes it, in records instead of bytes.

use holdpoint_receipt::ClusterTime;

use crate::codec::records::Record;
use crate::fault::{ApplyError, Corruption};
use crate::key::StateKey;
use crate::position::LogPosition;
use crate::view::{Overlay, Row, View, Write};

/// Pending changes of one command over the state that it found.
pub(crate) struct Draft<'a, V> {
    overlay: Overlay<'a, V>,
    /// Where the command stands.
    pub(super) at: LogPosition,
    /// Cluster time.
    pub(super) now: ClusterTime,
}

impl<'a, V: View> Draft<'a, V> {
    pub(crate) fn new(view: &'a V, at: LogPosition, now: ClusterTime) -> Self {
        let overlay = Overlay::new(view);
        Self { overlay, at, now }
    }

    /// A draft over this one, for what is done in one namespace on behalf of the group.
    pub(super) fn inner(&self) -> Draft<'_, Overlay<'a, V>> {
        Draft::new(&self.overlay, self.at, self.now)
    }

    /// Takes in what came of an inner draft.
    pub(super) fn commit(&mut self, writes: Vec<Write>) {
        self.overlay.commit(writes);
    }

    /// The state with the changes so far.
    pub(super) const fn view(&self) -> &Overlay<'a, V> {
        &self.overlay
    }

    pub(crate) fn into_writes(self) -> Vec<Write> {
        self.overlay.into_writes()
    }

    /// The record under `key`, if there is one.
    pub(crate) fn read<R: Record>(
        &self,
        key: &StateKey,
    ) -> Result<Option<R>, ApplyError<V::Error>> {
        let Some(bytes) = self.overlay.get(key).map_err(ApplyError::View)? else {
            return Ok(None);
        };
        decoded(key, &bytes).map(Some)
    }

    /// The record under `key`, which another record names.
    pub(super) fn must_read<R: Record>(&self, key: &StateKey) -> Result<R, ApplyError<V::Error>> {
        self.read(key)?.ok_or_else(|| ApplyError::Corrupt {
            key: key.clone(),
            corruption: Corruption::Missing,
        })
    }

    pub(super) fn write(
        &mut self,
        key: StateKey,
        record: &impl Record,
    ) -> Result<(), ApplyError<V::Error>> {
        match record.to_bytes() {
            Ok(bytes) => self.overlay.put(key, bytes),
            Err(error) => {
                let corruption = Corruption::Codec(error);
                return Err(ApplyError::Corrupt { key, corruption });
            }
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, key: StateKey) {
        self.overlay.delete(key);
    }

    /// The first rows under `prefix`.
    pub(super) fn first_rows(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, ApplyError<V::Error>> {
        self.overlay
            .scan(prefix, None, limit)
            .map_err(ApplyError::View)
    }

    /// The first rows under `prefix` that stand before `end`.
    pub(super) fn rows_before(
        &self,
        prefix: &[u8],
        end: &StateKey,
        limit: usize,
    ) -> Result<Vec<Row>, ApplyError<V::Error>> {
        self.overlay
            .scan_before(prefix, end, limit)
            .map_err(ApplyError::View)
    }

    /// The next rows under `prefix`, strictly after `after`.
    pub(super) fn rows_after(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, ApplyError<V::Error>> {
        self.overlay
            .scan(prefix, after, limit)
            .map_err(ApplyError::View)
    }
}

/// Reads a row of our own.
pub(super) fn decoded<R: Record, E>(key: &StateKey, bytes: &[u8]) -> Result<R, ApplyError<E>> {
    R::from_bytes(bytes).map_err(|error| ApplyError::Corrupt {
        key: key.clone(),
        corruption: Corruption::Codec(error),
    })
}
