//! What a decision costs as history grows: the state machine over the real store, on disk.
//!
//! It applies entries as a node does, 64 commands in each. At each mark so many decisions are retained,
//! and each one made takes one away that is as old as retention says: the store is as much at work at
//! 10 thousand as at 5 million. Printed is the processor time of whole lives (authorize, redeem,
//! complete) on fresh keys, of all threads, with the merges that a part leaves behind. It has no log, no
//! network and no policy engine: those do not know how much history there is.
//!
//! ```text
//! mark N      cluster time moves by (retention / N) for each decision
//! fill        N permits that nobody redeems and that expire, at least [`WARM`]: N are retained now
//! measure     whole lives, while as many old ones go
//! ```
#![expect(
    clippy::print_stdout,
    reason = "the measurement is this program's data"
)]

#[path = "history/lives.rs"]
mod lives;
#[path = "history/process.rs"]
mod process;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use holdpoint_core::limits::RETENTION_MS_MIN;
use holdpoint_core::{Command, Entry, GroupId, Kind, Outcome, Write, apply};
use holdpoint_receipt::{ClusterId, ClusterTime, NodeId};
use holdpoint_storage::{
    Applied, DataDir, FaultLatch, Identity, Incarnation, RocksState, StateStore,
};

use lives::Lives;

/// As the shipped binary allocates.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions in one entry, as many as a busy leader batches.
const PER_ENTRY: usize = 64;

/// Whole lives that one figure is an average of.
const MEASURED: u64 = 100_000;

/// Decisions made before the first mark, so that it too has merges and removals behind it.
const WARM: u64 = 300_000;

/// How long the store must have done nothing to be done with what it was given.
const QUIET: Duration = Duration::from_millis(500);

/// Processor time within [`QUIET`] that counts as nothing.
const QUIET_MICROS: u64 = 5_000;

/// How far cluster time moves with each entry but the first of a life.
const STEP_MS: u64 = 20;

/// Entries between two flushes, as snapshots and purges make a node flush.
const ENTRIES_PER_FLUSH: u64 = 2_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let marks: Option<Vec<u64>> = words.get(1..).map(|marks| {
        let read = marks.iter().map(|mark| mark.parse().unwrap_or(0));
        read.collect()
    });
    let (Some(folder), Some(marks)) = (words.first(), marks.filter(|marks| !marks.is_empty()))
    else {
        eprintln!("usage: holdpoint-history NEW_DIRECTORY DECISIONS…");
        return ExitCode::from(2);
    };
    if marks.contains(&0) {
        eprintln!("error: each number of decisions must be a whole number above 0");
        return ExitCode::from(2);
    }
    match run(Path::new(folder), &marks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Microseconds of processor time for each decision.
struct Cost {
    all: u64,
    /// By the thread that applies entries.
    applying: u64,
}

impl Cost {
    /// By the threads of the store.
    fn merges(&self) -> u64 {
        self.all.saturating_sub(self.applying)
    }
}

/// A state that entries are applied to.
struct Node {
    state: RocksState,
    index: u64,
    now_ms: u64,
    lives: Lives,
    decisions: u64,
    /// Permits that retention has taken away.
    removed: u64,
    /// How far cluster time moves with each entry of new decisions.
    pace_ms: u64,
}

fn run(folder: &Path, marks: &[u64]) -> Result<(), Box<dyn Error>> {
    let identity = Identity {
        cluster: ClusterId::from_bytes([7; 16]),
        node: NodeId::new(1)?,
        incarnation: Incarnation::from_bytes([1; 16]),
    };
    let directory = DataDir::create(folder, identity)?;
    let state = directory.open_state(GroupId::FIRST, FaultLatch::new())?;
    let mut node = Node {
        state,
        index: 0,
        now_ms: 1_000_000_000,
        lives: Lives::new()?,
        decisions: 0,
        removed: 0,
        pace_ms: STEP_MS,
    };
    node.found()?;
    println!(
        " retained   CPU us per life   of it merges   CPU us per filled decision   of it merges   \
         resident MiB   on disk MiB"
    );
    for mark in marks {
        // As slow as removes a decision for each one made once so many are retained.
        let decisions_ms = RETENTION_MS_MIN.saturating_mul(u64::try_from(PER_ENTRY)?);
        node.pace_ms = decisions_ms.checked_div(*mark).unwrap_or(STEP_MS);
        let end = node.decisions.saturating_add(*mark).max(WARM);
        let filled = node.cost_until(end, Node::fill)?;
        let end = node.decisions.saturating_add(MEASURED);
        let life = node.cost_until(end, Node::live)?;
        println!(
            "{:>9}   {:>15}   {:>12}   {:>26}   {:>12}   {:>12}   {:>11}",
            node.decisions.saturating_sub(node.removed),
            life.all,
            life.merges(),
            filled.all,
            filled.merges(),
            process::resident_mib()?,
            process::size_mib(folder)?,
        );
    }
    Ok(())
}

impl Node {
    /// Bootstraps the cluster and puts the policy in force.
    fn found(&mut self) -> Result<(), Box<dyn Error>> {
        for command in self.lives.founding(self.now_ms)? {
            let outcomes = self.apply(vec![command])?;
            let is_done = matches!(
                outcomes.as_slice(),
                [Outcome::Bootstrapped
                    | Outcome::TimeStepped { .. }
                    | Outcome::PolicyPut(_)
                    | Outcome::Activated(_)
                    | Outcome::Changed(_)]
            );
            if !is_done {
                return Err(format!("the cluster was not founded: {outcomes:?}").into());
            }
        }
        Ok(())
    }

    /// Processor time per decision of `step`, done until there are `end`, and of what it leaves to
    /// do to the threads of the store.
    fn cost_until(
        &mut self,
        end: u64,
        step: impl Fn(&mut Self) -> Result<(), Box<dyn Error>>,
    ) -> Result<Cost, Box<dyn Error>> {
        let (before, at) = (process::cpu_micros()?, self.decisions);
        let applying = process::own_cpu_micros()?;
        while self.decisions < end {
            step(self)?;
        }
        self.state.flush()?;
        let applying = process::own_cpu_micros()?.saturating_sub(applying);
        let mut spent = process::cpu_micros()?;
        loop {
            thread::sleep(QUIET);
            let now = process::cpu_micros()?;
            if now.saturating_sub(spent) < QUIET_MICROS {
                break;
            }
            spent = now;
        }
        let decided = self.decisions.saturating_sub(at);
        let each = |micros: u64| micros.checked_div(decided).unwrap_or_default();
        Ok(Cost {
            all: each(spent.saturating_sub(before)),
            applying: each(applying),
        })
    }

    /// One entry: so many permits that are left to expire.
    fn fill(&mut self) -> Result<(), Box<dyn Error>> {
        let outcomes = self.authorize()?;
        Lives::require_granted(&outcomes)
    }

    /// One entry of new attempts, as much later as makes the pace, and of a sweep that takes as many
    /// old ones away.
    fn authorize(&mut self) -> Result<Vec<Outcome>, Box<dyn Error>> {
        self.now_ms = self.now_ms.saturating_add(self.pace_ms);
        let mut commands = vec![Lives::step_time(self.now_ms)?];
        commands.extend(self.lives.authorize(PER_ENTRY, self.now_ms)?);
        commands.push(self.lives.sweep());
        let count = u64::try_from(PER_ENTRY)?;
        self.decisions = self.decisions.saturating_add(count);
        let mut outcomes = self.apply(commands)?;
        outcomes.retain(|outcome| matches!(outcome, Outcome::Authorized(_)));
        Ok(outcomes)
    }

    /// Three entries: so many decisions, their redemptions, their outcomes.
    fn live(&mut self) -> Result<(), Box<dyn Error>> {
        let outcomes = self.authorize()?;
        let (redeems, completes) = self.lives.finish(&outcomes)?;
        for commands in [redeems, completes] {
            self.now_ms = self.now_ms.saturating_add(STEP_MS);
            Lives::require_done(&self.apply(commands)?)?;
        }
        Ok(())
    }

    fn apply(&mut self, commands: Vec<Command>) -> Result<Vec<Outcome>, Box<dyn Error>> {
        self.index = self.index.saturating_add(1);
        let entry = Entry {
            group: GroupId::FIRST,
            time: ClusterTime::new(self.now_ms)?,
            commands,
        };
        let index = self.index;
        let applied = self.state.read(|view| apply(view, 1, index, &entry))??;
        let position = Applied {
            index,
            bytes: Vec::new(),
        };
        self.state.commit(&applied.writes, &position)?;
        if index.is_multiple_of(ENTRIES_PER_FLUSH) {
            self.state.flush()?;
        }
        let removed = applied.writes.iter().filter(|write| is_removal(write));
        let removed = u64::try_from(removed.count())?;
        self.removed = self.removed.saturating_add(removed);
        Ok(applied.outcomes)
    }
}

/// Whether a permit goes for good.
fn is_removal(write: &Write) -> bool {
    let Write::Delete { key } = write else {
        return false;
    };
    key.parts().is_some_and(|parts| parts.kind == Kind::Permit)
}
