use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::keys::{Epoch, VerifierKey};
use holdpoint_receipt::merkle::{Frontier, leaf_of, prove_consistency};
use holdpoint_receipt::{
    ClusterId, Digest, KeySet, Name, NodeId, NodeSecretKeys, SecretKey, TreeSize, cosignature,
    sha256,
};

use super::wire::{Submission, parse_lines};
use super::*;

const NOW: u64 = 1_700_000_000;

/// A log of two signers that both must sign, as far as anybody outside of it sees.
struct Log {
    leaves: Vec<Digest>,
}

fn cluster() -> ClusterId {
    ClusterId::from_bytes([5; 16])
}

fn namespace() -> Name {
    Name::new("default").unwrap()
}

fn secret(node: u8) -> NodeSecretKeys {
    let key = |role| SecretKey::from_seed(&[node * 2 + role; 32]);
    NodeSecretKeys::new(key(0), key(1)).unwrap()
}

fn keys() -> KeySet {
    let public = |node: u8| (NodeId::new(node.into()).unwrap(), secret(node).public());
    let epoch = Epoch {
        tree_size_from: TreeSize::default(),
        signers_needed: 2,
        nodes: BTreeMap::from([public(1), public(2)]),
    };
    KeySet::new(cluster(), namespace(), vec![epoch], Vec::new()).unwrap()
}

impl Log {
    /// A history of its own for each `seed`.
    fn new(seed: u8, size: u64) -> Self {
        let leaf = |place: u64| leaf_of(&sha256(&[&[seed][..], &place.to_be_bytes()].concat()));
        Self {
            leaves: (0..size).map(leaf).collect(),
        }
    }

    /// The complete subtrees of its first leaves.
    fn tree(&self, size: u64) -> (Digest, BTreeMap<(u8, u64), Digest>) {
        let (mut frontier, mut nodes) = (Frontier::new(), BTreeMap::new());
        for leaf in self.leaves.iter().take(usize::try_from(size).unwrap()) {
            for node in frontier.append(*leaf).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
        }
        (frontier.root(), nodes)
    }

    fn submission(&self, old_size: u64, size: u64, signers: &[u8]) -> Submission {
        let (root, nodes) = self.tree(size);
        let head = Checkpoint {
            origin: Origin::new(&cluster(), &namespace()),
            size: TreeSize::new(size).unwrap(),
            root,
        };
        let sign = |node: &u8| {
            let id = NodeId::new((*node).into()).unwrap();
            secret(*node).sign_head(&cluster(), id, &head, NOW)
        };
        let node = |level, index| Ok::<_, ()>(nodes.get(&(level, index)).copied());
        Submission {
            old_size,
            proof: prove_consistency(old_size, size, node).unwrap_or_default(),
            note: head.to_note(signers.iter().map(sign).collect()).unwrap(),
        }
    }
}

fn write_keys(folder: &Path) -> WatchedLog {
    let file = folder.join("keys.json");
    std::fs::write(&file, keys().to_file()).unwrap();
    WatchedLog {
        origin: keys().origin().to_string(),
        keys: file,
    }
}

fn open(folder: &Path) -> Logs {
    let key: PathBuf = folder.join("witness.key");
    let book = Book::open(&key, Some("w.example"), &folder.join("state"), None).unwrap();
    Logs::open(book, vec![write_keys(folder)]).unwrap()
}

/// What comes of a submission: the time of the signature, or the refusal.
fn check(logs: &Logs, submission: &Submission) -> Result<u64, String> {
    let answer = logs.sign(submission.to_string().as_bytes(), NOW);
    let body = answer.map_err(|refused| refused.to_string())?;
    let text = submission.note.text();
    let lines = parse_lines(body.as_bytes()).unwrap();
    let [line] = lines.as_slice() else {
        panic!("{body}");
    };
    let verifier: &VerifierKey = logs.book().verifier();
    assert_eq!(
        (&line.name, line.key_id),
        (verifier.name(), verifier.key_id())
    );
    Ok(cosignature::verify(verifier.key(), &line.signature, text).unwrap())
}

#[test]
fn head_that_continues_the_last_one_is_signed_and_any_other_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = open(scratch.path());
    let (log, fork) = (Log::new(1, 40), Log::new(2, 40));
    assert_eq!(check(&logs, &log.submission(0, 5, &[1, 2])), Ok(NOW));
    // The same again is a newer statement about the same head.
    assert_eq!(check(&logs, &log.submission(5, 5, &[1, 2])), Ok(NOW));
    assert_eq!(check(&logs, &log.submission(5, 33, &[1, 2])), Ok(NOW));
    let conflict = Err("The last checkpoint that this witness signed has 33 leaves.".to_owned());
    for (what, submission) in [
        ("forgets", log.submission(0, 40, &[1, 2])),
        ("is behind", log.submission(5, 33, &[1, 2])),
        ("rolls back", log.submission(5, 5, &[1, 2])),
        ("forks at the same size", fork.submission(33, 33, &[1, 2])),
    ] {
        assert_eq!(check(&logs, &submission), conflict, "{what}");
    }
    let inconsistent = "The checkpoint does not continue the last one that this witness signed.";
    let forked = check(&logs, &fork.submission(33, 40, &[1, 2]));
    assert_eq!(forked, Err(inconsistent.to_owned()));
    let unproved = Submission {
        proof: Vec::new(),
        ..log.submission(33, 40, &[1, 2])
    };
    assert_eq!(check(&logs, &unproved), Err(inconsistent.to_owned()));
    assert_eq!(check(&logs, &log.submission(33, 40, &[1, 2])), Ok(NOW));
}

#[test]
fn fork_and_roll_back_are_refused_after_a_restart_too() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, fork) = (Log::new(1, 40), Log::new(2, 40));
    let logs = open(scratch.path());
    assert_eq!(check(&logs, &log.submission(0, 33, &[1, 2])), Ok(NOW));
    drop(logs);
    let logs = open(scratch.path());
    for submission in [
        fork.submission(0, 33, &[1, 2]),
        fork.submission(33, 40, &[1, 2]),
        log.submission(0, 7, &[1, 2]),
    ] {
        check(&logs, &submission).unwrap_err();
    }
    assert_eq!(check(&logs, &log.submission(33, 40, &[1, 2])), Ok(NOW));
}

#[test]
fn one_key_of_two_makes_no_head_and_neither_does_another_log() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = open(scratch.path());
    let log = Log::new(1, 40);
    for signers in [&[1][..], &[2], &[1, 3]] {
        let refused = check(&logs, &log.submission(0, 5, signers));
        let expected = "1 nodes of the log signed the checkpoint, 2 must.";
        assert_eq!(refused, Err(expected.to_owned()), "{signers:?}");
    }
    let other = log
        .submission(0, 5, &[1, 2])
        .to_string()
        .replace("/default", "/other");
    let refused = logs.sign(other.as_bytes(), NOW).unwrap_err();
    assert_eq!(refused.to_string(), "This witness does not watch that log.");
    // A signature that is there but of another text counts for nothing.
    let forged = log
        .submission(0, 5, &[1, 2])
        .to_string()
        .replacen("\n5\n", "\n6\n", 1);
    let refused = logs.sign(forged.as_bytes(), NOW).unwrap_err();
    assert!(refused.to_string().starts_with("0 nodes"), "{refused}");
}

#[test]
fn keys_that_are_published_later_are_read_without_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = open(scratch.path());
    let log = Log::new(1, 40);
    assert_eq!(check(&logs, &log.submission(0, 5, &[1, 2])), Ok(NOW));
    let newer = log.submission(5, 9, &[3, 4]);
    check(&logs, &newer).unwrap_err();
    let epoch = |from: u64, nodes: [u8; 2]| Epoch {
        tree_size_from: TreeSize::new(from).unwrap(),
        signers_needed: 2,
        nodes: nodes
            .map(|node| (NodeId::new(node.into()).unwrap(), secret(node).public()))
            .into(),
    };
    let epochs = vec![epoch(0, [1, 2]), epoch(6, [3, 4])];
    let rotated = KeySet::new(cluster(), namespace(), epochs, Vec::new()).unwrap();
    let file = scratch.path().join("keys.json");
    std::fs::write(&file, rotated.to_file()).unwrap();
    // The time of a change may be coarser than this test is fast.
    let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
    let opened = std::fs::File::options().write(true).open(&file).unwrap();
    opened.set_modified(later).unwrap();
    assert_eq!(check(&logs, &newer), Ok(NOW));
}

#[test]
fn keys_of_another_log_and_a_log_named_twice_are_refused_at_the_start() {
    let scratch = tempfile::tempdir().unwrap();
    let watched = write_keys(scratch.path());
    let open = |logs: Vec<WatchedLog>| {
        let (key, state) = (scratch.path().join("key"), scratch.path().join("state"));
        let book = Book::open(&key, None, &state, None).unwrap();
        Logs::open(book, logs).unwrap_err()
    };
    let other = WatchedLog {
        origin: "other.example/log".to_owned(),
        ..watched.clone()
    };
    assert!(matches!(open(vec![other]), LogError::OtherLog { .. }));
    let missing = WatchedLog {
        keys: scratch.path().join("absent.json"),
        ..watched.clone()
    };
    assert!(matches!(open(vec![missing]), LogError::Read { .. }));
    let twice = open(vec![watched.clone(), watched]);
    assert!(matches!(twice, LogError::Twice(_)));
}
