//! Reads that see everything that was committed before they began (Raft §6.4, ReadIndex).
//!
//! One round of heartbeats confirms the leader for every read that was waiting when it started, so
//! their number costs nothing. No read rests on a lease: a lease assumes that clocks run alike.

use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{LinearizerOption, ReadPolicy};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::disk::{StateDisk, StateView};
use crate::error::ReadError;
use crate::leadership::{Leader, Leadership};
use crate::limits;
use crate::types::Raft;

use holdpoint_storage::StoreError;

pub(crate) type Answer = Result<u64, ReadError>;

/// The state as of a confirmed index or later.
#[derive(Clone, Debug)]
pub struct ReadGuard {
    state: Arc<dyn StateDisk>,
    index: u64,
}

impl ReadGuard {
    pub(crate) fn new(state: Arc<dyn StateDisk>, index: u64) -> Self {
        Self { state, index }
    }

    /// The index that the state has at least.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Answers `query` from one consistent view.
    ///
    /// # Errors
    ///
    /// The store has stopped.
    pub fn read<R>(&self, query: impl FnOnce(StateView<'_>) -> R) -> Result<R, StoreError> {
        self.state.read(query)
    }
}

/// Where reads queue.
#[derive(Clone, Debug)]
pub(crate) struct ReadQueue(mpsc::Sender<oneshot::Sender<Answer>>);

/// An empty queue and its other end.
pub(crate) fn queue() -> (ReadQueue, mpsc::Receiver<oneshot::Sender<Answer>>) {
    let (sender, receiver) = mpsc::channel(limits::READS_MAX);
    (ReadQueue(sender), receiver)
}

impl ReadQueue {
    /// Waits for a confirmed index that is applied here, at most `wait`.
    pub(crate) async fn confirm(&self, wait: Duration) -> Answer {
        let wait = wait.min(limits::WAIT_MAX);
        let deadline = Instant::now() + wait;
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Overloaded {
                waiting_count_max: limits::READS_MAX,
            },
            mpsc::error::TrySendError::Closed(_) => ReadError::ShuttingDown,
        })?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ReadError::ShuttingDown),
            Err(_) => Err(ReadError::Timeout {
                wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

/// The task that confirms.
#[derive(Debug)]
pub(crate) struct Confirmer {
    pub(crate) raft: Raft,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) queued: mpsc::Receiver<oneshot::Sender<Answer>>,
}

impl Confirmer {
    /// Runs until the queue is closed.
    pub(crate) async fn run(mut self) {
        let mut waiting = Vec::new();
        while self.queued.recv_many(&mut waiting, limits::READS_MAX).await > 0 {
            let answer = self.round().await;
            for caller in waiting.drain(..) {
                // A caller that is gone needs no answer.
                let _ = caller.send(answer.clone());
            }
        }
    }

    async fn round(&self) -> Answer {
        // Waits for a quorum as long as a lease, and for apply as long as any caller.
        let option = LinearizerOption::from(ReadPolicy::ReadIndex);
        let linearizer = match self.raft.get_read_linearizer(option).await {
            Ok(linearizer) => linearizer,
            Err(RaftError::APIError(error)) => return Err(self.unconfirmed(error)),
            Err(RaftError::Fatal(_)) => return Err(ReadError::ShuttingDown),
        };
        let index = linearizer.read_log_id().index();
        match linearizer
            .try_await_ready(&self.raft, Some(limits::WAIT_MAX))
            .await
        {
            Ok(Ok(_)) => Ok(index),
            Ok(Err(_)) => Err(ReadError::NoQuorum),
            Err(_) => Err(ReadError::ShuttingDown),
        }
    }

    fn unconfirmed(&self, error: LinearizableReadError<crate::types::TypeConfig>) -> ReadError {
        match error {
            LinearizableReadError::ForwardToLeader(forward) => {
                let told = forward.leader_id.zip(forward.leader_node);
                let told = told.map(|(node, member)| Leader { node, member });
                let leader = told.or_else(|| self.leadership.borrow().leader());
                ReadError::NotLeader { leader }
            }
            LinearizableReadError::QuorumNotEnough(_) => ReadError::NoQuorum,
        }
    }
}
