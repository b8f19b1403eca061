//! The membership, changed by whoever leads.

use std::time::Duration;

use holdpoint_receipt::NodeId;

use super::Group;
use crate::error::ChangeMembersError;

impl Group {
    /// Adds `node` to the group without a vote: it gets the log, or a snapshot where the log does not
    /// reach back. It must have greeted this node, which is how its directory and its addresses are
    /// known. Adding a member again does nothing.
    ///
    /// # Errors
    ///
    /// [`ChangeMembersError`]. Unless it says that the change may have happened, it has not.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer. A change that is half way is finished all the same.
    pub async fn add_learner(
        &self,
        node: NodeId,
        wait: Duration,
    ) -> Result<(), ChangeMembersError> {
        self.inner.changer.add_learner(node, wait).await
    }

    /// Whether `node` has greeted this node, so that it could be added.
    #[must_use]
    pub fn has_greeted(&self, node: NodeId) -> bool {
        self.inner.peers.greeting(node.get()).is_some()
    }

    /// Gives the members `nodes` a vote, all in one change, after waiting at most half of `wait` until
    /// each lacks no more than [`limits::PROMOTION_LAG_MAX`](crate::limits::PROMOTION_LAG_MAX) entries.
    /// Promoting voters again does nothing, except that a change that was left half way is finished.
    ///
    /// # Errors
    ///
    /// As [`Group::add_learner`].
    pub async fn promote(
        &self,
        nodes: &[NodeId],
        wait: Duration,
    ) -> Result<(), ChangeMembersError> {
        self.inner.changer.promote(nodes, wait).await
    }

    /// Takes `node` out of the group, for ever: its id is never used again. A leader that is to go hands
    /// leadership over first and answers [`ChangeMembersError::NotLeader`]: the next one removes it.
    ///
    /// # Errors
    ///
    /// As [`Group::add_learner`].
    pub async fn remove(&self, node: NodeId, wait: Duration) -> Result<(), ChangeMembersError> {
        let leads = self.leadership().borrow().leads().is_some();
        if leads && node == self.local().node {
            return Err(self.step_aside(wait).await);
        }
        self.inner.changer.remove(node, wait).await
    }

    /// Lets another voter lead, so that this one can be removed.
    async fn step_aside(&self, wait: Duration) -> ChangeMembersError {
        let voters: Vec<u64> = self.inner.raft.voter_ids().collect();
        let Some(successor) = crate::clock_handover::successor(&self.inner.raft, &voters) else {
            return ChangeMembersError::NoMajority {
                voter_count: voters.len().saturating_sub(1),
                there_count: 0,
            };
        };
        if let Err(error) = self.transfer_leader(successor, wait).await {
            tracing::warn!(successor, %error, "leadership was not handed over");
        }
        let leader = self.leadership().borrow().leader();
        ChangeMembersError::NotLeader { leader }
    }
}
