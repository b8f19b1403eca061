//! What is measured: three servers of one kind on this machine, and workers that ask them.

pub(crate) mod etcd;
pub(crate) mod holdpoint;
pub(crate) mod postgres;
mod server;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Fault;

/// Bytes of the value that the peers keep for a key: as much as a request of ours has.
const VALUE_BYTES: usize = 300;

/// Three servers that run until this drops.
pub(crate) trait System: Sync {
    /// Who asks them.
    type Worker: Worker;

    /// The processes that are the servers, together with all that they start.
    fn processes(&self) -> Vec<u32>;

    /// A worker with its connection, which others may share; `number` counts them from 0.
    fn worker(&self, number: usize) -> impl Future<Output = Result<Self::Worker, Fault>> + Send;
}

/// One client that asks for one thing at a time.
pub(crate) trait Worker: Send + 'static {
    /// What is asked for. Asking twice for the same one is a retry.
    type Attempt: Send + Sync;
    /// What was granted: the key is held until it is given back or its life is over.
    type Permit: Send;

    /// A new attempt at `key`. `number` is another one for each attempt of a run.
    fn attempt(&self, key: &str, number: u64) -> Self::Attempt;

    /// Asks for the key, or finds out who has it.
    fn claim(
        &mut self,
        attempt: &Self::Attempt,
    ) -> impl Future<Output = Result<Claim<Self::Permit>, NoAnswer>> + Send;

    /// Goes on without a permit, which stays in force.
    fn set_aside(permit: Self::Permit);

    /// Gives a permit back that nothing was done with.
    fn give_back(
        &mut self,
        permit: Self::Permit,
    ) -> impl Future<Output = Result<(), NoAnswer>> + Send;

    /// Redeems a permit and completes it, which frees the key: two durable steps.
    fn fulfil(&mut self, permit: Self::Permit)
    -> impl Future<Output = Result<(), NoAnswer>> + Send;

    /// Waits for the turn of `attempt`, is the only holder of its key once, and lets it go.
    fn hand_over(
        &mut self,
        attempt: &Self::Attempt,
        inside: &Inside,
    ) -> impl Future<Output = Result<(), NoAnswer>> + Send;
}

/// How a claim ended.
#[derive(Debug)]
pub(crate) enum Claim<P> {
    /// It is ours, or was already by this very attempt.
    Granted(P),
    /// Somebody else has it.
    Held,
}

/// A step without a result, under a word to count it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer(pub(crate) String);

/// How many steps had no result, by their words.
pub(crate) type Unanswered = BTreeMap<String, u64>;

/// The inside of the hot key. It counts who finds somebody else there: a hand-over that is not
/// exclusive is none.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    is_taken: AtomicBool,
    met: AtomicU64,
}

impl Inside {
    /// Goes in, to leave with the guard.
    pub(crate) fn enter(&self) -> InsideGuard<'_> {
        if self.is_taken.swap(true, Ordering::AcqRel) {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
        InsideGuard(self)
    }

    /// How often two were inside at once.
    pub(crate) fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }
}

/// Somebody is inside.
#[must_use]
pub(crate) struct InsideGuard<'a>(&'a Inside);

impl Drop for InsideGuard<'_> {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Release);
    }
}

/// A value that says whose it is, as long as a request of ours.
fn value(number: u64) -> Vec<u8> {
    format!("{number:0>VALUE_BYTES$}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_are_inside_at_once_are_counted() {
        let inside = Inside::default();
        drop(inside.enter());
        drop(inside.enter());
        assert_eq!(inside.met(), 0);
        let first = inside.enter();
        drop(inside.enter());
        drop(first);
        assert_eq!(inside.met(), 1);
    }

    #[test]
    fn values_are_as_long_as_requests_and_differ() {
        assert_eq!(value(7).len(), VALUE_BYTES);
        assert_ne!(value(7), value(70));
    }
}
