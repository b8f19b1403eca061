//! The generations of this node's secret keys: the present one, and those that a handover still needs.
//!
//! A head of an epoch is signed with the generation that the epoch names. Nothing here draws a key or
//! touches a file.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use holdpoint_receipt::NodeSecretKeys;
use holdpoint_receipt::keys::NodePublicKeys;

/// This node's keys. Cheap to clone; clones are one.
#[derive(Clone)]
pub(crate) struct Keyring(Arc<RwLock<Vec<Arc<NodeSecretKeys>>>>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.public()).finish()
    }
}

impl Keyring {
    /// A ring of generations, the newest last.
    pub(crate) fn new(generations: Vec<NodeSecretKeys>) -> Self {
        let generations = generations.into_iter().map(Arc::new).collect();
        Self(Arc::new(RwLock::new(generations)))
    }

    /// The generation with these public halves.
    pub(crate) fn find(&self, public: &NodePublicKeys) -> Option<Arc<NodeSecretKeys>> {
        let generations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        generations
            .iter()
            .find(|keys| keys.public() == *public)
            .cloned()
    }

    /// Takes one more generation.
    pub(crate) fn add(&self, keys: NodeSecretKeys) {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !generations
            .iter()
            .any(|known| known.public() == keys.public())
        {
            generations.push(Arc::new(keys));
        }
    }

    /// Lets go of every generation but those in `kept`, and wipes them.
    pub(crate) fn retain(&self, kept: &[NodePublicKeys]) {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        generations.retain(|keys| kept.contains(&keys.public()));
    }

    /// The public halves, the newest last.
    pub(crate) fn public(&self) -> Vec<NodePublicKeys> {
        let generations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        generations.iter().map(|keys| keys.public()).collect()
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::SecretKey;

    use super::*;

    fn keys(seed: u8) -> NodeSecretKeys {
        let key = |byte| SecretKey::from_seed(&[byte; 32]);
        NodeSecretKeys::new(key(seed), key(seed + 1)).unwrap()
    }

    #[test]
    fn generation_is_found_by_its_public_keys_until_it_is_let_go() {
        let ring = Keyring::new(vec![keys(1)]);
        ring.add(keys(3));
        ring.add(keys(3));
        let (old, new) = (keys(1).public(), keys(3).public());
        assert_eq!(ring.public(), [old, new]);
        assert!(ring.find(&old).is_some());
        ring.retain(&[new]);
        assert!(ring.find(&old).is_none());
        assert!(ring.find(&new).is_some());
    }
}
