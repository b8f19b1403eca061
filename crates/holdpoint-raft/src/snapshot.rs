//! A snapshot on its way between nodes: its description, then its files in parts.
//!
//! The receiver writes into `incoming/` and believes nothing before every checksum holds; openraft
//! is told only then. Both sides bound the wait for every part.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use holdpoint_core::GroupId;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::refusal::Reason;
use holdpoint_proto::peer::v1::snapshot_part::Part;
use holdpoint_proto::peer::v1::{Envelope, Refusal};
use holdpoint_receipt::Digest;
use holdpoint_storage::state::Incoming;
use holdpoint_storage::{Applied, Snapshot, SnapshotFile, SnapshotManifest, StoreError};
use openraft::async_runtime::WatchReceiver;
use tokio::time::{Instant, sleep_until, timeout};

use crate::blocking::may_block;
use crate::disk::StateDisk;
use crate::held::with_meta;
use crate::limits;
use crate::net::Frames;
use crate::peers::{Peers, refusal};
use crate::proof::ProofDoor;
use crate::types::{Raft, RaftSnapshot, Vote};
use crate::wire as convert;

/// A snapshot with what proves its history, as openraft hands it on.
#[derive(Clone, Debug)]
pub(crate) struct ProvenSnapshot {
    pub(crate) snapshot: Snapshot,
    /// For the receiver's gate. Empty where nobody asks.
    pub(crate) proof: Bytes,
}

/// When the last part was taken by the network.
#[derive(Clone, Debug)]
pub(crate) struct Sent(Arc<Mutex<Instant>>);

impl Sent {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns once no part was taken for `wait`.
    pub(crate) async fn stalled(&self, wait: Duration) -> Duration {
        loop {
            let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sleep_until(last + wait).await;
            if *self.0.lock().unwrap_or_else(PoisonError::into_inner) == last {
                return wait;
            }
        }
    }
}

/// The parts of `snapshot`, read as they are asked for. A file that cannot be read ends them, and
/// the store that it belongs to stops the node.
pub(crate) fn parts(
    vote: &Vote,
    snapshot: RaftSnapshot,
    envelope: Envelope,
) -> (Sent, BoxStream<'static, wire::SnapshotPart>) {
    let sent = Sent(Arc::new(Mutex::new(Instant::now())));
    let ProvenSnapshot { snapshot, proof } = snapshot.snapshot;
    let head = head(vote, snapshot.manifest(), proof);
    let chunks = futures_util::stream::unfold((0, 0), move |(place, offset)| {
        let chunk = next_chunk(&snapshot, place, offset);
        async move { chunk }
    });
    let first = futures_util::stream::once(async move { Part::Head(head) });
    let progress = sent.clone();
    let parts = first.chain(chunks.map(Part::Chunk)).map(move |part| {
        progress.now();
        wire::SnapshotPart {
            envelope: Some(envelope.clone()),
            part: Some(part),
        }
    });
    (sent, parts.boxed())
}

fn head(vote: &Vote, manifest: &SnapshotManifest, proof: Bytes) -> wire::SnapshotHead {
    let files = manifest.files.iter().map(|file| wire::SnapshotFile {
        name: file.name.clone(),
        length: file.length,
        sha256: Bytes::copy_from_slice(file.digest.as_bytes()),
    });
    wire::SnapshotHead {
        vote: Some(convert::vote_to_wire(vote)),
        applied_index: manifest.applied.index,
        applied: Bytes::copy_from_slice(&manifest.applied.bytes),
        files: files.collect(),
        proof,
    }
}

/// The next bytes at or after a place, and where those after them are.
fn next_chunk(
    snapshot: &Snapshot,
    mut place: usize,
    mut offset: u64,
) -> Option<(wire::SnapshotChunk, (usize, u64))> {
    loop {
        let file = snapshot.manifest().files.get(place)?;
        if offset >= file.length {
            (place, offset) = (place.saturating_add(1), 0);
            continue;
        }
        let data = may_block(|| snapshot.read(place, offset, limits::SNAPSHOT_CHUNK_BYTES)).ok()?;
        if data.is_empty() {
            return None;
        }
        let next = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let number = u32::try_from(place).ok()?;
        let chunk = wire::SnapshotChunk {
            file: number,
            offset,
            data: Bytes::from(data),
        };
        return Some((chunk, (place, next)));
    }
}

fn malformed(detail: impl Into<String>) -> Refusal {
    refusal(Reason::Malformed, detail.into())
}

fn store_refuses(error: StoreError) -> Refusal {
    match error {
        StoreError::Snapshot(problem) => malformed(problem),
        other => refusal(Reason::NotReady, other.to_string()),
    }
}

/// Where a snapshot arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver<'a> {
    pub(crate) raft: &'a Raft,
    pub(crate) state: &'a Arc<dyn StateDisk>,
    pub(crate) door: &'a ProofDoor,
    pub(crate) peers: &'a Peers,
}

/// Receives a snapshot and installs it. Returns this node's vote: the sender's if it was installed,
/// a higher one if not.
pub(crate) async fn receive(
    receiver: Receiver<'_>,
    mut parts: Frames<wire::SnapshotPart>,
    admit: impl Fn(Option<&Envelope>) -> Result<(), Refusal> + Send,
) -> Result<Vote, Refusal> {
    let Some((envelope, Part::Head(head))) = next_part(&mut parts, &admit).await? else {
        return Err(malformed("a snapshot begins with its head"));
    };
    let vote = convert::vote_from_wire(head.vote).map_err(|error| malformed(error.to_string()))?;
    let own = receiver.raft.metrics().borrow_watched().vote;
    if own > vote {
        return Ok(own);
    }
    if head.proof.len() > limits::PROOF_BYTES_MAX {
        return Err(malformed("the proof of the snapshot is too long"));
    }
    let proof = head.proof.clone();
    let manifest = manifest(GroupId(envelope.group), head)?;
    let mut incoming = may_block(|| receiver.state.receive(manifest)).map_err(store_refuses)?;
    while let Some((_, part)) = next_part(&mut parts, &admit).await? {
        let Part::Chunk(chunk) = part else {
            return Err(malformed("a snapshot has one head"));
        };
        let place = usize::try_from(chunk.file).unwrap_or(usize::MAX);
        may_block(|| incoming.write(place, chunk.offset, &chunk.data)).map_err(store_refuses)?;
    }
    install(receiver, vote, incoming, proof)
        .await
        .inspect_err(|refused| {
            if refused.reason() == Reason::Unproven {
                let whose =
                    "ALARM: the history that a peer sent is not proven, and nothing of it is kept";
                receiver.peers.tell_once(envelope.from, refused, whose);
            }
        })
}

async fn install(
    receiver: Receiver<'_>,
    vote: Vote,
    incoming: Incoming,
    proof: Bytes,
) -> Result<Vote, Refusal> {
    let snapshot = may_block(|| incoming.finish()).map_err(store_refuses)?;
    may_block(|| receiver.check_proof(&snapshot, &proof))?;
    let snapshot = with_meta(ProvenSnapshot { snapshot, proof })
        .map_err(|error| malformed(error.to_string()))?;
    let installed = receiver.raft.install_full_snapshot(vote, snapshot).await;
    let response = installed.map_err(|error| refusal(Reason::NotReady, error.to_string()))?;
    Ok(response.vote)
}

impl Receiver<'_> {
    /// Whether what came proves its history to this node. Reads both states and changes neither.
    fn check_proof(self, snapshot: &Snapshot, proof: &[u8]) -> Result<(), Refusal> {
        let mut asked = Ok(());
        self.state
            .with_received(snapshot, &mut |received| {
                let own = self
                    .state
                    .read(|own| self.door.may_install(proof, received, own));
                asked = own.unwrap_or_else(|error| Err(error.to_string()));
            })
            .map_err(store_refuses)?;
        asked.map_err(|why| refusal(Reason::Unproven, why))
    }
}

/// The next part, admitted; `None` at the end.
async fn next_part(
    parts: &mut Frames<wire::SnapshotPart>,
    admit: &(impl Fn(Option<&Envelope>) -> Result<(), Refusal> + Send),
) -> Result<Option<(Envelope, Part)>, Refusal> {
    let next = timeout(limits::SNAPSHOT_STEP, parts.next()).await;
    let next = next.map_err(|_| refusal(Reason::NotReady, "no part came in time".to_owned()))?;
    let Some(part) = next else {
        return Ok(None);
    };
    let part = part.map_err(|error| refusal(Reason::NotReady, error.to_string()))?;
    admit(part.envelope.as_ref())?;
    match (part.envelope, part.part) {
        (Some(envelope), Some(part)) => Ok(Some((envelope, part))),
        _ => Err(malformed("a part of a snapshot is empty")),
    }
}

/// The description as the store wants it. The store checks names, order and limits.
fn manifest(group: GroupId, head: wire::SnapshotHead) -> Result<SnapshotManifest, Refusal> {
    let file = |file: wire::SnapshotFile| {
        let digest: [u8; 32] = file
            .sha256
            .as_ref()
            .try_into()
            .map_err(|_| malformed("a digest does not have 32 bytes"))?;
        let digest = Digest::from_bytes(digest);
        Ok(SnapshotFile {
            name: file.name,
            length: file.length,
            digest,
        })
    };
    let files = head
        .files
        .into_iter()
        .map(file)
        .collect::<Result<_, Refusal>>()?;
    let applied = Applied {
        index: head.applied_index,
        bytes: head.applied.to_vec(),
    };
    Ok(SnapshotManifest {
        group,
        applied,
        files,
    })
}
