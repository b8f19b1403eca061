//! The log as openraft wants it, over a [`LogStore`].
//!
//! The store keeps one ordered, durable stream of votes and entries; an append is acknowledged only
//! after the disk has it. Nothing here decides what to purge, but it holds a purge back until the
//! state that makes the entries superfluous is on disk.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use holdpoint_core::GroupId;
use holdpoint_storage::{LogStore, Purged, StoreError};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::oneshot;

use crate::blocking::may_block;
use crate::disk::StateDisk;
use crate::limits;
use crate::payload::{decode_record, encode_record};
use crate::recent::Recent;
use crate::types::{LeaderId, LogEntry, LogId, TypeConfig, Vote, log_id, term_of};

/// The log of one group. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    store: Arc<dyn LogStore>,
    state: Arc<dyn StateDisk>,
    group: GroupId,
    recent: Arc<Mutex<Recent>>,
}

impl Log {
    pub(crate) fn new(store: Arc<dyn LogStore>, state: Arc<dyn StateDisk>, group: GroupId) -> Self {
        Self {
            store,
            state,
            group,
            recent: Arc::default(),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last vote, if this node ever cast one.
    pub(crate) fn vote(&self) -> io::Result<Option<Vote>> {
        let bytes = self.store.vote(self.group).map_err(fault)?;
        bytes
            .map(|bytes| decode_vote(&bytes).ok_or_else(|| damaged("vote")))
            .transpose()
    }

    /// The last entry, held or purged.
    pub(crate) fn last(&self) -> io::Result<Option<LogId>> {
        let bounds = self.store.bounds(self.group).map_err(fault)?;
        let Some((_, last)) = bounds.held else {
            return bounds.purged.as_ref().map(purged_id).transpose();
        };
        let entries = self.read(last, last.saturating_add(1), 1)?;
        let entry = entries.first().ok_or_else(|| damaged("last entry"))?;
        Ok(Some(entry.log_id))
    }

    /// Entries from `from` up to and without `to`, or fewer once `bytes_max` bytes are reached, but
    /// at least one if the first is there.
    fn read(&self, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<LogEntry>> {
        if let Some(entries) = self.recent().read(from, to, bytes_max) {
            return Ok(entries);
        }
        let records = may_block(|| self.store.read_range(self.group, from, to, bytes_max));
        let records = records.map_err(fault)?;
        let entry = |(index, record)| {
            decode_record(index, record)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        };
        records.into_iter().map(entry).collect()
    }

    /// Every entry in a range that the log holds.
    fn read_all(&self, mut from: u64, to: u64) -> io::Result<Vec<LogEntry>> {
        // What was purged may be missing at the beginning; nothing may be missing behind it.
        let bounds = self.store.bounds(self.group).map_err(fault)?;
        let Some((first, last)) = bounds.held else {
            return Ok(Vec::new());
        };
        from = from.max(first);
        let to = to.min(last.saturating_add(1));
        let mut all = Vec::new();
        while from < to {
            let some = self.read(from, to, limits::APPEND_BYTES_MAX)?;
            let Some(last) = some.last() else {
                return Err(damaged("entry"));
            };
            from = last.log_id.index.saturating_add(1);
            all.extend(some);
        }
        Ok(all)
    }

    /// Makes a call of the store and waits until it is durable.
    async fn durable(
        &self,
        call: impl FnOnce(&dyn LogStore, holdpoint_storage::Done),
    ) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |result| {
            // The receiver waits below unless its task was cancelled, which loses nobody's answer.
            let _ = sender.send(result);
        });
        may_block(|| call(&*self.store, done));
        receiver
            .await
            .unwrap_or(Err(StoreError::Closed))
            .map_err(fault)
    }
}

fn fault(error: StoreError) -> io::Error {
    io::Error::other(error)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the log's {what} does not decode"),
    )
}

/// ```text
/// vote = term (8) | node (8) | granted (1)      numbers big endian
/// ```
fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = BytesMut::with_capacity(17);
    out.put_u64(vote.leader_id.term);
    out.put_u64(vote.leader_id.voted_for);
    out.put_u8(u8::from(vote.committed));
    out.freeze()
}

fn decode_vote(bytes: &[u8]) -> Option<Vote> {
    let mut bytes = bytes;
    let leader_id = LeaderId {
        term: bytes.try_get_u64().ok()?,
        voted_for: bytes.try_get_u64().ok()?,
    };
    let committed = match bytes {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    Some(Vote {
        leader_id,
        committed,
    })
}

/// ```text
/// position = term (8) | index (8)
/// ```
fn encode_id(id: &LogId) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    out.put_u64(term_of(id));
    out.put_u64(id.index);
    out.freeze()
}

fn decode_id(bytes: &[u8]) -> Option<LogId> {
    let mut bytes = bytes;
    let (term, index) = (bytes.try_get_u64().ok()?, bytes.try_get_u64().ok()?);
    bytes.is_empty().then(|| log_id(term, index))
}

fn purged_id(purged: &Purged) -> io::Result<LogId> {
    decode_id(&purged.bytes).ok_or_else(|| damaged("purged position"))
}

/// A range of indexes as first and end.
fn ends(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let (from, to) = ends(&range);
        self.read_all(from, to)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.vote()
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<LogEntry>, io::Error> {
        self.read(start, end, limits::APPEND_BYTES_MAX)
    }

    /// Committed entries for apply, read in portions rather than all at once.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<LogEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let log = self.clone();
        let portions = futures_util::stream::unfold(ends(&range), move |(from, to)| {
            let portion = if from < to {
                log.portion(from, to)
            } else {
                Ok(Vec::new())
            };
            async move {
                let next = match &portion {
                    Ok(entries) => entries.last()?.log_id.index.saturating_add(1),
                    Err(_) => to,
                };
                let items: Vec<Result<LogEntry, io::Error>> = match portion {
                    Ok(entries) => entries.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(error)],
                };
                Some((futures_util::stream::iter(items), (next, to)))
            }
        });
        portions.flatten().boxed()
    }
}

impl Log {
    /// One portion of a range, from its first entry that is held.
    fn portion(&self, from: u64, to: u64) -> io::Result<Vec<LogEntry>> {
        let entries = self.read(from, to, limits::APPEND_BYTES_MAX)?;
        if entries.is_empty() {
            self.read_all(from, to)
        } else {
            Ok(entries)
        }
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let bounds = self.store.bounds(self.group).map_err(fault)?;
        let last_purged_log_id = bounds.purged.as_ref().map(purged_id).transpose()?;
        Ok(LogState {
            last_purged_log_id,
            last_log_id: self.last()?,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (group, vote) = (self.group, encode_vote(vote));
        self.durable(|store, done| store.save_vote(group, vote, done))
            .await
    }

    /// Rides along with the next durable write: losing it is safe, the next leader says it again.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        if let Some(committed) = committed {
            self.store
                .save_committed(self.group, encode_id(&committed), Box::new(|_| ()));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let bytes = self.store.committed(self.group).map_err(fault)?;
        bytes
            .map(|bytes| decode_id(&bytes).ok_or_else(|| damaged("committed position")))
            .transpose()
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().collect();
        let records = entries
            .iter()
            .map(|entry| (entry.log_id.index, encode_record(entry)))
            .collect();
        let done = Box::new(move |result: Result<(), StoreError>| {
            callback.io_completed(result.map_err(fault));
        });
        may_block(|| self.store.append(self.group, records, done));
        // Only now: what is here must also be in the store.
        self.recent().append(&entries, limits::CACHE_BYTES);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let (group, index) = (self.group, last_log_id.map(|id| id.index));
        self.recent().truncate_after(index);
        self.durable(|store, done| store.truncate_after(group, index, done))
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        // The state is written without a log of its own: what it has only in memory would be lost
        // with these entries.
        may_block(|| self.state.flush()).map_err(fault)?;
        self.recent().purge_to(log_id.index);
        let purged = Purged {
            index: log_id.index,
            bytes: encode_id(&log_id),
        };
        let group = self.group;
        self.durable(|store, done| store.purge_to(group, purged, done))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_votes_and_positions_are_these() {
        let vote = Vote {
            leader_id: LeaderId {
                term: 3,
                voted_for: 2,
            },
            committed: true,
        };
        let golden = [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 1];
        assert_eq!(encode_vote(&vote), golden[..]);
        assert_eq!(decode_vote(&golden), Some(vote));
        assert_eq!(decode_vote(&golden[1..]), None);
        let id = log_id(1, 258);
        let golden = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(encode_id(&id), golden[..]);
        assert_eq!(decode_id(&golden), Some(id));
        assert_eq!(decode_id(&golden[1..]), None);
    }
}
