//! What a node's audit has come to since it was started: shared with its status.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdpoint_receipt::Name;

use super::fresh::Fresh;
use crate::pool::Pool;

/// The audit of one node. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The thread; none where the cluster file says that nothing is audited.
    thread: Option<Pool>,
    /// Whether this node audits, as it last looked.
    audits: AtomicBool,
    /// What was applied and waits in memory.
    fresh: Fresh,
    /// The first leaf of each namespace that was not looked at.
    next: Mutex<BTreeMap<Name, u64>>,
    checked: AtomicU64,
    skipped: AtomicU64,
    disagreements: AtomicU64,
    untold: AtomicU64,
    cpu_us: AtomicU64,
}

/// Whether a node audits, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It does.
    On,
    /// The cluster file says that nothing is audited.
    Off,
    /// Nobody else votes, so all decisions are its own.
    Alone,
    /// It has no vote, and nothing that it disputes would count.
    NoVote,
    /// It does not know yet.
    Unknown,
}

impl Duty {
    /// The word of the status.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Alone => "alone",
            Self::NoVote => "no vote",
            Self::Unknown => "unknown",
        }
    }
}

/// What came of looking at some decisions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Decisions that were evaluated again.
    pub(super) checked: u64,
    /// Decisions that could not be.
    pub(super) skipped: u64,
    /// Those of them that another version of the evaluator is said to have made.
    pub(super) foreign: u64,
    /// Processor time of the thread.
    pub(super) cpu: Duration,
}

/// The counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Decisions that were evaluated again.
    pub(crate) checked: u64,
    /// Decisions that could not be: another evaluator's, or erased.
    pub(crate) skipped: u64,
    /// Those that this node evaluates otherwise.
    pub(crate) disagreements: u64,
    /// Those of them that the log does not show as disputed yet.
    pub(crate) untold: u64,
    /// Processor time of the thread, in microseconds.
    pub(crate) cpu_us: u64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Audit {
    /// An audit that evaluates on `thread`; without one, none.
    pub(crate) fn new(thread: Option<Pool>) -> Self {
        Self(Arc::new(Inner {
            thread,
            audits: AtomicBool::new(false),
            fresh: Fresh::default(),
            next: Mutex::default(),
            checked: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            disagreements: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            cpu_us: AtomicU64::new(0),
        }))
    }

    pub(super) fn thread(&self) -> Option<&Pool> {
        self.0.thread.as_ref()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.thread.is_some()
    }

    /// Takes note of whether this node audits.
    pub(super) fn set_audits(&self, audits: bool) {
        self.0.audits.store(audits, Ordering::Relaxed);
        self.0.fresh.set_wanted(audits);
    }

    /// What was applied and waits in memory.
    pub(crate) fn fresh(&self) -> &Fresh {
        &self.0.fresh
    }

    /// Takes note of the first leaf of a namespace that was not looked at.
    pub(super) fn reached(&self, namespace: &Name, next: u64) {
        self.next().insert(namespace.clone(), next);
    }

    pub(super) fn looked(&self, counts: Counts) {
        add(&self.0.checked, counts.checked);
        add(&self.0.skipped, counts.skipped);
        let cpu_us = u64::try_from(counts.cpu.as_micros()).unwrap_or(u64::MAX);
        add(&self.0.cpu_us, cpu_us);
    }

    pub(super) fn disagreed(&self) {
        add(&self.0.disagreements, 1);
        add(&self.0.untold, 1);
    }

    /// The log has a dispute, or the decision is not kept any more.
    pub(super) fn told(&self) {
        let before = self.0.untold.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "what is told was found before");
    }

    /// The counts since the start.
    pub(crate) fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            checked: read(&self.0.checked),
            skipped: read(&self.0.skipped),
            disagreements: read(&self.0.disagreements),
            untold: read(&self.0.untold),
            cpu_us: read(&self.0.cpu_us),
        }
    }

    /// Leaves that are applied and were not looked at; none while this node does not audit.
    pub(crate) fn lag(&self, tree_sizes: &BTreeMap<Name, u64>) -> u64 {
        if !self.0.audits.load(Ordering::Relaxed) {
            return 0;
        }
        let next = self.next();
        let behind = tree_sizes.iter().map(|(name, size)| {
            let next = next.get(name).copied().unwrap_or(0);
            size.saturating_sub(next)
        });
        behind.fold(0, u64::saturating_add)
    }

    fn next(&self) -> MutexGuard<'_, BTreeMap<Name, u64>> {
        self.0.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
