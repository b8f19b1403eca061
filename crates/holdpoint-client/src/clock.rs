//! What time it is for a gate, and how it waits: the machine's clock, or the one that a test moves.
//!
//! Times are counted from when the gate was built. Nothing here decides how long to wait.

use std::future::Future;
use std::time::{Duration, SystemTime};

use holdpoint_receipt::ClusterTime;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The clock of a gate.
#[derive(Debug)]
pub(crate) enum Clock {
    /// The machine's, from when the gate was built.
    Machine(Instant),
    /// A testbed's, which only the test and its faults move.
    #[cfg(feature = "testkit")]
    Bed(crate::testkit::BedClock),
}

impl Clock {
    /// The machine's clock; now is zero.
    pub(crate) fn machine() -> Self {
        Self::Machine(Instant::now())
    }

    /// Time since zero.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Machine(began) => began.elapsed(),
            #[cfg(feature = "testkit")]
            Self::Bed(clock) => clock.now(),
        }
    }

    /// That long from now, as wall clocks show it.
    pub(crate) fn wall_after(&self, time: Duration) -> ClusterTime {
        let now = match self {
            Self::Machine(_) => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
            #[cfg(feature = "testkit")]
            Self::Bed(clock) => clock.wall(),
        };
        let end_ms = u64::try_from(now.saturating_add(time).as_millis()).unwrap_or(u64::MAX);
        ClusterTime::new(end_ms).unwrap_or(ClusterTime::MAX)
    }

    /// Does nothing for that long.
    pub(crate) async fn pause(&self, time: Duration) {
        self.pause_until(self.now().saturating_add(time)).await;
    }

    /// Does nothing until then.
    pub(crate) async fn pause_until(&self, until: Duration) {
        match self {
            Self::Machine(began) => sleep_until(*began + until).await,
            #[cfg(feature = "testkit")]
            Self::Bed(clock) => clock.pass_to(until),
        }
    }

    /// What `work` gives, if it does before then.
    pub(crate) async fn within<T>(
        &self,
        until: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        match self {
            Self::Machine(began) => timeout_at(*began + until, work).await.ok(),
            #[cfg(feature = "testkit")]
            Self::Bed(clock) => clock.within(until, work).await,
        }
    }
}
