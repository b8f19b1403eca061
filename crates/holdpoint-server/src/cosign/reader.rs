//! What proofs are made from: this node's applied state, read on a thread of its own.
//!
//! ```text
//! plan      what is the head now, and who must sign it?
//! learn     is this note a proven head, and does it fit this node's own log?
//! receipts  statements with their paths to a proven head
//! ```
//!
//! Reads only; it signs nothing and asks nobody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdpoint_core::query::Query;
use holdpoint_core::{GroupId, View};
use holdpoint_raft::Clock;
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::verify::verify_note;
use holdpoint_receipt::{ClusterId, Name, Proof, Receipt, TreeSize};
use holdpoint_storage::{LogStore, StateStore, StoreError};

use super::epochs::{Due, ParsedEpoch};
use super::error::SignError;
use super::heads::{Head, Proven, ProvenHeads};
use super::memory;
use super::signer::{open, root_at};
use super::standing::Standing;

/// Seconds that the time in a co-signature may be ahead of this node's clock.
const AHEAD_S_MAX: u64 = 2;

/// How often a proven head is remembered: it is learned again from others, so none is worth a sync.
const REMEMBERED: Duration = Duration::from_secs(1);

/// What is to be signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The head.
    pub(crate) head: Head,
    /// The same as it is signed.
    pub(crate) checkpoint: Checkpoint,
    /// Who must sign it.
    pub(crate) due: Due,
}

/// Reads one node's state.
pub(crate) struct Reader<S, L> {
    pub(crate) group: GroupId,
    pub(crate) cluster: ClusterId,
    pub(crate) state: Arc<S>,
    pub(crate) log: Arc<L>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) heads: ProvenHeads,
    pub(crate) standing: Standing,
    /// When a proven head was last written down, on the monotonic clock.
    pub(crate) remembered_at: Mutex<Option<Duration>>,
    /// The epoch that signs, parsed.
    pub(crate) epoch: ParsedEpoch,
}

impl<S: StateStore, L: LogStore> Reader<S, L> {
    /// The head of `namespace` as this node has applied it, and who must sign it.
    pub(crate) fn plan(&self, namespace: &Name) -> Result<Plan, SignError> {
        self.state.read(|view| {
            let state = Query::new(view, self.group);
            let log = open(&state, namespace)?;
            let head = log.head()?;
            let due = Due::of(&log, head.size, &self.epoch)?.ok_or(SignError::NotAnnounced)?;
            let checkpoint = Checkpoint {
                origin: Origin::new(&self.cluster, namespace),
                size: TreeSize::new(head.size).map_err(SignError::fault)?,
                root: head.root,
            };
            let head = Head {
                size: head.size,
                root: head.root,
            };
            Ok(Plan {
                head,
                checkpoint,
                due,
            })
        })?
    }

    /// Takes a note that another node, or a round of this one, says is a proven head.
    ///
    /// # Errors
    ///
    /// It is not one, or this node has not applied as much yet; or it contradicts this node's own log:
    /// then this node has diverged, because enough others signed it.
    pub(crate) fn learn(&self, namespace: &Name, note: &Note) -> Result<Arc<Proven>, SignError> {
        let proven = self.state.read(|view| {
            let state = Query::new(view, self.group);
            self.verified(&state, namespace, note)
        })??;
        let proven = Arc::new(proven);
        if self.heads.raise(namespace, &proven) {
            self.remember(namespace, note);
        }
        Ok(proven)
    }

    /// Writes a proven head down, if the last one was some time ago.
    pub(crate) fn remember(&self, namespace: &Name, note: &Note) {
        if self.is_time_to_remember() {
            memory::write_proven(&*self.log, self.group, namespace, note);
        }
    }

    fn is_time_to_remember(&self) -> bool {
        let now = self.clock.monotonic();
        let mut last = self
            .remembered_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| now.saturating_sub(last) >= REMEMBERED);
        if is_time {
            *last = Some(now);
        }
        is_time
    }

    fn verified<V: View<Error = StoreError>>(
        &self,
        state: &Query<'_, V>,
        namespace: &Name,
        note: &Note,
    ) -> Result<Proven, SignError> {
        let log = open(state, namespace)?;
        let keys = log.key_set()?.ok_or(SignError::NotAnnounced)?;
        let (head, signers) = verify_note(note, &keys).map_err(SignError::fault)?;
        let size = head.size.get();
        let applied = log.head()?.size;
        if applied < size {
            return Err(SignError::Behind {
                namespace: namespace.clone(),
                signed: size,
                applied,
            });
        }
        let limit = (self.clock.wall_ms() / 1_000).saturating_add(AHEAD_S_MAX);
        if let Some(signer) = signers.iter().find(|signer| signer.at_s > limit) {
            let ahead_ms = signer.at_s.saturating_sub(limit).saturating_mul(1_000);
            return Err(SignError::AheadOfClock { ahead_ms });
        }
        let own = root_at(&log, size)?;
        if own != head.root {
            tracing::error!(
                %namespace, size, proven_root = %head.root, %own,
                "ALARM: enough nodes signed a head that this node's log contradicts; it stops signing"
            );
            return Err(self.standing.diverge(namespace));
        }
        Ok(Proven {
            head: Head {
                size,
                root: head.root,
            },
            note: note.clone(),
            signers: signers.iter().map(|signer| signer.node).collect(),
        })
    }

    /// The proven heads that this node remembers, as far as they fit what it has applied.
    pub(crate) fn recall(&self) {
        let names = self.state.read(|view| {
            let state = Query::new(view, self.group);
            state.namespaces(None)
        });
        let Ok(Ok(names)) = names else { return };
        for namespace in names {
            let Ok(Some(note)) = memory::read_proven(&*self.log, self.group, &namespace) else {
                continue;
            };
            if let Err(error) = self.learn(&namespace, &note) {
                tracing::debug!(%namespace, %error, "a remembered head is not proven any more");
            }
        }
    }

    /// The receipt files of statements that `proven` covers, from one view.
    pub(crate) fn receipts(
        &self,
        namespace: &Name,
        leaves: &[u64],
        proven: &Proven,
    ) -> Vec<Result<Vec<u8>, SignError>> {
        let made = self.state.read(|view| {
            let state = Query::new(view, self.group);
            let receipt = |leaf: &u64| receipt(&state, namespace, *leaf, proven);
            leaves.iter().map(receipt).collect::<Vec<_>>()
        });
        made.unwrap_or_else(|error| leaves.iter().map(|_| Err(error.clone().into())).collect())
    }
}

/// The receipt file of one statement under a proven head.
fn receipt<V: View<Error = StoreError>>(
    state: &Query<'_, V>,
    namespace: &Name,
    leaf: u64,
    proven: &Proven,
) -> Result<Vec<u8>, SignError> {
    let missing = || SignError::NoStatement {
        namespace: namespace.clone(),
        leaf,
    };
    let log = open(state, namespace)?;
    let statement = log.statement(leaf)?.ok_or_else(missing)?;
    let statement = str::from_utf8(&statement.bytes).map_err(SignError::fault)?;
    let tree_size = TreeSize::new(proven.head.size).map_err(SignError::fault)?;
    let hashes = log.inclusion(leaf, proven.head.size)?.ok_or_else(missing)?;
    let proof = Proof {
        leaf_index: leaf,
        tree_size,
        hashes,
    };
    Ok(Receipt::write_file(statement, &proof, &proven.note).into_bytes())
}
