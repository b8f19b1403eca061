//! The thread that writes the log: takes everything queued, writes one batch, syncs once, and then
//! answers everybody in it.
//!
//! It never retries. The first error trips the latch, and from then on it only answers.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;

use holdpoint_core::GroupId;
use rocksdb::{WriteBatch, WriteOptions};

use super::high::{ENTRIES_BETWEEN, High};
use super::key::{self, LogKey};
use super::shared::Shared;
use super::window::Window;
use super::{Bounds, Done, Op};
use crate::error::DiskError;
use crate::fault::{Fault, StoreError};
use crate::rocks;

/// What a batch takes beside its entries: keys, lengths, small records.
const BATCH_OWN_BYTES: usize = 1_024;
/// Entries and small records in one batch, at most.
const BATCH_ENTRIES_MAX: usize = 1_024;
/// Bytes in one batch, at most, unless one write alone has more.
pub(super) const BATCH_BYTES_MAX: usize = 512 << 10;
/// Writes that may wait; who comes then waits for the disk.
pub(super) const QUEUE_WRITES_MAX: usize = 16_384;
/// Bytes that may wait.
pub(super) const QUEUE_BYTES_MAX: usize = 16 << 20;

const DOING: &str = "write the log";

/// A write that waits.
pub(super) struct Job {
    /// Its number in the one order of all writes.
    pub(super) write: u64,
    pub(super) group: GroupId,
    pub(super) op: Op,
    pub(super) done: Done,
}

/// The writes that wait, in order.
#[derive(Default)]
pub(super) struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
}

impl Queue {
    /// Drops everything that waits, with its answer.
    pub(super) fn clear(&mut self) -> VecDeque<Job> {
        self.bytes = 0;
        std::mem::take(&mut self.jobs)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= QUEUE_WRITES_MAX || self.bytes >= QUEUE_BYTES_MAX
    }

    pub(super) fn push(&mut self, job: Job) {
        self.bytes = self.bytes.saturating_add(job.op.size().1);
        self.jobs.push_back(job);
    }

    /// The first write and as many after it as fit into one batch with it.
    pub(super) fn take_batch(&mut self) -> Vec<Job> {
        let (mut entries, mut bytes) = (0_usize, 0_usize);
        let mut batch = Vec::new();
        while let Some(job) = self.jobs.front() {
            let size = job.op.size();
            entries = entries.saturating_add(size.0);
            bytes = bytes.saturating_add(size.1);
            let fits = entries <= BATCH_ENTRIES_MAX && bytes <= BATCH_BYTES_MAX;
            if !fits && !batch.is_empty() {
                break;
            }
            self.bytes = self.bytes.saturating_sub(size.1);
            batch.extend(self.jobs.pop_front());
        }
        batch
    }
}

/// The thread's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    root: PathBuf,
    /// What the log holds after the last batch.
    durable: BTreeMap<GroupId, Bounds>,
    high: High,
    sync: WriteOptions,
    no_sync: WriteOptions,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        root: PathBuf,
        groups: &BTreeMap<GroupId, Window>,
        high: High,
        is_synced: bool,
    ) -> Self {
        let durable = groups
            .iter()
            .map(|(group, window)| (*group, window.bounds.clone()));
        let mut sync = WriteOptions::default();
        sync.set_sync(is_synced);
        let no_sync = WriteOptions::default();
        Self {
            durable: durable.collect(),
            shared,
            root,
            high,
            sync,
            no_sync,
        }
    }

    /// Writes until the log is closed. If that panics, the store stops: nobody writes any more.
    pub(super) fn run_or_stop(self) {
        let shared = Arc::clone(&self.shared);
        stop_on_panic(&shared, "go on writing the log", || self.run());
        shared.abandon();
    }

    fn run(mut self) {
        while let Some(batch) = self.shared.next_batch() {
            let result = self.write(&batch);
            self.shared.complete(&batch);
            for job in batch {
                let result = result.clone();
                // The others have a right to their answers.
                stop_on_panic(&self.shared, "answer for the log", || (job.done)(result));
            }
        }
        if self.shared.faults.first().is_none() {
            for (group, durable) in &self.durable {
                self.high.set_last(*group, durable.last());
            }
            if let Err(error) = self.high.write(&self.root) {
                // Only a lower bound: an older one still holds.
                tracing::warn!(%error, "could not note the end of the log at the stop");
            }
        }
    }

    fn write(&mut self, batch: &[Job]) -> Result<(), StoreError> {
        self.shared.faults.check()?;
        let needs_sync = batch.iter().any(|job| !matches!(job.op, Op::Committed(_)));
        // With room for all of it: a batch that grows copies itself each time.
        let bytes = batch.iter().map(|job| job.op.size().1);
        let bytes = bytes.fold(BATCH_OWN_BYTES, usize::saturating_add);
        let mut writes = WriteBatch::with_capacity_bytes(bytes);
        let mut lowest = BTreeMap::new();
        for job in batch {
            let durable = self.durable.entry(job.group).or_default();
            encode(&mut writes, job, durable)?;
            if matches!(job.op, Op::Truncate(_)) {
                let low = lowest.entry(job.group).or_insert(durable.last());
                *low = (*low).min(durable.last());
            }
        }
        let result = self.write_high_below(&lowest).and_then(|()| {
            let options = if needs_sync {
                &self.sync
            } else {
                &self.no_sync
            };
            self.shared
                .db
                .write_opt(writes, options)
                .map_err(|error| rocks::fault(DOING, &error))?;
            rocks::background_fault(DOING, &self.shared.db).map_or(Ok(()), Err)?;
            if needs_sync {
                self.raise_high()
            } else {
                Ok(())
            }
        });
        result.map_err(|fault| self.shared.faults.trip(fault))
    }

    /// Lowers the bound on disk before a truncation below it can become durable.
    fn write_high_below(&mut self, lowest: &BTreeMap<GroupId, Option<u64>>) -> Result<(), Fault> {
        let mut is_lower = false;
        for (group, last) in lowest {
            if self.high.last(*group) > *last {
                self.high.set_last(*group, *last);
                is_lower = true;
            }
        }
        if is_lower { self.write_high() } else { Ok(()) }
    }

    /// Raises the bound once enough entries are durable above it.
    fn raise_high(&mut self) -> Result<(), Fault> {
        let is_due = self.durable.iter().any(|(group, durable)| {
            let noted = self.high.last(*group).unwrap_or(0);
            durable
                .last()
                .is_some_and(|last| last.saturating_sub(noted) >= ENTRIES_BETWEEN)
        });
        if !is_due {
            return Ok(());
        }
        for (group, durable) in &self.durable {
            self.high.set_last(*group, durable.last());
        }
        self.write_high()
    }

    fn write_high(&mut self) -> Result<(), Fault> {
        self.high.write(&self.root).map_err(
            |DiskError {
                 doing,
                 path,
                 source,
             }| Fault {
                doing,
                file: Some(path),
                cause: source.to_string(),
            },
        )
    }
}

fn stop_on_panic(shared: &Shared, doing: &'static str, work: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
        let cause = "it panicked".to_owned();
        shared.faults.trip(Fault {
            doing,
            file: None,
            cause,
        });
    }
}

/// Adds a write to the batch, and to what the log will hold after it.
fn encode(writes: &mut WriteBatch, job: &Job, durable: &mut Bounds) -> Result<(), StoreError> {
    let group = job.group;
    match &job.op {
        Op::Append(entries) => {
            // The window accepted them in the same order.
            durable.append(entries.iter().map(|(index, _)| *index))?;
            for (index, bytes) in entries {
                writes.put(LogKey::Entry(*index).encode(group), bytes);
            }
        }
        Op::Vote(vote) => writes.put(LogKey::Vote.encode(group), vote),
        Op::Committed(committed) => writes.put(LogKey::Committed.encode(group), committed),
        Op::Local(name, value) => writes.put(LogKey::Local(name.clone()).encode(group), value),
        Op::Truncate(after) => {
            let first_gone = after.map_or(0, |after| after.saturating_add(1));
            durable.truncate(*after);
            writes.delete_range(
                LogKey::Entry(first_gone).encode(group),
                key::after_entries(group),
            );
        }
        Op::Purge(purged) => {
            // From the earlier purge on, so that ranges of deletions do not pile up.
            let from = LogKey::Entry(durable.floor()).encode(group);
            durable.purge(purged);
            writes.delete_range(from, LogKey::Entry(durable.floor()).encode(group));
            let mut value = purged.index.to_be_bytes().to_vec();
            value.extend_from_slice(&purged.bytes);
            writes.put(LogKey::Purged.encode(group), value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_batch_is_full_at_its_entries_or_its_bytes_and_never_empty() {
        let check = |sizes: &[(u64, usize)], expected: &[usize]| {
            let mut queue = Queue::default();
            for (write, (count, bytes)) in (1..).zip(sizes) {
                let entries = (0..*count).map(|index| (index, Bytes::from(vec![0; *bytes])));
                let op = Op::Append(entries.collect());
                queue.push(Job {
                    write,
                    group: GroupId::FIRST,
                    op,
                    done: Box::new(|_| {}),
                });
            }
            let mut batches = Vec::new();
            while !queue.is_empty() {
                batches.push(queue.take_batch().len());
            }
            assert_eq!(batches, expected);
            assert_eq!(queue.bytes, 0);
        };
        check(&[(1, 10), (1, 10), (1, 10)], &[3]);
        check(&[(1_000, 1), (24, 1), (1, 1)], &[2, 1]);
        check(&[(1, BATCH_BYTES_MAX - 1), (1, 1), (1, 1)], &[2, 1]);
        check(&[(1, BATCH_BYTES_MAX + 1), (2_000, 1), (1, 1)], &[1, 1, 1]);
    }
}
