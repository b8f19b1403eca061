//! Nodes that come and go: one change of the membership at a time.
//!
//! The leader makes it and waits for what passes by itself. A change whose answer was lost can be
//! repeated: one that was made is not made twice.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::NodeId;

use crate::believe::AnswerError;
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::info::malformed;
use crate::steps::refused;

/// What is to become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// It becomes a learner: it gets the log and has no vote. It must run, with a cluster file that
    /// lists it beside the members.
    Add,
    /// A learner becomes a voter.
    Promote,
    /// It is no member any more. Its id is never used again.
    Remove,
}

/// The membership after a change. Not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersAnswer {
    /// Who votes.
    pub voters: Vec<NodeId>,
    /// Who gets the log and has no vote.
    pub learners: Vec<NodeId>,
    /// Whether it had been so before.
    pub is_replay: bool,
}

impl Gate {
    /// Changes the membership; with `is_dry_run` the leader only looks whether it could.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with a reason of [`holdpoint_receipt::Scope::MembersRefusal`], or
    /// `KEYS_PENDING` or `TOO_FEW_SIGNERS` where the nodes that sign could not change so.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the change, which can be repeated.
    pub async fn change_members(
        &self,
        change: MemberChange,
        node: NodeId,
        is_dry_run: bool,
    ) -> Result<MembersAnswer, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ChangeMembersRequest {
                change: change.to_wire().into(),
                node: node.get(),
                dry_run: is_dry_run,
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .cluster()
                .change_members(connection.request(message))
                .await?;
            let v1::ChangeMembersResponse {
                replay,
                voters,
                learners,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            let read = || {
                Ok(MembersAnswer {
                    voters: ids("voters", voters)?,
                    learners: ids("learners", learners)?,
                    is_replay: replay,
                })
            };
            read().map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

impl MemberChange {
    const fn to_wire(self) -> v1::MemberChange {
        match self {
            Self::Add => v1::MemberChange::Add,
            Self::Promote => v1::MemberChange::Promote,
            Self::Remove => v1::MemberChange::Remove,
        }
    }
}

fn ids(field: &'static str, given: Vec<u64>) -> Result<Vec<NodeId>, AnswerError> {
    let ids = given.into_iter().map(NodeId::new);
    ids.collect::<Result<_, _>>()
        .map_err(|error| malformed(field, error))
}
