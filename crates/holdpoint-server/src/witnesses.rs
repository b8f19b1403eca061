//! The cluster's witnesses: the leader has them sign each proven head.
//!
//! ```text
//! newest proven head ─▶ proof from the witness's last size ─▶ POST ─▶ signature verified ─▶ kept
//!                              ▲                                │
//!                              └── its last size ◀── conflict ──┘
//! ```
//!
//! One task for each witness, one question at a time, at most one a second. Followers hear from the
//! leader what was signed, and verify it. It is shown with the head to whoever asks any node for it and
//! is in no receipt; nothing in the cluster waits for witnesses.

mod ask;
mod follow;
mod seen;

use std::sync::Arc;

use futures_util::future::{join, join_all};
use holdpoint_core::{GroupId, Query};
use holdpoint_proto::v1;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, Name};
use tokio::time::{Instant, sleep, timeout};

use crate::config::WitnessEntry;
use crate::evaluate::ReadFault;
use crate::gate::Gate;
use crate::limits::{WITNESS_PERIOD, WITNESS_WAIT};
use crate::witness::wire::Submission;

use ask::Answer;
use seen::{Seen, Signed};

pub(crate) use follow::shown_to_nodes;

/// Times that one head is submitted before the next look: once to hear how far the witness is.
const TRIES: u32 = 2;

/// The witnesses of the cluster file, and what they signed as far as this node has seen it. Cheap to
/// clone; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Witnesses {
    entries: Arc<[WitnessEntry]>,
    seen: Seen,
}

impl Witnesses {
    pub(crate) fn new(entries: Vec<WitnessEntry>) -> Self {
        Self {
            entries: entries.into(),
            seen: Seen::default(),
        }
    }

    /// The head to show: the newest proven one with what witnesses signed of it; or for a moment the
    /// last one that they signed.
    pub(crate) fn shown(&self, namespace: &Name, newest: Note) -> Note {
        self.seen.shown(namespace, newest, Instant::now())
    }

    /// How far each witness is behind the newest proven head of `namespace`.
    pub(crate) fn statuses(
        &self,
        namespace: &Name,
        newest: Option<&Note>,
    ) -> Vec<v1::WitnessStatus> {
        let statuses = self.entries.iter().enumerate();
        statuses
            .map(|(place, entry)| {
                let now = Instant::now();
                self.seen.status(namespace, place, entry, newest, now)
            })
            .collect()
    }
}

/// Has every witness sign whenever this node leads, and hears of it whenever another does, for as long as
/// its group lives.
pub(crate) async fn run(gate: Arc<Gate>) {
    let witnesses = gate.witnesses();
    if witnesses.entries.is_empty() {
        return std::future::pending().await;
    }
    let each = witnesses.entries.iter().enumerate();
    let attending = join_all(each.map(|(place, entry)| attend(&gate, place, entry)));
    join(attending, follow::run(&gate)).await;
}

/// Has one witness sign.
async fn attend(gate: &Gate, place: usize, entry: &WitnessEntry) {
    let seen = &gate.witnesses().seen;
    let mut leadership = gate.group().leadership();
    loop {
        if leadership
            .wait_for(|now| now.leads().is_some())
            .await
            .is_err()
        {
            return;
        }
        for namespace in namespaces(gate) {
            let result = submit(gate, place, entry, &namespace).await;
            seen.learn_trouble(&namespace, place, result.err());
        }
        sleep(WITNESS_PERIOD).await;
        if leadership.borrow_and_update().leads().is_none() {
            // What it signs for the next leader is heard from that one.
            seen.forget(place);
        }
    }
}

/// The namespaces that have a log.
fn namespaces(gate: &Gate) -> Vec<Name> {
    let applied = gate.group().applied();
    let applied = applied.borrow();
    applied.tree_sizes.keys().cloned().collect()
}

/// Why a witness did not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    /// It did not answer.
    #[error("no answer in time")]
    Silent,
    /// It cannot be reached, or does not speak HTTP.
    #[error("{0}")]
    Unreachable(String),
    /// It refused.
    #[error("answered {status}: {sentence}")]
    Refused { status: u16, sentence: String },
    /// It signed with another key, or signed something else.
    #[error("its signature is not valid under the vkey of the cluster file")]
    Signature,
    /// It has signed more of this log than is proven here.
    #[error("it has signed a head of {size} leaves, more than are proven here")]
    Ahead { size: u64 },
    /// It has another head of the same size.
    #[error("it has signed another history: its head of {size} leaves is not this log's")]
    OtherHistory { size: u64 },
    /// The proof cannot be made.
    #[error("the proof for it cannot be made")]
    Proof,
}

/// Submits the newest proven head, unless the witness has signed it.
async fn submit(
    gate: &Gate,
    place: usize,
    entry: &WitnessEntry,
    namespace: &Name,
) -> Result<(), Trouble> {
    let seen = &gate.witnesses().seen;
    let Some(note) = gate.newest_proven(namespace) else {
        return Ok(());
    };
    if seen.has_signed(namespace, place, &note, Instant::now()) {
        return Ok(());
    }
    let head: Checkpoint = note.text().parse().map_err(|_| Trouble::Proof)?;
    let size = head.size.get();
    for _ in 0..TRIES {
        let old_size = seen.size(namespace, place);
        if old_size > size {
            return Err(Trouble::Ahead { size: old_size });
        }
        let submission = Submission {
            old_size,
            proof: proof(gate, namespace, old_size, size).await?,
            note: note.clone(),
        };
        let asked = timeout(WITNESS_WAIT, ask::submit(entry, &submission)).await;
        match asked.map_err(|_| Trouble::Silent)?? {
            Answer::Signed(line) => {
                let signed = Signed {
                    note,
                    size,
                    line,
                    at: Instant::now(),
                };
                seen.learn_signed(namespace, place, signed);
                return Ok(());
            }
            Answer::Conflict(told) if told == old_size => {
                tracing::error!(
                    witness = %entry.name, %namespace, size = told,
                    "ALARM: a witness has signed another history of this log"
                );
                return Err(Trouble::OtherHistory { size: told });
            }
            Answer::Conflict(told) => seen.learn_size(namespace, place, told),
        }
    }
    // It signs for somebody else at the same time; the next look finds how far it is.
    Ok(())
}

/// The proof that the log of `size` continues that of `old_size`.
async fn proof(
    gate: &Gate,
    namespace: &Name,
    old_size: u64,
    size: u64,
) -> Result<Vec<Digest>, Trouble> {
    if old_size == 0 || old_size == size {
        return Ok(Vec::new());
    }
    let (group, namespace) = (gate.group().clone(), namespace.clone());
    let read = gate.reads().run(move || {
        let proved = group.local_view(|view| {
            let state = Query::new(&view, GroupId::FIRST);
            let Some(log) = state.namespace(&namespace)? else {
                return Ok(None);
            };
            log.consistency(old_size, size)
        });
        proved.map_err(ReadFault::View).flatten()
    });
    match timeout(WITNESS_WAIT, read).await {
        Ok(Ok(Ok(Some(proof)))) => Ok(proof),
        _ => Err(Trouble::Proof),
    }
}
