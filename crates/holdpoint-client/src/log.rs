//! The log of statements itself: its head, proofs, and the whole of it. From any node, and believed
//! only where it proves itself under the gate's keys.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::merkle::{Frontier, leaf_of, verify_inclusion};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::verify::verify_published;
use holdpoint_receipt::{Digest, KeySet, Reason, sha256};
use tonic::Streaming;

use crate::believe::{AnswerError, Receipt, same};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::{Failure, Refused};
use crate::fault::Decided;
use crate::gate::{CallError, Gate};
use crate::info::{digest, malformed};
use crate::steps::refused;

/// A proven head, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// How many leaves, and the root over them.
    pub head: Checkpoint,
    /// The note, with the lines of witnesses behind those of the nodes. Those were not verified: the
    /// keys of the log do not name witnesses.
    pub note: Note,
}

/// A proof of RFC 6962 with the newest proven head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Its hashes.
    pub hashes: Vec<Digest>,
    /// The size for which it holds.
    pub tree_size: u64,
    /// Of an inclusion: the hash of the leaf.
    pub leaf_hash: Option<Digest>,
    /// The newest proven head, verified.
    pub newest: LogHead,
}

/// A leaf of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLeaf {
    /// Its place.
    pub leaf_index: u64,
    /// Its hash.
    pub leaf_hash: Digest,
    /// The canonical bytes of its statement, which has this hash; none when it is no longer kept.
    pub statement: Option<Vec<u8>>,
}

/// The whole log as it comes; made by [`Gate::export_log`].
///
/// Leaves are believed when [`LogExport::next`] has returned the end: only then the head over exactly
/// these leaves was seen and verified.
#[derive(Debug)]
pub struct LogExport<'a> {
    gate: &'a Gate,
    stream: Streaming<v1::ExportLogResponse>,
    batch: std::vec::IntoIter<v1::ExportedLeaf>,
    tree: Frontier,
    head: Option<LogHead>,
}

impl Gate {
    /// Proves the statement at a leaf again, under today's keys, and verifies it.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_FOUND` if there is none, or it is no longer kept.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn receipt_at(&self, leaf: u64) -> Result<Receipt, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ReceiptAtRequest {
                namespace: self.namespace().to_string(),
                leaf_index: leaf,
                deadline_ms: wire_ms(budget),
            };
            let message = connection.request(message);
            let answer = connection.history().receipt_at(message).await?;
            let v1::ReceiptAtResponse { receipt, refusal } = answer.into_inner();
            refused(refusal)?;
            let receipt = Receipt::believe(receipt, &self.trust()).map_err(Failure::disbelieve)?;
            let found = receipt.statement().place.leaf_index();
            same("leaf_index", found == leaf).map_err(Failure::disbelieve)?;
            Ok(receipt)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// The newest proven head of the log that the answering node knows.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] or [`CallError::Silence`] if no node knows one.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn log_checkpoint(&self) -> Result<LogHead, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::LogCheckpointRequest {
                namespace: self.namespace().to_string(),
                deadline_ms: wire_ms(budget),
            };
            let message = connection.request(message);
            let answer = connection.history().log_checkpoint(message).await?;
            let v1::LogCheckpointResponse { note, refusal } = answer.into_inner();
            refused(refusal)?;
            LogHead::believe(&note, &self.keys()).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Proves that a leaf is in the log of a size; without one, of the newest proven head's.
    ///
    /// The proof is verified where it is for the size of that head. For an earlier size it is as the
    /// node says it, until it is compared with a head of that size.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_FOUND` if there is no such leaf, or the size is not proven.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn prove_inclusion(
        &self,
        leaf: u64,
        tree_size: Option<u64>,
    ) -> Result<LogProof, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ProveInclusionRequest {
                namespace: self.namespace().to_string(),
                leaf_index: leaf,
                tree_size: tree_size.unwrap_or(0),
                deadline_ms: wire_ms(budget),
            };
            let message = connection.request(message);
            let answer = connection.history().prove_inclusion(message).await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            let proof = LogProof::read(&answer, tree_size, &self.keys());
            let proved = proof.and_then(|proof| proof.check_leaf(leaf).map(|()| proof));
            proved.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Proves that the log of `first` leaves is the beginning of that of `second`; without that, of the
    /// newest proven head's.
    ///
    /// Whoever has a head of `first` leaves verifies the proof with it:
    /// [`holdpoint_receipt::merkle::verify_consistency`].
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_FOUND` if the sizes are not proven.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn prove_consistency(
        &self,
        first: u64,
        second: Option<u64>,
    ) -> Result<LogProof, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ProveConsistencyRequest {
                namespace: self.namespace().to_string(),
                first_size: first,
                second_size: second.unwrap_or(0),
                deadline_ms: wire_ms(budget),
            };
            let message = connection.request(message);
            let answer = connection.history().prove_consistency(message).await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            let proof = LogProof::read(&answer, second, &self.keys());
            proof.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Fetches the whole log, from one node.
    ///
    /// # Errors
    ///
    /// [`CallError`] if no node begins.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn export_log(&self) -> Result<LogExport<'_>, CallError> {
        let ask = |connection: Arc<Connection>, _| async move {
            let message = v1::ExportLogRequest {
                namespace: self.namespace().to_string(),
            };
            let message = connection.request(message);
            let opened = connection.history().export_log(message).await?;
            Ok(opened.into_inner())
        };
        let called = self.nodes().call(self.deadline(), ask).await?;
        Ok(LogExport {
            gate: self,
            stream: called.answer,
            batch: Vec::new().into_iter(),
            tree: Frontier::new(),
            head: None,
        })
    }
}

impl LogHead {
    fn believe(note: &str, keys: &KeySet) -> Result<Self, AnswerError> {
        let note: Note = note.parse().map_err(|error| malformed("note", error))?;
        let (head, _, _) = verify_published(&note, keys).map_err(AnswerError::Receipt)?;
        Ok(Self { head, note })
    }
}

impl LogProof {
    fn read(
        answer: &v1::ProofResponse,
        size: Option<u64>,
        keys: &KeySet,
    ) -> Result<Self, AnswerError> {
        let newest = LogHead::believe(&answer.note, keys)?;
        let hashes = answer.hashes.iter().map(|hash| digest("hashes", hash));
        let tree_size = answer.tree_size;
        let expected = size.unwrap_or_else(|| newest.head.size.get());
        same("tree_size", tree_size == expected)?;
        let leaf_hash = Some(&answer.leaf_hash).filter(|hash| !hash.is_empty());
        Ok(Self {
            hashes: hashes.collect::<Result<_, _>>()?,
            tree_size,
            leaf_hash: leaf_hash
                .map(|hash| digest("leaf_hash", hash))
                .transpose()?,
            newest,
        })
    }

    fn check_leaf(&self, leaf: u64) -> Result<(), AnswerError> {
        let head = &self.newest.head;
        let hash = self
            .leaf_hash
            .ok_or_else(|| malformed("leaf_hash", "is missing"))?;
        if head.size.get() != self.tree_size {
            return Ok(());
        }
        let verified = verify_inclusion(leaf, self.tree_size, &hash, &self.hashes, &head.root);
        verified.map_err(|error| malformed("hashes", error))
    }
}

impl LogExport<'_> {
    /// The next leaf; none after the last one, when the head over all of them has been verified.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the node cannot go on or the stream breaks, or if what came does not add up to
    /// the head.
    ///
    /// # Cancellation
    ///
    /// Harmless: no leaf is lost.
    pub async fn next(&mut self) -> Result<Option<LogLeaf>, CallError> {
        loop {
            if let Some(leaf) = self.batch.next() {
                return self
                    .leaf(leaf)
                    .map(Some)
                    .map_err(|error| disbelieved(&error));
            }
            if self.head.is_some() {
                return Ok(None);
            }
            let message = self.stream.message().await.map_err(|status| {
                let sentence = format!("the log stopped coming: {}", status.message());
                not_all(Reason::Timeout, sentence)
            })?;
            let mut message = message.ok_or_else(|| {
                let sentence = "the log ended without a head over its leaves".to_owned();
                not_all(Reason::ReceiptInvalid, sentence)
            })?;
            if let Some(refusal) = message.refusal.take() {
                return Err(match Failure::from_refusal(refusal) {
                    Failure::Final(refused) => CallError::Refused(refused),
                    Failure::Again { fault, .. } => not_all(Reason::Timeout, fault.to_string()),
                });
            }
            self.batch = message.leaves.into_iter();
            if !message.note.is_empty() {
                let head = self.end(&message.note);
                self.head = Some(head.map_err(|error| disbelieved(&error))?);
            }
        }
    }

    /// The head over all leaves, once [`LogExport::next`] has returned the end.
    #[must_use]
    pub const fn head(&self) -> Option<&LogHead> {
        self.head.as_ref()
    }

    fn leaf(&mut self, sent: v1::ExportedLeaf) -> Result<LogLeaf, AnswerError> {
        let leaf_index = self.tree.size();
        let leaf_hash = digest("leaf_hash", &sent.leaf_hash)?;
        let statement = Some(sent.statement).filter(|bytes| !bytes.is_empty());
        if let Some(bytes) = &statement {
            same("leaf_hash", leaf_of(&sha256(bytes)) == leaf_hash)?;
        }
        let appended = self.tree.append(leaf_hash);
        appended.map_err(|error| malformed("leaves", error))?;
        Ok(LogLeaf {
            leaf_index,
            leaf_hash,
            statement,
        })
    }

    /// The head closes the log: it is over exactly what came before it.
    fn end(&self, note: &str) -> Result<LogHead, AnswerError> {
        same("leaves", self.batch.as_slice().is_empty())?;
        let head = LogHead::believe(note, &self.gate.keys())?;
        same("tree_size", head.head.size.get() == self.tree.size())?;
        same("root", head.head.root == self.tree.root())?;
        Ok(head)
    }
}

fn disbelieved(error: &AnswerError) -> CallError {
    let sentence = format!("what came is not believed: {error}");
    not_all(Reason::ReceiptInvalid, sentence)
}

fn not_all(reason: Reason, sentence: String) -> CallError {
    CallError::Refused(Refused {
        reason,
        sentence,
        decided: Decided::Never,
    })
}
