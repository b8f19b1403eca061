//! One cell: a workload at a load, warmed up and measured.
//!
//! Everything is counted between two moments: steps by when they ended, processor time, bytes and
//! memory by two looks at `/proc`. Syncs are counted from before the first step to the end, and divided
//! by the steps of all that time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::Fault;
use crate::figures::{Counted, Figures, Spent};
use crate::latency::percentile;
use crate::schedule::{Load, Schedule};
use crate::syncs::Syncs;
use crate::system::{System, Unanswered, Worker};
use crate::task::{Ended, Shared, Task};
use crate::usage::{Usage, family, resident_bytes};
use crate::workload::Workload;

/// How long a worker waits after a step without a result, so that a server that is gone is not asked as
/// fast as it refuses.
const PAUSE: Duration = Duration::from_millis(10);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) load: Load,
    /// Not measured: connections come up, caches fill.
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

/// What a cell came to.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) figures: Figures,
    /// Steps without a result while it was measured.
    pub(crate) unanswered: Unanswered,
    /// The times within which half and 99 in a hundred of those were told so.
    pub(crate) missed_within: (Duration, Duration),
    /// When the measuring ended.
    pub(crate) ended: Instant,
}

/// Where it runs: what is left of a place on the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) file_system: &'a str,
}

/// What one worker saw while it was measured.
#[derive(Debug, Default)]
struct Seen {
    times: Vec<Duration>,
    held: u64,
    missed_times: Vec<Duration>,
    unanswered: Unanswered,
}

/// Runs one cell against `system`.
///
/// # Errors
///
/// A worker could not connect or prepare, or two held the hot key at once.
pub(crate) async fn run<S: System>(
    system: &S,
    plan: &Plan,
    place: Place<'_>,
) -> Result<Cell, Fault> {
    let shared = Arc::new(Shared::new(plan.workload, prefix()));
    let mut tasks = Vec::new();
    for number in 0..plan.load.workers() {
        tasks.push(Task::new(system.worker(number).await?));
    }
    let tasks = prepared(tasks, &shared).await?;
    let syncs = {
        let (servers, place) = (family(&system.processes())?, place);
        Syncs::count(&servers, place.file_system, place.folder)
    };
    let whole = plan.warm_up.saturating_add(plan.measure);
    let schedule = Arc::new(Schedule::begin(plan.load, whole));
    let measured_from = Instant::now()
        .checked_add(plan.warm_up)
        .ok_or("the warming up never ends")?;
    let steps = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for task in tasks {
        let (shared, schedule) = (Arc::clone(&shared), Arc::clone(&schedule));
        let steps = Arc::clone(&steps);
        running.spawn(work(
            task,
            shared,
            schedule,
            measured_from,
            plan.measure,
            steps,
        ));
    }
    tokio::time::sleep(plan.warm_up).await;
    let before = Used::now(system)?;
    tokio::time::sleep(plan.measure).await;
    let ended = Instant::now();
    let after = Used::now(system)?;
    let steps = steps.load(Ordering::Relaxed);
    let syncs = syncs.and_then(Syncs::end).map(|syncs| (syncs, steps));
    let resident = resident_bytes(&system.processes())?;
    let mut all = Seen::default();
    while let Some(seen) = running.join_next().await {
        all.add(seen?);
    }
    if shared.inside.met() > 0 {
        let met = shared.inside.met();
        return Err(format!("two held the hot key at once, {met} times").into());
    }
    let used = Spent {
        server_us: after.servers.cpu_us.saturating_sub(before.servers.cpu_us),
        client_us: after.client.cpu_us.saturating_sub(before.client.cpu_us),
        written_bytes: after
            .servers
            .written_bytes
            .saturating_sub(before.servers.written_bytes),
        resident_bytes: resident,
    };
    Ok(all.cell(plan.measure, ended, &used, syncs))
}

/// Prepares all workers side by side.
async fn prepared<W: Worker>(
    tasks: Vec<Task<W>>,
    shared: &Arc<Shared>,
) -> Result<Vec<Task<W>>, Fault> {
    let together = Arc::new(Barrier::new(tasks.len().max(1)));
    let mut preparing = JoinSet::new();
    for mut task in tasks {
        let (shared, together) = (Arc::clone(shared), Arc::clone(&together));
        preparing.spawn(async move {
            together.wait().await;
            task.prepare(&shared).await.map(|()| task)
        });
    }
    let mut tasks = Vec::new();
    while let Some(task) = preparing.join_next().await {
        let task = task?.map_err(|error| format!("a worker could not prepare: {}", error.0))?;
        tasks.push(task);
    }
    Ok(tasks)
}

/// Takes steps until the schedule ends.
async fn work<W: Worker>(
    mut task: Task<W>,
    shared: Arc<Shared>,
    schedule: Arc<Schedule>,
    measured_from: Instant,
    measure: Duration,
    steps: Arc<AtomicU64>,
) -> Seen {
    let measured_to = measured_from.checked_add(measure);
    let mut seen = Seen::default();
    loop {
        if let Err(error) = task.tidy().await {
            seen.missed(error.0, Duration::ZERO);
        }
        let Some(due) = schedule.next().await else {
            break;
        };
        let ended = task.step(&shared).await;
        let now = Instant::now();
        if ended.is_ok() {
            steps.fetch_add(1, Ordering::Relaxed);
        } else {
            tokio::time::sleep(PAUSE).await;
        }
        if now < measured_from || measured_to.is_some_and(|end| now >= end) {
            continue;
        }
        let time = now.saturating_duration_since(due);
        match ended {
            Ok(ended) => {
                seen.times.push(time);
                seen.held = seen.held.saturating_add(u64::from(ended == Ended::Held));
            }
            Err(error) => seen.missed(error.0, time),
        }
    }
    task.leave();
    seen
}

/// What was used until a moment.
#[derive(Debug)]
struct Used {
    servers: Usage,
    client: Usage,
}

impl Used {
    fn now<S: System>(system: &S) -> Result<Self, Fault> {
        Ok(Self {
            servers: Usage::of_trees(&system.processes())?,
            client: Usage::of_self()?,
        })
    }
}

impl Seen {
    fn missed(&mut self, word: String, time: Duration) {
        self.missed_times.push(time);
        let count = self.unanswered.entry(word).or_default();
        *count = count.saturating_add(1);
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.held = self.held.saturating_add(other.held);
        self.missed_times.extend(other.missed_times);
        for (word, more) in other.unanswered {
            let count = self.unanswered.entry(word).or_default();
            *count = count.saturating_add(more);
        }
    }

    fn cell(
        mut self,
        measured: Duration,
        ended: Instant,
        spent: &Spent,
        syncs: Option<(u64, u64)>,
    ) -> Cell {
        self.times.sort_unstable();
        self.missed_times.sort_unstable();
        let figures = Figures::of(&Counted {
            steps: u64::try_from(self.times.len()).unwrap_or(u64::MAX),
            held: self.held,
            missed: self.unanswered.values().sum(),
            measured,
            p50: percentile(&self.times, 500),
            p99: percentile(&self.times, 990),
            p999: percentile(&self.times, 999),
            spent,
            syncs,
        });
        Cell {
            figures,
            unanswered: self.unanswered,
            missed_within: (
                percentile(&self.missed_times, 500),
                percentile(&self.missed_times, 990),
            ),
            ended,
        }
    }
}

/// Another one for each cell.
fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
