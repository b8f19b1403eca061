//! Who belongs to the group, as this node knows it.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::NodeId;
use holdpoint_storage::Incarnation;

use crate::member::Member;
use crate::types::StoredMembership;

/// The place of this node in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberPlace {
    /// No membership that this node knows names it.
    #[default]
    Outside,
    /// It gets the log and has no vote.
    Learner,
    /// It has a vote.
    Voter,
    /// It was a member and is none any more. It takes part in nothing, and its id is never used again.
    Removed,
}

/// The members of the group, by the newest membership in this node's log.
///
/// That entry may not be committed yet, and what it says counts all the same: so Raft has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMembership {
    /// The entry that says so; none before the first.
    pub index: Option<u64>,
    /// Who has a vote. While a change is half way, those of the new set.
    pub voters: BTreeSet<NodeId>,
    /// While a change is half way, those of the old set that are not in the new one: they vote until
    /// it is through.
    pub leaving: BTreeSet<NodeId>,
    /// Who gets the log and has no vote.
    pub learners: BTreeSet<NodeId>,
    /// All of them, and where they answer.
    pub members: BTreeMap<NodeId, Member>,
    /// Whether a change is half way. The leader, or the next one, finishes it.
    pub is_joint: bool,
    /// Who was a member once, by what is applied here. None of these ids is ever used again.
    pub removed: BTreeMap<NodeId, Incarnation>,
    /// This node.
    pub own: MemberPlace,
}

/// The incarnations of who was a member once.
pub(crate) type Former = BTreeMap<u64, Incarnation>;

impl GroupMembership {
    /// Takes over what `stored` says.
    pub(crate) fn set(&mut self, own: NodeId, stored: &StoredMembership) {
        let membership = stored.membership();
        let ids = |ids: &BTreeSet<u64>| ids.iter().copied().filter_map(id).collect();
        let sets = membership.get_joint_config();
        self.index = stored.log_id().as_ref().map(|id| id.index);
        self.voters = sets.last().map(ids).unwrap_or_default();
        let voting: BTreeSet<NodeId> = membership.voter_ids().filter_map(id).collect();
        self.leaving = voting.difference(&self.voters).copied().collect();
        self.members = membership
            .nodes()
            .filter_map(|(node, member)| Some((id(*node)?, member.clone())))
            .collect();
        self.learners = self
            .members
            .keys()
            .filter(|node| !voting.contains(node))
            .copied()
            .collect();
        self.is_joint = sets.len() > 1;
        self.place(own);
    }

    /// Takes over who was a member once.
    pub(crate) fn set_former(&mut self, own: NodeId, former: &Former) {
        self.removed = former
            .iter()
            .filter_map(|(node, incarnation)| Some((id(*node)?, *incarnation)))
            .collect();
        self.place(own);
    }

    /// Who votes in this membership, in either set.
    #[must_use]
    pub fn is_voting(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.leaving.contains(&node)
    }

    /// Where this node stands. A node that was told that it is removed stays so.
    fn place(&mut self, own: NodeId) {
        let is_removed = self.own == MemberPlace::Removed;
        self.own = if is_removed || self.removed.contains_key(&own) {
            MemberPlace::Removed
        } else if self.is_voting(own) {
            MemberPlace::Voter
        } else if self.members.contains_key(&own) {
            MemberPlace::Learner
        } else {
            MemberPlace::Outside
        };
    }
}

fn id(node: u64) -> Option<NodeId> {
    NodeId::new(node).ok()
}
