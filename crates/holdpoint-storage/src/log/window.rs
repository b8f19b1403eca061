//! What is known in memory about the log of one group: its bounds, its recent entries, and its
//! small records, durable or not.
//!
//! It never touches the disk.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use super::{Bounds, Op};
use crate::fault::StoreError;

/// A cached entry and the number of the write that brought it.
#[derive(Clone, Debug)]
struct Cached {
    write: u64,
    bytes: Bytes,
}

/// The log of one group, as every write so far leaves it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) bounds: Bounds,
    pub(crate) vote: Option<Bytes>,
    pub(crate) committed: Option<Bytes>,
    /// Node-local records.
    pub(crate) locals: BTreeMap<String, Bytes>,
    // INVARIANT: the last entries held, without a hole: `recent_from` to the last, or none.
    recent: VecDeque<Cached>,
    recent_from: u64,
    recent_bytes: usize,
}

impl Window {
    /// Takes the effect of a write into account, or refuses it.
    pub(crate) fn accept(&mut self, op: &Op, write: u64) -> Result<(), StoreError> {
        match op {
            Op::Append(entries) => {
                self.bounds
                    .append(entries.iter().map(|(index, _)| *index))?;
                self.cache(entries, write);
            }
            Op::Vote(vote) => self.vote = Some(vote.clone()),
            Op::Committed(committed) => self.committed = Some(committed.clone()),
            Op::Truncate(after) => self.bounds.truncate(*after),
            Op::Purge(purged) => self.bounds.purge(purged),
            Op::Local(name, value) => {
                self.locals.insert(name.clone(), value.clone());
            }
        }
        self.forget_what_is_not_held();
        self.check();
        Ok(())
    }

    fn cache(&mut self, entries: &[(u64, Bytes)], write: u64) {
        if let (true, Some((first, _))) = (self.recent.is_empty(), entries.first()) {
            self.recent_from = *first;
        }
        for (_, bytes) in entries {
            self.recent_bytes = self.recent_bytes.saturating_add(bytes.len());
            self.recent.push_back(Cached {
                write,
                bytes: bytes.clone(),
            });
        }
    }

    fn recent_end(&self) -> u64 {
        self.recent_from.saturating_add(self.recent.len() as u64)
    }

    fn forget_what_is_not_held(&mut self) {
        let (first, end) = self
            .bounds
            .held
            .map_or((0, 0), |(first, last)| (first, last.saturating_add(1)));
        while self.recent_end() > end
            && let Some(cached) = self.recent.pop_back()
        {
            self.recent_bytes = self.recent_bytes.saturating_sub(cached.bytes.len());
        }
        while self.recent_from < first && self.forget_first() {}
    }

    fn forget_first(&mut self) -> bool {
        let Some(cached) = self.recent.pop_front() else {
            return false;
        };
        self.recent_from = self.recent_from.saturating_add(1);
        self.recent_bytes = self.recent_bytes.saturating_sub(cached.bytes.len());
        true
    }

    /// Forgets the oldest cached entries over `bytes_max` that the database has, as of `write`.
    pub(crate) fn shrink(&mut self, bytes_max: usize, write: u64) {
        while self.recent_bytes > bytes_max
            && self
                .recent
                .front()
                .is_some_and(|cached| cached.write <= write)
            && self.forget_first()
        {}
    }

    /// Splits a range into what only the database has and what is cached.
    pub(crate) fn plan(&self, from: u64, to: u64) -> Plan {
        let held = self
            .bounds
            .held
            .filter(|(first, last)| from >= *first && from <= *last);
        let Some((_, last)) = held else {
            return Plan::default();
        };
        let to = to.min(last.saturating_add(1)).max(from);
        let recent_from = if self.recent.is_empty() {
            to
        } else {
            self.recent_from
        };
        let stored = from..to.min(recent_from).max(from);
        let skip = usize::try_from(stored.end.saturating_sub(recent_from)).unwrap_or(usize::MAX);
        let cached = (stored.end..to).zip(self.recent.iter().skip(skip));
        let cached = cached
            .map(|(index, cached)| (index, cached.bytes.clone()))
            .collect();
        Plan { stored, cached }
    }

    fn check(&self) {
        let Some((first, last)) = self.bounds.held else {
            assert!(self.recent.is_empty(), "nothing is cached of an empty log");
            return;
        };
        assert!(first <= last, "a held range is not empty");
        assert!(
            self.recent.is_empty() || (self.recent_from >= first && self.recent_end() == last + 1),
            "what is cached are the last entries held"
        );
    }
}

/// Where the entries of a range are.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// To be read from the database, first.
    pub(crate) stored: Range<u64>,
    /// Those that follow.
    pub(crate) cached: Vec<(u64, Bytes)>,
}
