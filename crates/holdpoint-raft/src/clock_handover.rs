//! A leader whose own wall clock is off grants nothing, so it lets another voter lead.
//!
//! It tries ever more rarely, and only voters whose clocks are well within the skew: leadership must not
//! wander between clocks at its edge. It never stops leading by itself: a leader that grants
//! nothing still redeems, completes and revokes.

use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock_status::ClockStatus;
use crate::leadership::{Leadership, lost};
use crate::limits;
use crate::types::Raft;

/// How long this node's clock has been off in a term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handover {
    term: u64,
    /// Rounds in a row that found it off.
    rounds_off: u32,
}

impl Handover {
    /// Takes in what a round showed. Says whether leadership should be handed over now: after a few
    /// rounds, then each time after twice as many.
    fn is_due(&mut self, term: u64, is_sound: bool) -> bool {
        let before = if self.term == term && !is_sound {
            self.rounds_off
        } else {
            0
        };
        let rounds_off = before.saturating_add(u32::from(!is_sound));
        *self = Self { term, rounds_off };
        let first = limits::CLOCK_HANDOVER_ROUNDS;
        rounds_off.is_multiple_of(first) && (rounds_off / first).is_power_of_two()
    }

    /// Hands leadership over if this node's clock has been off for a while and a voter is `near` the
    /// median. Waits for that at most [`limits::HANDOVER`].
    pub(crate) async fn consider(
        &mut self,
        term: u64,
        status: &ClockStatus,
        near: impl FnOnce() -> Vec<u64>,
        raft: &Raft,
        leadership: &mut watch::Receiver<Leadership>,
    ) {
        if !self.is_due(term, status.is_sound()) {
            return;
        }
        let offset_ms = status.offset_ms.unwrap_or_default();
        let Some(to) = successor(raft, &near()) else {
            tracing::warn!(offset_ms, "no voter with a better clock can lead instead");
            return;
        };
        tracing::warn!(to, offset_ms, "handing leadership to a better clock");
        let is_asked = raft.trigger().transfer_leader(to).await.is_ok();
        let is_lost = timeout(limits::HANDOVER, lost(leadership, term)).await;
        if !is_asked || is_lost.is_err() {
            tracing::warn!(to, "leadership was not handed over");
        }
    }
}

/// The other voter among `candidates` whose log is the longest, as this leader knows.
pub(crate) fn successor(raft: &Raft, candidates: &[u64]) -> Option<u64> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let known = metrics.replication.as_ref()?.iter();
    known
        .filter(|(node, _)| **node != metrics.id && candidates.contains(node))
        .filter_map(|(node, matched)| Some(((*matched)?.index, *node)))
        .max()
        .map(|(_, node)| node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_over_waits_for_a_clock_that_stays_off_and_is_tried_ever_more_rarely() {
        let mut handover = Handover::default();
        assert!(!handover.is_due(1, false), "one reading may be wrong");
        assert!(!handover.is_due(1, true));
        let tried: Vec<u32> = (1..=100).filter(|_| handover.is_due(1, false)).collect();
        assert_eq!(tried, [3, 6, 12, 24, 48, 96]);
        assert!(
            !handover.is_due(2, false),
            "another term counts from the start"
        );
    }
}
