//! The keys that receipts are verified with, and how they follow the cluster's.
//!
//! Nodes and keys come and go while a gate lives. Keys that were fetched over a connection are fetched
//! again when a receipt names others, and taken only if they continue those that are known: the same
//! epochs and the same marks, and more behind them. That is worth what the first fetch was worth. Keys
//! that the caller gave are never changed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use holdpoint_receipt::{KeySet, VerifyError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::call::Nodes;
use crate::gate::fetch_keys;

/// How long one fetch may take.
const FETCH: Duration = Duration::from_secs(5);

/// The pause after a fetch, so that a lying node cannot make this client ask without end.
const PAUSE: Duration = Duration::from_millis(250);

/// The keys in use. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Verifying(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: RwLock<Arc<KeySet>>,
    wanted: Notify,
}

/// Follows the cluster's keys until it is dropped.
#[derive(Debug)]
pub(crate) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Verifying {
    pub(crate) fn new(keys: KeySet) -> Self {
        Self(Arc::new(Inner {
            keys: RwLock::new(Arc::new(keys)),
            wanted: Notify::new(),
        }))
    }

    /// The keys as they are known now.
    pub(crate) fn keys(&self) -> Arc<KeySet> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    /// A receipt was not believed: whether newer keys might help, they are looked for.
    pub(crate) fn disbelieved(&self, error: &VerifyError) {
        let may_be_newer = matches!(
            error,
            VerifyError::UnknownKey { .. }
                | VerifyError::KeyRevoked { .. }
                | VerifyError::NotEnoughSignatures { .. }
                | VerifyError::SurplusSignatures { .. }
        );
        if may_be_newer {
            self.0.wanted.notify_one();
        }
    }

    /// Takes `newer` if it continues what is known. Says whether it did.
    fn take(&self, newer: KeySet) -> bool {
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        let continues = continues(&keys, &newer);
        if continues {
            *keys = Arc::new(newer);
        }
        continues
    }

    /// Fetches newer keys from `nodes` whenever they are wanted.
    pub(crate) fn follow(&self, nodes: Arc<Nodes>) -> Following {
        let this = self.clone();
        Following(tokio::spawn(async move {
            loop {
                this.0.wanted.notified().await;
                match fetch_keys(&nodes, FETCH).await {
                    Ok(file) => match KeySet::parse(&file) {
                        Ok(newer) if this.take(newer.clone()) => {
                            tracing::debug!(epochs = newer.epochs().len(), "newer keys are in use");
                        }
                        Ok(_) => tracing::warn!(
                            "a node shows keys that do not continue the known ones; they are not used"
                        ),
                        Err(error) => tracing::warn!(%error, "a node shows malformed keys"),
                    },
                    Err(error) => tracing::debug!(%error, "newer keys could not be fetched"),
                }
                sleep(PAUSE).await;
            }
        }))
    }
}

/// Whether `newer` has everything that `known` has, unchanged.
fn continues(known: &KeySet, newer: &KeySet) -> bool {
    newer.authority() == known.authority()
        && newer.namespace() == known.namespace()
        && newer.epochs().starts_with(known.epochs())
        && newer.revocations().starts_with(known.revocations())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use holdpoint_receipt::keys::Epoch;
    use holdpoint_receipt::{ClusterId, Name, NodeId, NodeSecretKeys, SecretKey, TreeSize};

    use super::*;

    fn epoch(from: u64, seeds: &[u8]) -> Epoch {
        let keys = |seed: u8| {
            let key = |seed| SecretKey::from_seed(&[seed; 32]);
            NodeSecretKeys::new(key(seed), key(seed + 100))
                .unwrap()
                .public()
        };
        let nodes: BTreeMap<_, _> = seeds
            .iter()
            .map(|seed| (NodeId::new(u64::from(*seed)).unwrap(), keys(*seed)))
            .collect();
        Epoch {
            tree_size_from: TreeSize::new(from).unwrap(),
            signers_needed: 1,
            nodes,
        }
    }

    fn set(epochs: Vec<Epoch>) -> KeySet {
        let (cluster, name) = (
            ClusterId::from_bytes([7; 16]),
            Name::new("default").unwrap(),
        );
        KeySet::new(cluster, name, epochs, vec![]).unwrap()
    }

    #[test]
    fn keys_are_taken_only_if_they_continue_the_known_ones() {
        let verifying = Verifying::new(set(vec![epoch(0, &[1])]));
        let longer = set(vec![epoch(0, &[1]), epoch(5, &[1, 2])]);
        assert!(verifying.take(longer.clone()));
        assert!(!verifying.take(set(vec![epoch(0, &[1])])), "it is older");
        let other = set(vec![epoch(0, &[1]), epoch(5, &[3]), epoch(9, &[4])]);
        assert!(!verifying.take(other), "it has another past");
        assert_eq!(*verifying.keys(), longer);
    }
}
