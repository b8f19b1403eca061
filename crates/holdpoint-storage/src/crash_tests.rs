//! What a node has acknowledged is there after its process is killed and after the power is lost.
//!
//! Each test runs a child (this test binary again) that says what was acknowledged to it, ends the
//! child at some point, and opens what it left. `disk.c` stands in for a disk that loses power.

mod child;
pub(crate) mod disk;

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use self::child::{Heard, entry, state_rows};
use self::disk::Disk;
use crate::data_dir::tests::{folder, identity, new_dir};
use crate::data_dir::{DataDir, Generation, KeyFile};
use crate::error::OpenError;
use crate::fault::FaultLatch;
use crate::framing::log_files;
use crate::log::LogStore;
use crate::log::rocks::{LogOptions, RocksLog};
use crate::secret::read_secret;
use crate::state::StateStore;
use holdpoint_core::{GroupId, MapView, View};
use holdpoint_receipt::keys::SecretBytes;

const G: GroupId = GroupId::FIRST;

/// A fresh data directory that no process has.
fn closed_dir() -> (TempDir, PathBuf) {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    (temp, root)
}

fn open_log(root: &Path) -> Result<RocksLog, OpenError> {
    DataDir::open(root, None)?.open_log(LogOptions::default(), FaultLatch::new())
}

/// Starts the node again and says what is wrong with what it finds.
fn check_after(root: &Path, heard: &Heard) -> Result<(), String> {
    let text = |error: OpenError| error.to_string();
    let dir = DataDir::open(root, None).map_err(text)?;
    let log = dir
        .open_log(LogOptions::default(), FaultLatch::new())
        .map_err(text)?;
    let state = dir.open_state(G, FaultLatch::new()).map_err(text)?;
    assert_eq!(*dir.identity(), identity());

    let bounds = log.bounds(G).unwrap();
    let last = bounds.last().unwrap_or(0);
    if last < heard.acked {
        return Err(format!(
            "entry {} was acknowledged, the log ends at {last}",
            heard.acked
        ));
    }
    let first = bounds.held.map_or(last + 1, |(first, _)| first);
    let held = log.read_range(G, first, u64::MAX, usize::MAX).unwrap();
    assert_eq!(held.len() as u64, last + 1 - first, "no hole");
    for (index, bytes) in held {
        assert_eq!(bytes, entry(index), "entry {index}");
    }
    let voted = log.vote(G).unwrap().map_or(0, |vote| {
        u64::from_be_bytes(vote.as_ref().try_into().unwrap())
    });
    if voted < heard.voted {
        return Err(format!(
            "vote {} was acknowledged, vote {voted} is there",
            heard.voted
        ));
    }
    // What is purged is in the state, and the state is a prefix of the log.
    let applied = state.applied().unwrap().map_or(0, |applied| applied.index);
    let purged = bounds.purged.map_or(0, |purged| purged.index);
    assert!(
        purged <= applied,
        "purged up to {purged}, applied up to {applied}"
    );
    if applied > last {
        return Err(format!(
            "entry {applied} is applied, the log ends at {last}"
        ));
    }
    if applied > 0 {
        let mut expected = MapView::new();
        expected.commit(&state_rows(applied));
        for (key, value) in expected.iter() {
            let found = state.get(key).unwrap();
            assert_eq!(found.as_deref(), Some(value), "{key}");
        }
    }
    Ok(())
}

/// Numbers below `end` that differ from run to run.
fn random_below(end: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        let state = std::hash::RandomState::new();
        state.build_hasher().finish() % end
    })
}

#[test]
fn a_process_killed_at_any_point_has_lost_nothing_acknowledged() {
    let (_temp, root) = closed_dir();
    for count in random_below(300).take(6) {
        let heard = child::run("append", &root, None, Some(count));
        check_after(&root, &heard).unwrap_or_else(|lost| panic!("after {count} answers: {lost}"));
    }
}

#[test]
fn a_power_loss_at_any_point_has_lost_nothing_acknowledged() {
    let (temp, root) = closed_dir();
    for count in random_below(300).take(6) {
        let disk = Disk::new(&root, temp.path().join("journal"));
        let heard = child::run("append", &root, Some((&disk, None)), Some(count));
        disk.lose_power();
        check_after(&root, &heard).unwrap_or_else(|lost| panic!("after {count} answers: {lost}"));
    }
}

/// The same as above, and it must notice.
#[test]
fn a_power_loss_without_syncs_has_lost_what_was_acknowledged() {
    let (temp, root) = closed_dir();
    let disk = Disk::new(&root, temp.path().join("journal"));
    let heard = child::run("append-unsynced", &root, Some((&disk, None)), Some(50));
    assert!(heard.acked > 0);
    disk.lose_power();
    let lost = check_after(&root, &heard).unwrap_err();
    assert!(lost.contains("the log ends at 0"), "{lost}");
}

#[test]
fn the_first_failed_sync_or_write_is_the_last() {
    let plans = [
        "fdatasync|/log/|20|EIO|-",
        "write|.log|30|ENOSPC|-",
        // In the background: the database retries these by itself, and the node must not.
        "write|.sst|1|ENOSPC|-",
        "fdatasync|.sst|1|EIO|-",
    ];
    for plan in plans {
        let (temp, root) = closed_dir();
        let disk = Disk::new(&root, temp.path().join("journal"));
        let heard = child::run("append", &root, Some((&disk, Some(plan))), None);
        assert!(heard.acked > 0 && heard.refused > 20, "{plan}: {heard:?}");
        assert_eq!(heard.acked_after_refusal, 0, "{plan}");
        assert!(heard.is_fault_told, "{plan}");
        disk.lose_power();
        check_after(&root, &heard).unwrap_or_else(|lost| panic!("{plan}: {lost}"));
    }
}

/// A log as a kill leaves it, with its newest file.
fn killed_log() -> (TempDir, PathBuf, PathBuf, Heard) {
    let (temp, root) = closed_dir();
    let heard = child::run("append", &root, None, Some(60));
    let (_, newest) = log_files(&root.join("log")).unwrap().pop().unwrap();
    (temp, root, newest, heard)
}

#[test]
fn a_torn_last_record_is_dropped_and_everything_before_it_is_kept() {
    let (temp, root, newest, _) = killed_log();
    let whole = temp.path().join("whole");
    disk::copy(&root, &whole);
    let last = open_log(&whole).unwrap().bounds(G).unwrap().last().unwrap();

    let file = fs::OpenOptions::new().write(true).open(&newest).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    let log = open_log(&root).unwrap();
    let bounds = log.bounds(G).unwrap();
    let torn_last = bounds.last().unwrap();
    // The last record may have been a vote.
    assert!(
        torn_last <= last && torn_last + 200 > last,
        "{torn_last} of {last}"
    );
    let first = bounds.held.unwrap().0;
    for (index, bytes) in log.read_range(G, first, u64::MAX, usize::MAX).unwrap() {
        assert_eq!(bytes, entry(index));
    }
}

#[test]
fn a_flipped_byte_in_a_log_file_or_manifest_refuses_to_start_and_names_the_file() {
    let (_temp, root, newest, _) = killed_log();
    let manifest = fs::read_to_string(root.join("log/CURRENT")).unwrap();
    let manifest = root.join("log").join(manifest.trim_end());
    for file in [newest, manifest] {
        let bytes = fs::read(&file).unwrap();
        let end = bytes.len();
        // The start, the middle, and the headers and data of what came last.
        let places = (0..8)
            .chain(end / 2..end / 2 + 8)
            .chain(end.saturating_sub(40)..end);
        for place in places {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            fs::write(&file, damaged).unwrap();
            let refused = open_log(&root).expect_err("a damaged log was opened");
            assert!(
                matches!(&refused, OpenError::DamagedRecord { file: named, .. } if *named == file),
                "byte {place} of {end}: {refused}"
            );
        }
        fs::write(&file, bytes).unwrap();
    }
    open_log(&root).unwrap();
}

#[test]
fn a_power_loss_at_any_step_of_an_installation_leaves_the_old_state_or_the_new() {
    let temp = folder();
    let receiver = temp.path().join("receiver");
    child::prepare_installation(temp.path(), &receiver);
    let (mut old_count, mut new_count) = (0, 0);
    for step in 1.. {
        let root = temp.path().join(format!("receiver-{step}"));
        disk::copy(&receiver, &root);
        let disk = Disk::new(&root, temp.path().join("journal"));
        let plan = format!("any|receiver|{step}|KILL|/armed");
        let heard = child::run("install", &root, Some((&disk, Some(&plan))), None);
        disk.lose_power();
        let state = DataDir::open(&root, None)
            .unwrap()
            .open_state(G, FaultLatch::new());
        let state = state.unwrap_or_else(|refused| panic!("step {step}: {refused}"));
        let applied = state.applied().unwrap().unwrap().index;
        let value = state.get(&child::installed_key()).unwrap().unwrap();
        match (applied, value.as_slice()) {
            (1, b"old") => {
                assert!(
                    !heard.is_installed,
                    "step {step}: the new state was announced and is gone"
                );
                old_count += 1;
            }
            (9, b"new") => new_count += 1,
            mix => panic!("step {step}: neither old nor new: {mix:?}"),
        }
        // The database writes its diary when it is closed.
        drop(state);
        fs::remove_dir_all(root).unwrap();
        if heard.is_done {
            break;
        }
    }
    assert!(
        old_count > 5 && new_count > 2,
        "{old_count} steps left the old, {new_count} the new"
    );
}

#[test]
fn a_power_loss_at_any_step_of_another_encryption_leaves_a_key_that_is_whole() {
    let temp = folder();
    let before = temp.path().join("node");
    let dir = DataDir::create(&before, identity()).unwrap();
    let (generation, key) = (Generation::First, KeyFile::Node);
    dir.keys().write(generation, key, child::OLD_KEY).unwrap();
    drop(dir);
    let (mut old_count, mut new_count) = (0, 0);
    for step in 1.. {
        let root = temp.path().join(format!("node-{step}"));
        disk::copy(&before, &root);
        let disk = Disk::new(&root, temp.path().join("journal"));
        let plan = format!("any|keys|{step}|KILL|/armed");
        let heard = child::run("encrypt", &root, Some((&disk, Some(&plan))), None);
        disk.lose_power();
        let keys = DataDir::open(&root, None).unwrap().keys();
        let read = read_secret(&keys.path(generation, key)).unwrap();
        match read.as_ref().map(SecretBytes::as_bytes) {
            Some(child::OLD_KEY) => old_count += 1,
            Some(child::NEW_KEY) => new_count += 1,
            _ => panic!("step {step}: neither the old key nor the new one"),
        }
        fs::remove_dir_all(root).unwrap();
        if heard.is_done {
            break;
        }
    }
    assert!(
        old_count > 1 && new_count > 1,
        "{old_count} steps left the old key, {new_count} the new one"
    );
}
