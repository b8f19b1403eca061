//! Changes of the membership, one at a time.
//!
//! ```text
//! add      1 2 3      ─▶  1 2 3 + 4        4 gets the log and has no vote
//! promote  1 2 3 + 4  ─▶  1 2 3 | 1 2 3 4  ─▶  1 2 3 4        joint: both sets must agree
//! remove   1 2 3 4    ─▶  1 2 3 4 | 2 3 4  ─▶  2 3 4          1 is known as removed from then on
//! ```
//!
//! A change that stands half way, because its leader went away or its caller gave up, is finished by
//! whoever leads: by itself, or as the first step of the next change. Nothing here names an address: a
//! member is what it greeted with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::limits::{NODES_MAX, VOTERS_MAX};
use holdpoint_receipt::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant as _, RaftMetrics};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::ChangeMembersError;
use crate::leadership::{Leadership, lost};
use crate::limits;
use crate::member::Member;
use crate::peers::Peers;
use crate::types::{CommittedLeaderId, Raft, TypeConfig};

type Changes = ChangeMembers<u64, Member>;

/// Changes the membership while this node leads.
#[derive(Debug)]
pub(crate) struct Changer {
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// Held by the one change that is in work.
    pub(crate) turn: Mutex<()>,
    /// A member that has not answered for so long is not there.
    pub(crate) silent_after: Duration,
}

/// A change in work: nobody else begins one.
struct Turn<'a> {
    _alone: MutexGuard<'a, ()>,
    term: u64,
    until: Instant,
}

impl Changer {
    pub(crate) async fn add_learner(
        &self,
        node: NodeId,
        wait: Duration,
    ) -> Result<(), ChangeMembersError> {
        let turn = self.begin(wait)?;
        self.finish(&turn).await?;
        match self.newcomer(node)? {
            None => Ok(()),
            Some(member) => {
                let added = BTreeMap::from([(node.get(), member)]);
                self.change(&turn, Changes::AddNodes(added)).await
            }
        }
    }

    pub(crate) async fn promote(
        &self,
        nodes: &[NodeId],
        wait: Duration,
    ) -> Result<(), ChangeMembersError> {
        let turn = self.begin(wait)?;
        self.finish(&turn).await?;
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        if let Some(node) = nodes
            .iter()
            .find(|node| membership.get_node(&node.get()).is_none())
        {
            return Err(ChangeMembersError::NotMember { node: *node });
        }
        let mut voters: BTreeSet<u64> = membership.voter_ids().collect();
        let promoted: BTreeSet<u64> = nodes
            .iter()
            .map(|node| node.get())
            .filter(|node| !voters.contains(node))
            .collect();
        if promoted.is_empty() {
            return Ok(());
        }
        voters.extend(&promoted);
        if voters.len() > VOTERS_MAX {
            return Err(ChangeMembersError::TooMany {
                what: "voters",
                member_count_max: VOTERS_MAX,
            });
        }
        self.until_caught_up(&turn, &promoted, wait / 2).await?;
        self.majority_is_there(&voters)?;
        self.change(&turn, Changes::AddVoterIds(promoted)).await
    }

    pub(crate) async fn remove(
        &self,
        node: NodeId,
        wait: Duration,
    ) -> Result<(), ChangeMembersError> {
        let turn = self.begin(wait)?;
        self.finish(&turn).await?;
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let id = node.get();
        if membership.get_node(&id).is_none() {
            let is_done = self.peers.removed(id).is_some();
            let unknown = ChangeMembersError::NotMember { node };
            return if is_done { Ok(()) } else { Err(unknown) };
        }
        let mut voters: BTreeSet<u64> = membership.voter_ids().collect();
        let gone = BTreeSet::from([id]);
        if !voters.remove(&id) {
            return self.change(&turn, Changes::RemoveNodes(gone)).await;
        }
        self.majority_is_there(&voters)?;
        self.change(&turn, Changes::RemoveVoters(gone)).await
    }

    /// Finishes whatever an earlier leader left half way, for as long as the group lives.
    pub(crate) async fn finish_what_was_begun(self: Arc<Self>) {
        let (mut leadership, mut membership) = (self.leadership.clone(), self.peers.membership());
        loop {
            let leads = leadership.borrow_and_update().leads().is_some();
            let is_joint = membership.borrow_and_update().is_joint;
            if leads && is_joint {
                // A change of this leader's own finishes itself.
                if let Ok(turn) = self.begin(limits::FINISHING)
                    && let Err(error) = self.finish(&turn).await
                {
                    tracing::warn!(%error, "a change of the membership is not finished yet");
                }
                sleep(limits::FINISHING_PERIOD).await;
                continue;
            }
            let changed = tokio::select! {
                changed = leadership.changed() => changed,
                changed = membership.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    fn metrics(&self) -> RaftMetrics<TypeConfig> {
        self.raft.metrics().borrow_watched().clone()
    }

    fn begin(&self, wait: Duration) -> Result<Turn<'_>, ChangeMembersError> {
        let leadership = self.leadership.borrow().clone();
        let Some(term) = leadership.leads() else {
            let leader = leadership.leader();
            return Err(ChangeMembersError::NotLeader { leader });
        };
        let turn = self.turn.try_lock();
        Ok(Turn {
            _alone: turn.map_err(|_| ChangeMembersError::InProgress)?,
            term,
            until: Instant::now() + wait.min(limits::WAIT_MAX),
        })
    }

    /// Takes the second step of a change that stands half way; nothing if none does.
    async fn finish(&self, turn: &Turn<'_>) -> Result<(), ChangeMembersError> {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        if membership.get_joint_config().len() <= 1 {
            return Ok(());
        }
        tracing::info!(%membership, "finishing a change of the membership");
        self.change(turn, Changes::AddVoterIds(BTreeSet::new()))
            .await
    }

    /// The member that `node` is to be; none if it is that already.
    fn newcomer(&self, node: NodeId) -> Result<Option<Member>, ChangeMembersError> {
        let id = node.get();
        if self.peers.removed(id).is_some() {
            return Err(ChangeMembersError::UsedBefore { node });
        }
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let greeted = self.peers.greeting(id);
        if let Some(known) = membership.get_node(&id) {
            let known = known.incarnation;
            return match greeted.map(|member| member.incarnation) {
                Some(found) if found != known => {
                    Err(ChangeMembersError::OtherDirectory { node, known, found })
                }
                _ => Ok(None),
            };
        }
        if membership.nodes().count() >= NODES_MAX {
            return Err(ChangeMembersError::TooMany {
                what: "members",
                member_count_max: NODES_MAX,
            });
        }
        greeted
            .map(Some)
            .ok_or(ChangeMembersError::UnknownNode { node })
    }

    /// Waits until each of `nodes` has almost all of the log.
    async fn until_caught_up(
        &self,
        turn: &Turn<'_>,
        nodes: &BTreeSet<u64>,
        wait: Duration,
    ) -> Result<(), ChangeMembersError> {
        let until = turn.until.min(Instant::now() + wait);
        loop {
            let Some((node, lag)) = behind(&self.metrics(), nodes) else {
                return Ok(());
            };
            let leadership = self.leadership.borrow().clone();
            if leadership.leads() != Some(turn.term) {
                let leader = leadership.leader();
                return Err(ChangeMembersError::NotLeader { leader });
            }
            if Instant::now() >= until {
                return Err(ChangeMembersError::NotCaughtUp { node, lag });
            }
            sleep(limits::CATCH_UP_PERIOD).await;
        }
    }

    /// Refuses a set of voters of which too few answered lately: nothing would be committed any more.
    fn majority_is_there(&self, voters: &BTreeSet<u64>) -> Result<(), ChangeMembersError> {
        let metrics = self.metrics();
        let heard = metrics.heartbeat.as_ref();
        let is_there = |voter: &&u64| {
            **voter == metrics.id
                || heard
                    .and_then(|heard| heard.get(*voter)?.as_ref())
                    .is_some_and(|at| at.elapsed() <= self.silent_after)
        };
        let there_count = voters.iter().filter(is_there).count();
        if there_count > voters.len() / 2 {
            return Ok(());
        }
        Err(ChangeMembersError::NoMajority {
            voter_count: voters.len(),
            there_count,
        })
    }

    /// Makes one change, both steps of it.
    async fn change(&self, turn: &Turn<'_>, changes: Changes) -> Result<(), ChangeMembersError> {
        let mut leadership = self.leadership.clone();
        // In this term only: what was looked at before belongs to it.
        let term = openraft::Precondition::CommittedLeaderId {
            committed_leader_id: CommittedLeaderId::new(turn.term),
        };
        let made = self.raft.change_membership_if(changes, false, [term]);
        let unknown = |reason: &str| {
            let reason = reason.to_owned();
            Err(ChangeMembersError::MayHaveHappened { reason })
        };
        tokio::select! {
            made = made => made.map(|_| ()).map_err(told),
            () = lost(&mut leadership, turn.term) => unknown("leadership was lost meanwhile"),
            () = sleep_until(turn.until) => unknown("it was not through in time"),
        }
    }
}

/// The first of `nodes` that lacks too much of the log, and how much if it is known.
fn behind(
    metrics: &RaftMetrics<TypeConfig>,
    nodes: &BTreeSet<u64>,
) -> Option<(NodeId, Option<u64>)> {
    let last = metrics.last_log_index.unwrap_or(0);
    nodes.iter().find_map(|node| {
        let matched = metrics.replication.as_ref().and_then(|all| *all.get(node)?);
        let lag = matched.map(|matched| last.saturating_sub(matched.index));
        let is_behind = lag.is_none_or(|lag| lag > limits::PROMOTION_LAG_MAX);
        let node = NodeId::new(*node).ok()?;
        is_behind.then_some((node, lag))
    })
}

/// What openraft says of a change, in our words. It takes two steps, so what refuses the second comes
/// after the first was made.
fn told(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ChangeMembersError {
    use ChangeMembershipError as Refused;
    let refused = match error {
        RaftError::APIError(ClientWriteError::ChangeMembershipError(refused)) => refused,
        other => {
            let reason = other.to_string();
            return ChangeMembersError::MayHaveHappened { reason };
        }
    };
    match refused {
        Refused::InProgress(_) | Refused::UncommittedLeaderLog(_) => ChangeMembersError::InProgress,
        Refused::EmptyMembership(_) => ChangeMembersError::NoMajority {
            voter_count: 0,
            there_count: 0,
        },
        other => ChangeMembersError::MayHaveHappened {
            reason: other.to_string(),
        },
    }
}
