//! Whom a round asks first: as many as must sign, and of the others only whom it needs.
//!
//! Every signature costs its node a sync and several turns of processors, and a round needs no more than
//! enough of them. So those are asked that signed in time before; if they do not now, the others are.
//! Once in a while everybody is asked, so that a node with another history is found, and a node that was
//! slow may be quick again.
//!
//! It never decides whether there are enough.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdpoint_receipt::NodeId;
use tokio::time::Instant;

use super::epochs::{Due, Wanted};

/// How often everybody is asked.
const EVERYBODY_EVERY: Duration = Duration::from_secs(1);

/// Who signs in time, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Quick(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    slow: BTreeSet<NodeId>,
    everybody_at: Option<Instant>,
}

impl Quick {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signatures to ask for at once, and those to ask for if these do not come. Where keys change
    /// all are asked for at once: then everybody's counts.
    pub(crate) fn split(&self, due: &Due, own: NodeId) -> (Vec<Wanted>, Vec<Wanted>) {
        let mut wanted = due.wanted();
        let mut known = self.lock();
        let now = Instant::now();
        let is_turn = known
            .everybody_at
            .is_none_or(|at| now.saturating_duration_since(at) >= EVERYBODY_EVERY);
        if due.earlier.is_some() || is_turn {
            known.everybody_at = Some(now);
            return (wanted, Vec::new());
        }
        wanted.sort_by_key(|wanted| {
            let is_other = wanted.node != own;
            (is_other, known.slow.contains(&wanted.node), wanted.node)
        });
        let needed = usize::try_from(due.epoch.signers_needed).unwrap_or(usize::MAX);
        let spare = wanted.split_off(needed.min(wanted.len()));
        (wanted, spare)
    }

    /// Takes note of a round in which those who were asked `first` were not enough in time: who of them
    /// did not sign is asked later next time.
    pub(crate) fn late(&self, first: &[NodeId], signers: &[NodeId]) {
        let late = first.iter().filter(|node| !signers.contains(node));
        self.lock().slow.extend(late);
    }

    /// Takes note of a round that was over in time.
    pub(crate) fn in_time(&self, signers: &[NodeId]) {
        self.lock().slow.retain(|node| !signers.contains(node));
    }
}
