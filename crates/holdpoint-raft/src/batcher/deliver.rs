//! From openraft's answer about one entry to each of its callers.

use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::{Answer, Place};
use crate::error::ProposeError;
use crate::leadership::{Leader, Leadership, lost};
use crate::member::Member;
use crate::types::TypeConfig;

/// Where openraft's answer about one entry comes.
pub(super) type Written =
    openraft::type_config::alias::OneshotReceiverOf<TypeConfig, ClientWriteResult<TypeConfig>>;

/// Who waits for an outcome of a proposed entry.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) answer: oneshot::Sender<Answer>,
    /// Given back when the caller is told.
    pub(super) place: Place,
}

impl Caller {
    /// Answers the caller and gives its place back.
    fn tell(self, answer: Answer) {
        // A caller that is gone needs no answer.
        let _ = self.answer.send(answer);
        drop(self.place);
    }
}

/// Waits for the outcomes of one entry, or for the end of the term that proposed it, and tells its
/// callers.
pub(super) async fn deliver(
    result: Written,
    callers: Vec<Caller>,
    mut leadership: watch::Receiver<Leadership>,
    term: u64,
    permit: OwnedSemaphorePermit,
) {
    let result = tokio::select! {
        biased;
        result = result => Some(result),
        () = lost(&mut leadership, term) => None,
    };
    drop(permit);
    let error = match result {
        Some(Ok(Ok(response))) => {
            let outcomes = response.data;
            assert_eq!(
                outcomes.len(),
                callers.len(),
                "every command has an outcome"
            );
            for (caller, outcome) in callers.into_iter().zip(outcomes) {
                caller.tell(Ok(outcome));
            }
            return;
        }
        Some(Ok(Err(error))) => not_written(&error, &leadership),
        // openraft stopped before it answered.
        Some(Err(_)) => ProposeError::ShuttingDown {
            may_have_committed: true,
        },
        None => {
            let leader = leadership.borrow().leader();
            ProposeError::NotLeader {
                leader,
                may_have_committed: true,
            }
        }
    };
    for caller in callers {
        caller.tell(Err(error.clone()));
    }
}

/// Why openraft did not write an entry. Whatever it says, the entry may have been appended: an alpha
/// release's promise is not a proof.
fn not_written(
    error: &ClientWriteError<TypeConfig>,
    leadership: &watch::Receiver<Leadership>,
) -> ProposeError {
    let told = match error {
        ClientWriteError::ForwardToLeader(forward)
        | ClientWriteError::LogEntryDiscarded(forward) => {
            leader(forward.leader_id, forward.leader_node.as_ref())
        }
        ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => {
            None
        }
    };
    let leader = told.or_else(|| leadership.borrow().leader());
    ProposeError::NotLeader {
        leader,
        may_have_committed: true,
    }
}

fn leader(node: Option<u64>, member: Option<&Member>) -> Option<Leader> {
    Some(Leader {
        node: node?,
        member: member?.clone(),
    })
}
