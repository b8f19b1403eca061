//! What a call is told that found no leader, no majority, or no end.

use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_receipt::{NodeId, Reason};

use super::{Gate, open};
use crate::refused::{Refused, seconds};

impl Gate {
    pub(super) fn not_leader(&self, may_have_committed: bool) -> Refused {
        let hint = self.hint();
        let refused = open(may_have_committed, Reason::NotLeader);
        match &hint.leader {
            Some(leader) => refused.saying(format!(
                "Node {} leads the cluster; repeat with the same key at {}.",
                leader.id, leader.client
            )),
            // Certainly not enough for a leader, or a leader whose majority left it.
            None if self.voters_up() < self.parts.members.majority() || self.leads_nobody() => {
                return self.no_quorum(may_have_committed);
            }
            None => refused.saying("No node leads the cluster now; repeat with the same key."),
        }
        .with_hint(hint)
    }

    /// Whether this node takes itself for the leader while no majority confirms it.
    fn leads_nobody(&self) -> bool {
        self.parts.group.leadership().borrow().leads().is_some() && !self.quorum.is_confirmed()
    }

    /// Where to ask instead: never this node, which has just refused. A leader that is cut off takes
    /// itself for the leader until it hears of the next one; clients that it sent back to itself
    /// would not find that one either.
    pub(super) fn hint(&self) -> v1::LeaderHint {
        let status = self.parts.group.status();
        let leader = status
            .leader
            .and_then(|leader| NodeId::new(leader.node).ok())
            .filter(|leader| *leader != self.parts.own.node);
        self.parts.members.hint(leader, status.term)
    }

    /// No majority answers.
    pub(super) fn no_quorum(&self, may_have_committed: bool) -> Refused {
        let answering = self.voters_up();
        let (nodes, majority) = (
            self.parts.members.voters().len(),
            self.parts.members.majority(),
        );
        let sentence = if answering < majority {
            format!(
                "No majority of the nodes answers ({answering} of {nodes} nodes lately, {majority} \
                 are needed); repeat with the same key."
            )
        } else {
            // What clients reach is not what counts: the nodes have a port of their own.
            format!(
                "No majority of the {nodes} nodes follows this node; repeat with the same key at \
                 another node."
            )
        };
        open(may_have_committed, Reason::NoQuorum)
            .saying(sentence)
            .with_hint(self.hint())
    }

    pub(super) fn timed_out(&self, waited: Duration) -> Refused {
        if self.standing().can_decide {
            return Refused::unknown(Reason::Timeout).saying(format!(
                "No outcome within {}; repeat with the same key to learn of a decision.",
                seconds(waited)
            ));
        }
        self.no_quorum(true)
    }
}
