//! What this node shows to anybody: proven heads, the tiles and entries below them, and the keys.
//!
//! Read from what this node has applied, leader or not, and never beyond the newest proven head. It
//! shows hashes only: what a statement says is for those who have its receipt.

use std::sync::Arc;

use holdpoint_core::query::{NamespaceQuery, Query};
use holdpoint_core::{GroupId, View};
use holdpoint_raft::StateView;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::tiles::{Tile, TileError, TileKind, bytes_of};
use holdpoint_receipt::{KeySet, Name, sha256};
use holdpoint_storage::StoreError;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::path::Resource;
use super::reply::Keep;
use crate::evaluate::ReadFault;
use crate::gate::Gate;
use crate::limits::{HTTP_READ_WAIT, HTTP_READING_MAX};
use crate::pool::PoolError;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotShown {
    /// No such log.
    #[error("There is no log of `{0}`.")]
    UnknownNamespace(Name),
    /// No head of the log is proven yet, as far as this node knows.
    #[error("This node knows no proven head of `{0}` yet.")]
    NoHead(Name),
    /// The tile is not full, or not there at all, below the newest proven head.
    #[error("There is no such tile below the newest proven head, which has {proven} leaves.")]
    NoTile {
        /// Its leaves.
        proven: u64,
    },
    /// Statements that the entries belong to were removed.
    #[error(
        "The entries before leaf {first} are no longer kept; the hashes of all leaves are in the tiles \
         of level 0."
    )]
    Removed {
        /// The first that is kept.
        first: u64,
    },
    /// Too much is asked at once.
    #[error("This node is busy; ask again.")]
    Busy,
    /// A fault of this node.
    #[error("This node cannot read its log.")]
    Fault,
}

impl From<PoolError> for NotShown {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::Busy,
            PoolError::Died => Self::Fault,
        }
    }
}

impl From<ReadFault> for NotShown {
    fn from(fault: ReadFault) -> Self {
        tracing::error!(%fault, "a request of HTTP/1.1 met a fault of this node");
        Self::Fault
    }
}

/// What is shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) bytes: Vec<u8>,
    pub(super) keep: Keep,
}

/// Shows what one node knows. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    gate: Arc<Gate>,
    reading: Arc<Semaphore>,
}

impl Published {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        let reading = Arc::new(Semaphore::new(HTTP_READING_MAX));
        Self { gate, reading }
    }

    /// What a path names.
    pub(super) async fn show(&self, resource: Resource) -> Result<Shown, NotShown> {
        match resource {
            Resource::Checkpoint(namespace) => {
                let head = self.gate.published_head(&namespace);
                let note = head.ok_or(NotShown::NoHead(namespace))?;
                Ok(Shown {
                    bytes: note.to_string().into_bytes(),
                    keep: Keep::AMoment,
                })
            }
            Resource::Tile(namespace, tile) => {
                let proven = size(&self.newest(&namespace)?)?;
                Ok(Shown {
                    bytes: self.tile(namespace, proven, tile).await?,
                    keep: if tile.is_full() {
                        Keep::ForEver
                    } else {
                        Keep::AMinute
                    },
                })
            }
            Resource::Keys(namespace) => Ok(Shown {
                bytes: self.keys(namespace).await?.to_file().into_bytes(),
                keep: Keep::AMinute,
            }),
            Resource::Jwks(namespace) => Ok(Shown {
                bytes: self.keys(namespace).await?.to_jwks().into_bytes(),
                keep: Keep::AMinute,
            }),
        }
    }

    /// The newest proven head.
    fn newest(&self, namespace: &Name) -> Result<Note, NotShown> {
        let newest = self.gate.newest_proven(namespace);
        newest.ok_or_else(|| NotShown::NoHead(namespace.clone()))
    }

    async fn keys(&self, namespace: Name) -> Result<KeySet, NotShown> {
        let read = self.look(move |state| {
            let Some(log) = state.namespace(&namespace)? else {
                return Ok(Err(NotShown::UnknownNamespace(namespace)));
            };
            let keys = log.key_set()?;
            Ok(keys.ok_or(NotShown::NoHead(namespace)))
        });
        read.await?
    }

    async fn tile(&self, namespace: Name, proven: u64, tile: Tile) -> Result<Vec<u8>, NotShown> {
        let read = self.look(move |state| match state.namespace(&namespace)? {
            Some(log) => read_tile(&log, proven, tile),
            None => Ok(Err(NotShown::UnknownNamespace(namespace))),
        });
        read.await?
    }

    /// Reads the applied state on a pool thread, at most [`HTTP_READING_MAX`] at once.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Query<'_, StateView<'_>>) -> Result<T, ReadFault> + Send + 'static,
    ) -> Result<T, NotShown> {
        let Ok(_place) = self.reading.try_acquire() else {
            return Err(NotShown::Busy);
        };
        let group = self.gate.group().clone();
        let read = self
            .gate
            .reads()
            .run(move || group.local_view(|view| look(&Query::new(&view, GroupId::FIRST))));
        let read = timeout(HTTP_READ_WAIT, read).await;
        let seen = read.map_err(|_| NotShown::Busy)??;
        let seen = seen.map_err(ReadFault::View)?;
        Ok(seen?)
    }
}

/// How many leaves a head has.
fn size(note: &Note) -> Result<u64, NotShown> {
    let head: Checkpoint = note.text().parse().map_err(|problem| {
        tracing::error!(%problem, "a proven head cannot be read");
        NotShown::Fault
    })?;
    Ok(head.size.get())
}

/// The bytes of a tile below a head of `proven` leaves.
fn read_tile<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    proven: u64,
    tile: Tile,
) -> Result<Result<Vec<u8>, NotShown>, ReadFault> {
    // A head that others proved may be ahead of what this node has applied.
    let covered = proven.min(log.head()?.size);
    let bytes = bytes_of(&tile, covered, |level, place| match tile.kind() {
        TileKind::Hashes { .. } => log.subtree(level, place).map(Some),
        TileKind::Entries => {
            let statement = log.statement(place)?;
            Ok(statement.map(|statement| sha256(&statement.bytes)))
        }
    });
    match bytes {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(TileError::Read(fault)) => Err(fault),
        Err(TileError::Incomplete(_)) => {
            let first = log.record().swept.statements;
            Ok(Err(NotShown::Removed { first }))
        }
        Err(_) => Ok(Err(NotShown::NoTile { proven })),
    }
}
