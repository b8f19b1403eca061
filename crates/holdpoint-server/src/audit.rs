//! Evaluates the leader's decisions a second time, beside apply, on the nodes that follow it.
//!
//! ```text
//! applied leaves ─▶ one thread of low priority ─▶ the same ─▶ counted
//!       ▲ from where the last look ended  └ otherwise ─▶ ALARM ─▶ leader ─▶ Dispute in the log
//!       └ in memory, if they were applied a moment ago; else in the state
//! ```
//!
//! Policy is evaluated once, by the leader, and apply takes its word. A leader that was tampered with
//! could so grant what the policy forbids; whoever follows it notices here. The queue is the state
//! itself: a node that has no time looks later, and says how far behind it is.
//!
//! Nothing here is waited for by a decision, keeps a committed statement from being signed, or judges
//! what bounds, freezes and drains said: every node computes those in apply. A leader is never asked
//! to evaluate what another node disputes; it only puts the dispute in the log.

mod again;
mod answer;
mod batch;
mod compare;
mod findings;
mod follow;
mod fresh;
mod tell;

use std::sync::Arc;

use tokio::sync::mpsc;

pub(crate) use answer::{Disputed, Door, door};
pub(crate) use findings::Audit;

use crate::gate::Gate;
use crate::limits::DISPUTES_FOUND_MAX;

/// Audits for as long as the node runs, and puts into the log what others dispute while it leads.
pub(crate) async fn run(gate: Arc<Gate>, disputed: mpsc::Receiver<Disputed>) {
    let (found, to_tell) = mpsc::channel(DISPUTES_FOUND_MAX);
    tokio::select! {
        () = follow::run(&gate, found) => (),
        () = tell::run(&gate, to_tell) => (),
        () = answer::run(&gate, disputed) => (),
    }
}
