//! The other nodes, as signing needs them: in production the group, in tests what a test makes.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use holdpoint_core::command::RecordHandover;
use holdpoint_raft::Leadership;
use holdpoint_receipt::keys::SignedHead;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, Name, NodeId};

use super::heads::Head;
use super::signer::SignHead;

/// What another node answers when it is asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has signed.
    Signature(SignedHead),
    /// It has signed a larger head.
    Larger(Head),
    /// It has applied no more than so many leaves.
    NotYet(u64),
    /// Its own tree of that size has another root.
    Mismatch(Digest),
    /// It does not sign, in a word.
    Refused(String),
}

/// Who leads, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// Nobody is known to.
    Unknown,
    /// This node.
    Own,
    /// Another node.
    Other(NodeId),
}

impl From<&Leadership> for Lead {
    fn from(known: &Leadership) -> Self {
        match known {
            Leadership::Unknown => Self::Unknown,
            Leadership::Leads { .. } => Self::Own,
            Leadership::Follows(leader) => {
                NodeId::new(leader.node).map_or(Self::Unknown, Self::Other)
            }
        }
    }
}

/// What another node knows of this node's own signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// The largest head that it signed.
    Signed(Head),
    /// None.
    Nothing,
    /// The node did not answer.
    Unheard,
}

/// Asks other nodes. Each question ends by itself after its wait; nothing heard is `None`.
pub(crate) trait Nodes: fmt::Debug + Send + Sync + 'static {
    /// Who leads.
    fn lead(&self) -> Lead;

    /// Every voter but this node.
    fn other_voters(&self) -> Vec<NodeId>;

    /// Asks `node` to sign a head, and tells it the newest proven one.
    fn sign_head(
        &self,
        node: NodeId,
        asked: SignHead,
        proven: Option<Note>,
        wait: Duration,
    ) -> BoxFuture<'static, Option<Answer>>;

    /// Asks the leader for a proven head of at least so many leaves.
    fn want_head(
        &self,
        leader: NodeId,
        namespace: Name,
        at_least: u64,
        wait: Duration,
    ) -> BoxFuture<'static, Option<Note>>;

    /// Asks `node` what it knows of this node's own signatures.
    fn signed_before(
        &self,
        node: NodeId,
        namespace: Name,
        wait: Duration,
    ) -> BoxFuture<'static, Past>;

    /// Proposes that a handover be recorded. Says whether it is.
    fn record_handover(&self, command: RecordHandover) -> BoxFuture<'static, bool>;

    /// Tells raft that a larger head is proven: a snapshot may wait for it.
    fn proof_moved(&self);

    /// Lets another node lead: this one cannot prove anything any more.
    fn step_down(&self);
}
