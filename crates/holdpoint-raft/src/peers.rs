//! Who the other nodes are: what tells a peer from a stranger, and a node from another one that was
//! started empty under its id.
//!
//! The membership decides; a greeting counts only while the membership does not name the node yet. Who
//! was a member once stays known, so that its id never means another node. Nothing here sends anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use holdpoint_core::GroupId;
use holdpoint_proto::peer::v1::refusal::Reason;
use holdpoint_proto::peer::v1::{Envelope, Refusal};
use holdpoint_receipt::{ClusterId, NodeId};
use holdpoint_storage::Incarnation;
use tokio::sync::watch;

use crate::member::Member;
use crate::membership::{Former, GroupMembership, MemberPlace};
use crate::types::StoredMembership;

/// This node, as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The group it serves.
    pub group: GroupId,
    /// Its id.
    pub node: NodeId,
    /// What it says of itself in the membership.
    pub member: Member,
}

/// Nodes that are remembered, so that a stranger who makes ids up fills no memory.
const NODES_MAX: usize = holdpoint_core::limits::NODES_MAX;

/// What is known of the other nodes.
#[derive(Debug)]
pub(crate) struct Peers {
    local: LocalNode,
    known: Mutex<Known>,
    /// For those outside.
    membership: watch::Sender<GroupMembership>,
}

#[derive(Debug, Default)]
struct Known {
    members: BTreeMap<u64, Member>,
    /// Who was a member once, by what is applied.
    former: Former,
    greeted: BTreeMap<u64, Member>,
    /// Refusals that the operator has been told of.
    told: BTreeSet<(u64, i32)>,
}

impl Peers {
    pub(crate) fn new(local: LocalNode) -> Self {
        Self {
            local,
            known: Mutex::default(),
            membership: watch::Sender::default(),
        }
    }

    pub(crate) fn local(&self) -> &LocalNode {
        &self.local
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the members of a membership.
    pub(crate) fn set_membership(&self, stored: &StoredMembership) {
        let members = stored.membership().nodes();
        let members = members.map(|(node, member)| (*node, member.clone()));
        self.known().members = members.collect();
        self.tell(|told| told.set(self.local.node, stored));
    }

    /// Takes over who was a member once.
    pub(crate) fn set_former(&self, former: &Former) {
        self.known().former.clone_from(former);
        self.tell(|told| told.set_former(self.local.node, former));
    }

    /// Tells those who watch, if `change` changes something.
    fn tell(&self, change: impl FnOnce(&mut GroupMembership)) {
        self.membership.send_if_modified(|told| {
            let before = told.clone();
            change(told);
            *told != before
        });
    }

    /// Who belongs to the group, from now on.
    pub(crate) fn membership(&self) -> watch::Receiver<GroupMembership> {
        self.membership.subscribe()
    }

    /// The other members and where they answer peers.
    pub(crate) fn other_members(&self) -> BTreeMap<u64, String> {
        let own = self.local.node.get();
        let known = self.known();
        let others = known.members.iter().filter(|(node, _)| **node != own);
        others
            .map(|(node, member)| (*node, member.peer_address.clone()))
            .collect()
    }

    /// The incarnation of `node` if it was a member once and is none any more.
    pub(crate) fn removed(&self, node: u64) -> Option<Incarnation> {
        self.known().former.get(&node).copied()
    }

    /// Takes note of a refusal of this node's frame, which may say that this node was removed.
    pub(crate) fn refused_by(&self, node: u64, refusal: &Refusal) {
        let whose = match refusal.reason() {
            Reason::Unproven => "ALARM: a peer does not believe the history that this node sent it",
            _ => "a peer refuses this node",
        };
        self.tell_once(node, refusal, whose);
        if refusal.reason() == Reason::Removed {
            self.tell(|told| told.own = MemberPlace::Removed);
        }
    }

    /// Remembers a greeting. It does not override the membership.
    pub(crate) fn greeted(&self, node: u64, member: Member) {
        let mut known = self.known();
        if known.greeted.len() < NODES_MAX || known.greeted.contains_key(&node) {
            known.greeted.insert(node, member);
        }
    }

    /// The member as the membership names it.
    pub(crate) fn member(&self, node: u64) -> Option<Member> {
        self.known().members.get(&node).cloned()
    }

    /// Who `node` is: by the membership, else by its greeting.
    pub(crate) fn acquaintance(&self, node: u64) -> Option<Member> {
        let known = self.known();
        known
            .members
            .get(&node)
            .or_else(|| known.greeted.get(&node))
            .cloned()
    }

    /// What `node` said of itself when it greeted this node last.
    pub(crate) fn greeting(&self, node: u64) -> Option<Member> {
        self.known().greeted.get(&node).cloned()
    }

    /// An envelope to `node`, which must be of `incarnation`; in a greeting there is none.
    pub(crate) fn envelope(&self, node: u64, incarnation: Option<Incarnation>) -> Envelope {
        let local = &self.local;
        Envelope {
            cluster: Bytes::copy_from_slice(local.cluster.as_bytes()),
            group: local.group.0,
            from: local.node.get(),
            from_incarnation: incarnation_bytes(local.member.incarnation),
            to: node,
            to_incarnation: incarnation.map(incarnation_bytes).unwrap_or_default(),
        }
    }

    /// Admits a frame, or says why not. `greeting` frames may leave the expected incarnation out and
    /// may come from nodes that nobody knows yet.
    pub(crate) fn admit(&self, envelope: Option<&Envelope>, greeting: bool) -> Result<(), Refusal> {
        let Some(envelope) = envelope else {
            return Err(refusal(
                Reason::Malformed,
                "the frame has no envelope".to_owned(),
            ));
        };
        self.addressed_here(envelope, greeting)?;
        let from = envelope.from;
        let incarnation = incarnation(&envelope.from_incarnation).ok_or_else(|| {
            refusal(
                Reason::Malformed,
                "the sender names no incarnation".to_owned(),
            )
        })?;
        if let Some(known) = self.removed(from) {
            return Err(no_member(from, known, incarnation));
        }
        let known = if greeting {
            self.member(from)
        } else {
            self.acquaintance(from)
        };
        match known {
            Some(known) if known.incarnation != incarnation => {
                Err(other_directory(from, known.incarnation, incarnation))
            }
            Some(_) => Ok(()),
            None if greeting => Ok(()),
            None => Err(refusal(
                Reason::NotReady,
                format!("node {from} has not said hello"),
            )),
        }
    }

    fn addressed_here(&self, envelope: &Envelope, greeting: bool) -> Result<(), Refusal> {
        let local = &self.local;
        if envelope.cluster != local.cluster.as_bytes()[..] {
            let detail = format!("this node belongs to cluster {}", local.cluster);
            return Err(refusal(Reason::OtherCluster, detail));
        }
        if envelope.group != local.group.0 {
            let detail = format!("this node does not serve group {}", envelope.group);
            return Err(refusal(Reason::OtherGroup, detail));
        }
        if envelope.to != local.node.get() {
            let detail = format!("this is node {}, not node {}", local.node, envelope.to);
            return Err(refusal(Reason::OtherNode, detail));
        }
        let own = local.member.incarnation;
        let unnamed = greeting && envelope.to_incarnation.is_empty();
        if !unnamed && envelope.to_incarnation != own.as_bytes()[..] {
            let detail = format!("node {} has incarnation {own}", local.node);
            return Err(refusal(Reason::ReceiverIncarnation, detail));
        }
        Ok(())
    }

    /// Tells the operator of a refusal, once per peer and reason.
    pub(crate) fn tell_once(&self, node: u64, refusal: &Refusal, whose: &'static str) {
        // Both are the way of a start; nothing is wrong.
        if refusal.reason() == Reason::NotReady {
            tracing::debug!(peer = node, detail = refusal.detail, "{whose}");
            return;
        }
        let is_new = {
            let mut known = self.known();
            known.told.len() < NODES_MAX && known.told.insert((node, refusal.reason))
        };
        if is_new {
            let reason = refusal.reason().as_str_name();
            tracing::error!(peer = node, reason, detail = refusal.detail, "{whose}");
        }
    }
}

/// Refuses a node that the cluster knows with another directory.
fn other_directory(from: u64, known: Incarnation, found: Incarnation) -> Refusal {
    Refusal {
        reason: Reason::SenderIncarnation.into(),
        detail: format!(
            "node {from} is known with incarnation {known}, not {found}; its data is gone: add it \
             under a new id"
        ),
        known_incarnation: incarnation_bytes(known),
    }
}

/// Refuses a node that is no member any more.
fn no_member(from: u64, known: Incarnation, found: Incarnation) -> Refusal {
    if known != found {
        return other_directory(from, known, found);
    }
    refusal(
        Reason::Removed,
        format!("node {from} was removed from the group; its id is never used again"),
    )
}

/// A refusal.
pub(crate) fn refusal(reason: Reason, detail: String) -> Refusal {
    Refusal {
        reason: reason.into(),
        detail,
        known_incarnation: Bytes::new(),
    }
}

/// Sixteen bytes as an incarnation.
pub(crate) fn incarnation(bytes: &[u8]) -> Option<Incarnation> {
    bytes.try_into().ok().map(Incarnation::from_bytes)
}

/// An incarnation as bytes of a frame.
pub(crate) fn incarnation_bytes(incarnation: Incarnation) -> Bytes {
    Bytes::copy_from_slice(incarnation.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Membership;

    fn member(byte: u8) -> Member {
        Member {
            incarnation: Incarnation::from_bytes([byte; 16]),
            ..Member::default()
        }
    }

    fn peers(node: u64) -> Peers {
        let byte = u8::try_from(node).unwrap();
        Peers::new(LocalNode {
            cluster: ClusterId::from_bytes([7; 16]),
            group: GroupId::FIRST,
            node: NodeId::new(node).unwrap(),
            member: member(byte),
        })
    }

    fn stored(voters: &[u64], members: BTreeMap<u64, Member>) -> StoredMembership {
        let voters = voters.iter().copied().collect();
        StoredMembership::new(None, Membership::new(vec![voters], members).unwrap())
    }

    fn check(change: impl FnOnce(&mut Envelope), expected: Result<(), Reason>) {
        let (one, two) = (peers(1), peers(2));
        two.greeted(1, member(1));
        let mut envelope = one.envelope(2, Some(Incarnation::from_bytes([2; 16])));
        change(&mut envelope);
        let got = two.admit(Some(&envelope), false);
        assert_eq!(got.map_err(|refusal| refusal.reason()), expected);
    }

    #[test]
    fn a_frame_is_admitted_only_from_the_known_sender_to_this_very_directory() {
        check(|_| {}, Ok(()));
        check(
            |frame| frame.cluster = Bytes::from_static(&[8; 16]),
            Err(Reason::OtherCluster),
        );
        check(|frame| frame.group = 1, Err(Reason::OtherGroup));
        check(|frame| frame.to = 3, Err(Reason::OtherNode));
        let other = Bytes::from_static(&[9; 16]);
        check(
            |frame| frame.to_incarnation = other.clone(),
            Err(Reason::ReceiverIncarnation),
        );
        check(
            |frame| frame.to_incarnation = Bytes::new(),
            Err(Reason::ReceiverIncarnation),
        );
        check(
            |frame| frame.from_incarnation = other.clone(),
            Err(Reason::SenderIncarnation),
        );
        check(
            |frame| frame.from_incarnation = Bytes::new(),
            Err(Reason::Malformed),
        );
        check(|frame| frame.from = 4, Err(Reason::NotReady));
        assert_eq!(
            peers(2).admit(None, false).unwrap_err().reason(),
            Reason::Malformed
        );
    }

    #[test]
    fn the_membership_overrides_a_greeting() {
        let (one, two) = (peers(1), peers(2));
        let members = BTreeMap::from([(1, member(9))]);
        two.set_membership(&stored(&[1], members));
        let hello = one.envelope(2, None);
        let refused = two.admit(Some(&hello), true).unwrap_err();
        assert_eq!(refused.reason(), Reason::SenderIncarnation);
        two.greeted(1, member(1));
        assert_eq!(two.acquaintance(1), Some(member(9)));
    }
    #[test]
    fn node_that_was_removed_stays_known_and_is_refused_under_either_directory() {
        let (one, two) = (peers(1), peers(2));
        two.greeted(1, member(1));
        two.set_former(&Former::from([(1, Incarnation::from_bytes([1; 16]))]));
        for greeting in [true, false] {
            let mut frame = one.envelope(2, Some(Incarnation::from_bytes([2; 16])));
            let refused = two.admit(Some(&frame), greeting).unwrap_err();
            assert_eq!(refused.reason(), Reason::Removed);
            frame.from_incarnation = Bytes::from_static(&[9; 16]);
            let refused = two.admit(Some(&frame), greeting).unwrap_err();
            assert_eq!(refused.reason(), Reason::SenderIncarnation);
        }
        // Who is told so says so, whatever its own log says later.
        let refused = two.admit(Some(&one.envelope(2, None)), true).unwrap_err();
        one.refused_by(2, &refused);
        one.set_membership(&stored(&[1], BTreeMap::from([(1, member(1))])));
        assert_eq!(one.membership().borrow().own, MemberPlace::Removed);
    }
}
