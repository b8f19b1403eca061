//! The keys that receipts are verified against, and how they follow the cluster's changes of keys.
//!
//! Keys that were pinned stay what everything rests on: later ones are taken only where enough of the
//! earlier nodes have signed them over ([`KeySet::follow`]). Nothing here is written down.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_receipt::{KeySet, Receipt};
use tokio::sync::Mutex as AsyncMutex;

use crate::believe::AnswerError;
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::info::malformed;
use crate::steps::refused;

/// How long the published keys are not fetched again after they led to nothing new.
const PAUSE: Duration = Duration::from_millis(500);

/// The keys as this gate believes them. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Pinned(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: RwLock<Arc<KeySet>>,
    /// Held while the published keys are fetched: who waits for it is served by the one fetch.
    fetching: AsyncMutex<()>,
    /// When they last led to nothing new.
    in_vain: Mutex<Option<Duration>>,
}

/// The published keys, and what links them to earlier ones.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) file: Vec<u8>,
    links: Vec<v1::Receipt>,
}

impl Published {
    /// Fetches them over one connection.
    pub(crate) async fn fetch(connection: &Connection, budget: Duration) -> Result<Self, Failure> {
        let message = v1::ExportKeysRequest {
            deadline_ms: wire_ms(budget),
        };
        let answer = connection
            .keys()
            .export(connection.request(message))
            .await?;
        let v1::ExportKeysResponse {
            keys_json,
            links,
            refusal,
        } = answer.into_inner();
        refused(refusal)?;
        Ok(Self {
            file: keys_json,
            links,
        })
    }

    /// The keys that follow from `trusted` by them.
    pub(crate) fn following(&self, trusted: &KeySet) -> Result<KeySet, AnswerError> {
        let published = KeySet::parse(&self.file).map_err(|error| malformed("keys_json", error))?;
        let links = self.links.iter().map(|link| Receipt::parse(&link.file));
        let links: Vec<Receipt> = links
            .collect::<Result<_, _>>()
            .map_err(AnswerError::Receipt)?;
        trusted
            .follow(&published, &links)
            .map_err(|error| malformed("keys_json", error))
    }
}

impl Pinned {
    pub(crate) fn new(keys: KeySet) -> Self {
        Self(Arc::new(Inner {
            keys: RwLock::new(Arc::new(keys)),
            fetching: AsyncMutex::new(()),
            in_vain: Mutex::new(None),
        }))
    }

    /// The keys now.
    pub(crate) fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what follows from the keys by `published`. Says whether that is more than before.
    pub(crate) fn take(&self, published: &Published) -> Result<bool, AnswerError> {
        let trusted = self.now();
        let following = published.following(&trusted)?;
        if following == *trusted {
            return Ok(false);
        }
        tracing::info!(digest = %following.digest(), "the cluster's keys changed, and were followed");
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        // Another call may have followed further meanwhile.
        if keys.epochs().len() <= following.epochs().len() {
            *keys = Arc::new(following);
        }
        Ok(true)
    }

    /// Fetches the published keys and follows them, unless somebody just did. Says whether the keys are
    /// others than `seen` now.
    pub(crate) async fn follow<Fut, E>(
        &self,
        seen: &Arc<KeySet>,
        now: Duration,
        fetch: impl FnOnce() -> Fut + Send,
    ) -> bool
    where
        Fut: Future<Output = Result<Published, E>> + Send,
    {
        let _one = self.0.fetching.lock().await;
        if !Arc::ptr_eq(seen, &self.now()) {
            return true;
        }
        if self.is_in_vain(now) {
            return false;
        }
        let taken = match fetch().await {
            Ok(published) => self.take(&published).unwrap_or_else(|error| {
                tracing::warn!(%error, "the published keys are not believed");
                false
            }),
            Err(_) => false,
        };
        let mut in_vain = self
            .0
            .in_vain
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *in_vain = (!taken).then_some(now);
        taken
    }

    fn is_in_vain(&self, now: Duration) -> bool {
        let in_vain = self
            .0
            .in_vain
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        in_vain.is_some_and(|at| now.saturating_sub(at) < PAUSE)
    }
}
