//! What a decision costs as history grows: the state machine over the real store, on disk.
//!
//! It applies entries as a node does. History is filled with permits that nobody redeems and that
//! expire after a second, 64 new ones in an entry, until so many decisions are retained. At each mark
//! it applies whole lives (authorize, redeem, complete) on fresh keys and prints the processor time of
//! one. Every thread of the store is counted, and the merges that a part leaves behind count to that
//! part. It has no log, no network and no policy engine: those do not know how much history there is.
//! Sweeps take attempts that nobody can retry any more; nothing else is removed.
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

use holdpoint_core::{Command, Entry, GroupId, Outcome, apply};
use holdpoint_receipt::{ClusterId, ClusterTime, NodeId};
use holdpoint_storage::{
    Applied, DataDir, FaultLatch, Identity, Incarnation, RocksState, StateStore,
};

use lives::Lives;

/// Decisions in one entry, as many as a busy leader batches.
const PER_ENTRY: usize = 64;

/// Whole lives that one figure is an average of.
const MEASURED: u64 = 20_000;

/// Entries of which one carries a sweep, so that sweeps keep up.
const ENTRIES_PER_SWEEP: u64 = 3;

/// How long the store must have done nothing to be done with what it was given.
const QUIET: Duration = Duration::from_millis(500);

/// Processor time within [`QUIET`] that counts as nothing.
const QUIET_MICROS: u64 = 5_000;

/// How far cluster time moves with each entry.
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

/// A state that entries are applied to.
struct Node {
    state: RocksState,
    index: u64,
    now_ms: u64,
    lives: Lives,
    decisions: u64,
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
    };
    node.found()?;
    println!(
        "decisions   CPU us per life   CPU us per filled decision   resident MiB   on disk MiB"
    );
    for mark in marks {
        let filled = node.cost_until(*mark, Node::fill)?;
        let end = node.decisions.saturating_add(MEASURED);
        let life = node.cost_until(end, Node::live)?;
        println!(
            "{mark:>9}   {life:>15}   {filled:>26}   {:>12}   {:>11}",
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
                    | Outcome::Activated(_)]
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
    ) -> Result<u64, Box<dyn Error>> {
        let (before, at) = (process::cpu_micros()?, self.decisions);
        while self.decisions < end {
            step(self)?;
        }
        self.state.flush()?;
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
        let each = spent.saturating_sub(before).checked_div(decided);
        Ok(each.unwrap_or_default())
    }

    /// One entry: so many permits that are left to expire.
    fn fill(&mut self) -> Result<(), Box<dyn Error>> {
        let outcomes = self.authorize()?;
        Lives::require_granted(&outcomes)
    }

    fn authorize(&mut self) -> Result<Vec<Outcome>, Box<dyn Error>> {
        let now_ms = self.now_ms.saturating_add(STEP_MS);
        let commands = self.lives.authorize(PER_ENTRY, now_ms)?;
        let count = u64::try_from(PER_ENTRY)?;
        self.decisions = self.decisions.saturating_add(count);
        self.apply(commands)
    }

    /// Three entries: so many decisions, their redemptions, their outcomes.
    fn live(&mut self) -> Result<(), Box<dyn Error>> {
        let outcomes = self.authorize()?;
        let (redeems, completes) = self.lives.finish(&outcomes)?;
        self.apply(redeems)?;
        Lives::require_completed(&self.apply(completes)?)
    }

    fn apply(&mut self, mut commands: Vec<Command>) -> Result<Vec<Outcome>, Box<dyn Error>> {
        self.index = self.index.saturating_add(1);
        self.now_ms = self.now_ms.saturating_add(STEP_MS);
        if self.index.is_multiple_of(ENTRIES_PER_SWEEP) {
            commands.push(self.lives.sweep());
        }
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
        let is_sweep = |outcome: &Outcome| matches!(outcome, Outcome::Swept(_));
        let outcomes = applied.outcomes.into_iter();
        Ok(outcomes.filter(|outcome| !is_sweep(outcome)).collect())
    }
}
