//! The child of the crash tests: what it does, and how its parent listens.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use bytes::Bytes;
use holdpoint_core::{KeySpace, Kind, StateKey, Write};

use super::G;
use super::disk::Disk;
use crate::data_dir::tests::identity;
use crate::data_dir::{DataDir, Generation, KeyFile};
use crate::fault::FaultLatch;
use crate::log::rocks::LogOptions;
use crate::log::{Done, LogStore, Purged};
use crate::secret::replace_secret;
use crate::state::{Applied, StateStore};

const ROLE: &str = "HOLDPOINT_CRASH_ROLE";
const ROOT: &str = "HOLDPOINT_CRASH_ROOT";
/// In front of everything that the child says.
const MARK: char = '@';

/// Entries between two flushes of the state, each of which purges the log.
const FLUSH_EVERY: u64 = 100;
/// Appends that wait for their answer at once.
const WAITING_MAX: usize = 8;
/// Entries after which the child ends by itself, so that a test that waits for it cannot hang.
const ENTRIES_MAX: u64 = 50_000;
/// Appends that the child tries after the first refusal.
const TRIES_AFTER_REFUSAL: u32 = 30;

/// The content of an entry, which its index fixes.
pub(super) fn entry(index: u64) -> Bytes {
    let length = usize::try_from(index * 37 % 700).unwrap() + 8;
    index
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(length)
        .collect()
}

/// The rows that applying an entry leaves: one of each kind, so in every family on disk.
pub(super) fn state_rows(index: u64) -> Vec<Write> {
    let keys = KeySpace::group(G);
    let row = |kind: &Kind| Write::Put {
        key: StateKey::from_bytes([keys.prefix(*kind).as_slice(), &index.to_be_bytes()].concat()),
        value: entry(index).to_vec(),
    };
    Kind::ALL.iter().map(row).collect()
}

/// What a parent heard from its child.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) acked: u64,
    pub(super) voted: u64,
    pub(super) refused: u64,
    pub(super) acked_after_refusal: u64,
    pub(super) is_fault_told: bool,
    pub(super) is_installed: bool,
    pub(super) is_done: bool,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        let (word, number) = line.split_once(' ').unwrap_or((line, "0"));
        let number = number.parse().unwrap();
        match word {
            "acked" => {
                self.acked = self.acked.max(number);
                self.acked_after_refusal += u64::from(self.refused > 0);
            }
            "voted" => self.voted = self.voted.max(number),
            "refused" => self.refused += 1,
            "fault" => self.is_fault_told = true,
            "installed" => self.is_installed = true,
            "done" => self.is_done = true,
            other => panic!("the child said `{other}`"),
        }
    }
}

/// Runs the child until it has acknowledged `kill_after` times, or until it ends by itself.
pub(super) fn run(
    role: &str,
    root: &Path,
    disk: Option<(&Disk, Option<&str>)>,
    kill_after: Option<u64>,
) -> Heard {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "crash_tests::child::child",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some((disk, plan)) = disk {
        disk.under(&mut command, plan);
    }
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut heard = Heard::default();
    let mut answers = 0;
    if kill_after == Some(0) {
        child.kill().unwrap();
    }
    for line in output.lines() {
        let line = line.unwrap();
        let Some((_, said)) = line.split_once(MARK) else {
            continue;
        };
        heard.hear(said);
        answers += 1;
        if kill_after == Some(answers) {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    heard
}

/// Says one line to the parent, in one write, so that a kill cannot cut it.
fn say(text: &str) {
    let line = format!("{MARK}{text}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

#[test]
#[ignore = "the child of the crash tests, which start it themselves"]
fn child() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    // The database starts a new file every hundred entries or so.
    let options = LogOptions::default().with_write_buffer_bytes(64 << 10);
    match std::env::var(ROLE).unwrap().as_str() {
        "append" => append(root, options),
        "append-unsynced" => append(root, options.fault_sync_off()),
        "install" => install(root),
        "encrypt" => encrypt(root),
        role => panic!("no role `{role}`"),
    }
}

/// Appends, votes, applies, flushes and purges until it is killed or refused.
fn append(root: &Path, options: LogOptions) {
    let dir = DataDir::open(root, None).unwrap();
    let faults = FaultLatch::new();
    faults.watch(|_| say("fault"));
    let log = dir.open_log(options, faults.clone()).unwrap();
    let state = dir.open_state(G, faults).unwrap();
    let (place_taken, place_free) = mpsc::sync_channel::<()>(WAITING_MAX);
    let place_free = std::sync::Arc::new(std::sync::Mutex::new(place_free));
    let answer = |said: String| -> Done {
        place_taken.send(()).unwrap();
        let place_free = std::sync::Arc::clone(&place_free);
        Box::new(move |result| {
            say(if result.is_ok() { &said } else { "refused" });
            place_free.lock().unwrap().recv().unwrap();
        })
    };
    let mut vote = log.vote(G).unwrap().map_or(0, |vote| {
        u64::from_be_bytes(vote.as_ref().try_into().unwrap())
    });
    let mut next = log.bounds(G).unwrap().next().unwrap_or(1);
    let mut tries_left = TRIES_AFTER_REFUSAL;
    while tries_left > 0 && next < ENTRIES_MAX {
        if log.faults().first().is_some() {
            tries_left -= 1;
        }
        let end = next + 1 + next * 7 % 5;
        let entries = (next..end).map(|index| (index, entry(index))).collect();
        log.append(G, entries, answer(format!("acked {}", end - 1)));
        if next.is_multiple_of(3) {
            vote += 1;
            let bytes = Bytes::copy_from_slice(&vote.to_be_bytes());
            log.save_vote(G, bytes, answer(format!("voted {vote}")));
        }
        if next / FLUSH_EVERY != end / FLUSH_EVERY && next > 1 {
            // What is applied is committed, so this node's own part of it is durable.
            crate::log::wait(|done| log.save_committed(G, Bytes::new(), done)).ok();
            let _ = crate::log::wait(|done| log.append(G, Vec::new(), done));
            flush_and_purge(&state, &log, next - 1);
        }
        next = end;
    }
}

fn flush_and_purge(state: &impl StateStore, log: &impl LogStore, index: u64) {
    let applied = Applied {
        index,
        bytes: Vec::new(),
    };
    if state.commit(&state_rows(index), &applied).is_err() {
        return;
    }
    if let Ok(Some(flushed)) = state.flush()
        && let Some(index) = flushed.checked_sub(20)
    {
        log.purge_to(
            G,
            Purged {
                index,
                bytes: Bytes::new(),
            },
            Box::new(|_| {}),
        );
    }
}

pub(super) fn installed_key() -> StateKey {
    StateKey::from_bytes(b"row".to_vec())
}

/// Makes the sender in `folder`, and the receiver with an old state.
pub(super) fn prepare_installation(folder: &Path, receiver: &Path) {
    for (root, value, index) in [
        (folder.join("sender").as_path(), "new", 9),
        (receiver, "old", 1),
    ] {
        let dir = DataDir::create(root, identity()).unwrap();
        let state = dir.open_state(G, FaultLatch::new()).unwrap();
        let write = Write::Put {
            key: installed_key(),
            value: value.as_bytes().to_vec(),
        };
        state
            .commit(
                &[write],
                &Applied {
                    index,
                    bytes: Vec::new(),
                },
            )
            .unwrap();
        state.flush().unwrap();
    }
}

/// Takes the sender's snapshot and installs it in `root`.
fn install(root: &Path) {
    let folder = root.parent().unwrap();
    let sender = DataDir::open(&folder.join("sender"), None).unwrap();
    let sender = sender.open_state(G, FaultLatch::new()).unwrap();
    let dir = DataDir::open(root, None).unwrap();
    let state = dir.open_state(G, FaultLatch::new()).unwrap();
    let snapshot = sender.pin().unwrap().seal().unwrap();
    fs::write(folder.join("unarmed"), "").unwrap();
    fs::rename(folder.join("unarmed"), folder.join("armed")).unwrap();
    let received = crate::state::tests::send(&snapshot, &state, 1 << 20).unwrap();
    state.install(received).unwrap();
    say("installed");
    drop(state);
    say("done");
}

/// What the key file holds before it is encrypted, and after.
pub(super) const OLD_KEY: &[u8] = b"a key";
pub(super) const NEW_KEY: &[u8] = b"the same key, encrypted";

/// Writes the key of `root` in another encoding.
fn encrypt(root: &Path) {
    let dir = DataDir::open(root, None).unwrap();
    let folder = root.parent().unwrap();
    fs::write(folder.join("unarmed"), "").unwrap();
    fs::rename(folder.join("unarmed"), folder.join("armed")).unwrap();
    let path = dir.keys().path(Generation::First, KeyFile::Node);
    replace_secret(&path, NEW_KEY).unwrap();
    say("done");
}
