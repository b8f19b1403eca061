//! Whether this node signs, and what it met: shared by its threads, its tasks and its status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_receipt::Name;

use super::error::SignError;

/// How a node stands with the log. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Set once, at the first contradiction.
    diverged: Mutex<Option<Name>>,
    /// What kept the node from signing when it last tried; none if it signed.
    trouble: Mutex<Option<SignError>>,
    mismatches: AtomicU64,
    rounds: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Standing {
    /// The namespace whose log contradicts a signed head, if one does.
    pub(crate) fn diverged(&self) -> Option<Name> {
        lock(&self.0.diverged).clone()
    }

    /// Stops signing for as long as this process lives, counts the root that was the reason, and says why.
    pub(crate) fn diverge(&self, namespace: &Name) -> SignError {
        let first = lock(&self.0.diverged)
            .get_or_insert_with(|| {
                self.mismatched();
                namespace.clone()
            })
            .clone();
        let error = SignError::Diverged(first);
        *lock(&self.0.trouble) = Some(error.clone());
        error
    }

    /// What kept the node from signing when it last tried; none if it signed, or never tried.
    pub(crate) fn trouble(&self) -> Option<SignError> {
        lock(&self.0.trouble).clone()
    }

    /// Takes note of how trying to sign went.
    pub(crate) fn tried<T>(&self, result: &Result<T, SignError>) {
        // Asking for what does not exist says nothing of the node.
        if matches!(result, Err(SignError::NoStatement { .. })) {
            return;
        }
        *lock(&self.0.trouble) = match self.diverged() {
            Some(namespace) => Some(SignError::Diverged(namespace)),
            None => result.as_ref().err().cloned(),
        };
    }

    /// Counts a root that differed from another node's.
    pub(crate) fn mismatched(&self) {
        self.0.mismatches.fetch_add(1, Ordering::Relaxed);
    }

    /// Roots that differed from another node's, since the start.
    pub(crate) fn mismatches(&self) -> u64 {
        self.0.mismatches.load(Ordering::Relaxed)
    }

    /// Counts a round of signatures.
    pub(crate) fn began_round(&self) {
        self.0.rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// Rounds of signatures that this node began, since the start.
    pub(crate) fn rounds(&self) -> u64 {
        self.0.rounds.load(Ordering::Relaxed)
    }
}
