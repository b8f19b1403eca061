//! Which nodes there are, and the hint that sends a client to the right one.
//!
//! The members of the group, as this node's log has them; the cluster file only until it has any. So
//! a file that was not updated after a change leads nobody astray. Nothing here changes a membership.

use std::collections::BTreeSet;

use holdpoint_proto::v1;
use holdpoint_raft::GroupMembership;
use holdpoint_receipt::NodeId;
use tokio::sync::watch;

use crate::config::ClusterFile;

/// A node and where it answers clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownNode {
    /// Its id.
    pub(crate) id: NodeId,
    /// `host:port` for clients.
    pub(crate) client: String,
}

/// The nodes of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    /// Those of the file, in its order.
    file: Vec<KnownNode>,
    known: watch::Receiver<GroupMembership>,
}

impl Members {
    pub(crate) fn new(file: &ClusterFile, known: watch::Receiver<GroupMembership>) -> Self {
        let nodes = file.nodes.iter().map(|entry| KnownNode {
            id: entry.id,
            client: entry.client.to_string(),
        });
        Self {
            file: nodes.collect(),
            known,
        }
    }

    /// What this node's log says.
    pub(crate) fn membership(&self) -> GroupMembership {
        self.known.borrow().clone()
    }

    /// Every node.
    pub(crate) fn nodes(&self) -> Vec<KnownNode> {
        let known = self.known.borrow();
        if known.members.is_empty() {
            return self.file.clone();
        }
        let members = known.members.iter().map(|(id, member)| KnownNode {
            id: *id,
            client: member.client_address.clone(),
        });
        members.collect()
    }

    /// Those with a vote; while a change is half way, those of the new set.
    pub(crate) fn voters(&self) -> BTreeSet<NodeId> {
        let known = self.known.borrow();
        if known.voters.is_empty() {
            return self.file.iter().map(|node| node.id).collect();
        }
        known.voters.clone()
    }

    /// How many voters a majority has.
    pub(crate) fn majority(&self) -> usize {
        self.voters().len() / 2 + 1
    }

    /// Where to ask instead.
    pub(crate) fn hint(&self, leader: Option<NodeId>, term: u64) -> v1::LeaderHint {
        let nodes = self.nodes();
        v1::LeaderHint {
            leader: leader
                .and_then(|leader| nodes.iter().find(|node| node.id == leader).map(address)),
            nodes: nodes.iter().map(address).collect(),
            term,
        }
    }
}

fn address(node: &KnownNode) -> v1::NodeAddress {
    v1::NodeAddress {
        id: node.id.get(),
        client: node.client.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use holdpoint_raft::Member;
    use holdpoint_receipt::ClusterId;

    use super::*;
    use crate::config::NodeEntry;

    fn id(node: u64) -> NodeId {
        NodeId::new(node).unwrap()
    }

    fn file(count: u64) -> ClusterFile {
        let nodes = (1..=count).map(|node| NodeEntry {
            id: id(node),
            client: format!("127.0.0.1:74{node}1").parse().unwrap(),
            peer: format!("127.0.0.1:74{node}2").parse().unwrap(),
            data_dir: PathBuf::new(),
            sealing: None,
        });
        ClusterFile {
            path: PathBuf::new(),
            cluster: ClusterId::from_bytes([1; 16]),
            nodes: nodes.collect(),
            witnesses: Vec::new(),
            audit: true,
        }
    }

    fn members(count: u64) -> (watch::Sender<GroupMembership>, Members) {
        let (told, known) = watch::channel(GroupMembership::default());
        (told, Members::new(&file(count), known))
    }

    #[test]
    fn hint_names_every_node_and_the_leader_only_if_it_is_one_of_them() {
        let (_told, members) = members(3);
        let leader = |id| {
            members
                .hint(NodeId::new(id).ok(), 7)
                .leader
                .map(|node| node.client)
        };
        assert_eq!(leader(2), Some("127.0.0.1:7421".to_owned()));
        assert_eq!(leader(9), None);
        assert_eq!(members.hint(None, 7).nodes.len(), 3);
    }

    #[test]
    fn majority_is_more_than_half() {
        let majorities: Vec<_> = (1..=5).map(|count| members(count).1.majority()).collect();
        assert_eq!(majorities, [1, 2, 2, 3, 3]);
    }

    #[test]
    fn membership_counts_and_not_the_file_once_there_is_one() {
        let (told, members) = members(3);
        let member = |node: u64| Member {
            client_address: format!("host-{node}:1"),
            ..Member::default()
        };
        told.send_replace(GroupMembership {
            voters: [id(2), id(4)].into(),
            learners: [id(5)].into(),
            members: [2, 4, 5].map(|node| (id(node), member(node))).into(),
            ..GroupMembership::default()
        });
        assert_eq!(members.majority(), 2);
        let hint = members.hint(Some(id(4)), 1);
        assert_eq!(hint.leader.unwrap().client, "host-4:1");
        let named: Vec<_> = hint.nodes.iter().map(|node| node.id).collect();
        assert_eq!(named, [2, 4, 5]);
    }
}
