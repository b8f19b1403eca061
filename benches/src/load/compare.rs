//! The comparison: for each round and workload every system in turn, each alone on the machine.
//!
//! Systems take turns within minutes, so that what the machine does beside them meets all of them. A
//! system starts empty for each workload of each round, and nothing else of ours runs meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use holdpoint_tests::scratch::Scratch;

use crate::Fault;
use crate::args::Compare;
use crate::figures::{Figures, Metric};
use crate::kind::Kind;

use crate::run::{Cell, Plan};
use crate::schedule::Load;
use crate::system::Unanswered;
use crate::workload::Workload;

/// Where a cell stands: in a table of the workload, in a row of the load and the system.
pub(crate) type At = (Workload, Load, Kind);

/// What came out, of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The figures of each round.
    pub(crate) rounds: BTreeMap<At, Vec<Figures>>,
    /// Steps without a result in all rounds, by their words.
    pub(crate) unanswered: BTreeMap<At, Unanswered>,
    /// Systems that were left out, and why.
    pub(crate) missing: Vec<(Kind, String)>,
}

/// Runs every cell of `compare`.
///
/// # Errors
///
/// A system did not start, or did not do what the workload asks.
pub(crate) async fn compare(compare: &Compare) -> Result<Results, Fault> {
    let mut results = Results::default();
    let mut systems = Vec::new();
    for kind in &compare.systems {
        match kind.missing() {
            None => systems.push(*kind),
            Some(why) => {
                eprintln!("skipped: {kind}: {why}");
                results.missing.push((*kind, why));
            }
        }
    }
    for round in 1..=compare.rounds {
        for workload in &compare.workloads {
            let plans = compare.plans(*workload);
            for kind in &systems {
                eprintln!("round {round} of {}, {workload}, {kind}", compare.rounds);
                let scratch = scratch(&compare.folder)?;
                let mut told = |plan: &Plan, cell: Cell| results.add(*kind, plan, cell);
                kind.measure(scratch.path(), &plans, &mut told)
                    .await
                    .map_err(|error| format!("{kind}, {workload}: {error}"))?;
            }
        }
    }
    Ok(results)
}

/// An empty folder that other users may pass through, since a database may not run as root.
pub(crate) fn scratch(within: &Path) -> Result<Scratch, Fault> {
    fs::create_dir_all(within)?;
    let scratch = Scratch::within(within);
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o711))?;
    Ok(scratch)
}

impl Results {
    fn add(&mut self, kind: Kind, plan: &Plan, cell: Cell) {
        let shown = |metric| cell.figures.shown(metric);
        eprintln!(
            "  {kind:<10} {} {:>7} in flight {:>9}/s  p50 {} ms  p99 {} ms  server {} us  client {} us  \
             syncs {}  missed {}/s",
            plan.workload,
            plan.load.name(),
            shown(Metric::Rate),
            shown(Metric::P50),
            shown(Metric::P99),
            shown(Metric::ServerCpu),
            shown(Metric::ClientCpu),
            shown(Metric::Syncs),
            shown(Metric::Missed),
        );
        for (word, count) in &cell.unanswered {
            eprintln!("    {count} × {word}");
        }
        let at = (plan.workload, plan.load, kind);
        let unanswered = self.unanswered.entry(at).or_default();
        for (word, more) in cell.unanswered {
            let count = unanswered.entry(word).or_default();
            *count = count.saturating_add(more);
        }
        self.rounds.entry(at).or_default().push(cell.figures);
    }

    /// The median of a cell's rounds.
    pub(crate) fn median(&self, at: At) -> Option<Figures> {
        self.rounds.get(&at).map(|rounds| Figures::median(rounds))
    }
}
