//! Policies that have been loaded: the one in force, and a few neighbours.
//!
//! Loading a bundle reads, checks and compiles all of it, so it happens once a bundle and on pool
//! threads. Nothing here knows which policy is in force; whoever asks names the digest.

use std::sync::{Mutex, PoisonError};

use holdpoint_policy::{Bundle, FailedExit, Policy};
use holdpoint_receipt::{Digest, Name};

use crate::limits::{COMPILED_POLICIES_MAX, SENTENCE_BYTES_MAX};

/// Stands for what does not fit into a sentence.
const CUT: &str = " …";

const _: () = assert!(CUT.len() < SENTENCE_BYTES_MAX);

/// The loaded policies, most recently used last.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    // INVARIANT: at most COMPILED_POLICIES_MAX, each under its own digest, none twice.
    loaded: Mutex<Vec<Policy>>,
}

/// A bundle of the state that cannot be loaded. It loaded when it was put, so this build differs
/// from the one that put it, or its bytes are damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy bundle {digest} does not load on this node: {problem}")]
pub(crate) struct NotLoaded {
    digest: Digest,
    problem: String,
}

impl Policies {
    /// The policy of the bundle `digest`, whose encoding `read` gets if it is not loaded yet.
    ///
    /// Loads under the lock: all who need a new policy need the same one. Call on a pool thread.
    ///
    /// # Errors
    ///
    /// The fault of `read`, or [`NotLoaded`].
    pub(crate) fn get<E: From<NotLoaded>>(
        &self,
        digest: Digest,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Policy, E> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = loaded.iter().position(|policy| policy.digest() == digest) {
            let policy = loaded.remove(place);
            loaded.push(policy.clone());
            return Ok(policy);
        }
        let policy = load(digest, &read()?)?;
        assert_eq!(
            policy.digest(),
            digest,
            "a bundle is stored under its own digest"
        );
        if loaded.len() >= COMPILED_POLICIES_MAX {
            loaded.remove(0);
        }
        loaded.push(policy.clone());
        Ok(policy)
    }

    /// The name that a stored bundle gives itself; empty if this build cannot load it.
    ///
    /// Does not disturb what is kept: a listing names more bundles than are in use.
    pub(crate) fn name(&self, digest: &Digest, bytes: &[u8]) -> String {
        let kept = {
            let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded
                .iter()
                .find(|policy| policy.digest() == *digest)
                .cloned()
        };
        let policy = kept.or_else(|| load(*digest, bytes).ok());
        policy
            .map(|policy| policy.name().to_string())
            .unwrap_or_default()
    }

    /// Whether the bundle says that a failing command of `surface` has had no effect. Advice for an
    /// executor, so an absent policy is not loaded for it: a failing command is then in doubt.
    pub(crate) fn failed_exit_aborts(&self, digest: &Digest, surface: &Name) -> bool {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = loaded.iter().find(|policy| policy.digest() == *digest);
        let terms = policy.and_then(|policy| policy.terms(surface));
        terms.is_some_and(|terms| terms.failed_exit == FailedExit::Aborted)
    }

    /// What the policies `ids` of a bundle say to people, each with its id; none if the bundle is not
    /// loaded, or says nothing. At most [`SENTENCE_BYTES_MAX`] bytes.
    pub(crate) fn reasons(&self, digest: &Digest, ids: &[String]) -> Option<String> {
        let policy = {
            let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let mut loaded = loaded.iter();
            loaded.find(|policy| policy.digest() == *digest).cloned()?
        };
        let said = ids.iter().filter_map(|id| {
            let reason = policy.reason_of(id).filter(|reason| !reason.is_empty())?;
            Some(format!("{reason} ({id})"))
        });
        let mut sentence = said.collect::<Vec<_>>().join("; ");
        if sentence.len() > SENTENCE_BYTES_MAX {
            let end = sentence.floor_char_boundary(SENTENCE_BYTES_MAX - CUT.len());
            sentence.truncate(end);
            sentence.push_str(CUT);
        }
        (!sentence.is_empty()).then_some(sentence)
    }

    /// Keeps a policy that was loaded to be put: it will be needed soon.
    pub(crate) fn remember(&self, policy: Policy) {
        let digest = policy.digest();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.iter().any(|known| known.digest() == digest) {
            return;
        }
        if loaded.len() >= COMPILED_POLICIES_MAX {
            loaded.remove(0);
        }
        loaded.push(policy);
    }
}

fn load(digest: Digest, bytes: &[u8]) -> Result<Policy, NotLoaded> {
    let refused = |problem: String| NotLoaded { digest, problem };
    let bundle = Bundle::decode(bytes).map_err(|error| refused(error.to_string()))?;
    if bundle.digest() != digest {
        return Err(refused(format!(
            "its content has the digest {}",
            bundle.digest()
        )));
    }
    Policy::load(&bundle)
        .map_err(|errors| refused(errors.first().map_or_else(String::new, ToString::to_string)))
}

#[cfg(test)]
mod tests {
    use holdpoint_policy::starter;

    use super::*;

    #[test]
    fn what_policies_say_to_people_is_joined_and_bounded() {
        let bundle = Bundle::new(
            starter::FILES
                .iter()
                .map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec())),
        );
        let policy = Policy::load(&bundle.unwrap()).unwrap();
        let (policies, digest) = (Policies::default(), policy.digest());
        let word = "demo.forbidden-word".to_owned();
        assert_eq!(policies.reasons(&digest, std::slice::from_ref(&word)), None);
        policies.remember(policy);
        assert_eq!(policies.reasons(&digest, &["unknown".to_owned()]), None);
        let said = policies.reasons(&digest, &[word.clone(), "demo.echo".to_owned()]);
        let expected = "the message has the word that this example forbids (demo.forbidden-word); \
                        anybody may echo (demo.echo)";
        assert_eq!(said.as_deref(), Some(expected));
        let many = policies.reasons(&digest, &vec![word; 100]).unwrap();
        assert!(
            many.len() <= SENTENCE_BYTES_MAX && many.ends_with(CUT),
            "{many}"
        );
    }
}
