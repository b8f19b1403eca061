//! Streams of the log of statements: in its order, without gaps, resumed anywhere by leaf index.
//!
//! ```text
//! applied ─▶ read a batch ─▶ a head over it is signed ─▶ filter ─▶ bounded channel ─▶ client
//! ```
//!
//! Every node serves them from what it has applied: what a majority has made durable. A statement
//! leaves only under a head that this node has signed, so what was seen once can never be denied. While
//! a client does not take what was sent, nothing more is read for it. Nothing is polled: the next entry
//! that grows the log wakes the stream.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::join_all;
use holdpoint_core::{GroupId, Query};
use holdpoint_proto::v1;
use holdpoint_receipt::{Body, Caller, Name, Reason, Statement};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Gate, fault};
use crate::api::WatchCall;
use crate::evaluate::ReadFault;
use crate::limits::{WATCH_AHEAD_MAX, WATCH_BATCH_MAX, WATCH_RECEIPTS_MAX};
use crate::listener::Call;
use crate::refused::Refused;
use crate::roles::{self, Role};

type Sender = mpsc::Sender<Result<v1::WatchResponse, Status>>;

/// How long a stream that has caught up lets statements gather.
const TOGETHER: Duration = Duration::from_millis(20);

/// Why a stream ends.
enum Ended {
    /// Nobody listens any more.
    ClientGone,
    /// It cannot go on.
    Refused {
        why: Refused,
        /// Where to resume.
        next_leaf: u64,
    },
}

/// Statements that stand together, in their order.
struct Batch {
    statements: Vec<(u64, Vec<u8>)>,
    /// The leaf after the last one that was looked at.
    next: u64,
}

/// What reading came to.
enum Found {
    Batch(Batch),
    /// Everything before this leaf is gone.
    Purged(u64),
    UnknownNamespace,
}

impl Gate {
    /// Streams statements until the client leaves, or this node cannot go on.
    pub(crate) fn watch(
        gate: Arc<Self>,
        (caller, answered): (Caller, Option<Call>),
        call: WatchCall,
    ) -> impl Stream<Item = Result<v1::WatchResponse, Status>> + Send + use<> {
        let (sender, receiver) = mpsc::channel(WATCH_AHEAD_MAX);
        let place = roles::require(&caller, Role::Auditor).and_then(|()| {
            let place = Arc::clone(&gate.watching).try_acquire_owned();
            place.map_err(|_| Refused::never(Reason::Overloaded))
        });
        let next_leaf = call.from.unwrap_or(0);
        match place {
            Ok(place) => drop(tokio::spawn(run(gate, call, sender, (place, answered)))),
            Err(why) => {
                let refusal = Some(why.into_refusal());
                // The channel is new, so there is room.
                let _ = sender.try_send(Ok(v1::WatchResponse {
                    statement: None,
                    next_leaf,
                    refusal,
                }));
            }
        }
        ReceiverStream::new(receiver)
    }
}

/// A stream's life.
async fn run(
    gate: Arc<Gate>,
    call: WatchCall,
    sender: Sender,
    place: (OwnedSemaphorePermit, Option<Call>),
) {
    let stream = Watching {
        gate: &gate,
        call: &call,
        sender: &sender,
    };
    let ended = tokio::select! {
        ended = stream.serve() => ended,
        () = sender.closed() => Ended::ClientGone,
    };
    if let Ended::Refused { why, next_leaf } = ended {
        let refusal = Some(why.into_refusal());
        let last = v1::WatchResponse {
            statement: None,
            next_leaf,
            refusal,
        };
        // A client that has left does not need to hear it.
        let _ = sender.send(Ok(last)).await;
    }
    drop(place);
}

struct Watching<'a> {
    gate: &'a Gate,
    call: &'a WatchCall,
    sender: &'a Sender,
}

impl Watching<'_> {
    async fn serve(&self) -> Ended {
        let mut applied = self.gate.group().applied();
        let size = |applied: &holdpoint_raft::Applied| {
            let size = applied.tree_sizes.get(&self.call.namespace);
            size.copied().unwrap_or(0)
        };
        let now = size(&applied.borrow_and_update());
        let mut next = self.call.from.unwrap_or(now);
        // Where it begins is told before there is anything to tell.
        if let Err(ended) = self.begin(next).await {
            return ended;
        }
        loop {
            let until = size(&applied.borrow_and_update());
            while next < until {
                match self.batch(next, until).await {
                    Ok(after) => next = after,
                    Err(ended) => return ended,
                }
            }
            tokio::select! {
                changed = applied.changed() => if changed.is_err() {
                    return stopping(next);
                },
                () = self.gate.admission.closed() => return stopping(next),
            }
            // What comes together is read, signed and sent together.
            tokio::time::sleep(TOGETHER).await;
        }
    }

    /// Says where the stream begins, if it can.
    async fn begin(&self, next: u64) -> Result<(), Ended> {
        match self.read(next, next).await? {
            Found::Batch(_) => self.send(None, next).await,
            Found::Purged(first) => Err(purged(next, first)),
            Found::UnknownNamespace => Err(Ended::Refused {
                why: Refused::never(Reason::UnknownNamespace),
                next_leaf: next,
            }),
        }
    }

    /// Sends what is wanted of the next statements before `until`, and says where the next begin.
    async fn batch(&self, next: u64, until: u64) -> Result<u64, Ended> {
        let max = if self.call.with_receipts {
            WATCH_RECEIPTS_MAX
        } else {
            WATCH_BATCH_MAX
        };
        let batch = match self.read(next, until.min(next.saturating_add(max))).await? {
            Found::Batch(batch) if batch.next > next => batch,
            Found::Batch(_) | Found::UnknownNamespace => {
                let why = fault(&"a statement of the log is not there");
                return Err(Ended::Refused {
                    why,
                    next_leaf: next,
                });
            }
            Found::Purged(first) => return Err(purged(next, first)),
        };
        self.sign(next, batch.next).await?;
        let wanted: Vec<(u64, Vec<u8>)> = batch
            .statements
            .into_iter()
            .filter(|(_, statement)| is_wanted(self.call, statement))
            .collect();
        let receipts = self.receipts(next, &wanted).await?;
        let mut receipts = receipts.into_iter();
        let mut told = next;
        for (leaf_index, statement) in wanted {
            let receipt = receipts.next().map(|file| v1::Receipt { file });
            told = leaf_index.saturating_add(1);
            let watched = v1::WatchedStatement {
                leaf_index,
                statement,
                receipt,
            };
            self.send(Some(watched), told).await?;
        }
        if told < batch.next {
            self.send(None, batch.next).await?;
        }
        Ok(batch.next)
    }

    async fn send(
        &self,
        statement: Option<v1::WatchedStatement>,
        next_leaf: u64,
    ) -> Result<(), Ended> {
        let response = v1::WatchResponse {
            statement,
            next_leaf,
            refusal: None,
        };
        let sent = self.sender.send(Ok(response)).await;
        sent.map_err(|_| Ended::ClientGone)
    }

    /// Has a head signed that covers everything before `next`.
    async fn sign(&self, from: u64, next: u64) -> Result<(), Ended> {
        let newest = next.saturating_sub(1);
        self.receipt(from, newest).await.map(|_| ())
    }

    /// The receipts of `wanted`, if they are asked for.
    async fn receipts(&self, from: u64, wanted: &[(u64, Vec<u8>)]) -> Result<Vec<Vec<u8>>, Ended> {
        if !self.call.with_receipts {
            return Ok(Vec::new());
        }
        let receipts = wanted.iter().map(|(leaf, _)| self.receipt(from, *leaf));
        join_all(receipts).await.into_iter().collect()
    }

    async fn receipt(&self, from: u64, leaf: u64) -> Result<Vec<u8>, Ended> {
        let cosigner = &self.gate.parts.cosigner;
        let receipt = cosigner.receipt(&self.call.namespace, leaf).await;
        receipt.map_err(|error| Ended::Refused {
            why: Refused::never(Reason::NoSignatures).saying(format!(
                "The log cannot be proved by this node: {error}; resume at another node."
            )),
            next_leaf: from,
        })
    }

    /// Reads the statements from `from` to before `until`, at most [`BATCH_BYTES_MAX`] of them and one.
    async fn read(&self, from: u64, until: u64) -> Result<Found, Ended> {
        let (group, namespace) = (self.gate.group().clone(), self.call.namespace.clone());
        let read = self.gate.parts.reads.run(move || {
            group.local_view(|view| {
                read(&Query::new(&view, GroupId::FIRST), &namespace, from, until)
            })
        });
        let refused = |why| Ended::Refused {
            why,
            next_leaf: from,
        };
        match read.await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(error))) => Err(refused(fault(&error))),
            Ok(Err(error)) => Err(refused(fault(&error))),
            Err(error) => Err(refused(fault(&error))),
        }
    }
}

/// Bytes of statements that are read at once.
const BATCH_BYTES_MAX: usize = 256 * 1024;

fn read<V: holdpoint_core::View<Error = holdpoint_storage::StoreError>>(
    state: &Query<'_, V>,
    namespace: &Name,
    from: u64,
    until: u64,
) -> Result<Found, ReadFault> {
    let Some(log) = state.namespace(namespace)? else {
        return Ok(Found::UnknownNamespace);
    };
    let first = log.record().swept.statements;
    if from < first {
        return Ok(Found::Purged(first));
    }
    let mut batch = Batch {
        statements: Vec::new(),
        next: from,
    };
    let mut bytes = 0_usize;
    for leaf in from..until {
        let Some(statement) = log.statement(leaf)? else {
            break;
        };
        bytes = bytes.saturating_add(statement.bytes.len());
        batch.statements.push((leaf, statement.bytes));
        batch.next = leaf.saturating_add(1);
        if bytes >= BATCH_BYTES_MAX {
            break;
        }
    }
    Ok(Found::Batch(batch))
}

fn purged(next: u64, first: u64) -> Ended {
    Ended::Refused {
        why: Refused::never(Reason::NotFound).saying(format!(
            "The statement at leaf {next} is no longer kept; the first that is stands at {first}."
        )),
        next_leaf: first,
    }
}

fn stopping(next_leaf: u64) -> Ended {
    Ended::Refused {
        why: Refused::never(Reason::NotLeader)
            .saying("This node is stopping; resume at another node."),
        next_leaf,
    }
}

/// Whether a statement passes the filters. One that this build cannot read passes: better too much than
/// a gap.
fn is_wanted(call: &WatchCall, statement: &[u8]) -> bool {
    let Ok(statement) = Statement::parse(statement) else {
        return true;
    };
    let is_kind = call.kinds.is_empty() || call.kinds.contains(&statement.body.kind());
    let surface = surface(&statement.body);
    let is_about =
        call.surfaces.is_empty() || surface.is_some_and(|surface| call.surfaces.contains(surface));
    let is_verdict = match (&statement.body, call.decision) {
        (Body::Decision(decision), Some(wanted)) => {
            v1::Decision::from(decision.verdict.decision()) == wanted
        }
        (_, _) => true,
    };
    is_kind && is_about && is_verdict
}

/// The surface that a statement is about; none if it is about none, or about all.
const fn surface(body: &Body) -> Option<&Name> {
    match body {
        Body::Decision(decision) => Some(&decision.surface),
        Body::Redeemed { step, .. }
        | Body::Completed { step, .. }
        | Body::Conflict { step, .. }
        | Body::Revoked(step)
        | Body::Superseded(step)
        | Body::Released { step, .. } => Some(&step.surface),
        Body::Approved(approval) | Body::ApprovalRevoked(approval) => Some(&approval.surface),
        Body::Frozen(frozen) => frozen.surface.as_ref(),
        Body::Policy(_)
        | Body::Keys(_)
        | Body::SessionClosed(_)
        | Body::Drain(_)
        | Body::Erased(_) => None,
    }
}
