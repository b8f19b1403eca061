//! The clock of a testbed: it moves when the test says so, and when a scripted fault takes time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Time since a testbed began, and who waits for it.
///
/// Never goes back, and never moves by itself.
#[derive(Clone, Debug)]
pub(crate) struct BedClock {
    shared: Arc<Mutex<Shared>>,
    /// What wall clocks showed when it began, since the Unix epoch.
    began: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    now: Duration,
    /// By the time that is waited for, and a number.
    waiting: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

impl BedClock {
    pub(super) fn new(began: Duration) -> Self {
        let shared = Arc::default();
        Self { shared, began }
    }

    /// Time since the testbed began.
    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    /// What wall clocks show.
    pub(crate) fn wall(&self) -> Duration {
        self.began.saturating_add(self.now())
    }

    /// The time since the testbed began at which wall clocks show this.
    pub(super) fn since_began(&self, wall: Duration) -> Duration {
        wall.saturating_sub(self.began)
    }

    /// It is this late now, if it was earlier.
    pub(crate) fn pass_to(&self, now: Duration) {
        let mut shared = self.lock();
        if now <= shared.now {
            return;
        }
        shared.now = now;
        let later = shared.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut shared.waiting, later);
        drop(shared);
        due.into_values().for_each(Waker::wake);
    }

    /// The next time that somebody waits for.
    pub(super) fn next_awaited(&self) -> Option<Duration> {
        let shared = self.lock();
        shared
            .waiting
            .keys()
            .map(|(at, _)| *at)
            .find(|at| *at > shared.now)
    }

    /// Waits until it is this late.
    pub(super) fn reached(&self, at: Duration) -> Reached {
        let (clock, place) = (self.clone(), None);
        Reached { clock, at, place }
    }

    /// What `work` gives, if it does before then. An answer that took until later came too late.
    pub(crate) async fn within<T>(
        &self,
        until: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = self.reached(until) => None,
            done = work => (self.now() <= until).then_some(done),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a time.
#[derive(Debug)]
pub(super) struct Reached {
    clock: BedClock,
    at: Duration,
    /// Its number while it waits.
    place: Option<u64>,
}

impl Reached {
    fn leave(&mut self, shared: &mut Shared) {
        if let Some(place) = self.place.take() {
            shared.waiting.remove(&(self.at, place));
        }
    }
}

impl Future for Reached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut shared = clock.lock();
        self.leave(&mut shared);
        if shared.now >= self.at {
            return Poll::Ready(());
        }
        let place = shared.next;
        shared.next = place.wrapping_add(1);
        shared
            .waiting
            .insert((self.at, place), context.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        let clock = self.clock.clone();
        self.leave(&mut clock.lock());
    }
}
