//! Who leads, as this node knows it.

use std::sync::Arc;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;

use crate::member::Member;
use crate::peers::Peers;
use crate::types::{Raft, TypeConfig};

/// The leader and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its id.
    pub node: u64,
    /// What the membership says of it.
    pub member: Member,
}

/// The part of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Leadership {
    /// No leader is known: the node joins, an election is on, or the network is away.
    #[default]
    Unknown,
    /// Another node leads.
    Follows(Leader),
    /// This node leads. A later term of its own is another leadership.
    Leads {
        /// The term.
        term: u64,
    },
}

impl Leadership {
    /// The term that this node leads in.
    #[must_use]
    pub fn leads(&self) -> Option<u64> {
        match self {
            Self::Leads { term } => Some(*term),
            Self::Unknown | Self::Follows(_) => None,
        }
    }

    /// The other node that leads.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        match self {
            Self::Follows(leader) => Some(leader.clone()),
            Self::Unknown | Self::Leads { .. } => None,
        }
    }
}

/// Returns once this node does not lead in `term` any more.
pub(crate) async fn lost(leadership: &mut watch::Receiver<Leadership>, term: u64) {
    // A sender that is gone belongs to a group that has stopped.
    let _ = leadership.wait_for(|now| now.leads() != Some(term)).await;
}

/// Follows openraft's view: who leads, and who the members are. Ends when openraft does.
pub(crate) async fn follow(raft: Raft, peers: Arc<Peers>, told: Arc<watch::Sender<Leadership>>) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = {
            let metrics = metrics.borrow_and_update();
            peers.set_membership(&metrics.membership_config);
            view(&metrics)
        };
        told.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                tracing::info!(leadership = ?now, "leadership changed");
                *before = now;
            }
            changed
        });
        if metrics.changed().await.is_err() {
            told.send_replace(Leadership::Unknown);
            return;
        }
    }
}

fn view(metrics: &openraft::metrics::RaftServerMetrics<TypeConfig>) -> Leadership {
    if metrics.state == ServerState::Leader {
        return Leadership::Leads {
            term: metrics.vote.leader_id.term,
        };
    }
    let leader = metrics
        .current_leader
        .filter(|leader| *leader != metrics.id);
    let known = leader.and_then(|node| {
        let member = metrics.membership_config.get_node(&node)?.clone();
        Some(Leadership::Follows(Leader { node, member }))
    });
    known.unwrap_or_default()
}
