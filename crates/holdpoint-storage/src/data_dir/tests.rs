use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::secret::{KeyError, read_secret};

pub(crate) fn identity() -> Identity {
    Identity {
        cluster: ClusterId::from_bytes([7; 16]),
        node: NodeId::new(1).unwrap(),
        incarnation: Incarnation::from_bytes([9; 16]),
    }
}

/// A folder in memory where there is room for one: what counts here is what was synced when, and a
/// real sync would only take time.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |room| room.f_bavail * room.f_frsize);
    if free > 1 << 30 {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// A new data directory, and what removes it.
pub(crate) fn new_dir() -> (TempDir, DataDir) {
    let temp = folder();
    let dir = DataDir::create(&temp.path().join("node"), identity()).unwrap();
    (temp, dir)
}

/// Opens it again, as the next start of the process does.
pub(crate) fn reopen(temp: &TempDir) -> Result<DataDir, OpenError> {
    let Identity { cluster, node, .. } = identity();
    DataDir::open(&temp.path().join("node"), Some(Owner { cluster, node }))
}

#[test]
fn a_created_directory_opens_with_the_identity_it_was_given() {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    drop(dir);
    assert_eq!(*reopen(&temp).unwrap().identity(), identity());
    let again = DataDir::create(&root, identity());
    assert!(
        matches!(again, Err(CreateError::AlreadyInitialised { .. })),
        "{again:?}"
    );
}

#[test]
fn a_directory_in_use_is_refused_to_everybody_else() {
    let (temp, dir) = new_dir();
    assert!(matches!(reopen(&temp), Err(OpenError::Locked { .. })));
    assert!(matches!(
        DataDir::create(dir.root(), identity()),
        Err(CreateError::Locked { .. })
    ));
    // An open database keeps it, also after the handle is gone.
    let log = dir
        .open_log(LogOptions::default(), FaultLatch::new())
        .unwrap();
    drop(dir);
    assert!(matches!(reopen(&temp), Err(OpenError::Locked { .. })));
    drop(log);
    reopen(&temp).unwrap();
}

#[test]
fn a_directory_of_another_node_or_cluster_is_refused_by_name() {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    drop(dir);
    let other = |cluster, node| {
        let owner = Owner {
            cluster: ClusterId::from_bytes([cluster; 16]),
            node: NodeId::new(node).unwrap(),
        };
        DataDir::open(&root, Some(owner)).unwrap_err().to_string()
    };
    let path = root.display();
    assert_eq!(
        other(8, 1),
        format!(
            "`{path}` belongs to cluster `{}`, not to `{}`",
            "07".repeat(16),
            "08".repeat(16)
        )
    );
    assert_eq!(
        other(7, 2),
        format!("`{path}` belongs to node 1, not to node 2")
    );
    drop(temp);
}

#[test]
fn what_is_missing_or_damaged_in_a_directory_is_named() {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    drop(dir);
    let nowhere = DataDir::open(&root.join("nowhere"), None);
    assert!(
        matches!(nowhere, Err(OpenError::NotInitialised { .. })),
        "{nowhere:?}"
    );
    let text = fs::read_to_string(root.join("identity.json")).unwrap();

    fs::write(
        root.join("identity.json"),
        text.replace("\"format\": 1", "\"format\": 2"),
    )
    .unwrap();
    assert!(matches!(
        reopen(&temp),
        Err(OpenError::Format {
            found: 2,
            known: 1,
            ..
        })
    ));
    fs::write(root.join("identity.json"), text.split_at(20).0).unwrap();
    assert!(matches!(reopen(&temp), Err(OpenError::DamagedFile { .. })));
    fs::remove_file(root.join("identity.json")).unwrap();
    assert!(matches!(
        reopen(&temp),
        Err(OpenError::IdentityMissing { .. })
    ));
    let again = DataDir::create(&root, identity());
    assert!(
        matches!(again, Err(CreateError::NotEmpty { .. })),
        "{again:?}"
    );

    fs::write(root.join("identity.json"), text).unwrap();
    fs::rename(root.join("CURRENT"), root.join("pointer")).unwrap();
    let refused = reopen(&temp)
        .unwrap()
        .open_state(GroupId::FIRST, FaultLatch::new());
    assert!(matches!(refused, Err(OpenError::Missing { path }) if path == root.join("CURRENT")));
    fs::write(root.join("CURRENT"), "state-01\n").unwrap();
    let refused = reopen(&temp)
        .unwrap()
        .open_state(GroupId::FIRST, FaultLatch::new());
    assert!(
        matches!(refused, Err(OpenError::DamagedFile { file, .. }) if file == root.join("CURRENT"))
    );
    fs::write(root.join("CURRENT"), "state-4\n").unwrap();
    let refused = reopen(&temp)
        .unwrap()
        .open_state(GroupId::FIRST, FaultLatch::new());
    assert!(matches!(refused, Err(OpenError::Missing { path }) if path == root.join("state-4")));

    for part in ["log", "log.high"] {
        fs::rename(root.join(part), root.join("kept")).unwrap();
        let refused = reopen(&temp)
            .unwrap()
            .open_log(LogOptions::default(), FaultLatch::new());
        assert!(matches!(refused, Err(OpenError::Missing { path }) if path == root.join(part)));
        fs::rename(root.join("kept"), root.join(part)).unwrap();
    }
}

#[test]
fn an_interrupted_creation_is_started_over() {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    drop(dir);
    // As a crash just before the identity leaves it.
    fs::remove_file(root.join("identity.json")).unwrap();
    fs::write(root.join("CREATING"), "").unwrap();
    assert!(matches!(
        reopen(&temp),
        Err(OpenError::NotInitialised { .. })
    ));
    drop(DataDir::create(&root, identity()).unwrap());
    reopen(&temp).unwrap();
}

#[test]
fn a_directory_that_holds_something_else_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("thesis.txt"), "dear").unwrap();
    let refused = DataDir::create(temp.path(), identity())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("`thesis.txt`"), "{refused}");
    assert_eq!(
        fs::read_to_string(temp.path().join("thesis.txt")).unwrap(),
        "dear"
    );
}

#[test]
fn a_key_is_written_once_and_refused_if_others_can_read_it() {
    let (temp, dir) = new_dir();
    let (keys, first) = (dir.keys(), Generation::First);
    assert!(
        read_secret(&keys.path(first, KeyFile::Log))
            .unwrap()
            .is_none()
    );
    keys.write(first, KeyFile::Log, b"secret").unwrap();
    let path = keys.path(first, KeyFile::Log);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let read = read_secret(&keys.path(first, KeyFile::Log))
        .unwrap()
        .unwrap();
    assert_eq!(read.as_bytes(), b"secret");
    assert!(
        read_secret(&keys.path(first, KeyFile::Node))
            .unwrap()
            .is_none()
    );
    assert!(matches!(
        keys.write(first, KeyFile::Log, b"other"),
        Err(KeyError::Exists { .. })
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        read_secret(&keys.path(first, KeyFile::Log)),
        Err(KeyError::Exposed { mode: 0o640, .. })
    ));
    drop(temp);
}

#[test]
fn generations_of_keys_stand_beside_each_other_until_one_is_wiped() {
    let (temp, dir) = new_dir();
    let (keys, later) = (dir.keys(), Generation::Later([0, 1, 2, 3, 4, 5, 6, 0xff]));
    for (generation, key) in [
        (Generation::First, KeyFile::Node),
        (Generation::First, KeyFile::Log),
        (later, KeyFile::Node),
    ] {
        keys.write(generation, key, b"secret").unwrap();
    }
    fs::write(keys.folder().join("notes.txt"), "mine").unwrap();
    fs::write(keys.folder().join("1.log.key"), "not our spelling").unwrap();
    assert_eq!(
        keys.path(later, KeyFile::Node),
        keys.folder().join("00010203040506ff.node.key")
    );
    let found = keys.generations().unwrap();
    let whole = vec![KeyFile::Log, KeyFile::Node];
    assert_eq!(found.get(&Generation::First), Some(&whole));
    assert_eq!(found.get(&later), Some(&vec![KeyFile::Node]));
    assert_eq!(found.len(), 2);
    keys.wipe(Generation::First).unwrap();
    keys.wipe(Generation::First).unwrap();
    let wiped = read_secret(&keys.path(Generation::First, KeyFile::Log)).unwrap();
    assert!(wiped.is_none());
    assert!(
        read_secret(&keys.path(later, KeyFile::Node))
            .unwrap()
            .is_some()
    );
    drop(temp);
}

#[test]
fn what_an_interrupted_replacement_of_a_key_left_is_gone_at_the_next_start() {
    let (temp, dir) = new_dir();
    let keys = dir.keys();
    keys.write(Generation::First, KeyFile::Log, b"secret")
        .unwrap();
    let staged = keys.folder().join("log.key.tmp");
    fs::write(&staged, "sec").unwrap();
    let root = dir.root().to_owned();
    drop((dir, keys));
    let keys = DataDir::open(&root, None).unwrap().keys();
    assert!(!staged.exists());
    let read = read_secret(&keys.path(Generation::First, KeyFile::Log))
        .unwrap()
        .unwrap();
    assert_eq!(read.as_bytes(), b"secret");
    drop(temp);
}

#[test]
fn nobody_else_is_let_into_a_data_directory_and_a_group_only_if_an_operator_does() {
    let (temp, dir) = new_dir();
    let root = dir.root().to_owned();
    let mode = || fs::metadata(&root).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    drop(dir);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let dir = reopen(&temp).unwrap();
    assert_eq!(mode(), 0o750);
    drop(dir);
}
