//! The recent entries of the log as they were proposed or received, so that apply decodes nothing a
//! second time. The store has all of them; what is missing here is read there.

use std::collections::VecDeque;

use crate::types::{LogEntry, Payload};

/// Entries without a hole, bounded by bytes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    entries: VecDeque<LogEntry>,
    bytes: usize,
}

/// Something for an entry itself.
const OWN: usize = 128;

/// How much more than its bytes an entry takes in memory once it is decoded: names, keys and facts are
/// allocations of their own.
const DECODED: usize = 3;

/// The bytes of an entry.
fn size(entry: &LogEntry) -> usize {
    match &entry.payload {
        Payload::Normal(proposal) => proposal.payload_bytes().saturating_add(OWN),
        Payload::Blank | Payload::Membership(_) => OWN,
    }
}

/// The memory of an entry, which is what counts against the bound.
fn weight(entry: &LogEntry) -> usize {
    size(entry).saturating_mul(1 + DECODED)
}

impl Recent {
    fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Adds the next entries, and forgets the oldest beyond `bytes_max`.
    pub(crate) fn append(&mut self, entries: &[LogEntry], bytes_max: usize) {
        for entry in entries {
            let expected = self
                .entries
                .back()
                .map(|last| last.log_id.index.saturating_add(1));
            if expected.is_some_and(|expected| expected != entry.log_id.index) {
                self.clear();
            }
            self.bytes = self.bytes.saturating_add(weight(entry));
            self.entries.push_back(entry.clone());
        }
        while self.bytes > bytes_max && self.pop_front() {}
    }

    fn pop_front(&mut self) -> bool {
        let gone = self.entries.pop_front();
        self.bytes = self.bytes.saturating_sub(gone.as_ref().map_or(0, weight));
        gone.is_some()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Forgets every entry after `index`; every entry if `None`.
    pub(crate) fn truncate_after(&mut self, index: Option<u64>) {
        let beyond = |entry: &LogEntry| index.is_none_or(|index| entry.log_id.index > index);
        while self.entries.back().is_some_and(beyond) {
            let gone = self.entries.pop_back();
            self.bytes = self.bytes.saturating_sub(gone.as_ref().map_or(0, weight));
        }
    }

    /// Forgets every entry up to and with `index`.
    pub(crate) fn purge_to(&mut self, index: u64) {
        while self.first().is_some_and(|first| first <= index) {
            self.pop_front();
        }
    }

    /// The entries from `from` up to and without `to`, or fewer: ends once `bytes_max` bytes are
    /// reached, but not before the first entry. `None` if the first is not here.
    pub(crate) fn read(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<LogEntry>> {
        let skip = usize::try_from(from.checked_sub(self.first()?)?).ok()?;
        let take = usize::try_from(to.saturating_sub(from)).ok()?;
        if skip >= self.entries.len() {
            return None;
        }
        let mut bytes = 0_usize;
        let within = self
            .entries
            .iter()
            .skip(skip)
            .take(take)
            .take_while(|entry| {
                let fits = bytes < bytes_max;
                bytes = bytes.saturating_add(size(entry));
                fits
            });
        Some(within.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::log_id;

    fn blank(index: u64) -> LogEntry {
        LogEntry {
            log_id: log_id(1, index),
            payload: Payload::Blank,
        }
    }

    fn indexes(entries: Option<Vec<LogEntry>>) -> Option<Vec<u64>> {
        entries.map(|entries| entries.iter().map(|entry| entry.log_id.index).collect())
    }

    #[test]
    fn reads_what_was_appended_and_not_purged_or_truncated() {
        let mut recent = Recent::default();
        let entries: Vec<_> = (0..10).map(blank).collect();
        recent.append(&entries, usize::MAX);
        recent.purge_to(2);
        recent.truncate_after(Some(7));
        assert_eq!(
            indexes(recent.read(3, 100, usize::MAX)),
            Some(vec![3, 4, 5, 6, 7])
        );
        assert_eq!(indexes(recent.read(5, 7, usize::MAX)), Some(vec![5, 6]));
        assert_eq!(indexes(recent.read(2, 7, usize::MAX)), None);
        assert_eq!(indexes(recent.read(8, 9, usize::MAX)), None);
        assert_eq!(
            indexes(recent.read(5, 7, 1)),
            Some(vec![5]),
            "one entry in any case"
        );
        recent.truncate_after(None);
        assert_eq!(recent.bytes, 0);
    }

    #[test]
    fn the_oldest_go_first_and_a_hole_starts_over() {
        let mut recent = Recent::default();
        let entries: Vec<_> = (0..10).map(blank).collect();
        recent.append(&entries, weight(&blank(0)) * 3);
        assert_eq!(
            indexes(recent.read(7, 100, usize::MAX)),
            Some(vec![7, 8, 9])
        );
        recent.append(&[blank(20)], usize::MAX);
        assert_eq!(indexes(recent.read(9, 100, usize::MAX)), None);
        assert_eq!(indexes(recent.read(20, 100, usize::MAX)), Some(vec![20]));
    }
}
