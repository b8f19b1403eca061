use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use holdpoint_core::{GroupId, KeySpace, Kind, MapView, StateKey};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mem::MemState;
use super::rocks::RocksState;
use super::*;
use crate::data_dir::tests::{new_dir, reopen};
use crate::data_dir::{DataDir, Generation, KeyFile};
use crate::error::OpenError;
use crate::log::rocks::LogOptions;
use crate::log::{LogStore, wait};
use crate::secret::read_secret;

const G: GroupId = GroupId::FIRST;

fn key(text: &str) -> StateKey {
    StateKey::from_bytes(text.as_bytes().to_vec())
}

fn put(name: &str, value: &str) -> Write {
    Write::Put {
        key: key(name),
        value: value.as_bytes().to_vec(),
    }
}

fn applied(index: u64) -> Applied {
    Applied {
        index,
        bytes: format!("term of {index}").into_bytes(),
    }
}

fn get(state: &impl StateStore, name: &str) -> Option<String> {
    let value = state
        .read(|reader| reader.get(&key(name)))
        .unwrap()
        .unwrap();
    value.map(|value| String::from_utf8(value).unwrap())
}

fn open_state(dir: &DataDir) -> RocksState {
    dir.open_state(G, FaultLatch::new()).unwrap()
}

fn try_open(temp: &TempDir) -> Result<RocksState, OpenError> {
    reopen(temp)?.open_state(G, FaultLatch::new())
}

/// Sends a snapshot in pieces of `piece` bytes.
pub(crate) fn send(
    from: &Snapshot,
    to: &impl StateStore,
    piece: usize,
) -> Result<Snapshot, StoreError> {
    let manifest = SnapshotManifest::decode(&from.manifest().encode()).unwrap();
    let mut incoming = to.receive(manifest)?;
    for place in 0..from.manifest().files.len() {
        let mut offset = 0;
        loop {
            let bytes = from.read(place, offset, piece)?;
            if bytes.is_empty() {
                break;
            }
            incoming.write(place, offset, &bytes)?;
            offset += bytes.len() as u64;
        }
    }
    incoming.finish()
}

/// What both states must do. `other` is an empty state of the same kind.
fn check<S: StateStore>(state: &S, other: &S) {
    assert_eq!(state.applied(), Ok(None));
    assert_eq!(state.flushed(), None);
    state
        .commit(
            &[put("a/1", "one"), put("a/2", "two"), put("b", "bee")],
            &applied(3),
        )
        .unwrap();
    state
        .commit(
            &[Write::Delete { key: key("a/1") }, put("a/3", "three")],
            &applied(4),
        )
        .unwrap();
    assert_eq!(state.applied(), Ok(Some(applied(4))));
    assert_eq!(get(state, "a/1"), None);
    assert_eq!(get(state, "a/2").as_deref(), Some("two"));

    // A view does not move, whether or not it has read a row before.
    let writes = [put("b", "bumblebee"), put("a/2", "second")];
    let (before, during, first_read) = state
        .read(|reader| {
            let before = reader.get(&key("b")).unwrap();
            state.commit(&writes, &applied(5)).unwrap();
            let during = reader.get(&key("b")).unwrap();
            (before, during, reader.get(&key("a/2")).unwrap())
        })
        .unwrap();
    let bee = Some(b"bee".to_vec());
    assert_eq!((before, during), (bee.clone(), bee));
    assert_eq!(first_read, Some(b"two".to_vec()));
    state.commit(&[put("a/2", "two")], &applied(5)).unwrap();
    assert_eq!(get(state, "b").as_deref(), Some("bumblebee"));
    assert_eq!(state.flush(), Ok(Some(5)));
    assert_eq!(state.flushed(), Some(5));

    // A snapshot holds what was there when it was pinned.
    let hash = state.state_hash().unwrap();
    let pinned = state.pin().unwrap();
    assert_eq!(*pinned.applied(), applied(5));
    state.commit(&[put("c", "later")], &applied(6)).unwrap();
    let snapshot = pinned.seal().unwrap();
    let received = send(&snapshot, other, 7).unwrap();
    other.commit(&[put("gone", "x")], &applied(2)).unwrap();
    // What came can be read before anything is switched.
    let found = other.read_received(&received, |reader| reader.get(&key("b")));
    assert_eq!(found.unwrap().unwrap().as_deref(), Some(&b"bumblebee"[..]));
    assert_eq!(get(other, "gone").as_deref(), Some("x"));
    assert_eq!(other.install(received), Ok(applied(5)));
    assert_eq!(other.applied(), Ok(Some(applied(5))));
    assert_eq!(other.flushed(), Some(5));
    assert_eq!(other.state_hash(), Ok(hash));
    assert_eq!(get(other, "gone"), None);
    other.commit(&[put("c", "later")], &applied(6)).unwrap();
    assert_eq!(other.state_hash(), state.state_hash());
}

#[test]
fn the_state_in_memory_does_what_a_state_must() {
    check(&MemState::new(G), &MemState::new(G));
}

#[test]
fn the_state_on_disk_does_what_a_state_must_and_has_it_all_after_a_restart() {
    let ((temp, dir), (other_temp, other_dir)) = (new_dir(), new_dir());
    let (state, other) = (open_state(&dir), open_state(&other_dir));
    drop((dir, other_dir));
    check(&state, &other);
    let hash = state.state_hash();
    drop((state, other));
    for temp in [temp, other_temp] {
        let state = try_open(&temp).unwrap();
        assert_eq!(state.applied(), Ok(Some(applied(6))));
        assert_eq!(state.state_hash(), hash);
        assert!(names(&temp.path().join("node").join("incoming")).is_empty());
        assert!(names(&temp.path().join("node").join("outgoing")).is_empty());
    }
}

#[test]
fn a_crash_takes_from_memory_what_no_flush_has_covered() {
    let state = MemState::new(G);
    state.commit(&[put("a", "1")], &applied(1)).unwrap();
    state.flush().unwrap();
    state.commit(&[put("a", "2")], &applied(2)).unwrap();
    let after = state.crash();
    assert_eq!(get(&after, "a").as_deref(), Some("1"));
    assert_eq!(after.applied(), Ok(Some(applied(1))));
    assert!(
        state.applied().is_err(),
        "the crashed process answers nothing any more"
    );
}

fn names(folder: &Path) -> Vec<String> {
    crate::data_dir::names_in(folder).unwrap()
}

/// A snapshot of a node whose log, vote, identity and keys differ from those of the receiver.
#[test]
fn an_installed_snapshot_leaves_vote_log_identity_and_keys_of_the_receiver_alone() {
    let ((_sender_temp, sender), (temp, dir)) = (new_dir(), new_dir());
    let sender_log = sender
        .open_log(LogOptions::default(), FaultLatch::new())
        .unwrap();
    wait(|done| sender_log.save_vote(G, Bytes::from_static(b"vote of the sender"), done)).unwrap();
    let sender_state = open_state(&sender);
    sender_state
        .commit(&[put("a", "of the sender")], &applied(40))
        .unwrap();

    let first = Generation::First;
    dir.keys()
        .write(first, KeyFile::Node, b"key of the receiver")
        .unwrap();
    let log = dir
        .open_log(LogOptions::default(), FaultLatch::new())
        .unwrap();
    wait(|done| log.save_vote(G, Bytes::from_static(b"vote of the receiver"), done)).unwrap();
    wait(|done| log.put_local(G, "head", Bytes::from_static(b"signed"), done)).unwrap();
    wait(|done| log.append(G, vec![(1, Bytes::from_static(b"entry"))], done)).unwrap();
    let identity = *dir.identity();
    let state = open_state(&dir);
    let received = send(
        &sender_state.pin().unwrap().seal().unwrap(),
        &state,
        1 << 20,
    )
    .unwrap();
    state.install(received).unwrap();
    assert_eq!(
        log.vote(G),
        Ok(Some(Bytes::from_static(b"vote of the receiver")))
    );

    drop((log, state, dir));
    let dir = reopen(&temp).unwrap();
    let log = dir
        .open_log(LogOptions::default(), FaultLatch::new())
        .unwrap();
    assert_eq!(
        log.vote(G),
        Ok(Some(Bytes::from_static(b"vote of the receiver")))
    );
    assert_eq!(
        log.local(G, "head"),
        Ok(Some(Bytes::from_static(b"signed")))
    );
    assert_eq!(log.bounds(G).unwrap().held, Some((1, 1)));
    assert_eq!(*dir.identity(), identity);
    let key = read_secret(&dir.keys().path(first, KeyFile::Node))
        .unwrap()
        .unwrap();
    assert_eq!(key.as_bytes(), b"key of the receiver");
    assert_eq!(
        get(&open_state(&dir), "a").as_deref(),
        Some("of the sender")
    );
    let root = names(dir.root());
    assert!(
        root.contains(&"state-2".to_owned()) && !root.contains(&"state-1".to_owned()),
        "{root:?}"
    );
}

#[test]
fn a_state_being_read_stays_until_its_reader_is_done_with_it() {
    let ((_sender_temp, sender), (_temp, dir)) = (new_dir(), new_dir());
    let sender = open_state(&sender);
    sender.commit(&[put("a", "new")], &applied(9)).unwrap();
    let state = open_state(&dir);
    state.commit(&[put("a", "old")], &applied(1)).unwrap();
    let received = send(&sender.pin().unwrap().seal().unwrap(), &state, 1 << 20).unwrap();
    let seen = state.read(|reader| {
        state.install(received).unwrap();
        assert!(names(dir.root()).contains(&"state-1".to_owned()));
        reader.get(&key("a")).unwrap()
    });
    assert_eq!(seen.unwrap().as_deref(), Some(b"old".as_slice()));
    assert_eq!(get(&state, "a").as_deref(), Some("new"));
    assert!(!names(dir.root()).contains(&"state-1".to_owned()));
}

fn refusal<T: fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Snapshot(problem)) => problem,
        other => panic!("not refused as a snapshot: {other:?}"),
    }
}

#[test]
fn a_snapshot_that_is_not_what_its_manifest_says_is_refused_and_changes_nothing() {
    let ((_sender_temp, sender), (_temp, dir)) = (new_dir(), new_dir());
    let sender = open_state(&sender);
    sender.commit(&[put("a", "new")], &applied(9)).unwrap();
    let snapshot = sender.pin().unwrap().seal().unwrap();
    let manifest = snapshot.manifest().clone();
    let state = open_state(&dir);
    state.commit(&[put("a", "old")], &applied(7)).unwrap();
    // An empty file has come as soon as it is announced.
    let place = manifest
        .files
        .iter()
        .position(|file| file.length > 0)
        .unwrap();
    let first = snapshot.read(place, 0, usize::MAX).unwrap();
    let receive = |manifest: &SnapshotManifest| state.receive(manifest.clone());

    let mut other_group = manifest.clone();
    other_group.group = GroupId(1);
    assert!(refusal(receive(&other_group)).contains("group 1"));
    let mut escaping = manifest.clone();
    escaping.files[0].name = "../CURRENT".to_owned();
    assert!(refusal(receive(&escaping)).contains("../CURRENT"));

    let mut incoming = receive(&manifest).unwrap();
    assert!(refusal(incoming.write(place + 1, 0, b"x")).contains("are next"));
    assert!(refusal(incoming.write(place, 1, b"x")).contains("are next"));
    let too_long = [first.as_slice(), b"x"].concat();
    assert!(refusal(incoming.write(place, 0, &too_long)).contains("longer"));
    let mut flipped = first.clone();
    flipped[0] ^= 1;
    assert!(refusal(incoming.write(place, 0, &flipped)).contains("digest"));
    drop(incoming);
    let mut incoming = receive(&manifest).unwrap();
    incoming.write(place, 0, &first).unwrap();
    assert!(refusal(incoming.finish()).contains("ends before"));

    // Whole, and yet not what it claims to be.
    let mut lying = snapshot.clone();
    let mut claim = manifest;
    claim.applied = applied(10);
    lying.manifest = std::sync::Arc::new(claim);
    let received = send(&lying, &state, 1 << 20).unwrap();
    assert!(refusal(state.install(received)).contains("not applied as far"));
    assert!(refusal(state.install(snapshot.clone())).contains("not received here"));
    state.commit(&[], &applied(20)).unwrap();
    let received = send(&snapshot, &state, 1 << 20).unwrap();
    assert!(refusal(state.install(received)).contains("ends at 9, the state is at 20"));

    assert_eq!(get(&state, "a").as_deref(), Some("old"));
    assert_eq!(state.faults().first(), None);
    assert!(names(&dir.root().join("incoming")).is_empty());
    assert!(!names(dir.root()).contains(&"state-2".to_owned()));
}

#[test]
fn what_an_interrupted_installation_left_is_removed_at_the_next_start() {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    let state = open_state(&dir);
    state.commit(&[put("a", "kept")], &applied(1)).unwrap();
    drop((state, dir));
    fs::create_dir_all(root.join("incoming").join("3")).unwrap();
    fs::create_dir_all(root.join("state-2")).unwrap();
    fs::create_dir_all(root.join("state-0")).unwrap();
    fs::write(root.join("CURRENT.tmp"), "state-2").unwrap();
    let state = try_open(&temp).unwrap();
    assert_eq!(get(&state, "a").as_deref(), Some("kept"));
    let left = names(&root);
    let expected = [
        "CURRENT",
        "LOCK",
        "identity.json",
        "incoming",
        "keys",
        "log",
        "log.high",
        "outgoing",
        "state-1",
    ];
    assert_eq!(left, expected);
    assert!(names(&root.join("incoming")).is_empty());
}

#[test]
fn a_manifest_is_what_it_was_and_a_hostile_one_is_refused() {
    let digest = holdpoint_receipt::sha256(b"");
    let file = |name: &str| SnapshotFile {
        name: name.to_owned(),
        length: 3,
        digest,
    };
    let manifest = |files: Vec<SnapshotFile>| SnapshotManifest {
        group: G,
        applied: applied(5),
        files,
    };
    let good = manifest(vec![
        file("000007.sst"),
        file("CURRENT"),
        file("MANIFEST-000004"),
    ]);
    assert_eq!(SnapshotManifest::decode(&good.encode()), Ok(good.clone()));
    let refused =
        |manifest: &SnapshotManifest| SnapshotManifest::decode(&manifest.encode()).unwrap_err();
    for name in [
        "",
        ".",
        "..",
        "../CURRENT",
        "/etc/passwd",
        "a/b",
        ".sst",
        "x.sst",
        "IDENTITY",
        "LOCK",
    ] {
        assert_eq!(
            refused(&manifest(vec![file(name)])),
            ManifestError::Name(name.to_owned())
        );
    }
    let twice = manifest(vec![file("CURRENT"), file("CURRENT")]);
    assert_eq!(refused(&twice), ManifestError::Order("CURRENT".to_owned()));
    let mut large = good.clone();
    large.files[0].length = u64::MAX;
    assert!(matches!(
        refused(&large),
        ManifestError::TooLarge { what: "bytes", .. }
    ));
    assert!(matches!(
        SnapshotManifest::decode(b"{}"),
        Err(ManifestError::Malformed(_))
    ));
    let unknown = String::from_utf8(good.encode())
        .unwrap()
        .replacen('{', "{\"x\":1,", 1);
    assert!(matches!(
        SnapshotManifest::decode(unknown.as_bytes()),
        Err(ManifestError::Malformed(_))
    ));
}

/// Flips the middle byte of a file.
fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

fn file_with(folder: &Path, part: &str) -> PathBuf {
    let name = names(folder)
        .into_iter()
        .rfind(|name| name.contains(part))
        .unwrap();
    folder.join(name)
}

#[test]
fn a_flipped_byte_in_a_sorted_file_stops_the_node_at_the_read_and_names_the_file() {
    let (temp, dir) = new_dir();
    let state = open_state(&dir);
    let writes: Vec<_> = (0..4_000)
        .map(|n| put(&format!("row {n:05}"), &format!("value {n}")))
        .collect();
    state.commit(&writes, &applied(1)).unwrap();
    state.flush().unwrap();
    let folder = dir.root().join("state-1");
    drop((state, dir));
    let file = names(&folder)
        .into_iter()
        .map(|name| folder.join(name))
        .filter(|file| file.extension().is_some_and(|end| end == "sst"))
        .max_by_key(|file| fs::metadata(file).unwrap().len())
        .unwrap();
    flip(&file);
    let state = try_open(&temp).unwrap();
    let Err(error) = state.state_hash() else {
        panic!("a damaged row was read")
    };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(name), "{error}");
    // From here on nothing is answered, not even what is whole.
    assert_eq!(state.read(|_| ()), Err(error.clone()));
    assert_eq!(state.commit(&[], &applied(2)), Err(error.clone()));
    assert_eq!(state.flush(), Err(error));
    assert!(state.faults().first().is_some());
}

#[test]
fn a_flipped_byte_in_the_manifest_of_the_state_refuses_to_start_and_names_the_file() {
    let (temp, dir) = new_dir();
    let folder = dir.root().join("state-1");
    drop(dir);
    let manifest = file_with(&folder, "MANIFEST-");
    flip(&manifest);
    let refused = try_open(&temp).unwrap_err();
    assert!(
        matches!(&refused, OpenError::DamagedRecord { file, .. } if *file == manifest),
        "{refused}"
    );
}

#[test]
fn a_state_with_other_families_than_ours_is_refused_and_they_are_named() {
    let (temp, dir) = new_dir();
    let folder = dir.root().join("state-1");
    drop(dir);
    let refusal = || match try_open(&temp) {
        Err(OpenError::DamagedFile { file, problem }) if file == folder => problem,
        other => panic!("not refused: {other:?}"),
    };
    let create = |families: &[&str]| {
        fs::remove_dir_all(&folder).unwrap();
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        drop(rocksdb::DB::open_cf(&options, &folder, families).unwrap());
    };
    create(&["default", "applied"]);
    assert!(refusal().contains("no column family `statements`"));
    create(&[
        "default",
        "statements",
        "disclosures",
        "indexes",
        "history",
        "applied",
        "later",
    ]);
    assert!(refusal().contains("a column family `later`"));
}

#[test]
fn rows_of_every_kind_survive_a_restart_and_are_in_a_snapshot() {
    let ((temp, dir), (_other_temp, other)) = (new_dir(), new_dir());
    let keys = KeySpace::group(G);
    let mut map = MapView::new();
    let state = open_state(&dir);
    for index in 1..=5_u8 {
        let writes: Vec<_> = Kind::ALL
            .iter()
            .flat_map(|kind| {
                let key = |n: u8| {
                    let prefix = keys.prefix(*kind);
                    StateKey::from_bytes([prefix.as_slice(), &[n]].concat())
                };
                let value = vec![index];
                let key_now = key(index);
                let gone = Write::Delete {
                    key: key(index / 2),
                };
                [
                    Write::Put {
                        key: key_now,
                        value,
                    },
                    gone,
                ]
            })
            .collect();
        map.commit(&writes);
        state.commit(&writes, &applied(index.into())).unwrap();
        state.flush().unwrap();
    }
    drop((state, dir));
    let state = try_open(&temp).unwrap();
    assert_eq!(state.state_hash().unwrap(), map.state_hash());
    let other = open_state(&other);
    let received = send(&state.pin().unwrap().seal().unwrap(), &other, 1 << 20).unwrap();
    other.install(received).unwrap();
    assert_eq!(other.state_hash().unwrap(), map.state_hash());
}

/// Rows with few bytes, so that prefixes meet: some as short as no row is, some of every family on
/// disk.
fn rows() -> impl Strategy<Value = Vec<(Vec<u8>, Option<u8>)>> {
    let name = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff)], 0..4);
    let kind = prop::sample::select(Kind::ALL);
    let of_a_kind = (kind, name.clone())
        .prop_map(|(kind, rest)| [&[0, 0, 0, 0, 0, kind as u8], rest.as_slice()].concat());
    let key = prop_oneof![1 => name, 3 => of_a_kind];
    prop::collection::vec((key, prop::option::of(any::<u8>())), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn the_state_on_disk_reads_as_a_map_does(rows in rows(), questions in prop::collection::vec(rows(), 4)) {
        let (_temp, dir) = new_dir();
        let state = open_state(&dir);
        let mut map = MapView::new();
        let writes: Vec<_> = rows
            .into_iter()
            .map(|(key, value)| {
                let key = StateKey::from_bytes(key);
                match value {
                    Some(value) => Write::Put { key, value: vec![value] },
                    None => Write::Delete { key },
                }
            })
            .collect();
        map.commit(&writes);
        state.commit(&writes, &applied(1)).unwrap();
        prop_assert_eq!(state.state_hash().unwrap(), map.state_hash());
        for (bytes, after) in questions.into_iter().flatten() {
            let key = StateKey::from_bytes(bytes.clone());
            prop_assert_eq!(state.get(&key).unwrap(), map.get(&key).unwrap());
            let after = after.map(|byte| StateKey::from_bytes([bytes.as_slice(), &[byte]].concat()));
            for length in [1, 5, 6, bytes.len()] {
                let prefix = &bytes[..bytes.len().min(length)];
                for limit in [1, 100] {
                    prop_assert_eq!(
                        state.scan(prefix, after.as_ref(), limit).unwrap(),
                        map.scan(prefix, after.as_ref(), limit).unwrap()
                    );
                }
            }
        }
    }
}
