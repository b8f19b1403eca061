//! Calls that are held while their attempts wait for bounds.
//!
//! ```text
//! call ─▶ Seat ─▶ the log says: waits ─▶ parked ─▶ woken by an offer, its time, or its end
//!                                           └ dropped: gone for a while, so its ticket is given back
//! ```
//!
//! What an attempt's place is stands in the log; here is only who wants to hear of it. A wake-up that
//! is lost or made up costs an evaluation and no more, because it is always the log that decides. A
//! parked call holds none of the places of calls that work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdpoint_core::command::AttemptName;
use holdpoint_core::outcome::Offer;
use holdpoint_receipt::Name;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::limits::LEFT_FOR;

/// An attempt of a namespace.
pub(crate) type AttemptKey = (Name, AttemptName);

/// Who is to be woken. Cheap to clone; clones are one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitingCalls(Arc<Mutex<BTreeMap<AttemptKey, Calls>>>);

/// The calls of one attempt.
#[derive(Debug)]
struct Calls {
    /// Rises with each wake-up.
    wake: watch::Sender<u64>,
    /// How many calls there are.
    count: usize,
    /// Whether the log may have a ticket of the attempt.
    may_wait: bool,
    /// When the attempt has left for good if none comes until then.
    // INVARIANT: set exactly while the count is zero.
    gone_at: Option<Instant>,
}

/// One call of an attempt that may wait.
#[derive(Debug)]
pub(crate) struct Seat {
    calls: WaitingCalls,
    key: AttemptKey,
    wake: watch::Receiver<u64>,
}

impl WaitingCalls {
    /// Takes note of a call. From now on it misses no wake-up.
    pub(crate) fn join(&self, key: AttemptKey) -> Seat {
        let mut list = self.list();
        let calls = list.entry(key.clone()).or_insert_with(|| Calls {
            wake: watch::Sender::new(0),
            count: 0,
            may_wait: false,
            gone_at: None,
        });
        calls.count = calls.count.saturating_add(1);
        calls.gone_at = None;
        Seat {
            calls: self.clone(),
            key,
            wake: calls.wake.subscribe(),
        }
    }

    /// Wakes the calls of the attempts that have an offer.
    pub(crate) fn offered(&self, offers: &[Offer]) {
        if offers.is_empty() {
            return;
        }
        let list = self.list();
        for offer in offers {
            let key = (offer.namespace.clone(), offer.attempt.clone());
            if let Some(calls) = list.get(&key) {
                wake(calls);
            }
        }
    }

    /// Wakes the calls of these attempts.
    pub(crate) fn wake(&self, attempts: &[AttemptKey]) {
        let list = self.list();
        let calls = attempts.iter().filter_map(|key| list.get(key));
        calls.for_each(wake);
    }

    /// Wakes every call: what all of them rest on has changed.
    pub(crate) fn wake_all(&self) {
        self.list().values().for_each(wake);
    }

    /// Takes note of attempts that wait in the log and have no call here: their clients may come within
    /// `long`, or not.
    pub(crate) fn adopt(&self, attempts: impl Iterator<Item = AttemptKey>, long: Duration) {
        let mut list = self.list();
        for key in attempts {
            list.entry(key).or_insert_with(|| Calls {
                wake: watch::Sender::new(0),
                count: 0,
                may_wait: true,
                gone_at: Some(Instant::now() + long),
            });
        }
    }

    /// The attempts that `now` have had no call for as long as they may, at most `max`. They are
    /// forgotten here.
    pub(crate) fn take_left(&self, now: Instant, max: usize) -> Vec<AttemptKey> {
        let mut list = self.list();
        let has_left = |calls: &Calls| calls.gone_at.is_some_and(|at| at <= now);
        let left = list.iter().filter(|(_, calls)| has_left(calls));
        let left: Vec<AttemptKey> = left.map(|(key, _)| key.clone()).take(max).collect();
        for key in &left {
            list.remove(key);
        }
        left
    }

    /// Forgets who has left: another node takes care of them now.
    pub(crate) fn forget_left(&self) {
        self.list().retain(|_, calls| calls.gone_at.is_none());
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<AttemptKey, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(calls: &Calls) {
    calls
        .wake
        .send_modify(|count| *count = count.wrapping_add(1));
}

impl Seat {
    /// Says that a command of the attempt is about to be proposed, which may leave a ticket.
    pub(crate) fn may_wait(&self) {
        self.note(true);
    }

    /// Says that the attempt waits no more.
    pub(crate) fn settled(&self) {
        self.note(false);
    }

    fn note(&self, may_wait: bool) {
        if let Some(calls) = self.calls.list().get_mut(&self.key) {
            calls.may_wait = may_wait;
        }
    }

    /// Resolves at the next wake-up, or at once if there was one since the last.
    pub(crate) async fn woken(&mut self) {
        // The sender lives as long as a seat of its attempt.
        let _ = self.wake.changed().await;
    }

    /// Takes the wake-ups so far as heard: what comes next sees what caused them.
    pub(crate) fn hear(&mut self) {
        self.wake.mark_unchanged();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut list = self.calls.list();
        let Some(calls) = list.get_mut(&self.key) else {
            return;
        };
        calls.count = calls.count.saturating_sub(1);
        if !calls.may_wait {
            // The attempt has its answer: its other calls find it, and nobody has to be waited for.
            wake(calls);
        }
        if calls.count > 0 {
            return;
        }
        if calls.may_wait {
            calls.gone_at = Some(Instant::now() + LEFT_FOR);
        } else {
            list.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::{Caller, ClusterTime, IdempotencyKey};

    use super::*;

    fn key(name: &str) -> AttemptKey {
        let attempt = AttemptName {
            caller: Caller::new("loopback:ci").unwrap(),
            idempotency_key: IdempotencyKey::new(name).unwrap(),
        };
        (Name::new("default").unwrap(), attempt)
    }

    fn offer(name: &str) -> Offer {
        let (namespace, attempt) = key(name);
        Offer {
            namespace,
            attempt,
            ticket: 1,
            until: ClusterTime::default(),
        }
    }

    #[tokio::test]
    async fn offer_wakes_the_calls_of_its_attempt_and_no_other() {
        let calls = WaitingCalls::default();
        let (mut mine, mut other) = (calls.join(key("k1")), calls.join(key("k2")));
        calls.offered(&[offer("k1"), offer("unknown")]);
        mine.woken().await;
        assert!(futures_util::poll!(std::pin::pin!(other.woken())).is_pending());
        assert!(futures_util::poll!(std::pin::pin!(mine.woken())).is_pending());
    }

    #[tokio::test]
    async fn offer_that_came_before_the_call_was_parked_is_not_lost() {
        let calls = WaitingCalls::default();
        let mut seat = calls.join(key("k1"));
        seat.hear();
        calls.offered(&[offer("k1")]);
        seat.woken().await;
    }

    #[tokio::test]
    async fn attempt_has_left_once_its_last_call_is_gone_and_is_back_with_the_next() {
        let calls = WaitingCalls::default();
        let later = Instant::now() + 2 * LEFT_FOR;
        let (first, second) = (calls.join(key("k1")), calls.join(key("k1")));
        first.may_wait();
        drop(first);
        assert!(calls.take_left(later, 9).is_empty());
        drop(second);
        assert!(
            calls.take_left(Instant::now(), 9).is_empty(),
            "it has some time"
        );
        let again = calls.join(key("k1"));
        assert!(calls.take_left(later, 9).is_empty());
        // Refused before it asked anything: the ticket is still there.
        drop(again);
        assert_eq!(calls.take_left(later, 9), [key("k1")]);
        drop(calls.join(key("k1")));
        assert!(calls.take_left(later, 9).is_empty(), "it never asked");
    }

    #[tokio::test]
    async fn attempts_of_an_earlier_leader_have_their_time_to_come_back() {
        let calls = WaitingCalls::default();
        let now = Instant::now();
        let keys = ["k1", "k2", "k3"].map(key);
        calls.adopt(keys.into_iter(), Duration::from_mins(1));
        let after = now + Duration::from_mins(2);
        assert!(calls.take_left(now + LEFT_FOR, 9).is_empty());
        let back = calls.join(key("k2"));
        assert_eq!(calls.take_left(after, 1), [key("k1")]);
        assert_eq!(calls.take_left(after, 9), [key("k3")]);
        drop(back);
        assert_eq!(calls.take_left(after, 9), [key("k2")]);
    }

    #[tokio::test]
    async fn attempt_with_an_answer_is_forgotten_and_its_other_calls_hear_of_it() {
        let calls = WaitingCalls::default();
        let (first, mut second) = (calls.join(key("k1")), calls.join(key("k1")));
        first.may_wait();
        second.may_wait();
        first.settled();
        drop(first);
        second.woken().await;
        drop(second);
        let later = Instant::now() + 2 * LEFT_FOR;
        assert!(calls.take_left(later, 9).is_empty());
    }
}
