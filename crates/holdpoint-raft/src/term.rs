//! What a leader does before and between its entries: it founds the group's state, and it writes
//! times.
//!
//! Times of one term rise, because one task makes all entries. The batcher calls this; nothing here
//! waits for a commit.

use std::sync::Arc;

use holdpoint_core::command::{Bootstrap, StepTime};
use holdpoint_core::{ApplyError, Command, GroupId, Query};
use holdpoint_receipt::ClusterTime;
use holdpoint_storage::StoreError;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::clock_steering::{Steering, lower_median};
use crate::clocks::ClockWatch;
use crate::disk::StateDisk;
use crate::leadership::{Leadership, lost};
use crate::limits;
use crate::types::{LogId, term_of};

/// One term of this node's leadership.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) number: u64,
    steering: Steering,
    /// Whether the group's state is still to be founded.
    unfounded: bool,
}

/// What a term begins with.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) group: GroupId,
    pub(crate) state: Arc<dyn StateDisk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watch: Arc<ClockWatch>,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) applied: watch::Receiver<Option<LogId>>,
}

impl Ground {
    /// Begins `term`: waits until everything of earlier terms is applied, and for the voters'
    /// clocks. `None` if leadership was lost meanwhile, or the state cannot be read.
    pub(crate) async fn begin(
        &self,
        term: u64,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> Option<Term> {
        let mut applied = self.applied.clone();
        let caught_up = applied.wait_for(|id| id.is_some_and(|id| term_of(&id) >= term));
        tokio::select! {
            caught_up = caught_up => { caught_up.ok()?; }
            () = lost(leadership, term) => return None,
        }
        if self
            .watch
            .clocks()
            .step(&self.watch.voters(), self.clock.monotonic())
            .is_none()
        {
            self.watch.next_round(limits::CLOCK_WAIT).await;
        }
        let read = self.state.read(|view| {
            let query = Query::new(&view, self.group);
            Ok::<_, ApplyError<StoreError>>((query.group()?.is_none(), query.now()?))
        });
        let (unfounded, now) = read.ok()?.ok()?;
        let steering = Steering::begin(now, self.clock.monotonic());
        Some(Term {
            number: term,
            steering,
            unfounded,
        })
    }

    /// The entries that must come before the next one of callers: the group's foundation, and a
    /// larger step of time.
    pub(crate) fn before_next(&self, term: &mut Term) -> Vec<(ClusterTime, Command)> {
        let mut before = Vec::new();
        if term.unfounded {
            term.unfounded = false;
            before.push((
                ClusterTime::default(),
                Command::Bootstrap(self.bootstrap.clone()),
            ));
        }
        if let Some(step) = self.larger_step(term) {
            let time = term.steering.now();
            term.steering.stepped(&step, self.clock.monotonic());
            before.push((time, Command::StepTime(step)));
        }
        before
    }

    fn larger_step(&self, term: &Term) -> Option<StepTime> {
        let now = self.clock.monotonic();
        let step = self.watch.clocks().step(&self.watch.voters(), now)?;
        let median = lower_median(step.clocks.iter().map(|(_, time)| *time))?;
        term.steering.wants_step(now, median).then_some(step)
    }

    /// The time of the next entry.
    pub(crate) fn time(&self, term: &mut Term) -> ClusterTime {
        term.steering
            .advance(self.clock.monotonic(), self.clock.wall_ms())
    }
}
