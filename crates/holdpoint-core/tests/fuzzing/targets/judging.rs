//! Sequences of commands, as a hurried leader and a hostile one would mix them.

use holdpoint_core::{Command, Entry, GroupId, MapView, Overlay, apply, check, codec};
use holdpoint_receipt::ClusterTime;

use super::proposing::{Leader, bootstrap};
use super::source::Source;

/// Beyond this many, an input tells nothing new for its time.
const ENTRIES_MAX: u64 = 48;
const COMMANDS_MAX: usize = 4;
const START_MS: u64 = 1_000_000;

/// Applies what `data` says to two replicas, one of which commits late and reads every entry back
/// from its bytes.
///
/// # Panics
///
/// If anything in there panics, an invariant of the state does not hold after an entry, or the
/// replicas differ.
pub(crate) fn judge(data: &[u8]) {
    let mut source = Source::new(data);
    let mut replicas = Replicas::default();
    let mut clock_ms = START_MS;
    replicas.apply(clock_ms, bootstrap());
    while !source.is_empty() && replicas.entries < ENTRIES_MAX {
        let count = 1 + source.below(COMMANDS_MAX);
        let mut leader = Leader::new(&replicas.first);
        let commands: Vec<Command> = (0..count).map(|_| leader.propose(&mut source)).collect();
        clock_ms = clock_ms.saturating_add(source.pick(&[0, 1, 999, 1_500, 6_000]));
        replicas.apply(clock_ms, commands);
        clock_ms = clock_ms.max(replicas.now_ms);
    }
    replicas.catch_up();
}

#[derive(Default)]
struct Replicas {
    first: MapView,
    second: MapView,
    /// Entries that the second replica has not applied.
    behind: Vec<Vec<u8>>,
    entries: u64,
    now_ms: u64,
}

impl Replicas {
    fn apply(&mut self, clock_ms: u64, commands: Vec<Command>) {
        let time = ClusterTime::new(clock_ms).unwrap_or(ClusterTime::MAX);
        let entry = Entry {
            group: GroupId::FIRST,
            time,
            commands,
        };
        // What cannot be written is never in a log.
        let Ok(bytes) = codec::encode_entry(&entry) else {
            return;
        };
        self.entries += 1;
        let applied = apply(&self.first, 1, self.entries, &entry).expect("the state is sound");
        assert_eq!(applied.outcomes.len(), entry.commands.len());
        for outcome in &applied.outcomes {
            let bytes = codec::encode_outcome(outcome).expect("every outcome can be sent");
            let again = codec::decode_outcome(&bytes).expect("every outcome can be read");
            assert_eq!(again, *outcome);
        }
        self.first.commit(&applied.writes);
        assert!(
            self.now_ms <= applied.now.get(),
            "cluster time never goes back"
        );
        self.now_ms = applied.now.get();
        if let Err(violation) = check(&self.first, GroupId::FIRST) {
            panic!("{violation}, after {:?}", entry.commands);
        }
        self.behind.push(bytes);
        if self.behind.len() == 5 {
            self.catch_up();
        }
    }

    /// The second replica applies what it has missed, and commits it at once.
    fn catch_up(&mut self) {
        let first_index = self.entries - self.behind.len() as u64 + 1;
        let mut overlay = Overlay::new(&self.second);
        for (index, bytes) in (first_index..).zip(&self.behind) {
            let entry = codec::decode_entry(bytes).expect("what was written can be read");
            let applied = apply(&overlay, 1, index, &entry).expect("the state is sound");
            overlay.commit(applied.writes);
        }
        let writes = overlay.into_writes();
        self.second.commit(&writes);
        self.behind.clear();
        assert_eq!(
            self.first.state_hash(),
            self.second.state_hash(),
            "replicas differ"
        );
    }
}
