//! Where this node and its group stand, as it knows.

use std::collections::BTreeMap;

use openraft::ServerState;

use crate::clock_status::ClockStatus;
use crate::leadership::{Leader, Leadership};
use crate::member::Member;
use crate::types::{LogId, TypeConfig, term_of};

/// The part of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not yet part of the group, or a part without a vote.
    Learner,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Stopping.
    Stopped,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The term.
    pub term: u64,
    /// The index.
    pub index: u64,
}

/// A member and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// What the membership says of it.
    pub member: Member,
    /// Whether it votes.
    pub is_voter: bool,
    /// The last entry that it is known to have; known to the leader only.
    pub matched: Option<Place>,
    /// Entries that it lacks; known to the leader only.
    pub lag: Option<u64>,
}

/// Where a node and its group stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// This node.
    pub node: u64,
    /// Its part.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Who leads, and where: this node itself, too. `None` while nobody is known to.
    pub leader: Option<Leader>,
    /// The last entry of its log.
    pub last_index: Option<u64>,
    /// The last entry that it knows to be committed.
    pub committed: Option<Place>,
    /// The last entry that it applied.
    pub applied: Option<Place>,
    /// The last entry that its last snapshot covers.
    pub snapshot: Option<Place>,
    /// The last entry that it purged.
    pub purged: Option<Place>,
    /// The members.
    pub members: BTreeMap<u64, MemberStatus>,
    /// Whether a change of the membership is half way.
    pub is_changing: bool,
    /// What it knows of the clocks: all of it only while it leads.
    pub clock: ClockStatus,
    /// Why it stopped, if it did.
    pub fault: Option<String>,
}

fn place(id: LogId) -> Place {
    Place {
        term: term_of(&id),
        index: id.index,
    }
}

/// The part that openraft's metrics know.
pub(crate) fn of_metrics(
    metrics: &openraft::RaftMetrics<TypeConfig>,
    leadership: &Leadership,
    own: &Leader,
) -> GroupStatus {
    let membership = metrics.membership_config.membership();
    let last_index = metrics.last_log_index;
    let voters: Vec<u64> = membership.voter_ids().collect();
    let members = membership.nodes().map(|(node, member)| {
        let replication = metrics.replication.as_ref();
        let matched = replication.and_then(|known| *known.get(node)?).map(place);
        let lag = matched.map(|matched| last_index.unwrap_or(0).saturating_sub(matched.index));
        let is_voter = voters.contains(node);
        (
            *node,
            MemberStatus {
                member: member.clone(),
                is_voter,
                matched,
                lag,
            },
        )
    });
    let leader = match leadership {
        Leadership::Leads { .. } => Some(own.clone()),
        Leadership::Follows(leader) => Some(leader.clone()),
        Leadership::Unknown => None,
    };
    GroupStatus {
        node: own.node,
        role: match metrics.state {
            ServerState::Learner => Role::Learner,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Leader => Role::Leader,
            ServerState::Shutdown => Role::Stopped,
        },
        term: metrics.current_term,
        leader,
        last_index,
        committed: metrics.local_committed.map(place),
        applied: metrics.last_applied.map(place),
        snapshot: metrics.snapshot.map(place),
        purged: metrics.purged.map(place),
        members: members.collect(),
        is_changing: membership.get_joint_config().len() > 1,
        clock: ClockStatus::default(),
        fault: None,
    }
}
