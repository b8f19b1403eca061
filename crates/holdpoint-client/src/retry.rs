//! When to ask again: the life of one call, as a pure state machine.
//!
//! A call goes in rounds. A round asks every known node at most once, each for a share of the time
//! that is left, so that every node comes in turn before the deadline. A node that answered last time
//! gets half, for it may just be slow; one that was never heard of gets little, for it may be a black
//! hole. Between rounds the call pauses, longer each time. A node that has no room ends the round: the
//! others have none for it either, and it is asked again after the pause. Nothing here connects, waits,
//! reads a clock or draws a random number; and nothing here ever changes what is asked: the same request
//! goes everywhere.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::endpoints::{Endpoints, Slot};
use crate::fault::{Decided, Fault};

/// The first pause.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The shortest time for which a node is asked. Only the first may be asked for less, when the whole
/// deadline is shorter.
pub(crate) const TRY_MIN: Duration = Duration::from_millis(100);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask this node, and wait for its answer no longer than until `give_up_at`.
    Ask { slot: Slot, give_up_at: Duration },
    /// Do nothing until then.
    Pause { until: Duration },
    /// The deadline is too near, or asking again cannot help.
    GiveUp,
}

/// One call, from its start to its deadline.
#[derive(Debug)]
pub(crate) struct Retry {
    deadline: Duration,
    round: u32,
    /// Nodes asked in this round.
    tried: BTreeSet<Slot>,
    /// The last fault of every node that was asked.
    faults: BTreeMap<Slot, Fault>,
    /// Submissions whose effect is not known.
    // INVARIANT: never goes down; an effect that was possible once stays possible.
    unsettled_count: u32,
    /// Whether the node that was asked last had no room.
    is_shed: bool,
    /// Whether it is over, though there is time left.
    is_over: bool,
}

impl Retry {
    /// A call that ends at `deadline`.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            round: 0,
            tried: BTreeSet::new(),
            faults: BTreeMap::new(),
            unsettled_count: 0,
            is_shed: false,
            is_over: false,
        }
    }

    /// What to do `now`. `jitter` is any number, fresh for each call.
    pub(crate) fn next(&mut self, endpoints: &Endpoints, now: Duration, jitter: u32) -> Step {
        let last = self.deadline.saturating_sub(TRY_MIN);
        // Too late to hear of it, a submission would only leave open what is certain now.
        if self.is_over || now >= self.deadline || (now > last && !self.faults.is_empty()) {
            return Step::GiveUp;
        }
        if !self.is_shed
            && let Some(slot) = endpoints.choose(&self.tried, now)
        {
            self.tried.insert(slot);
            return Step::Ask {
                slot,
                give_up_at: self.give_up_at(endpoints, slot, now),
            };
        }
        if self.only_disbelieved() {
            return Step::GiveUp;
        }
        let until = now.saturating_add(pause(self.round, jitter)).min(last);
        if until <= now {
            return Step::GiveUp;
        }
        self.round = self.round.saturating_add(1);
        self.tried.clear();
        self.is_shed = false;
        Step::Pause { until }
    }

    /// How long one node is asked, as the module says. A single node gets all that is left, for there
    /// is nobody else to ask.
    fn give_up_at(&self, endpoints: &Endpoints, slot: Slot, now: Duration) -> Duration {
        let left = self.deadline.saturating_sub(now);
        let share = match u32::try_from(endpoints.count()).unwrap_or(u32::MAX) {
            0 | 1 => left,
            _ if endpoints.is_proven(slot) => left / 2,
            count => left / count.saturating_mul(4),
        };
        now.saturating_add(share.max(TRY_MIN)).min(self.deadline)
    }

    /// Answers came, and none of them can be believed: keys that do not fit will not fit next time.
    fn only_disbelieved(&self) -> bool {
        let mut answers = self
            .faults
            .values()
            .filter(|fault| fault.is_answer())
            .peekable();
        answers.peek().is_some() && answers.all(|fault| matches!(fault, Fault::NotBelieved(_)))
    }

    /// What was asked of `slot` has no answer.
    pub(crate) fn failed(&mut self, slot: Slot, fault: Fault) {
        if fault.decided() == Decided::Unknown {
            self.unsettled_count = self.unsettled_count.saturating_add(1);
        }
        self.is_shed = fault.is_of_load();
        self.faults.insert(slot, fault);
    }

    /// Ends the call with what is known so far.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// Whether anything that was submitted may have taken effect.
    pub(crate) fn decided(&self) -> Decided {
        if self.unsettled_count > 0 {
            Decided::Unknown
        } else {
            Decided::Never
        }
    }

    /// The last fault of every node that was asked.
    pub(crate) fn into_faults(self) -> BTreeMap<Slot, Fault> {
        self.faults
    }
}

/// How long to pause after `round`: between half and all of a time that doubles.
fn pause(round: u32, jitter: u32) -> Duration {
    let doubled = PAUSE_MIN.saturating_mul(1_u32.checked_shl(round).unwrap_or(u32::MAX));
    let half = doubled.min(PAUSE_MAX) / 2;
    half + half * (jitter % 1_001) / 1_000
}
