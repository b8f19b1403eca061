//! What a leader does before and between its entries: it founds the group's state, and it writes
//! times.
//!
//! Times of one term rise, because one task makes all entries. The batcher calls this; nothing here
//! waits for a commit.

use std::sync::Arc;

use holdpoint_core::command::Bootstrap;
use holdpoint_core::{ApplyError, Command, GroupId, Query};
use holdpoint_receipt::ClusterTime;
use holdpoint_storage::StoreError;
use tokio::sync::watch;

use crate::disk::StateDisk;
use crate::leadership::{Leadership, lost};
use crate::state_machine::Progress;
use crate::timekeeper::Timekeeper;
use crate::types::term_of;

/// One term of this node's leadership.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) number: u64,
    /// Whether the group's state is still to be founded.
    unfounded: bool,
}

/// What a term begins with.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) group: GroupId,
    pub(crate) state: Arc<dyn StateDisk>,
    pub(crate) timekeeper: Arc<Timekeeper>,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) progress: Arc<Progress>,
}

impl Ground {
    /// Begins `term`: waits until everything of earlier terms is applied, and for the voters'
    /// clocks. `None` if leadership was lost meanwhile, or the state cannot be read.
    pub(crate) async fn begin(
        &self,
        term: u64,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> Option<Term> {
        let mut applied = self.progress.applied.subscribe();
        let caught_up = applied.wait_for(|id| id.is_some_and(|id| term_of(&id) >= term));
        tokio::select! {
            caught_up = caught_up => { caught_up.ok()?; }
            () = lost(leadership, term) => return None,
        }
        let read = self.state.read(|view| {
            let query = Query::new(&view, self.group);
            Ok::<_, ApplyError<StoreError>>(query.group()?.is_none())
        });
        let unfounded = read.ok()?.ok()?;
        self.timekeeper.begin(term, self.progress.seen());
        let is_known = self.timekeeper.is_known(term, leadership).await;
        is_known.then_some(Term {
            number: term,
            unfounded,
        })
    }

    /// The entries that must come before the next one of callers: the group's foundation, and what
    /// brings time up to now.
    pub(crate) fn before_next(&self, term: &mut Term) -> Vec<(ClusterTime, Vec<Command>)> {
        let mut before = Vec::new();
        if term.unfounded {
            term.unfounded = false;
            let founding = Command::Bootstrap(self.bootstrap.clone());
            before.push((ClusterTime::default(), vec![founding]));
        }
        before.extend(self.timekeeper.catch_up(term.number));
        before
    }
}
