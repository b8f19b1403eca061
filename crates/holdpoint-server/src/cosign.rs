//! Proves statements: heads of the log of statements that enough nodes sign, and receipts under them.
//!
//! ```text
//! wants ─▶ prover (one round a namespace at a time)
//!            ├─ this node: own tree ─▶ remembered durably ─▶ signed          thread `cosign`
//!            ├─ other nodes: the same, each from its own applied state       questions between nodes
//!            └─ the first k that are valid ─▶ proven head ─▶ receipts         thread `prove`
//! ```
//!
//! One round serves everybody who waits. A node signs only heads of its own applied tree, consistent
//! with everything that it signed before; so a leader whose state was tampered with, that was deposed,
//! or whose key was stolen, proves nothing.
//!
//! Never decides anything. Without enough signatures there is no answer, and what was decided stands.

mod attempt;
pub(crate) mod channel;
mod epochs;
mod error;
mod heads;
mod install;
mod keyring;
mod memory;
mod nodes;
mod passage;
mod past;
mod prover;
mod quick;
mod reader;
mod refresh;
mod round;
mod service;
mod signer;
mod standing;
mod threads;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex};

use holdpoint_core::GroupId;
use holdpoint_raft::{Applied, Clock, Leadership, ProofGate};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{ClusterId, Name, NodeId};
use holdpoint_storage::{LogStore, StateStore};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use error::{NOT_ANNOUNCED, SignError};
pub(crate) use heads::{Proven, ProvenHeads};
pub(crate) use keyring::Keyring;
pub(crate) use nodes::{Lead, Nodes};
pub(crate) use service::Service;
pub(crate) use standing::Standing;

use attempt::Attempt;
use passage::Passage;
use prover::{Prover, Want};
use reader::Reader;
use signer::{Identity, Signer};
use threads::Desk;

use crate::limits::SIGN_QUEUE_MAX;

/// What signing rests on.
pub(crate) struct Ground<S, L> {
    /// The group of the namespaces.
    pub(crate) group: GroupId,
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// This node.
    pub(crate) node: NodeId,
    /// Its keys.
    pub(crate) keys: Keyring,
    /// Its applied state.
    pub(crate) state: Arc<S>,
    /// Where it remembers what it signed.
    pub(crate) log: Arc<L>,
    /// Its clocks.
    pub(crate) clock: Arc<dyn Clock>,
    /// The other nodes.
    pub(crate) nodes: Arc<dyn Nodes>,
    /// How far it has applied the log.
    pub(crate) applied: watch::Receiver<Applied>,
    /// Who leads.
    pub(crate) leadership: watch::Receiver<Leadership>,
}

/// What others of this node ask: other nodes, and its own raft.
pub(crate) type Doors = (Service, Arc<dyn ProofGate>);

/// Asks for proofs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cosigner {
    wants: mpsc::Sender<Want>,
    heads: ProvenHeads,
    standing: Standing,
    desk: Desk,
}

/// What serves a [`Cosigner`], to be run as long as the node takes part.
pub(crate) struct Work {
    prover: Prover,
    wants: mpsc::Receiver<Want>,
    refresh: (watch::Receiver<Applied>, ProvenHeads, mpsc::Sender<Want>),
    past: (Arc<dyn Nodes>, Desk, Vec<Name>),
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cosigner")
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

impl Work {
    /// Serves until nobody can ask any more.
    pub(crate) async fn run(self) {
        let Self {
            prover,
            wants,
            refresh: (applied, heads, refresh_wants),
            past: (nodes, desk, namespaces),
        } = self;
        tokio::join!(
            tell(heads.clone(), Arc::clone(&nodes)),
            prover.run(wants),
            refresh::run(applied, heads, refresh_wants),
            past::learn(nodes, desk, namespaces),
        );
    }
}

/// Tells raft whenever a larger head is proven.
async fn tell(heads: ProvenHeads, nodes: Arc<dyn Nodes>) {
    let mut moved = heads.moved();
    while moved.changed().await.is_ok() {
        nodes.proof_moved();
    }
}

impl Cosigner {
    /// Starts the threads, and returns what is to be run and what answers other nodes.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start<S: StateStore, L: LogStore>(
        ground: Ground<S, L>,
        namespaces: Vec<Name>,
    ) -> std::io::Result<(Self, Work, Doors)> {
        let (heads, standing) = (ProvenHeads::default(), Standing::default());
        let desk = desk(&ground, &heads, &standing)?;
        let passage = Passage {
            group: ground.group,
            cluster: ground.cluster,
            state: Arc::clone(&ground.state),
            log: Arc::clone(&ground.log),
            heads: heads.clone(),
        };
        let Ground {
            cluster,
            node,
            clock,
            nodes,
            applied,
            leadership,
            ..
        } = ground;
        let (wants, wanted) = mpsc::channel(SIGN_QUEUE_MAX);
        let service = Service {
            desk: desk.clone(),
            heads: heads.clone(),
            standing: standing.clone(),
            applied: applied.clone(),
            wants: wants.clone(),
            leadership,
            learned_at: Mutex::default(),
        };
        let attempt = Attempt {
            cluster,
            node,
            desk: desk.clone(),
            nodes: Arc::clone(&nodes),
            clock,
            heads: heads.clone(),
            standing: standing.clone(),
            applied: applied.clone(),
            quick: quick::Quick::default(),
            gave_up_at: Mutex::default(),
        };
        let work = Work {
            prover: Prover::new(desk.clone(), Arc::new(attempt)),
            wants: wanted,
            refresh: (applied, heads.clone(), wants.clone()),
            past: (nodes, desk.clone(), namespaces),
        };
        let cosigner = Self {
            wants,
            heads,
            standing,
            desk,
        };
        Ok((cosigner, work, (service, Arc::new(passage))))
    }

    /// Takes a note that another node says is a proven head, once it is found to be one.
    ///
    /// # Errors
    ///
    /// [`SignError`]: it is none, or this node has not applied as much yet, or has another log.
    pub(crate) async fn learn(
        &self,
        namespace: &Name,
        note: Note,
    ) -> Result<Arc<Proven>, SignError> {
        self.desk.learn(namespace, note).await
    }

    /// How this node stands with the log.
    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The newest proven head of `namespace`, as this node knows it; none before the first.
    pub(crate) fn newest(&self, namespace: &Name) -> Option<Note> {
        let proven = self.heads.newest(namespace)?;
        Some(proven.note.clone())
    }

    /// How many leaves of `namespace` are proven, as this node knows.
    pub(crate) fn proven_size(&self, namespace: &Name) -> Option<u64> {
        let proven = self.heads.newest(namespace)?;
        Some(proven.head.size)
    }

    /// The receipt file of a statement that is in this node's applied state.
    ///
    /// # Errors
    ///
    /// [`SignError`]. The statement stands whatever happens here; only its proof is missing.
    ///
    /// # Cancellation
    ///
    /// Waits until enough nodes have signed, however long that takes: the caller bounds it. Dropping the
    /// future gives up the receipt.
    pub(crate) async fn receipt(&self, namespace: &Name, leaf: u64) -> Result<Vec<u8>, SignError> {
        let (reply, answer) = oneshot::channel();
        let want = Want::Receipt {
            namespace: namespace.clone(),
            leaf,
            reply,
        };
        self.wants
            .send(want)
            .await
            .map_err(|_| SignError::Stopped)?;
        answer.await.map_err(|_| SignError::Stopped)?
    }

    /// A proven head of at least `size` leaves.
    ///
    /// # Errors
    ///
    /// As [`Cosigner::receipt`].
    ///
    /// # Cancellation
    ///
    /// As [`Cosigner::receipt`].
    pub(crate) async fn cover(
        &self,
        namespace: &Name,
        size: u64,
    ) -> Result<Arc<Proven>, SignError> {
        if let Some(proven) = self.heads.covering(namespace, size) {
            return Ok(proven);
        }
        let (reply, answer) = oneshot::channel();
        let want = Want::Cover {
            namespace: namespace.clone(),
            size,
            reply,
        };
        self.wants
            .send(want)
            .await
            .map_err(|_| SignError::Stopped)?;
        answer.await.map_err(|_| SignError::Stopped)?
    }
}

fn desk<S: StateStore, L: LogStore>(
    ground: &Ground<S, L>,
    heads: &ProvenHeads,
    standing: &Standing,
) -> std::io::Result<Desk> {
    let identity = Identity {
        cluster: ground.cluster,
        node: ground.node,
        keys: ground.keys.clone(),
    };
    let signer = Signer::new(
        ground.group,
        identity,
        (Arc::clone(&ground.state), Arc::clone(&ground.log)),
        Arc::clone(&ground.clock),
        standing.clone(),
    );
    let reader = Reader {
        group: ground.group,
        cluster: ground.cluster,
        state: Arc::clone(&ground.state),
        log: Arc::clone(&ground.log),
        clock: Arc::clone(&ground.clock),
        heads: heads.clone(),
        standing: standing.clone(),
        remembered_at: Mutex::default(),
        epoch: epochs::ParsedEpoch::default(),
    };
    Desk::start(signer, reader)
}
