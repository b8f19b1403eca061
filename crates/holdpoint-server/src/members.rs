//! Which nodes there are, and the hint that sends a client to the right one.

use holdpoint_proto::v1;
use holdpoint_receipt::NodeId;

use crate::config::{ClusterFile, NodeEntry};

/// The nodes of the cluster file.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    nodes: Vec<NodeEntry>,
}

impl Members {
    pub(crate) fn new(file: &ClusterFile) -> Self {
        Self {
            nodes: file.nodes.clone(),
        }
    }

    /// Every node, in the order of the file.
    pub(crate) fn nodes(&self) -> &[NodeEntry] {
        &self.nodes
    }

    /// How many nodes a majority has.
    pub(crate) fn majority(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    /// Where to ask instead.
    pub(crate) fn hint(&self, leader: Option<NodeId>, term: u64) -> v1::LeaderHint {
        v1::LeaderHint {
            leader: leader.and_then(|leader| {
                self.nodes
                    .iter()
                    .find(|node| node.id == leader)
                    .map(address)
            }),
            nodes: self.nodes.iter().map(address).collect(),
            term,
        }
    }
}

fn address(node: &NodeEntry) -> v1::NodeAddress {
    v1::NodeAddress {
        id: node.id.get(),
        client: node.client.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn members(count: u64) -> Members {
        let nodes = (1..=count).map(|id| NodeEntry {
            id: NodeId::new(id).unwrap(),
            client: format!("127.0.0.1:74{id}1").parse().unwrap(),
            peer: format!("127.0.0.1:74{id}2").parse().unwrap(),
            data_dir: PathBuf::new(),
        });
        Members {
            nodes: nodes.collect(),
        }
    }

    #[test]
    fn hint_names_every_node_and_the_leader_only_if_it_is_one_of_them() {
        let leader = |id| {
            members(3)
                .hint(NodeId::new(id).ok(), 7)
                .leader
                .map(|node| node.client)
        };
        assert_eq!(leader(2), Some("127.0.0.1:7421".to_owned()));
        assert_eq!(leader(9), None);
        assert_eq!(members(3).hint(None, 7).nodes.len(), 3);
    }

    #[test]
    fn majority_is_more_than_half() {
        let majorities: Vec<_> = (1..=5).map(|count| members(count).majority()).collect();
        assert_eq!(majorities, [1, 2, 2, 3, 3]);
    }
}
