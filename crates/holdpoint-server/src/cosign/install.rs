//! What a snapshot must prove before it takes the place of this node's state.
//!
//! ```text
//! the log of statements that this node has is the beginning of the received one
//! every head that this node signed is a head of the received one
//! the epochs that this node knows are in the received state, unchanged
//! each later epoch was handed over: enough signers of the one before and of itself signed one head
//! the received log's own end is consistent with a head that the last epoch proved
//! ```
//!
//! A node without a state of its own takes the first epoch as it comes; everything behind it is chained
//! to that. What the state says beside its log of statements is the word of the node that sent it: a
//! snapshot is as trustworthy as the leader's log, which the same node would have sent instead.

use std::collections::BTreeMap;

use holdpoint_core::View;
use holdpoint_core::query::{NamespaceQuery, Query};
use holdpoint_core::record::EpochRecord;
use holdpoint_proto::Message as _;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::keys::Epoch;
use holdpoint_receipt::merkle::verify_consistency;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::verify::{verify_handover, verify_note};
use holdpoint_receipt::{ClusterId, Digest, Name, TreeSize};
use holdpoint_storage::StoreError;

use super::epochs::epoch;
use super::heads::{Head, Proven};
use super::signer::root_at;

/// The proof that a snapshot carries: for each log a proven head, and that the snapshot's own end leads
/// to it.
///
/// # Errors
///
/// The sender's state cannot be read, or is not as long as the heads.
pub(super) fn prove<V: View<Error = StoreError>>(
    state: &Query<'_, V>,
    sizes: &BTreeMap<Name, u64>,
    heads: impl Fn(&Name, u64) -> Option<std::sync::Arc<Proven>>,
) -> Result<Option<Vec<u8>>, String> {
    let mut logs = Vec::new();
    for (namespace, size) in sizes.iter().filter(|(_, size)| **size > 0) {
        let Some(proven) = heads(namespace, *size) else {
            return Ok(None);
        };
        let log = log_of(state, namespace)?;
        let path = log
            .consistency(*size, proven.head.size)
            .map_err(|error| error.to_string())?
            .ok_or("the proven head is beyond this node's state")?;
        logs.push(wire::ProvenLog {
            namespace: namespace.to_string(),
            note: proven.note.to_string().into_bytes().into(),
            consistency: path
                .iter()
                .map(|hash| hash.as_bytes().to_vec().into())
                .collect(),
        });
    }
    Ok(Some(wire::SnapshotProof { logs }.encode_to_vec()))
}

/// Whether `received` may take the place of `own`.
///
/// # Errors
///
/// Why not, in one sentence.
pub(super) fn check<R: View<Error = StoreError>, O: View<Error = StoreError>>(
    cluster: &ClusterId,
    proof: &[u8],
    received: &Query<'_, R>,
    own: &Query<'_, O>,
    signed: impl Fn(&Name) -> Option<Head>,
) -> Result<(), String> {
    let proof = wire::SnapshotProof::decode(proof).map_err(|_| "its proof does not decode")?;
    let mut proofs: BTreeMap<String, wire::ProvenLog> = BTreeMap::new();
    for log in proof.logs {
        if proofs.insert(log.namespace.clone(), log).is_some() {
            return Err("its proof names a log twice".to_owned());
        }
    }
    for namespace in namespaces(received)? {
        let log = log_of(received, &namespace)?;
        let own = own
            .namespace(&namespace)
            .map_err(|error| error.to_string())?;
        let proven = proofs.remove(namespace.as_str());
        check_log(cluster, &namespace, &log, own.as_ref(), proven)
            .and_then(|()| check_signed(&log, signed(&namespace)))
            .map_err(|why| format!("log `{namespace}`: {why}"))?;
    }
    for namespace in namespaces(own)? {
        if received
            .namespace(&namespace)
            .map_err(|error| error.to_string())?
            .is_none()
        {
            return Err(format!(
                "it lacks the log `{namespace}`, which this node has"
            ));
        }
    }
    Ok(())
}

fn namespaces<V: View<Error = StoreError>>(state: &Query<'_, V>) -> Result<Vec<Name>, String> {
    let mut all = Vec::new();
    let mut page = state.namespaces(None).map_err(|error| error.to_string())?;
    while let Some(last) = page.last().cloned() {
        all.append(&mut page);
        page = state
            .namespaces(Some(&last))
            .map_err(|error| error.to_string())?;
    }
    Ok(all)
}

fn log_of<'a, V: View<Error = StoreError>>(
    state: &Query<'a, V>,
    namespace: &Name,
) -> Result<NamespaceQuery<'a, V>, String> {
    let log = state.namespace(namespace);
    log.map_err(|error| error.to_string())?
        .ok_or_else(|| format!("there is no log `{namespace}`"))
}

fn check_log<R: View<Error = StoreError>, O: View<Error = StoreError>>(
    cluster: &ClusterId,
    namespace: &Name,
    received: &NamespaceQuery<'_, R>,
    own: Option<&NamespaceQuery<'_, O>>,
    proven: Option<wire::ProvenLog>,
) -> Result<(), String> {
    let head = received.head().map_err(|error| error.to_string())?;
    if let Some(own) = own {
        check_continues(received, head.size, own)?;
    }
    if head.size == 0 {
        return Ok(());
    }
    let proven = proven.ok_or("no proven head comes with it")?;
    let known = match own {
        Some(own) => own.epochs().map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    let epoch = trusted_epoch(cluster, namespace, received, &known)?;
    let note = std::str::from_utf8(&proven.note)
        .ok()
        .and_then(|text| text.parse::<Note>().ok())
        .ok_or("its proven head is not a note")?;
    let keys = received
        .key_set()
        .map_err(|error| error.to_string())?
        .ok_or("it has no keys")?;
    let (checkpoint, _) = verify_note(&note, &keys).map_err(|error| error.to_string())?;
    if keys.epoch_of(checkpoint.size) != Some(&epoch) {
        return Err("its proven head is of an epoch that nothing hands over to".to_owned());
    }
    let hashes: Option<Vec<Digest>> = proven.consistency.iter().map(|hash| digest(hash)).collect();
    let hashes = hashes.ok_or("its consistency proof is malformed")?;
    let size = checkpoint.size.get();
    verify_consistency(head.size, size, &head.root, &checkpoint.root, &hashes)
        .map_err(|error| format!("its end does not lead to its proven head: {error}"))
}

/// That the received log begins with this node's own.
fn check_continues<R: View<Error = StoreError>, O: View<Error = StoreError>>(
    received: &NamespaceQuery<'_, R>,
    received_size: u64,
    own: &NamespaceQuery<'_, O>,
) -> Result<(), String> {
    let own_size = own.head().map_err(|error| error.to_string())?.size;
    let size = own_size.min(received_size);
    if size == 0 {
        return Ok(());
    }
    let (mine, theirs) = (root_at(own, size), root_at(received, size));
    match (mine, theirs) {
        (Ok(mine), Ok(theirs)) if mine == theirs => Ok(()),
        (Ok(_), Ok(_)) => Err(format!(
            "its first {size} statements are not those of this node"
        )),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    }
}

/// That the received log has the head that this node signed last.
fn check_signed<R: View<Error = StoreError>>(
    received: &NamespaceQuery<'_, R>,
    signed: Option<Head>,
) -> Result<(), String> {
    let Some(signed) = signed else {
        return Ok(());
    };
    let size = received.head().map_err(|error| error.to_string())?.size;
    if signed.size > size {
        // What this node signed, it had applied; the log brings the rest again.
        return Ok(());
    }
    if root_at(received, signed.size).map_err(|error| error.to_string())? == signed.root {
        Ok(())
    } else {
        Err(format!(
            "this node signed another head of {} statements",
            signed.size
        ))
    }
}

/// The newest epoch of the received state that is chained to what this node knows.
fn trusted_epoch<R: View<Error = StoreError>>(
    cluster: &ClusterId,
    namespace: &Name,
    received: &NamespaceQuery<'_, R>,
    known: &[(u64, EpochRecord)],
) -> Result<Epoch, String> {
    let epochs = received.epochs().map_err(|error| error.to_string())?;
    for (place, (from, mine)) in known.iter().enumerate() {
        let is_same = epochs.get(place).is_some_and(|(their_from, theirs)| {
            their_from == from
                && theirs.signers == mine.signers
                && theirs.signers_needed == mine.signers_needed
        });
        if !is_same {
            return Err(format!(
                "it has other keys than this node for sizes from {from}"
            ));
        }
    }
    let mut trusted: Option<Epoch> = None;
    for (from, record) in &epochs {
        let next = epoch(*from, record).map_err(|error| error.to_string())?;
        let Some(current) = &trusted else {
            trusted = Some(next);
            continue;
        };
        let Some(handover) = &record.handover else {
            continue;
        };
        check_handover(cluster, namespace, received, handover, (current, &next))?;
        trusted = Some(next);
    }
    trusted.ok_or_else(|| "it has no keys".to_owned())
}

fn check_handover<R: View<Error = StoreError>>(
    cluster: &ClusterId,
    namespace: &Name,
    received: &NamespaceQuery<'_, R>,
    handover: &[u8],
    (old, new): (&Epoch, &Epoch),
) -> Result<(), String> {
    let from = new.tree_size_from;
    let note = std::str::from_utf8(handover)
        .ok()
        .and_then(|text| text.parse::<Note>().ok())
        .ok_or_else(|| format!("the handover of size {from} is not a note"))?;
    let claimed: Checkpoint = note
        .text()
        .parse()
        .map_err(|error| format!("the handover of size {from}: {error}"))?;
    let size = received.head().map_err(|error| error.to_string())?.size;
    if claimed.size < from || claimed.size.get() > size {
        return Err(format!(
            "the handover of size {from} is of a head outside of the log"
        ));
    }
    let head = Checkpoint {
        origin: Origin::new(cluster, namespace),
        size: TreeSize::new(claimed.size.get()).map_err(|error| error.to_string())?,
        root: root_at(received, claimed.size.get()).map_err(|error| error.to_string())?,
    };
    verify_handover(&note, cluster, &head, old, new)
        .map(|_| ())
        .map_err(|error| format!("the handover of size {from} does not verify: {error}"))
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    let bytes: [u8; 32] = bytes.try_into().ok()?;
    Some(Digest::from_bytes(bytes))
}
