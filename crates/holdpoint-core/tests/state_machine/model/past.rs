//! What is done about decisions that were made, in the model: disputes and erasures.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asked, Event, Model, Op, replayed};

/// A decision that was stated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated {
    asked: Asked,
    end_ms: u64,
    fence: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Past {
    /// Decisions by their leaves.
    pub(crate) decisions: BTreeMap<u64, Stated>,
    disputed: BTreeSet<u64>,
    /// Leaves whose disclosures are gone, but for those that retention took away.
    pub(crate) erased: BTreeSet<u64>,
    /// Leaves that say so.
    erasures: BTreeSet<u64>,
}

impl Past {
    /// Whether nothing was stated of a permit since it was erased.
    pub(crate) fn is_erased(&self, fence: u64, model: &Model) -> bool {
        let last = model.grant(fence).and_then(|grant| grant.leaves.last());
        last.is_some_and(|last| self.erasures.contains(last))
    }
}

impl Model {
    /// The statement at `leaf` is a decision.
    pub(super) fn remember(&mut self, leaf: u64, asked: Asked, end_ms: u64, fence: Option<u64>) {
        let stated = Stated {
            asked,
            end_ms,
            fence,
        };
        self.past.decisions.insert(leaf, stated);
    }

    pub(super) fn answer_about_past(&mut self, op: Op) -> String {
        match op {
            Op::Dispute {
                leaf,
                node,
                evaluator,
            } => self.dispute(leaf, node, evaluator),
            Op::Erase(fence) => match self.grant(fence) {
                Some(_) => self.erase_permit(fence),
                None => "refused UNKNOWN_PERMIT".to_owned(),
            },
            Op::EraseAt(leaf) => self.erase_at(leaf),
            other => unreachable!("{other:?} is about something else"),
        }
    }

    fn is_there(&self, leaf: u64) -> bool {
        leaf < self.leaves.len() as u64 && self.keeps(leaf)
    }

    fn dispute(&mut self, leaf: u64, node: u64, evaluator: u32) -> String {
        if self.is_there(leaf) && self.past.disputed.contains(&leaf) {
            return replayed("done", true);
        }
        if !self.signing.voters.contains(&node) {
            return "refused UNKNOWN_NODE".to_owned();
        }
        let stated = self.past.decisions.get(&leaf).copied();
        let Some(stated) = stated.filter(|_| self.is_there(leaf)) else {
            return "refused NOT_FOUND".to_owned();
        };
        if evaluator != 1 {
            return "rejected: another version of the evaluator made this decision".to_owned();
        }
        self.past.disputed.insert(leaf);
        self.freeze_disputed(stated.asked.surface);
        self.stated(None);
        let fence = stated.fence.filter(|fence| {
            let grant = self.grant(*fence);
            grant.is_some_and(|grant| grant.state(self.now_ms) == "ISSUED")
        });
        if let Some(fence) = fence {
            self.notes.push("a dispute took a permit back");
            self.stated(Some(fence));
            self.happens(fence, Event::Revoked);
        }
        "done".to_owned()
    }

    fn erase_permit(&mut self, fence: u64) -> String {
        let grant = self.grant(fence).unwrap().clone();
        let last = grant.leaves.last().unwrap();
        if self.past.erasures.contains(last) {
            return replayed("done", true);
        }
        self.meet(fence);
        let decision = self.past.decisions[&grant.leaves[0]];
        if self.ended_ms(&grant).is_none() || self.now_ms < decision.end_ms {
            return "refused STILL_NEEDED".to_owned();
        }
        self.past.erased.extend(grant.leaves);
        let leaf = self.stated(Some(fence));
        self.past.erasures.insert(leaf);
        self.unlist(grant.asked);
        "done".to_owned()
    }

    fn erase_at(&mut self, leaf: u64) -> String {
        let decision = self.past.decisions.get(&leaf).copied();
        let about = self.leaves.get(usize::try_from(leaf).unwrap());
        let fence = about.and_then(|(_, fence)| *fence);
        let is_request = decision.is_some() || fence.is_some();
        if !is_request || !self.is_there(leaf) || self.past.erasures.contains(&leaf) {
            return "refused NOT_FOUND".to_owned();
        }
        if let Some(fence) = fence.filter(|fence| self.grant(*fence).is_some()) {
            return self.erase_permit(fence);
        }
        if self.past.erased.contains(&leaf) || !self.discloses(leaf) {
            return replayed("done", true);
        }
        if decision.is_some_and(|decision| self.now_ms < decision.end_ms) {
            return "refused STILL_NEEDED".to_owned();
        }
        if fence.is_some() {
            self.notes
                .push("the statement of a forgotten permit was erased");
        }
        self.past.erased.insert(leaf);
        let by = self.stated(None);
        self.past.erasures.insert(by);
        let place = fence.map(|fence| usize::try_from(fence).unwrap() - 1);
        let asked = place.map(|place| self.grants[place].asked);
        if let Some(asked) = asked.or(decision.map(|decision| decision.asked)) {
            self.unlist(asked);
        }
        "done".to_owned()
    }
}
