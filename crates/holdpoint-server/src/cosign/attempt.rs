//! One attempt to have a head proven: a round of this node's own if it leads, else a question to who
//! does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdpoint_core::command::RecordHandover;
use holdpoint_raft::Clock;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{ClusterId, Name, NodeId};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::epochs::Wanted;
use super::error::SignError;
use super::heads::{Head, Proven, ProvenHeads};
use super::nodes::{Answer, Lead, Nodes};
use super::quick::Quick;
use super::reader::Plan;
use super::round::{self, Collected, Questions, Table};
use super::signer::{SignHead, Signed};
use super::standing::Standing;
use super::threads::Desk;

/// How long another node may take to sign. It waits for a part of that until it has applied enough.
pub(super) const SIGN_WAIT: Duration = Duration::from_secs(1);

/// How long a leader may take to prove a head for another node.
const WANT_WAIT: Duration = Duration::from_secs(3);

/// How long this node waits until it has applied what another one has signed already.
const CATCH_UP: Duration = Duration::from_millis(500);

/// How often a round is begun anew because somebody has signed a larger head.
const LARGER_MAX: usize = 4;

/// How often a node that cannot prove anything any more lets another one lead, while it does.
const GIVE_UP_EVERY: Duration = Duration::from_secs(3);

/// What an attempt needs.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) desk: Desk,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) heads: ProvenHeads,
    pub(crate) standing: Standing,
    pub(crate) applied: watch::Receiver<holdpoint_raft::Applied>,
    /// Who is asked first.
    pub(crate) quick: Quick,
    /// When this node last let another one lead.
    pub(crate) gave_up_at: Mutex<Option<Instant>>,
}

impl Attempt {
    pub(crate) const fn heads(&self) -> &ProvenHeads {
        &self.heads
    }

    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Has a head of at least `at_least` leaves proven.
    pub(crate) async fn prove(
        &self,
        namespace: &Name,
        at_least: u64,
    ) -> Result<Arc<Proven>, SignError> {
        match self.nodes.lead() {
            Lead::Unknown => Err(SignError::NoLeader),
            Lead::Own => self.lead(namespace, at_least).await,
            Lead::Other(leader) => self.follow(leader, namespace, at_least).await,
        }
    }

    /// Asks who leads.
    async fn follow(
        &self,
        leader: NodeId,
        namespace: &Name,
        at_least: u64,
    ) -> Result<Arc<Proven>, SignError> {
        let asked = self
            .nodes
            .want_head(leader, namespace.clone(), at_least, WANT_WAIT);
        let note = asked.await.ok_or(SignError::NoLeader)?;
        self.desk.learn(namespace, note).await
    }

    /// Collects signatures.
    async fn lead(&self, namespace: &Name, at_least: u64) -> Result<Arc<Proven>, SignError> {
        if let Some(diverged) = self.standing.diverged() {
            // It may have learned that while another node led, and have been elected since.
            self.give_leadership_up();
            return Err(SignError::Diverged(diverged));
        }
        let mut floor = at_least;
        for _ in 0..LARGER_MAX {
            self.caught_up(namespace, floor).await?;
            let plan = self.desk.plan(namespace).await?;
            self.standing.began_round();
            match self.collect(namespace, &plan).await? {
                Collected::Enough {
                    note,
                    handover,
                    signers,
                } => {
                    if let Some(handover) = handover {
                        self.record(namespace, &plan, handover.to_string()).await?;
                    }
                    return Ok(self.raise(namespace, plan.head, note, signers));
                }
                Collected::Larger(size) => floor = floor.max(size),
                Collected::Contradicted => {
                    tracing::error!(
                        %namespace, size = plan.head.size, root = %plan.head.root,
                        "ALARM: too many other nodes have another log of statements; this node stops \
                         signing and leading"
                    );
                    let diverged = self.standing.diverge(namespace);
                    self.give_leadership_up();
                    return Err(diverged);
                }
                Collected::TooFew { signed, needed } => {
                    return Err(SignError::TooFew { signed, needed });
                }
            }
        }
        Err(SignError::TooFew {
            signed: 0,
            needed: 1,
        })
    }

    /// Lets another node lead, unless that is under way.
    fn give_leadership_up(&self) {
        let now = Instant::now();
        let mut last = self
            .gave_up_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now.saturating_duration_since(last) >= GIVE_UP_EVERY) {
            *last = Some(now);
            self.nodes.step_down();
        }
    }

    /// Collects the signatures under `plan`'s head.
    async fn collect(&self, namespace: &Name, plan: &Plan) -> Result<Collected, SignError> {
        let (first, spare) = self.quick.split(&plan.due, self.node);
        let asked_first: Vec<NodeId> = first.iter().map(|wanted| wanted.node).collect();
        let ask = |wanted: Vec<Wanted>| -> Vec<round::Asked> {
            let asked = wanted.into_iter();
            asked
                .map(|wanted| self.asked(namespace, plan, wanted))
                .collect()
        };
        let questions = Questions {
            first: ask(first),
            spare: ask(spare),
        };
        let table = Table {
            cluster: &self.cluster,
            own: self.node,
            plan,
            clock: &self.clock,
            standing: &self.standing,
        };
        let collected = round::collect(table, questions).await;
        let (collected, was_late) = collected.map_err(SignError::fault)?;
        match &collected {
            Collected::Enough { signers, .. } if was_late => self.quick.late(&asked_first, signers),
            Collected::Enough { signers, .. } => self.quick.in_time(signers),
            _ => (),
        }
        Ok(collected)
    }

    /// Makes the head known to whoever waits. It was verified as it was collected.
    fn raise(&self, namespace: &Name, head: Head, note: Note, signers: Vec<NodeId>) -> Arc<Proven> {
        let proven = Arc::new(Proven {
            head,
            note,
            signers,
        });
        if self.heads.raise(namespace, &proven) {
            self.desk.remember(namespace, &proven);
        }
        proven
    }

    /// One signature, asked for.
    fn asked(&self, namespace: &Name, plan: &Plan, wanted: Wanted) -> round::Asked {
        let asked = SignHead {
            namespace: namespace.clone(),
            head: plan.head,
            epoch_from: wanted.epoch_from,
        };
        let answer = if wanted.node == self.node {
            self.own(asked)
        } else {
            let proven = self.heads.newest(namespace);
            let proven = proven.map(|proven| proven.note.clone());
            self.nodes.sign_head(wanted.node, asked, proven, SIGN_WAIT)
        };
        (wanted, answer)
    }

    fn own(&self, asked: SignHead) -> futures_util::future::BoxFuture<'static, Option<Answer>> {
        let desk = self.desk.clone();
        let standing = self.standing.clone();
        Box::pin(async move {
            let signed = desk.sign(asked).await;
            standing.tried(&signed);
            Some(answer(signed))
        })
    }

    /// Waits until this node has applied `size` leaves.
    async fn caught_up(&self, namespace: &Name, size: u64) -> Result<(), SignError> {
        let mut applied = self.applied.clone();
        let has = |applied: &holdpoint_raft::Applied| {
            let found = applied.tree_sizes.get(namespace);
            found.copied().unwrap_or(0) >= size
        };
        match timeout(CATCH_UP, applied.wait_for(has)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(SignError::Stopped),
            Err(_) => Err(SignError::Behind {
                namespace: namespace.clone(),
                signed: size,
                applied: self
                    .applied
                    .borrow()
                    .tree_sizes
                    .get(namespace)
                    .copied()
                    .unwrap_or(0),
            }),
        }
    }

    /// Has the handover to the plan's epoch recorded: nothing leaves under it before.
    async fn record(&self, namespace: &Name, plan: &Plan, note: String) -> Result<(), SignError> {
        let command = RecordHandover {
            namespace: namespace.clone(),
            tree_size_from: plan.due.epoch.tree_size_from.get(),
            note: note.into_bytes(),
        };
        if self.nodes.record_handover(command).await {
            tracing::info!(%namespace, from = %plan.due.epoch.tree_size_from, "the keys were handed over");
            Ok(())
        } else {
            Err(SignError::NoLeader)
        }
    }
}

/// What a signing thread said, as other nodes hear it.
pub(super) fn answer(signed: Result<Signed, SignError>) -> Answer {
    match signed {
        Ok(Signed::Signature(signature)) => match signature.signed() {
            Some(signed) => Answer::Signature(signed),
            None => Answer::Refused("fault".to_owned()),
        },
        Ok(Signed::Larger(head)) => Answer::Larger(head),
        Ok(Signed::NotYet(applied)) => Answer::NotYet(applied),
        Ok(Signed::Mismatch(root)) => Answer::Mismatch(root),
        Err(error) => Answer::Refused(error.word().to_owned()),
    }
}
