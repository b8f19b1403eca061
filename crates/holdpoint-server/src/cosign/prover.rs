//! Has heads proven, for whoever waits for one.
//!
//! ```text
//! wants ─▶ proven already? ─ yes ─▶ receipts ─▶ answers
//!             │ no
//!             ▼
//!   one round a namespace at a time: ask all signers, take the first who are enough ─▶ proven
//!   (a node that does not lead asks the leader for a proven head instead)
//! ```
//!
//! Everything that came while a round was on is served by the next one, so there is one round for each
//! batch however many wait. A round that fails is repeated while somebody waits. Nothing here decides,
//! and nothing here signs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use holdpoint_receipt::Name;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::attempt::Attempt;
use super::error::SignError;
use super::heads::Proven;
use super::threads::Desk;
use crate::limits::SIGN_BATCH_MAX;

/// How long to wait before a round that failed is repeated.
const PAUSE: Duration = Duration::from_millis(50);

/// The receipt file of a statement, or why there is none.
pub(crate) type Answer = Result<Vec<u8>, SignError>;

/// A round that runs, and what came of it.
type Round = BoxFuture<'static, (Name, Result<Arc<Proven>, SignError>)>;

/// What is wanted.
#[derive(Debug)]
pub(crate) enum Want {
    /// The receipt of the statement at a leaf.
    Receipt {
        /// The namespace.
        namespace: Name,
        /// The leaf.
        leaf: u64,
        /// Who waits for it.
        reply: oneshot::Sender<Answer>,
    },
    /// A proven head of at least so many leaves.
    Cover {
        /// The namespace.
        namespace: Name,
        /// The leaves.
        size: u64,
        /// Who waits for it.
        reply: oneshot::Sender<Result<Arc<Proven>, SignError>>,
    },
}

impl Want {
    const fn namespace(&self) -> &Name {
        match self {
            Self::Receipt { namespace, .. } | Self::Cover { namespace, .. } => namespace,
        }
    }

    /// The smallest head that will do.
    const fn size(&self) -> u64 {
        match self {
            Self::Receipt { leaf, .. } => leaf.saturating_add(1),
            Self::Cover { size, .. } => *size,
        }
    }

    /// Whether nobody waits any more.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Receipt { reply, .. } => reply.is_closed(),
            Self::Cover { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, error: SignError) {
        // Whoever stopped waiting has given it up.
        match self {
            Self::Receipt { reply, .. } => drop(reply.send(Err(error))),
            Self::Cover { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// The task that serves wants. It ends with the last handle that can send one.
pub(crate) struct Prover {
    desk: Desk,
    attempt: Arc<Attempt>,
    waiting: BTreeMap<Name, Vec<Want>>,
    running: FuturesUnordered<Round>,
    /// The namespaces that have a round on.
    busy: BTreeSet<Name>,
}

impl Prover {
    pub(crate) fn new(desk: Desk, attempt: Arc<Attempt>) -> Self {
        Self {
            desk,
            attempt,
            waiting: BTreeMap::new(),
            running: FuturesUnordered::new(),
            busy: BTreeSet::new(),
        }
    }

    /// Serves what comes, until nobody can ask any more.
    pub(crate) async fn run(mut self, mut wants: mpsc::Receiver<Want>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = wants.recv_many(&mut batch, SIGN_BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    for want in batch.drain(..) {
                        self.waiting.entry(want.namespace().clone()).or_default().push(want);
                    }
                    let names: Vec<Name> = self.waiting.keys().cloned().collect();
                    for namespace in names {
                        self.serve(&namespace);
                    }
                }
                Some((namespace, result)) = self.running.next() => {
                    self.busy.remove(&namespace);
                    self.ended(&namespace, &result);
                }
            }
        }
    }

    /// A round ended.
    fn ended(&mut self, namespace: &Name, result: &Result<Arc<Proven>, SignError>) {
        self.attempt.standing().tried(result);
        if let Err(error) = result
            && error.is_final()
        {
            for want in self.waiting.remove(namespace).into_iter().flatten() {
                want.refuse(error.clone());
            }
            return;
        }
        self.serve(namespace);
    }

    /// Answers those whom the newest proven head serves, and has a new one made for the others.
    fn serve(&mut self, namespace: &Name) {
        let Some(mut waiting) = self.waiting.remove(namespace) else {
            return;
        };
        waiting.retain(|want| !want.is_given_up());
        if let Some(proven) = self.attempt.heads().newest(namespace) {
            let covered = |want: &mut Want| want.size() <= proven.head.size;
            let served: Vec<Want> = waiting.extract_if(.., covered).collect();
            self.desk.deliver(namespace, served, &proven);
        }
        let Some(wanted) = waiting.iter().map(Want::size).max() else {
            return;
        };
        self.waiting.insert(namespace.clone(), waiting);
        if self.busy.insert(namespace.clone()) {
            let (attempt, namespace) = (Arc::clone(&self.attempt), namespace.clone());
            let round = async move {
                let result = attempt.prove(&namespace, wanted).await;
                if result.as_ref().is_err_and(|error| !error.is_final()) {
                    sleep(PAUSE).await;
                }
                (namespace, result)
            };
            self.running.push(round.boxed());
        }
    }
}
