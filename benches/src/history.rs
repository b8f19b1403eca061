//! What a decision costs as history grows: the state machine over the real store, on disk.
//!
//! It applies entries as a node does, each of them 64 whole lives (authorize, redeem, complete) on
//! fresh keys, until so many decisions are retained, and prints at each mark the processor time per
//! decision of the next ones, with every thread of the store counted. It has no log, no network and
//! no policy engine: those do not know how much history there is. Nothing is removed meanwhile.
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

use holdpoint_core::{Entry, GroupId, Outcome, apply};
use holdpoint_receipt::{ClusterId, ClusterTime, NodeId};
use holdpoint_storage::{
    Applied, DataDir, FaultLatch, Identity, Incarnation, RocksState, StateStore,
};

use lives::Lives;

/// Lives in one entry, as many as a busy leader batches.
const LIVES_PER_ENTRY: usize = 64;

/// Decisions that one figure is an average of.
const MEASURED: u64 = 20_000;

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
    println!("decisions   CPU us per decision   resident MiB   on disk MiB");
    for mark in marks {
        while node.decisions < *mark {
            node.live()?;
        }
        node.state.flush()?;
        let (before, at) = (process::cpu_micros()?, node.decisions);
        while node.decisions < at.saturating_add(MEASURED) {
            node.live()?;
        }
        let spent = process::cpu_micros()?.saturating_sub(before);
        let each = spent
            .checked_div(node.decisions.saturating_sub(at))
            .unwrap_or_default();
        println!(
            "{mark:>9}   {each:>19}   {:>12}   {:>11}",
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

    /// Three entries: so many decisions, their redemptions, their outcomes.
    fn live(&mut self) -> Result<(), Box<dyn Error>> {
        let commands = self
            .lives
            .authorize(LIVES_PER_ENTRY, self.now_ms.saturating_add(STEP_MS))?;
        let outcomes = self.apply(commands)?;
        let (redeems, completes) = self.lives.finish(&outcomes)?;
        self.apply(redeems)?;
        let completed = self.apply(completes)?;
        Lives::require_completed(&completed)?;
        let lives = u64::try_from(LIVES_PER_ENTRY)?;
        self.decisions = self.decisions.saturating_add(lives);
        Ok(())
    }

    fn apply(
        &mut self,
        commands: Vec<holdpoint_core::Command>,
    ) -> Result<Vec<Outcome>, Box<dyn Error>> {
        self.index = self.index.saturating_add(1);
        self.now_ms = self.now_ms.saturating_add(STEP_MS);
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
        if index % ENTRIES_PER_FLUSH == 0 {
            self.state.flush()?;
        }
        Ok(applied.outcomes)
    }
}
