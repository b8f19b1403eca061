use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tempfile::TempDir;

use super::mem::{MemLog, Syncs};
use super::rocks::{LogOptions, RocksLog};
use super::*;
use crate::crash_tests::disk::copy;
use crate::data_dir::tests::{folder, new_dir, reopen};
use crate::error::OpenError;
use crate::fault::Fault;

const G: GroupId = GroupId::FIRST;
const OTHER: GroupId = GroupId(5);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Entries `from..to` that say what they are.
fn entries(from: u64, to: u64) -> Vec<(u64, Bytes)> {
    (from..to)
        .map(|index| (index, bytes(&format!("entry {index}"))))
        .collect()
}

fn append(log: &dyn LogStore, from: u64, to: u64) {
    wait(|done| log.append(G, entries(from, to), done)).unwrap();
}

fn purge(log: &dyn LogStore, index: u64) {
    let purged = Purged {
        index,
        bytes: bytes("id"),
    };
    wait(|done| log.purge_to(G, purged, done)).unwrap();
}

fn read(log: &dyn LogStore, from: u64, to: u64) -> Vec<(u64, Bytes)> {
    log.read_range(G, from, to, usize::MAX).unwrap()
}

/// Caches nothing that the database has, so that reads go there.
fn uncached() -> LogOptions {
    LogOptions::default().with_cache_bytes(0)
}

fn open(temp: &TempDir) -> Result<RocksLog, OpenError> {
    reopen(temp)?.open_log(uncached(), FaultLatch::new())
}

fn new_log() -> (TempDir, RocksLog) {
    let (temp, dir) = new_dir();
    let log = dir.open_log(uncached(), FaultLatch::new()).unwrap();
    (temp, log)
}

/// What both logs must do.
fn check(log: &dyn LogStore) {
    assert_eq!(log.bounds(G), Ok(Bounds::default()));
    assert_eq!(log.vote(G), Ok(None));
    append(log, 1, 11);
    wait(|done| log.save_vote(G, bytes("v1"), done)).unwrap();
    wait(|done| log.save_committed(G, bytes("c1"), done)).unwrap();
    wait(|done| log.put_local(G, "head/default", bytes("h1"), done)).unwrap();
    wait(|done| log.append(OTHER, entries(0, 2), done)).unwrap();

    assert_eq!(read(log, 1, 11), entries(1, 11));
    assert_eq!(read(log, 4, 6), entries(4, 6));
    assert_eq!(read(log, 9, 99), entries(9, 11));
    assert_eq!(read(log, 11, 99), []);
    assert_eq!(read(log, 6, 4), []);
    assert_eq!(log.vote(G), Ok(Some(bytes("v1"))));
    assert_eq!(log.committed(G), Ok(Some(bytes("c1"))));
    assert_eq!(log.local(G, "head/default"), Ok(Some(bytes("h1"))));
    assert_eq!(log.local(OTHER, "head/default"), Ok(None));
    assert_eq!(log.bounds(OTHER).unwrap().held, Some((0, 1)));

    // "entry 1" has seven bytes.
    for (bytes_max, count) in [(0, 1), (7, 1), (14, 2), (20, 2), (21, 3)] {
        let read = log.read_range(G, 1, 11, bytes_max).unwrap();
        assert_eq!(read.len(), count, "at most {bytes_max} bytes");
    }

    let gap = wait(|done| log.append(G, entries(12, 13), done));
    assert_eq!(
        gap,
        Err(StoreError::Gap {
            expected: 11,
            found: 12
        })
    );
    let mut holed = entries(11, 12);
    holed.extend(entries(13, 14));
    let gap = wait(|done| log.append(G, holed, done));
    assert_eq!(
        gap,
        Err(StoreError::Gap {
            expected: 12,
            found: 13
        })
    );

    wait(|done| log.truncate_after(G, Some(7), done)).unwrap();
    assert_eq!(read(log, 1, 11), entries(1, 8));
    append(log, 8, 10);
    purge(log, 3);
    purge(log, 2);
    assert_eq!(read(log, 3, 11), []);
    assert_eq!(read(log, 4, 11), entries(4, 10));
    let bounds = log.bounds(G).unwrap();
    assert_eq!(bounds.held, Some((4, 9)));
    assert_eq!(
        bounds.purged,
        Some(Purged {
            index: 3,
            bytes: bytes("id")
        })
    );

    // As after the installation of a snapshot that ends later than the log.
    purge(log, 100);
    assert_eq!(log.bounds(G).unwrap().held, None);
    assert_eq!(log.bounds(G).unwrap().next(), Some(101));
    append(log, 101, 103);
    wait(|done| log.truncate_after(G, None, done)).unwrap();
    assert_eq!(log.bounds(G).unwrap().next(), Some(101));
    append(log, 101, 104);
    assert_eq!(read(log, 101, 104), entries(101, 104));
}

#[test]
fn the_log_in_memory_does_what_a_log_must() {
    check(&MemLog::new(Syncs::AtOnce));
}

#[test]
fn the_log_on_disk_does_what_a_log_must_and_has_it_all_after_a_restart() {
    let (temp, log) = new_log();
    check(&log);
    drop(log);
    let log = open(&temp).unwrap();
    assert_eq!(read(&log, 101, 104), entries(101, 104));
    assert_eq!(
        log.bounds(G).unwrap().purged,
        Some(Purged {
            index: 100,
            bytes: bytes("id")
        })
    );
    assert_eq!(log.vote(G), Ok(Some(bytes("v1"))));
    assert_eq!(log.committed(G), Ok(Some(bytes("c1"))));
    assert_eq!(log.local(G, "head/default"), Ok(Some(bytes("h1"))));
    assert_eq!(log.read_range(OTHER, 0, 2, usize::MAX), Ok(entries(0, 2)));
}

#[test]
fn answers_come_in_the_order_of_the_calls_and_only_once_each() {
    let (temp, log) = new_log();
    let order = Arc::new(Mutex::new(Vec::new()));
    for index in 1..500_u64 {
        let order = Arc::clone(&order);
        let done = Box::new(move |result| order.lock().unwrap().push((index, result)));
        log.append(G, entries(index, index + 1), done);
        assert_eq!(
            read(&log, index, index + 1),
            entries(index, index + 1),
            "readable at once"
        );
    }
    drop(log);
    let expected: Vec<_> = (1..500).map(|index| (index, Ok(()))).collect();
    assert_eq!(*order.lock().unwrap(), expected);
    drop(temp);
}

#[test]
fn the_first_fault_stops_every_later_call() {
    let (temp, log) = new_log();
    append(&log, 1, 4);
    let fault = Fault {
        doing: "write the log",
        file: None,
        cause: "no space".to_owned(),
    };
    let poisoned = log.faults().trip(fault);
    assert_eq!(
        wait(|done| log.append(G, entries(4, 5), done)),
        Err(poisoned.clone())
    );
    assert_eq!(
        wait(|done| log.save_vote(G, bytes("v"), done)),
        Err(poisoned.clone())
    );
    assert_eq!(log.read_range(G, 1, 4, usize::MAX), Err(poisoned.clone()));
    assert_eq!(log.vote(G), Err(poisoned));
    drop(temp);
}

#[test]
fn a_callback_that_panics_stops_the_store_and_hangs_nobody() {
    let (temp, log) = new_log();
    log.append(G, entries(1, 2), Box::new(|_| panic!("on purpose")));
    // Good if it was in one batch with the first, refused if it came after it.
    let _ = wait(|done| log.append(G, entries(2, 3), done));
    assert!(log.faults().first().is_some());
    assert!(wait(|done| log.append(G, entries(3, 4), done)).is_err());
    drop(temp);
}

#[test]
fn a_crash_takes_from_memory_what_no_sync_has_covered() {
    let log = MemLog::new(Syncs::WhenTold);
    let answered = Arc::new(Mutex::new(0));
    let count = || -> Done {
        let answered = Arc::clone(&answered);
        Box::new(move |result| {
            assert_eq!(result, Ok(()));
            *answered.lock().unwrap() += 1;
        })
    };
    log.append(G, entries(1, 4), count());
    log.sync();
    log.append(G, entries(4, 6), count());
    log.save_vote(G, bytes("v"), count());
    assert_eq!((log.unsynced_count(), *answered.lock().unwrap()), (2, 1));
    let after = log.crash();
    assert_eq!(read(&after, 1, 9), entries(1, 4));
    assert_eq!(after.vote(G), Ok(None));
    assert_eq!(*answered.lock().unwrap(), 1);
    assert!(
        log.vote(G).is_err(),
        "the crashed process answers nothing any more"
    );
}

#[test]
fn a_log_whose_newest_file_is_gone_does_not_start() {
    let (temp, log) = new_log();
    append(&log, 1, 100);
    drop(log);
    let root = temp.path().join("node");
    let (_, newest) = crate::framing::log_files(&root.join("log"))
        .unwrap()
        .pop()
        .unwrap();
    fs::remove_file(&newest).unwrap();
    assert!(matches!(open(&temp), Err(OpenError::Missing { path }) if path == newest));
}

#[test]
fn a_damaged_block_of_the_log_refuses_to_start_and_names_the_file() {
    let (temp, log) = new_log();
    append(&log, 1, 3_000);
    drop(log);
    // A start writes what it found in the log files to a sorted file.
    drop(open(&temp).unwrap());
    let folder = temp.path().join("node").join("log");
    let sorted = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|file| file.extension().is_some_and(|end| end == "sst"))
        .unwrap();
    let mut bytes = fs::read(&sorted).unwrap();
    let place = bytes.len() / 3;
    bytes[place] ^= 1;
    fs::write(&sorted, bytes).unwrap();
    let refused = open(&temp).unwrap_err();
    assert!(
        matches!(&refused, OpenError::DamagedFile { file, .. } if *file == sorted),
        "{refused}"
    );
}

#[test]
fn a_log_that_was_replaced_by_an_older_copy_does_not_start() {
    let (temp, log) = new_log();
    append(&log, 1, 10);
    drop(log);
    let log_folder = temp.path().join("node").join("log");
    let kept = temp.path().join("kept");
    copy(&log_folder, &kept);
    let log = open(&temp).unwrap();
    append(&log, 10, 20);
    drop(log);
    fs::remove_dir_all(&log_folder).unwrap();
    fs::rename(&kept, &log_folder).unwrap();
    let refused = open(&temp).unwrap_err();
    // Which of the two is noticed first depends on the database's file numbers.
    assert!(
        matches!(
            refused,
            OpenError::LogShort {
                last: 9,
                high: 19,
                ..
            } | OpenError::Missing { .. }
        ),
        "{refused}"
    );
}

#[test]
fn a_log_truncated_below_what_was_noted_starts() {
    let (temp, log) = new_log();
    append(&log, 1, 20);
    drop(log);
    let log = open(&temp).unwrap();
    wait(|done| log.truncate_after(G, Some(4), done)).unwrap();
    append(&log, 5, 7);
    // As a kill at this moment leaves it.
    let killed = folder();
    copy(&temp.path().join("node"), &killed.path().join("node"));
    assert_eq!(open(&killed).unwrap().bounds(G).unwrap().last(), Some(6));
    drop(log);
    let log = open(&temp).unwrap();
    wait(|done| log.truncate_after(G, None, done)).unwrap();
    drop(log);
    assert_eq!(open(&temp).unwrap().bounds(G), Ok(Bounds::default()));
}

#[test]
fn many_entries_raise_the_noted_end_without_a_stop() {
    let (temp, log) = new_log();
    append(&log, 1, high::ENTRIES_BETWEEN + 2);
    let noted = high::High::read(&temp.path().join("node")).unwrap();
    assert_eq!(noted.last(G), Some(high::ENTRIES_BETWEEN + 1));
    drop(log);
}

/// A step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Truncate(u64),
    Purge(u64),
    Vote(u8),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..40_u64).prop_map(Step::Append),
        3 => (0..30_u64).prop_map(Step::Truncate),
        2 => (0..60_u64).prop_map(Step::Purge),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..30)
}

/// The naive model: a map.
#[derive(Default)]
struct Model {
    held: BTreeMap<u64, Bytes>,
    purged: Option<u64>,
    vote: Option<Bytes>,
    round: u64,
}

impl Model {
    fn last(&self) -> u64 {
        self.held
            .keys()
            .next_back()
            .copied()
            .max(self.purged)
            .unwrap_or(0)
    }

    /// Does `step` to the model and to `log`.
    fn step(&mut self, step: &Step, log: &dyn LogStore) {
        self.round += 1;
        match step {
            Step::Append(count) => {
                let first = self.last() + 1;
                let new: Vec<_> = (first..first + count)
                    .map(|index| (index, bytes(&format!("{index} of round {}", self.round))))
                    .collect();
                self.held.extend(new.iter().cloned());
                wait(|done| log.append(G, new, done)).unwrap();
            }
            Step::Truncate(back) => {
                let after = self.last().saturating_sub(*back);
                self.held.retain(|index, _| *index <= after);
                wait(|done| log.truncate_after(G, Some(after), done)).unwrap();
            }
            Step::Purge(ahead) => {
                let index = self.held.keys().next().copied().unwrap_or(self.last()) + ahead;
                self.purged = self.purged.max(Some(index));
                self.held.retain(|held, _| Some(*held) > self.purged);
                purge(log, index);
            }
            Step::Vote(vote) => {
                self.vote = Some(Bytes::copy_from_slice(&[*vote]));
                wait(|done| log.save_vote(G, Bytes::copy_from_slice(&[*vote]), done)).unwrap();
            }
            Step::Restart => {}
        }
    }

    fn compare(&self, log: &dyn LogStore) {
        let held: Vec<_> = self.held.clone().into_iter().collect();
        let first = held.first().map_or(0, |(first, _)| *first);
        assert_eq!(read(log, first, u64::MAX), held);
        let bounds = log.bounds(G).unwrap();
        assert_eq!(
            bounds.held,
            held.first().zip(held.last()).map(|(a, b)| (a.0, b.0))
        );
        assert_eq!(bounds.purged.map(|purged| purged.index), self.purged);
        assert_eq!(log.vote(G).unwrap(), self.vote);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_on_disk_what_a_map_would_hold(steps in steps()) {
        let (temp, mut log) = new_log();
        let mut model = Model::default();
        for step in &steps {
            model.step(step, &log);
            if matches!(step, Step::Restart) {
                drop(log);
                log = open(&temp).unwrap();
            }
            model.compare(&log);
        }
    }

    #[test]
    fn any_history_leaves_in_memory_what_a_map_would_hold(steps in steps()) {
        let mut log = MemLog::new(Syncs::AtOnce);
        let mut model = Model::default();
        for step in &steps {
            model.step(step, &log);
            if matches!(step, Step::Restart) {
                log = log.crash();
            }
            model.compare(&log);
        }
    }
}
