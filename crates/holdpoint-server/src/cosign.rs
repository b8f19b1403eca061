//! Signs heads of this node's own applied trees, and makes receipts under them.
//!
//! ```text
//! requests ──▶ queue ──▶ one thread: take all that wait ─▶ one view ─▶ one head a namespace
//!                                     ─▶ remembered durably ─▶ signed ─▶ a receipt for each
//! ```
//!
//! One signature serves everybody who waits. A head is signed only if it is this node's own, and
//! consistent with the last one that this node signed, which is on disk before the signature leaves.
//! A tree that contradicts what was signed means divergence or a lost disk: then nothing is ever
//! signed again by this process.
//!
//! Never decides anything, and never waits for another node (k = 1 in this version).

pub(crate) mod memory;
mod newest;
mod signer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use holdpoint_receipt::Name;
use holdpoint_receipt::note::Note;
use holdpoint_storage::{LogStore, StateStore};
use tokio::sync::{mpsc, oneshot};

pub(crate) use signer::{Identity, NOT_ANNOUNCED, SignError, Signer};

use crate::limits::{SIGN_BATCH_MAX, SIGN_QUEUE_MAX};

use newest::Newest;

/// A receipt to make: the statement at a leaf of a namespace's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The leaf.
    pub(crate) leaf: u64,
}

type Answer = Result<Vec<u8>, SignError>;

/// Asks the signing thread. Cheap to clone; the thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Cosigner {
    queue: mpsc::Sender<(Wanted, oneshot::Sender<Answer>)>,
    trouble: Trouble,
    heads: Newest,
}

/// What kept the node from signing when it last tried; none if it signed.
#[derive(Clone, Debug, Default)]
struct Trouble(Arc<Mutex<Option<SignError>>>);

impl Trouble {
    fn get(&self) -> Option<SignError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn learn(&self, answer: &Answer) {
        // Asking for what does not exist says nothing of the node, and whether it is announced is in
        // the state.
        if matches!(
            answer,
            Err(SignError::NoStatement { .. } | SignError::NotAnnounced)
        ) {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer.as_ref().err().cloned();
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cosigner")
    }
}

impl Cosigner {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start<S: StateStore, L: LogStore>(signer: Signer<S, L>) -> std::io::Result<Self> {
        let (queue, wanted) = mpsc::channel(SIGN_QUEUE_MAX);
        let (trouble, heads) = (Trouble::default(), Newest::default());
        std::thread::Builder::new()
            .name("cosign".to_owned())
            .spawn({
                let (trouble, heads) = (trouble.clone(), heads.clone());
                move || run(signer, wanted, &trouble, &heads)
            })?;
        Ok(Self {
            queue,
            trouble,
            heads,
        })
    }

    /// What kept the node from signing when it last tried; none if it signed, or never tried.
    pub(crate) fn trouble(&self) -> Option<SignError> {
        self.trouble.get()
    }

    /// The newest head of `namespace` that is proven, which with k = 1 this node's own signature does;
    /// none before the first.
    pub(crate) fn newest(&self, namespace: &Name) -> Option<Note> {
        self.heads.of(namespace)
    }

    /// The receipt file of a statement that is in this node's applied state.
    ///
    /// # Errors
    ///
    /// [`SignError`]. The statement stands whatever happens here; only its proof is missing.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the receipt.
    pub(crate) async fn receipt(&self, namespace: &Name, leaf: u64) -> Answer {
        let (reply, answer) = oneshot::channel();
        let wanted = Wanted {
            namespace: namespace.clone(),
            leaf,
        };
        self.queue
            .send((wanted, reply))
            .await
            .map_err(|_| SignError::Stopped)?;
        answer.await.map_err(|_| SignError::Stopped)?
    }
}

/// The thread's life: waits for one request, takes all others that wait, answers them together.
fn run<S: StateStore, L: LogStore>(
    mut signer: Signer<S, L>,
    mut queue: mpsc::Receiver<(Wanted, oneshot::Sender<Answer>)>,
    trouble: &Trouble,
    heads: &Newest,
) {
    let mut batch = Vec::new();
    while queue.blocking_recv_many(&mut batch, SIGN_BATCH_MAX) > 0 {
        let (wanted, replies): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .filter(|(_, reply)| !reply.is_closed())
            .unzip();
        let answers = signer.receipts(&wanted);
        for (namespace, note) in signer.notes() {
            heads.learn(namespace, note.clone());
        }
        for (reply, answer) in replies.into_iter().zip(answers) {
            trouble.learn(&answer);
            // Whoever stopped waiting has given up the receipt.
            let _ = reply.send(answer);
        }
    }
}
