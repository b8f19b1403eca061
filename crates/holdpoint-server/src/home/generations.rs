//! The pairs of keys that this node has: the first, and those that it was asked to make since.
//!
//! ```text
//! asked for new keys ─▶ both files durable ─▶ public halves leave ─▶ an epoch names them
//!                                                                    ─▶ handed over ─▶ old ones wiped
//! ```
//!
//! Which pair is in use is said by the replicated state, never by a file. Nothing here signs, and no
//! pair is wiped that the state may still ask for.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_core::record::SignerRecord;
use holdpoint_receipt::keys::NodePublicKeys;
use holdpoint_receipt::sha256;
use holdpoint_storage::{Generation, KeyFile, KeyFolder};

use super::HomeError;
use super::stored::{self, Pair, Stored};
use crate::cosign::Keyring;
use crate::key_files::KeySealing;

/// The name that operators give a pair of keys by: the beginning of its log key's hash, 16 hex digits.
pub(crate) fn key_id(log_key: &[u8; 32]) -> String {
    name_of(log_key).to_string()
}

/// The name of the files of a later pair.
pub(super) fn name_of(log_key: &[u8; 32]) -> Generation {
    let hash = sha256(log_key);
    let mut name = [0; 8];
    for (to, from) in name.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    Generation::Later(name)
}

/// This node's keys. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Generations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: KeyFolder,
    /// What new keys are encrypted under in their files.
    sealing: Option<KeySealing>,
    ring: Keyring,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// Every pair that is whole on the disk.
    // INVARIANT: not empty.
    pairs: Vec<(Generation, NodePublicKeys)>,
    /// The one that the cluster knows this node by.
    present: NodePublicKeys,
}

impl Generations {
    /// Takes every pair that was read. Makes the first if the node has never taken part in anything.
    ///
    /// # Errors
    ///
    /// No pair is whole, or the first cannot be made.
    pub(super) fn open(mut stored: Stored, is_fresh: bool) -> Result<Self, HomeError> {
        let mut pairs = Vec::new();
        let mut secrets = Vec::new();
        let mut lost = None;
        let found = stored.generations();
        let has_later = found.iter().any(|found| *found != Generation::First);
        let is_begun = found.contains(&Generation::First);
        let first = (is_begun || is_fresh || !has_later).then_some(Generation::First);
        let later = found.iter().filter(|found| **found != Generation::First);
        for generation in first.into_iter().chain(later.copied()) {
            let is_needed = !has_later;
            match stored.pair(generation, is_fresh && is_needed)? {
                Pair::Whole(keys) => {
                    pairs.push((generation, keys.public()));
                    secrets.push(*keys);
                }
                Pair::Lacks(file) if is_needed => {
                    let path = stored.folder.path(generation, file);
                    return Err(HomeError::LostKey { path });
                }
                Pair::Lacks(file) => {
                    let path = stored.folder.path(generation, file);
                    tracing::warn!(
                        missing = %path.display(),
                        "one key of a pair is missing; the other is left alone and not used"
                    );
                    lost = Some(path);
                }
            }
        }
        let Some((_, present)) = pairs.first().copied() else {
            let first = || stored.folder.path(Generation::First, KeyFile::Log);
            let path = lost.unwrap_or_else(first);
            return Err(HomeError::LostKey { path });
        };
        Ok(Self(Arc::new(Inner {
            folder: stored.folder,
            sealing: stored.sealing,
            ring: Keyring::new(secrets),
            known: Mutex::new(Known { pairs, present }),
        })))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secret keys, for whoever signs.
    pub(crate) fn ring(&self) -> &Keyring {
        &self.0.ring
    }

    /// The pair that the cluster knows this node by, or will once it knows it.
    pub(crate) fn present(&self) -> NodePublicKeys {
        self.known().present
    }

    /// Takes the pair that the state names for the present one. Says whether it is on the disk.
    pub(crate) fn take_for_present(&self, named: &SignerRecord) -> bool {
        let mut known = self.known();
        let found = known.pairs.iter().find(|(_, pair)| is(pair, named));
        let Some((_, pair)) = found.copied() else {
            return false;
        };
        known.present = pair;
        true
    }

    /// How many pairs there are.
    pub(crate) fn count(&self) -> usize {
        self.known().pairs.len()
    }

    /// A pair that the state has never named: one that was made before, or else a new one, which is
    /// durable when this returns. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// No randomness, or a fault of the disk.
    pub(crate) fn unnamed(
        &self,
        is_named: impl Fn(&NodePublicKeys) -> bool,
    ) -> Result<NodePublicKeys, HomeError> {
        // Held while the files are written: two who ask at once are given the same pair.
        let mut known = self.known();
        if let Some((_, pair)) = known.pairs.iter().find(|(_, pair)| !is_named(pair)) {
            return Ok(*pair);
        }
        let (generation, keys) = stored::make(&self.0.folder, self.0.sealing.as_ref())?;
        let public = keys.public();
        self.0.ring.add(keys);
        known.pairs.push((generation, public));
        Ok(public)
    }

    /// Wipes every pair that `is_done` says nobody will ask for again; never the present one. Blocks
    /// on the disk.
    ///
    /// # Errors
    ///
    /// A fault of the disk.
    pub(crate) fn wipe(&self, is_done: impl Fn(&NodePublicKeys) -> bool) -> Result<(), HomeError> {
        let mut known = self.known();
        let present = known.present;
        let (done, kept): (Vec<_>, Vec<_>) = known
            .pairs
            .iter()
            .copied()
            .partition(|(_, pair)| *pair != present && is_done(pair));
        if done.is_empty() {
            return Ok(());
        }
        let public: Vec<NodePublicKeys> = kept.iter().map(|(_, pair)| *pair).collect();
        known.pairs = kept;
        self.0.ring.retain(&public);
        for (generation, pair) in done {
            self.0.folder.wipe(generation)?;
            let key = key_id(pair.log.as_bytes());
            tracing::info!(%key, "keys that nothing needs any more are wiped");
        }
        Ok(())
    }

    /// Where the log key and the co-signing key are, if the two files of a pair hold each other's.
    pub(crate) fn swapped(&self, named: &SignerRecord) -> Option<(PathBuf, PathBuf)> {
        let known = self.known();
        let is_swapped = |pair: &NodePublicKeys| {
            *pair.log.as_bytes() == named.cosign_key && *pair.cosign.as_bytes() == named.log_key
        };
        let (generation, _) = known.pairs.iter().find(|(_, pair)| is_swapped(pair))?;
        Some((
            self.0.folder.path(*generation, KeyFile::Log),
            self.0.folder.path(*generation, KeyFile::Node),
        ))
    }

    /// The file that does not hold what the state names, though it should.
    pub(crate) fn wrong_file(&self, named: &SignerRecord) -> PathBuf {
        let known = self.known();
        let has_log = |pair: &NodePublicKeys| *pair.log.as_bytes() == named.log_key;
        if let Some((generation, _)) = known.pairs.iter().find(|(_, pair)| has_log(pair)) {
            return self.0.folder.path(*generation, KeyFile::Node);
        }
        let is_only_first = known
            .pairs
            .iter()
            .all(|(generation, _)| *generation == Generation::First);
        let generation = if is_only_first {
            Generation::First
        } else {
            name_of(&named.log_key)
        };
        self.0.folder.path(generation, KeyFile::Log)
    }
}

/// Whether a pair is what the state names.
pub(super) fn is(pair: &NodePublicKeys, named: &SignerRecord) -> bool {
    *pair.log.as_bytes() == named.log_key && *pair.cosign.as_bytes() == named.cosign_key
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::{ClusterId, NodeId};
    use holdpoint_storage::Owner;
    use tempfile::TempDir;

    use super::super::Home;
    use super::*;

    fn open(scratch: &TempDir) -> Result<Generations, HomeError> {
        let owner = Owner {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::new(1).unwrap(),
        };
        Home::open(scratch.path(), owner, None).map(|home| home.keys)
    }

    fn named(pair: &NodePublicKeys) -> SignerRecord {
        SignerRecord {
            node: NodeId::new(1).unwrap(),
            log_key: *pair.log.as_bytes(),
            cosign_key: *pair.cosign.as_bytes(),
        }
    }

    #[test]
    fn new_pair_is_made_once_until_it_is_named_and_outlives_the_process() {
        let scratch = tempfile::tempdir().unwrap();
        let keys = open(&scratch).unwrap();
        let first = keys.present();
        let made = keys.unnamed(|pair| *pair == first).unwrap();
        assert_eq!(keys.unnamed(|pair| *pair == first).unwrap(), made);
        assert_ne!(made, first);
        drop(keys);
        let keys = open(&scratch).unwrap();
        assert_eq!(keys.present(), first);
        assert!(keys.take_for_present(&named(&made)));
        assert_eq!(keys.present(), made);
        assert!(keys.ring().find(&first).is_some());
    }

    #[test]
    fn pair_that_nothing_needs_is_wiped_and_the_present_one_never() {
        let scratch = tempfile::tempdir().unwrap();
        let keys = open(&scratch).unwrap();
        let first = keys.present();
        let made = keys.unnamed(|pair| *pair == first).unwrap();
        keys.wipe(|pair| *pair == first).unwrap();
        assert_eq!(keys.count(), 2);
        assert!(keys.take_for_present(&named(&made)));
        keys.wipe(|_| true).unwrap();
        assert_eq!(keys.count(), 1);
        assert!(keys.ring().find(&first).is_none());
        assert!(!scratch.path().join("keys/log.key").exists());
        drop(keys);
        assert_eq!(open(&scratch).unwrap().present(), made);
    }

    #[test]
    fn half_a_pair_is_not_used_and_without_a_whole_one_nothing_starts() {
        let scratch = tempfile::tempdir().unwrap();
        let keys = open(&scratch).unwrap();
        let first = keys.present();
        let made = keys.unnamed(|pair| *pair == first).unwrap();
        drop(keys);
        let folder = scratch.path().join("keys");
        let name = key_id(made.log.as_bytes());
        std::fs::remove_file(folder.join(format!("{name}.log.key"))).unwrap();
        assert_eq!(open(&scratch).unwrap().count(), 1);
        std::fs::remove_file(folder.join("log.key")).unwrap();
        let error = open(&scratch).unwrap_err().to_string();
        assert!(error.contains("is missing"), "{error}");
    }

    #[test]
    fn file_that_is_not_what_the_state_names_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let keys = open(&scratch).unwrap();
        let first = keys.present();
        let other = SignerRecord {
            cosign_key: [7; 32],
            ..named(&first)
        };
        assert!(!keys.take_for_present(&other));
        assert!(keys.wrong_file(&other).ends_with("keys/node.key"));
        let swapped = SignerRecord {
            log_key: *first.cosign.as_bytes(),
            cosign_key: *first.log.as_bytes(),
            ..other
        };
        assert!(keys.swapped(&swapped).is_some());
    }
}
