//! Decisions that wait to be audited, as this node applied them: what was in memory a moment ago is
//! neither read nor parsed again.
//!
//! ```text
//! leaves   ├─ audited ─┼─ from the state ─┼─ run ─┼─ run ─┼─ from the state ─┼─ run ─┤
//!                      next               from    to=from to                 from    to
//! ```
//!
//! A shortcut and nothing more: what is not here, because it was applied before the audit began, came
//! with a snapshot or found no room, is read from the state. It never delays apply, and knows nothing
//! of what is decided.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdpoint_core::Outcome;
use holdpoint_core::command::{Authorize, Command};
use holdpoint_core::outcome::AuthorizeOutcome;
use holdpoint_raft::{AppliedCommands, AppliedEntry};
use holdpoint_receipt::Name;

use crate::limits::{AUDIT_BATCH_MAX, AUDIT_FRESH_BYTES_MAX, AUDIT_FRESH_ENTRIES_MAX};

/// The decisions that wait.
#[derive(Debug, Default)]
pub(crate) struct Fresh(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Whether this node audits; otherwise nothing waits.
    is_wanted: bool,
    /// The runs of each namespace, in the order of their leaves.
    runs: BTreeMap<Name, VecDeque<Run>>,
    // INVARIANT: as many runs as there are, and the bytes of their entries.
    count: usize,
    bytes: usize,
}

/// What one entry of the log appended to the statements of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The first leaf.
    from: u64,
    /// The first leaf behind it.
    to: u64,
    /// The term of the leader that proposed it.
    pub(super) term: u64,
    /// The leaf of each decision, and where in the entry its command is.
    decisions: Vec<(u64, usize)>,
    commands: Option<AppliedCommands>,
    bytes: usize,
}

/// Where the next leaves are.
#[derive(Debug)]
pub(super) enum Next {
    /// Here: those before `to`, without what this node decided itself.
    Fresh { runs: Vec<Run>, to: u64 },
    /// In the state: those before `to`.
    Stored { to: u64 },
}

impl Run {
    fn of(entry: &AppliedEntry<'_>, namespace: &Name, from: u64, to: u64) -> Self {
        let commands = entry.commands.as_ref();
        let applied = commands.and_then(AppliedCommands::entry);
        let applied = applied.map_or(&[][..], |applied| &applied.commands);
        let pairs = applied.iter().zip(&entry.meant.outcomes).enumerate();
        let decisions = pairs.filter_map(|(place, pair)| match pair {
            (
                Command::Authorize(command),
                Outcome::Authorized(AuthorizeOutcome::Decided(decision)),
            ) if command.namespace == *namespace && !decision.replay => {
                Some((decision.statement.leaf, place))
            }
            _ => None,
        });
        Self {
            from,
            to,
            term: entry.term,
            decisions: decisions.collect(),
            commands: entry.commands.clone(),
            bytes: commands.map_or(0, AppliedCommands::payload_bytes),
        }
    }

    /// The decisions with their leaves.
    pub(super) fn decisions(&self) -> impl Iterator<Item = (u64, &Authorize)> {
        let entry = self.commands.as_ref().and_then(AppliedCommands::entry);
        self.decisions.iter().filter_map(move |(leaf, place)| {
            match entry?.commands.get(*place)? {
                Command::Authorize(command) => Some((*leaf, &**command)),
                _ => None,
            }
        })
    }
}

impl Waiting {
    fn push(&mut self, namespace: &Name, run: Run) {
        assert!(run.from < run.to, "a log that grew has new leaves");
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(run.bytes);
        self.runs
            .entry(namespace.clone())
            .or_default()
            .push_back(run);
    }

    /// The first run of a namespace whose log was audited up to `next`; what lies before is dropped.
    fn first(&mut self, namespace: &Name, next: u64) -> Option<&Run> {
        while self.runs.get(namespace)?.front()?.to <= next {
            self.pop(namespace);
        }
        self.runs.get(namespace)?.front()
    }

    fn pop(&mut self, namespace: &Name) -> Option<Run> {
        let run = self.runs.get_mut(namespace)?.pop_front()?;
        assert!(
            self.count > 0 && self.bytes >= run.bytes,
            "what waits was counted"
        );
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(run.bytes);
        Some(run)
    }
}

impl Fresh {
    /// Takes what an entry decided, if there is room. Called by apply: it copies no command.
    pub(crate) fn applied(&self, entry: &AppliedEntry<'_>) {
        let mut waiting = self.waiting();
        if !waiting.is_wanted {
            return;
        }
        for head in &entry.meant.heads {
            let before = entry.sizes_before.get(&head.namespace);
            let from = before.copied().unwrap_or(0);
            let run = Run::of(entry, &head.namespace, from, head.size);
            let has_room = waiting.count < AUDIT_FRESH_ENTRIES_MAX
                && waiting.bytes.saturating_add(run.bytes) <= AUDIT_FRESH_BYTES_MAX;
            if has_room {
                waiting.push(&head.namespace, run);
            }
        }
    }

    /// Takes note of whether this node audits.
    pub(super) fn set_wanted(&self, is_wanted: bool) {
        let mut waiting = self.waiting();
        if waiting.is_wanted != is_wanted {
            *waiting = Waiting {
                is_wanted,
                ..Waiting::default()
            };
        }
    }

    /// Where the leaves of a namespace from `from` on are, of which `to` are told to be applied. Those
    /// of `own_term` are this node's own word.
    pub(super) fn next(&self, namespace: &Name, from: u64, to: u64, own_term: Option<u64>) -> Next {
        let mut waiting = self.waiting();
        let (mut runs, mut reached, mut count) = (Vec::new(), from, 0_u64);
        while count < AUDIT_BATCH_MAX
            && waiting
                .first(namespace, reached)
                .is_some_and(|run| run.from <= reached && run.to <= to)
        {
            let Some(mut run) = waiting.pop(namespace) else {
                break;
            };
            run.decisions.retain(|(leaf, _)| *leaf >= reached);
            reached = run.to;
            if own_term != Some(run.term) {
                let decisions = u64::try_from(run.decisions.len()).unwrap_or(u64::MAX);
                count = count.saturating_add(decisions);
                runs.push(run);
            }
        }
        if reached > from {
            return Next::Fresh { runs, to: reached };
        }
        let first = waiting.first(namespace, from);
        let gap = first.map(|run| run.from).filter(|first| *first > from);
        Next::Stored {
            to: gap.unwrap_or(to).min(to),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
