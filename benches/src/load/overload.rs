//! Three times as many requests as the gate can decide, for a minute.
//!
//! What must be: those that are admitted keep their latency, the rest are told
//! SILENCE `OVERLOADED`, certainly without effect, no election comes of it, memory stays where it is, and
//! the cluster is at full speed again soon after.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Fault;
use crate::compare::scratch;
use crate::figures::Metric;

use crate::run::{Cell, Place, Plan, run};
use crate::schedule::Load;
use crate::system::System as _;
use crate::system::holdpoint::Holdpoint;
use crate::usage::resident_bytes;
use crate::workload::Workload;

/// Streams to the gate: one alone may not have every place.
const CONNECTIONS: usize = 8;
/// Requests in flight at once, at most; who comes then waits here, and the waiting counts.
const WORKERS: usize = 16_384;
/// In flight when the capacity is measured, before and after: enough for full entries, and not so many
/// that the gate sheds some with the deadline of a second, of which it gets half.
const FULL: usize = 512;
/// How many times the capacity is asked for.
const TIMES: u64 = 3;
/// How long the cluster gets to be at full speed again.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// The part of the capacity in a hundred that is full speed.
const FULL_SPEED: u64 = 90;

/// What came out.
struct Outcome {
    /// A row for each load: the capacity, half of it, and three times it.
    rows: [(String, Cell); 3],
    elections: u64,
    resident_before: u64,
    resident_highest: u64,
    /// How long after the flood the cluster was at full speed, if it was.
    back: Option<Duration>,
}

/// Runs the scenario and says what came out.
pub(crate) async fn overload(
    within: &Path,
    lasts: Duration,
    deadline: Duration,
) -> Result<String, Fault> {
    let scratch = scratch(within)?;
    let system = Holdpoint::start(scratch.path(), CONNECTIONS, deadline).await?;
    let place = Place {
        folder: scratch.path(),
        // Syncs are not counted here.
        file_system: "",
    };
    let outcome = flood(&system, place, lasts).await?;
    Ok(outcome.page(lasts, deadline)?)
}

async fn flood(system: &Holdpoint, place: Place<'_>, lasts: Duration) -> Result<Outcome, Fault> {
    let plan = |load, warm_up, measure| Plan {
        workload: Workload::Fresh,
        load,
        warm_up,
        measure,
    };
    let open = |rate| Load::Open {
        rate,
        workers: WORKERS,
    };
    let full = Load::Closed { in_flight: FULL };
    let second = Duration::from_secs(1);
    let capacity = run(system, &plan(full, 3 * second, 10 * second), place).await?;
    let rate = whole_rate(&capacity);
    let (half, much) = (rate / 2, rate.saturating_mul(TIMES));
    let calm = run(system, &plan(open(half), second, 10 * second), place).await?;
    let term = system.term().await;
    let resident_before = resident_bytes(&system.processes())?;
    let highest = Highest::watch(system.processes());
    let flooded = run(system, &plan(open(much), second, lasts), place).await?;
    let resident_highest = highest.end().await;
    let probe = plan(full, Duration::ZERO, second / 2);
    let back = back(system, &probe, place, rate, flooded.ended).await?;
    Ok(Outcome {
        back,
        elections: system.term().await.saturating_sub(term),
        rows: [
            (format!("closed loop, {FULL} in flight"), capacity),
            (format!("open loop, {half}/s"), calm),
            (format!("open loop, {much}/s"), flooded),
        ],
        resident_before,
        resident_highest,
    })
}

impl Outcome {
    fn page(&self, lasts: Duration, deadline: Duration) -> Result<String, fmt::Error> {
        let mut page = String::new();
        writeln!(
            page,
            "\n## Overload\n\nOpen loop at {TIMES} times the capacity for {} s, over {CONNECTIONS} connections, \
             each call for at most {deadline:?}.\n",
            lasts.as_secs(),
        )?;
        writeln!(
            page,
            "| load | decisions/s | p50 ms | p99 ms | p99.9 ms | no decision/s |"
        )?;
        writeln!(page, "|---|---:|---:|---:|---:|---:|")?;
        for (name, cell) in &self.rows {
            let shown = |metric| cell.figures.shown(metric);
            writeln!(
                page,
                "| {name} | {} | {} | {} | {} | {} |",
                shown(Metric::Rate),
                shown(Metric::P50),
                shown(Metric::P99),
                shown(Metric::P999),
                shown(Metric::Missed)
            )?;
        }
        writeln!(page)?;
        let [.., (_, flooded)] = &self.rows;
        for (word, count) in &flooded.unanswered {
            writeln!(page, "* {count} × `{word}`")?;
        }
        let (p50, p99) = flooded.missed_within;
        writeln!(
            page,
            "* told that there is no decision within {p50:.1?} (half), {p99:.1?} (99 %)"
        )?;
        writeln!(page, "* elections: {}", self.elections)?;
        let mib = |bytes: u64| bytes / (1 << 20);
        writeln!(
            page,
            "* resident memory of the nodes: {} MiB before, {} MiB at most",
            mib(self.resident_before),
            mib(self.resident_highest)
        )?;
        match self.back {
            Some(time) => writeln!(
                page,
                "* at {FULL_SPEED} % of the capacity again after {time:.1?}"
            )?,
            None => writeln!(
                page,
                "* not at {FULL_SPEED} % of the capacity within {BACK_WITHIN:?}"
            )?,
        }
        Ok(page)
    }
}

/// How long after `flooded` the cluster is at full speed.
async fn back(
    system: &Holdpoint,
    plan: &Plan,
    place: Place<'_>,
    rate: u64,
    flooded: Instant,
) -> Result<Option<Duration>, Fault> {
    while flooded.elapsed() < BACK_WITHIN {
        let cell = run(system, plan, place).await?;
        let is_full = whole_rate(&cell).saturating_mul(100) >= rate.saturating_mul(FULL_SPEED);
        if is_full {
            return Ok(Some(cell.ended.saturating_duration_since(flooded)));
        }
    }
    Ok(None)
}

fn whole_rate(cell: &Cell) -> u64 {
    let rate = cell.figures.get(Metric::Rate);
    rate.map_or(0, crate::fixed::Fixed::rounded)
}

/// The most memory that the nodes had, looked at each second.
struct Highest {
    bytes: Arc<AtomicU64>,
    watcher: tokio::task::JoinHandle<()>,
}

impl Highest {
    fn watch(processes: Vec<u32>) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&bytes);
        let watcher = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            loop {
                tick.tick().await;
                let now = resident_bytes(&processes).unwrap_or(0);
                seen.fetch_max(now, Ordering::Relaxed);
            }
        });
        Self { bytes, watcher }
    }

    async fn end(self) -> u64 {
        self.watcher.abort();
        let _ = self.watcher.await;
        self.bytes.load(Ordering::Relaxed)
    }
}
