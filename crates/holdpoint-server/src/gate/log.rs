//! The log of statements itself: fresh proofs, heads, and the whole of it.
//!
//! Read from what this node has applied, leader or not. Nothing beyond the newest proven head is
//! proved; what was removed stays as a hash.

use std::sync::Arc;

use futures_util::Stream;
use holdpoint_core::query::{NamespaceQuery, Query};
use holdpoint_core::{GroupId, View};
use holdpoint_proto::v1;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Caller, Digest, Name, Reason};
use holdpoint_storage::StoreError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{ConsistencyCall, InclusionCall, LeafCall};
use crate::evaluate::ReadFault;
use crate::limits::{EXPORT_AHEAD_MAX, EXPORT_BATCH_MAX, EXPORT_BYTES_MAX};
use crate::listener::Call;
use crate::refused::Refused;
use crate::roles::{self, Role};

type Sender = mpsc::Sender<Result<v1::ExportLogResponse, Status>>;

/// The newest proven head, and how many leaves it has.
struct Proven {
    note: Note,
    size: u64,
}

impl Gate {
    /// A statement, proved again under the newest head.
    pub(crate) async fn receipt_at(
        &self,
        _caller: Caller,
        call: LeafCall,
        admitted: &Admitted,
    ) -> Result<v1::ReceiptAtResponse, Refused> {
        let LeafCall { namespace, leaf } = call;
        let read = self.local_query(&namespace, admitted, move |log| {
            Ok((log.head()?.size, log.record().swept.statements))
        });
        let (size, first) = read.await?;
        if leaf >= size {
            return Err(Refused::never(Reason::NotFound).saying(format!(
                "There is no statement at leaf {leaf}; this node has applied {size} leaves."
            )));
        }
        if leaf < first {
            return Err(Refused::never(Reason::NotFound).saying(format!(
                "The statement at leaf {leaf} is no longer kept; the first that is stands at {first}."
            )));
        }
        let file = self.receipt_of_leaf(&namespace, leaf, admitted).await?;
        Ok(v1::ReceiptAtResponse {
            receipt: Some(v1::Receipt { file }),
            refusal: None,
        })
    }

    /// The newest proven head, as it is shown to the public.
    pub(crate) async fn log_checkpoint(
        &self,
        _caller: Caller,
        namespace: Name,
        admitted: &Admitted,
    ) -> Result<v1::LogCheckpointResponse, Refused> {
        self.local_query(&namespace, admitted, |_| Ok(())).await?;
        let head = self.published_head(&namespace).ok_or_else(unproven)?;
        Ok(v1::LogCheckpointResponse {
            note: head.to_string(),
            refusal: None,
        })
    }

    /// That a leaf is in the log of a size.
    pub(crate) async fn prove_inclusion(
        &self,
        _caller: Caller,
        call: InclusionCall,
        admitted: &Admitted,
    ) -> Result<v1::ProofResponse, Refused> {
        let InclusionCall {
            namespace,
            leaf,
            size,
        } = call;
        let proven = self.proven(&namespace)?;
        let size = proven.covers(size)?;
        let read = self.local_query(&namespace, admitted, move |log| {
            let Some(hashes) = log.inclusion(leaf, size)? else {
                return Ok(None);
            };
            Ok(Some((hashes, log.subtree(0, leaf)?)))
        });
        let (hashes, leaf_hash) = read.await?.ok_or_else(|| {
            Refused::never(Reason::NotFound).saying(format!(
                "There is no leaf {leaf} in a log of {size} leaves, or this node has not applied it."
            ))
        })?;
        Ok(proof(&hashes, size, leaf_hash.as_bytes().to_vec(), &proven))
    }

    /// That the log of a size is the beginning of that of a later one.
    pub(crate) async fn prove_consistency(
        &self,
        _caller: Caller,
        call: ConsistencyCall,
        admitted: &Admitted,
    ) -> Result<v1::ProofResponse, Refused> {
        let ConsistencyCall {
            namespace,
            first,
            second,
        } = call;
        let proven = self.proven(&namespace)?;
        let second = proven.covers(second)?;
        let read = self.local_query(&namespace, admitted, move |log| {
            log.consistency(first, second)
        });
        let hashes = read.await?.ok_or_else(|| {
            Refused::never(Reason::NotFound).saying(format!(
                "A log of {first} leaves is not an earlier one of {second}, or this node has not \
                 applied it."
            ))
        })?;
        Ok(proof(&hashes, second, Vec::new(), &proven))
    }

    /// Streams the log up to the newest proven head.
    pub(crate) fn export_log(
        gate: Arc<Self>,
        (caller, answered): (Caller, Option<Call>),
        namespace: Name,
    ) -> impl Stream<Item = Result<v1::ExportLogResponse, Status>> + Send + use<> {
        let (sender, receiver) = mpsc::channel(EXPORT_AHEAD_MAX);
        let place = roles::require(&caller, Role::Auditor).and_then(|()| {
            let place = Arc::clone(&gate.exporting).try_acquire_owned();
            place.map_err(|_| Refused::never(Reason::Overloaded))
        });
        match place {
            Ok(place) => drop(tokio::spawn(run(
                gate,
                namespace,
                sender,
                (place, answered),
            ))),
            // The channel is new, so there is room.
            Err(why) => drop(sender.try_send(Ok(refusal(why)))),
        }
        ReceiverStream::new(receiver)
    }

    fn proven(&self, namespace: &Name) -> Result<Proven, Refused> {
        let note = self.newest_proven(namespace).ok_or_else(unproven)?;
        let head: Checkpoint = note.text().parse().map_err(|error| fault(&error))?;
        Ok(Proven {
            note,
            size: head.size.get(),
        })
    }
}

impl Proven {
    /// The size that is asked for, if it is proven; this head's own if none is named.
    fn covers(&self, size: Option<u64>) -> Result<u64, Refused> {
        let size = size.unwrap_or(self.size);
        if size <= self.size {
            return Ok(size);
        }
        Err(Refused::never(Reason::NotFound).saying(format!(
            "The newest proven head that this node knows has {} leaves, fewer than {size}.",
            self.size
        )))
    }
}

fn unproven() -> Refused {
    Refused::never(Reason::NoSignatures)
        .saying("This node knows no proven head of this log yet; ask again, or another node.")
}

fn proof(hashes: &[Digest], size: u64, leaf_hash: Vec<u8>, proven: &Proven) -> v1::ProofResponse {
    let hashes = hashes.iter().map(|hash| hash.as_bytes().to_vec());
    v1::ProofResponse {
        hashes: hashes.collect(),
        tree_size: size,
        leaf_hash,
        note: proven.note.to_string(),
        refusal: None,
    }
}

fn refusal(why: Refused) -> v1::ExportLogResponse {
    v1::ExportLogResponse {
        refusal: Some(why.into_refusal()),
        ..v1::ExportLogResponse::default()
    }
}

/// An export's life.
async fn run(
    gate: Arc<Gate>,
    namespace: Name,
    sender: Sender,
    place: (OwnedSemaphorePermit, Option<Call>),
) {
    let ended = tokio::select! {
        ended = export(&gate, &namespace, &sender) => ended,
        () = sender.closed() => Ok(()),
        () = gate.admission.closed() => Err(Refused::never(Reason::NotLeader).saying(super::STOPPING)),
    };
    if let Err(why) = ended {
        // A client that has left does not need to hear it.
        let _ = sender.send(Ok(refusal(why))).await;
    }
    drop(place);
}

async fn export(gate: &Gate, namespace: &Name, sender: &Sender) -> Result<(), Refused> {
    let proven = gate.proven(namespace)?;
    let mut next = 0;
    while next < proven.size {
        let batch = read(gate, namespace, next, proven.size).await?;
        if batch.is_empty() {
            return Err(fault(&"a leaf of the log is not there"));
        }
        next = next.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        let part = v1::ExportLogResponse {
            leaves: batch,
            ..v1::ExportLogResponse::default()
        };
        if sender.send(Ok(part)).await.is_err() {
            return Ok(());
        }
    }
    let last = v1::ExportLogResponse {
        note: proven.note.to_string(),
        ..v1::ExportLogResponse::default()
    };
    // A client that has left does not need it.
    let _ = sender.send(Ok(last)).await;
    Ok(())
}

/// Some of the leaves from `from` to before `until`.
async fn read(
    gate: &Gate,
    namespace: &Name,
    from: u64,
    until: u64,
) -> Result<Vec<v1::ExportedLeaf>, Refused> {
    let (group, namespace) = (gate.group().clone(), namespace.clone());
    let read = gate.reads().run(move || {
        group.local_view(|view| {
            let state = Query::new(&view, GroupId::FIRST);
            let log = state.namespace(&namespace)?;
            log.map_or_else(|| Ok(Vec::new()), |log| leaves(&log, from, until))
        })
    });
    match read.await {
        Ok(Ok(Ok(batch))) => Ok(batch),
        Ok(Ok(Err(error))) => Err(fault(&error)),
        Ok(Err(error)) => Err(fault(&error)),
        Err(error) => Err(fault(&error)),
    }
}

fn leaves<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    from: u64,
    until: u64,
) -> Result<Vec<v1::ExportedLeaf>, ReadFault> {
    // A head that others proved may be ahead of what this node has applied.
    let until = until
        .min(from.saturating_add(EXPORT_BATCH_MAX))
        .min(log.head()?.size);
    let (mut batch, mut bytes) = (Vec::new(), 0_usize);
    for leaf in from..until {
        let statement = log.statement(leaf)?.map(|statement| statement.bytes);
        let statement = statement.unwrap_or_default();
        bytes = bytes.saturating_add(statement.len());
        batch.push(v1::ExportedLeaf {
            leaf_hash: log.subtree(0, leaf)?.as_bytes().to_vec(),
            statement,
        });
        if bytes >= EXPORT_BYTES_MAX {
            break;
        }
    }
    Ok(batch)
}
