//! One request, one way: evaluate, propose, prove, answer.
//!
//! ```text
//! api ─▶ admit ─▶ evaluate (pool) ─▶ propose (raft) ─▶ outcome ─▶ cosign ─▶ api
//! ```
//!
//! Nothing here calls back into an earlier step, except that an attempt whose policy or facts moved
//! is evaluated again a few times. Every wait ends at the request's deadline, and every answer says
//! whether it is certain that nothing happened. This module never decides: the outcome of the log
//! does.

mod approvals;
mod authorize;
mod change;
mod history;
mod keys;
mod listing;
mod log;
mod members;
mod operation;
mod park;
mod policy;
mod read;
mod refusals;
mod settle;
mod shadow;
mod status;
mod watch;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::command::Command;
use holdpoint_core::outcome::{ActivateOutcome, Statement, SweepOutcome};
use holdpoint_core::{GroupId, Outcome, Query};
use holdpoint_raft::{Clock, Group, Leadership, ProposeError, ReadError, StateView};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{ClusterTime, Name, Reason};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub(crate) use authorize::Asked;
pub(crate) use read::ReceiptSubject;
pub(crate) use status::OwnIdentity;

use crate::admit::{Admission, Admitted, Lane};
use crate::audit::Audit;
use crate::cosign::{Cosigner, SignError};
use crate::evaluate::Evaluator;
use crate::limits::{EXPORTING_MAX, LEADER_WAIT, WATCHING_MAX};
use crate::members::Members;
use crate::neighbours::Neighbours;
use crate::policies::Policies;
use crate::pool::{Pool, PoolError};
use crate::quorum::Quorum;
use crate::refused::Refused;
use crate::shadow::Shadows;
use crate::waiting::WaitingCalls;
use crate::witnesses::Witnesses;

/// What a gate is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// What this node says of itself.
    pub(crate) own: OwnIdentity,
    /// The nodes of the cluster.
    pub(crate) members: Members,
    /// The group of every namespace.
    pub(crate) group: Group,
    /// This node's clocks.
    pub(crate) clock: Arc<dyn Clock>,
    /// Signs heads.
    pub(crate) cosigner: Cosigner,
    /// Threads for policy evaluation.
    pub(crate) evaluations: Pool,
    /// Threads for reads.
    pub(crate) reads: Pool,
    /// Asks the policies.
    pub(crate) evaluator: Arc<dyn Evaluator>,
    /// Asks the bundles that are evaluated for comparison.
    pub(crate) shadows: Shadows,
    /// Evaluates what other leaders decided.
    pub(crate) audit: Audit,
    /// Programs apart from the cluster that sign its heads.
    pub(crate) witnesses: Witnesses,
}

/// The gate, as one node serves it.
#[derive(Debug)]
pub(crate) struct Gate {
    parts: Parts,
    admission: Admission,
    policies: Arc<Policies>,
    quorum: Quorum,
    neighbours: Neighbours,
    waiting: WaitingCalls,
    watching: Arc<Semaphore>,
    exporting: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(parts: Parts) -> Self {
        let waiting = WaitingCalls::default();
        let heard = waiting.clone();
        let audit = parts.audit.clone();
        let is_first = parts.group.on_applied(Arc::new(move |entry| {
            let meant = entry.meant;
            heard.offered(&meant.offers);
            audit.fresh().applied(entry);
            // Claims of another policy are not this policy's bounds.
            if meant.outcomes.iter().any(puts_in_force) {
                heard.wake_all();
            }
        }));
        assert!(is_first, "a group has one gate");
        Self {
            parts,
            admission: Admission::new(),
            policies: Arc::default(),
            quorum: Quorum::default(),
            neighbours: Neighbours::default(),
            waiting,
            watching: Arc::new(Semaphore::new(WATCHING_MAX)),
            exporting: Arc::new(Semaphore::new(EXPORTING_MAX)),
        }
    }

    /// A place in `lane`.
    pub(crate) fn admit(&self, lane: Lane, wait: Duration) -> Result<Admitted, Refused> {
        Ok(self.admission.admit(lane, wait)?)
    }

    /// Admits nothing any more. What was admitted goes on.
    pub(crate) fn close(&self) {
        self.admission.close();
    }

    /// Resolves when every admitted request has its answer.
    pub(crate) async fn drained(&self) {
        while self.admission.in_flight() > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// What this node says of itself.
    pub(crate) fn own(&self) -> &OwnIdentity {
        &self.parts.own
    }

    /// The nodes of the cluster.
    pub(crate) fn members(&self) -> &Members {
        &self.parts.members
    }

    /// Which other nodes answered lately.
    pub(crate) fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// Calls that are held while their attempts wait.
    pub(crate) fn waiting(&self) -> &WaitingCalls {
        &self.waiting
    }

    /// Threads for reads.
    pub(crate) fn reads(&self) -> &Pool {
        &self.parts.reads
    }

    /// The newest proven head of a namespace's log, as far as this node knows: nothing beyond it is
    /// shown to the public. None before the first.
    pub(crate) fn newest_proven(&self, namespace: &Name) -> Option<Note> {
        self.parts.cosigner.newest(namespace)
    }

    /// Takes a note that another node says is a proven head, once it is found to be one; says how many
    /// leaves it has.
    pub(crate) async fn learn_head(&self, namespace: &Name, note: Note) -> Result<u64, SignError> {
        let proven = self.parts.cosigner.learn(namespace, note).await?;
        Ok(proven.head.size)
    }

    /// The head that is shown to the public: proven, and signed by witnesses where they did.
    pub(crate) fn published_head(&self, namespace: &Name) -> Option<Note> {
        let newest = self.newest_proven(namespace)?;
        Some(self.parts.witnesses.shown(namespace, newest))
    }

    /// Asks the policies.
    pub(crate) fn evaluator(&self) -> &Arc<dyn Evaluator> {
        &self.parts.evaluator
    }

    /// Evaluates what other leaders decided.
    pub(crate) fn audit(&self) -> &Audit {
        &self.parts.audit
    }

    /// Programs apart from the cluster that sign its heads.
    pub(crate) fn witnesses(&self) -> &Witnesses {
        &self.parts.witnesses
    }

    /// Asks again and again whether a majority confirms this node's leadership.
    pub(crate) async fn watch_quorum(&self) {
        self.quorum.watch(&self.parts.group).await;
    }

    /// The group.
    pub(crate) fn group(&self) -> &Group {
        &self.parts.group
    }

    /// Cluster time as this node's wall clock has it. Where it matters, the log compares.
    fn wall(&self) -> ClusterTime {
        ClusterTime::new(self.parts.clock.wall_ms()).unwrap_or(ClusterTime::MAX)
    }

    /// The same for an attempt that has just come: while there is no leader its turn has not begun.
    pub(crate) async fn lead_first(&self, admitted: &mut Admitted) -> Result<(), Refused> {
        let is_known = *self.parts.group.leadership().borrow() != Leadership::Unknown;
        self.lead(admitted).await?;
        if !is_known {
            self.admission.begin(admitted);
        }
        Ok(())
    }

    /// Waits a moment for a leader, and refuses if that is another node.
    ///
    /// Nothing has been proposed yet, so the refusal is certain.
    pub(crate) async fn lead(&self, admitted: &Admitted) -> Result<(), Refused> {
        let until = admitted.deadline().min(Instant::now() + LEADER_WAIT);
        let mut leadership = self.parts.group.leadership();
        let known = timeout_at(
            until,
            leadership.wait_for(|known| *known != Leadership::Unknown),
        )
        .await;
        match known {
            Ok(Ok(known)) if known.leads().is_some() => Ok(()),
            Ok(Ok(_)) => Err(self.not_leader(false)),
            Ok(Err(_)) => Err(Refused::never(Reason::NotLeader).saying(STOPPING)),
            Err(_) => Err(self.no_quorum(false)),
        }
    }

    /// Proposes `command` and waits for its outcome. Nothing is proposed for a caller that has given up.
    async fn propose(&self, command: Command, admitted: &Admitted) -> Result<Outcome, Refused> {
        if admitted.is_late() {
            return Err(Refused::never(Reason::Timeout));
        }
        let left = admitted.left();
        let committed = self.parts.group.propose(command, left).await;
        match committed.map(holdpoint_raft::Committed::into_value) {
            Ok(Outcome::Rejected(rejection)) => {
                Err(Refused::never(rejection.reason()).saying(format!("{rejection}.")))
            }
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(self.not_proposed(&error, left)),
        }
    }

    fn not_proposed(&self, error: &ProposeError, waited: Duration) -> Refused {
        let may_have_committed = error.may_have_committed();
        match error {
            ProposeError::Overloaded { .. } => Refused::never(Reason::Overloaded),
            ProposeError::TooLarge(_) => {
                Refused::never(Reason::InvalidRequest).saying(format!("{error}."))
            }
            ProposeError::NotLeader { .. } => self.not_leader(may_have_committed),
            ProposeError::Timeout { .. } => self.timed_out(waited),
            ProposeError::ShuttingDown { .. } => {
                open(may_have_committed, Reason::NotLeader).saying(STOPPING)
            }
        }
    }

    /// Waits until what this node has applied is as current as the call.
    async fn read_index(&self, admitted: &Admitted) -> Result<(), Refused> {
        self.lead(admitted).await?;
        let left = admitted.left();
        self.parts
            .group
            .read_index(left)
            .await
            .map(|_| ())
            .map_err(|error| match error {
                ReadError::Overloaded { .. } => Refused::never(Reason::Overloaded),
                ReadError::NotLeader { .. } => self.not_leader(false),
                ReadError::NoQuorum => self.no_quorum(false),
                ReadError::Timeout { .. } => self.timed_out(left).certainly_without_effect(),
                ReadError::ShuttingDown => Refused::never(Reason::NotLeader).saying(STOPPING),
            })
    }

    /// Reads the applied state on a pool thread: one consistent view.
    async fn look_on<T, E>(
        &self,
        pool: &Pool,
        admitted: &Admitted,
        look: impl FnOnce(&Query<'_, StateView<'_>>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Refused>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let group = self.parts.group.clone();
        let work = move || group.local_view(|view| look(&Query::new(&view, GroupId::FIRST)));
        match self.work_on(pool, admitted, work).await? {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(fault(&error)),
            Err(error) => Err(fault(&error)),
        }
    }

    /// Reads the applied state.
    async fn look<T: Send + 'static>(
        &self,
        admitted: &Admitted,
        look: impl FnOnce(&Query<'_, StateView<'_>>) -> Result<T, crate::evaluate::ReadFault>
        + Send
        + 'static,
    ) -> Result<T, Refused> {
        self.look_on(&self.parts.reads, admitted, look).await
    }

    /// Does work on a pool thread, unless its time is over when its turn comes. Nothing is proposed by
    /// it, so a refusal is certain.
    async fn work_on<T: Send + 'static>(
        &self,
        pool: &Pool,
        admitted: &Admitted,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let deadline = admitted.deadline();
        // The runtime may be too busy to end the waiting: then the work itself says that it is late.
        let in_time = move || (Instant::now() < deadline).then(work);
        match timeout_at(deadline, pool.run(in_time)).await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Err(PoolError::Full)) => Err(Refused::never(Reason::Overloaded)),
            Ok(Err(error @ PoolError::Died)) => Err(fault(&error)),
            Ok(Ok(None)) | Err(_) => Err(Refused::never(Reason::Timeout)),
        }
    }

    /// The proof of a statement that an outcome named.
    ///
    /// Without it there is no answer: what was decided stands, and the retry finds it.
    async fn receipt(
        &self,
        namespace: &Name,
        statement: &Statement,
        admitted: &Admitted,
    ) -> Result<Vec<u8>, Refused> {
        self.receipt_of_leaf(namespace, statement.leaf, admitted)
            .await
            .map_err(Refused::in_doubt)
    }

    /// The proof of the statement at a leaf of the applied state.
    async fn receipt_of_leaf(
        &self,
        namespace: &Name,
        leaf: u64,
        admitted: &Admitted,
    ) -> Result<Vec<u8>, Refused> {
        let receipt = self.parts.cosigner.receipt(namespace, leaf);
        match timeout_at(admitted.deadline(), receipt).await {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(error)) => Err(self.unproven(Some(&error))),
            Err(_) => Err(self.unproven(None)),
        }
    }

    /// Why a statement has no proof in time: `error`, or what keeps heads from being signed now.
    fn unproven(&self, error: Option<&SignError>) -> Refused {
        if let Some(SignError::Fault(fault)) = error {
            return self::fault(fault);
        }
        let refused = Refused::never(Reason::NoSignatures);
        let trouble = error
            .cloned()
            .or_else(|| self.parts.cosigner.standing().trouble());
        match trouble {
            Some(trouble) => refused.saying(format!(
                "The decision cannot be proved yet: {trouble}; repeat with the same key to learn of \
                 it."
            )),
            None => refused,
        }
    }

    fn unexpected(&self, outcome: &Outcome) -> Refused {
        tracing::error!(?outcome, node = %self.parts.own.node, "a command had another's outcome");
        Refused::unknown(Reason::Internal)
    }
}

/// Whether an outcome put a policy in force.
const fn puts_in_force(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Activated(ActivateOutcome::Activated { .. })
            | Outcome::Swept(SweepOutcome {
                activated: Some(_),
                ..
            })
    )
}

/// How often the requests in flight are counted while the node stops.
const DRAIN_POLL: Duration = Duration::from_millis(10);

const STOPPING: &str = "This node is stopping; repeat with the same key at another node.";

/// A refusal that says whether the call may have had an effect.
fn open(may_have_committed: bool, reason: Reason) -> Refused {
    if may_have_committed {
        Refused::unknown(reason)
    } else {
        Refused::never(reason)
    }
}

/// A fault of this node before anything was proposed.
fn fault(error: &impl Display) -> Refused {
    tracing::error!(%error, "a request met a fault of this node");
    Refused::never(Reason::Internal)
}
