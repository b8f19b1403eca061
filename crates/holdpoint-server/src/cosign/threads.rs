//! The two threads of signing: one signs, which waits for the disk; one reads, for plans and receipts.

use std::fmt;
use std::sync::Arc;

use holdpoint_receipt::Name;
use holdpoint_receipt::note::Note;
use holdpoint_storage::{LogStore, StateStore};
use tokio::sync::{mpsc, oneshot};

use super::error::SignError;
use super::heads::{Head, Proven};
use super::prover::{Answer, Want};
use super::reader::{Plan, Reader};
use super::signer::{SignHead, Signed, Signer};
use crate::limits::{SIGN_BATCH_MAX, SIGN_QUEUE_MAX};

type Reply<T> = oneshot::Sender<Result<T, SignError>>;

enum SignJob {
    Sign(SignHead, Reply<Signed>),
    LearnPast(Vec<(Name, Head)>, Reply<()>),
}

enum ReadJob {
    Plan(Name, Reply<Plan>),
    Learn(Name, Note, Reply<Arc<Proven>>),
    Remember(Name, Arc<Proven>),
    Receipts(Name, Vec<(u64, oneshot::Sender<Answer>)>, Arc<Proven>),
}

/// Hands work to the two threads. Cheap to clone; the threads end with the last handle.
#[derive(Clone)]
pub(crate) struct Desk {
    sign: mpsc::Sender<SignJob>,
    read: mpsc::UnboundedSender<ReadJob>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start<S: StateStore, L: LogStore>(
        signer: Signer<S, L>,
        reader: Reader<S, L>,
    ) -> std::io::Result<Self> {
        let (sign, sign_jobs) = mpsc::channel(SIGN_QUEUE_MAX);
        // INVARIANT: what is in this queue is bounded by who waits: the calls that were admitted, one
        // round for each namespace, and the questions that other nodes may ask at once.
        let (read, read_jobs) = mpsc::unbounded_channel();
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("cosign").spawn(move || run_signer(signer, sign_jobs))?;
        thread("prove").spawn(move || run_reader(&reader, read_jobs))?;
        Ok(Self { sign, read })
    }

    /// Has a head signed with this node's keys.
    pub(crate) async fn sign(&self, asked: SignHead) -> Result<Signed, SignError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.sign.send(SignJob::Sign(asked, reply)).await;
        sent.map_err(|_| SignError::Stopped)?;
        answer.await.map_err(|_| SignError::Stopped)?
    }

    /// Tells the signer what it signed before this process, as others know it.
    pub(crate) async fn learn_past(&self, past: Vec<(Name, Head)>) -> Result<(), SignError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.sign.send(SignJob::LearnPast(past, reply)).await;
        sent.map_err(|_| SignError::Stopped)?;
        answer.await.map_err(|_| SignError::Stopped)?
    }

    /// What the head is now, and who must sign it.
    pub(crate) async fn plan(&self, namespace: &Name) -> Result<Plan, SignError> {
        self.ask(|reply| ReadJob::Plan(namespace.clone(), reply))
            .await
    }

    /// Takes a note that is said to be a proven head.
    pub(crate) async fn learn(
        &self,
        namespace: &Name,
        note: Note,
    ) -> Result<Arc<Proven>, SignError> {
        self.ask(|reply| ReadJob::Learn(namespace.clone(), note, reply))
            .await
    }

    /// Has a proven head written down. Nothing waits for it.
    pub(crate) fn remember(&self, namespace: &Name, proven: &Arc<Proven>) {
        let job = ReadJob::Remember(namespace.clone(), Arc::clone(proven));
        drop(self.read.send(job));
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> ReadJob) -> Result<T, SignError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.read.send(job(reply));
        sent.map_err(|_| SignError::Stopped)?;
        answer.await.map_err(|_| SignError::Stopped)?
    }

    /// Answers wants that `proven` covers.
    pub(crate) fn deliver(&self, namespace: &Name, wants: Vec<Want>, proven: &Arc<Proven>) {
        let mut receipts = Vec::new();
        for want in wants {
            match want {
                Want::Receipt { leaf, reply, .. } => receipts.push((leaf, reply)),
                // Whoever stopped waiting has given it up.
                Want::Cover { reply, .. } => drop(reply.send(Ok(Arc::clone(proven)))),
            }
        }
        if !receipts.is_empty() {
            let job = ReadJob::Receipts(namespace.clone(), receipts, Arc::clone(proven));
            // Without the thread the replies are dropped, and whoever waits learns that.
            drop(self.read.send(job));
        }
    }
}

fn run_signer<S: StateStore, L: LogStore>(
    mut signer: Signer<S, L>,
    mut jobs: mpsc::Receiver<SignJob>,
) {
    while let Some(job) = jobs.blocking_recv() {
        // Whoever stopped waiting has given it up.
        match job {
            SignJob::Sign(_, reply) if reply.is_closed() => (),
            SignJob::Sign(asked, reply) => drop(reply.send(signer.sign(&asked))),
            SignJob::LearnPast(past, reply) => drop(reply.send(signer.learn_past(&past))),
        }
    }
}

fn run_reader<S: StateStore, L: LogStore>(
    reader: &Reader<S, L>,
    mut jobs: mpsc::UnboundedReceiver<ReadJob>,
) {
    reader.recall();
    let mut batch = Vec::new();
    while jobs.blocking_recv_many(&mut batch, SIGN_BATCH_MAX) > 0 {
        for job in batch.drain(..) {
            match job {
                ReadJob::Plan(namespace, reply) => drop(reply.send(reader.plan(&namespace))),
                ReadJob::Learn(namespace, note, reply) => {
                    drop(reply.send(reader.learn(&namespace, &note)));
                }
                ReadJob::Remember(namespace, proven) => reader.remember(&namespace, &proven.note),
                ReadJob::Receipts(namespace, wanted, proven) => {
                    receipts(reader, &namespace, wanted, &proven);
                }
            }
        }
    }
}

fn receipts<S: StateStore, L: LogStore>(
    reader: &Reader<S, L>,
    namespace: &Name,
    mut wanted: Vec<(u64, oneshot::Sender<Answer>)>,
    proven: &Proven,
) {
    wanted.retain(|(_, reply)| !reply.is_closed());
    let leaves: Vec<u64> = wanted.iter().map(|(leaf, _)| *leaf).collect();
    let answers = reader.receipts(namespace, &leaves, proven);
    for ((_, reply), answer) in wanted.into_iter().zip(answers) {
        drop(reply.send(answer));
    }
}
