//! Leadership on purpose: handing it over, and stopping.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::timeout;

use super::Group;
use crate::blocking::may_block;
use crate::clock_handover;
use crate::error::TransferError;
use crate::leadership::lost;
use crate::limits;

impl Group {
    /// Hands leadership to the voter `to`, and waits until this node does not lead any more, at most
    /// `wait`. `to` may still lose the election that follows.
    ///
    /// # Errors
    ///
    /// [`TransferError`].
    pub async fn transfer_leader(&self, to: u64, wait: Duration) -> Result<(), TransferError> {
        let mut leadership = self.leadership();
        let Some(term) = leadership.borrow_and_update().leads() else {
            return Err(TransferError::NotLeader);
        };
        let raft = &self.inner.raft;
        if to == *raft.node_id() || !raft.voter_ids().any(|voter| voter == to) {
            return Err(TransferError::NotVoter { node: to });
        }
        raft.trigger()
            .transfer_leader(to)
            .await
            .map_err(|_| TransferError::ShuttingDown)?;
        let wait = wait.min(limits::WAIT_MAX);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        timeout(wait, lost(&mut leadership, term))
            .await
            .map_err(|_| TransferError::Timeout { wait_ms })
    }

    /// Stops taking part: hands leadership over if this node leads and somebody can take it, refuses
    /// what is not yet proposed, stops the tasks and flushes the state, so that the next start has
    /// little to apply again. Each step is bounded; calling it again does nothing more.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        let voters: Vec<u64> = inner.raft.voter_ids().collect();
        if let Some(successor) = clock_handover::successor(&inner.raft, &voters)
            && let Err(error) = self.transfer_leader(successor, limits::HANDOVER).await
        {
            tracing::warn!(successor, %error, "leadership was not handed over");
        }
        // Peers keep their streams open for ever.
        inner.stopped.send_replace(true);
        // Closes both queues: their tasks answer what they hold, and end.
        inner
            .queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if timeout(limits::STOP, inner.raft.shutdown()).await.is_err() {
            tracing::warn!("openraft did not stop in time");
        }
        inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
        if let Err(error) = may_block(|| inner.state.flush()) {
            tracing::warn!(%error, "the state was not flushed; it is applied again from the log");
        }
    }
}
