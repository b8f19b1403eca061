//! What time it is: a seam, so that a simulation can say.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The two clocks of a node.
///
/// Nothing else in this crate reads a clock for what it *means*; time-outs count in the runtime's
/// time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Wall clock: milliseconds since the Unix epoch. It may jump either way.
    fn wall_ms(&self) -> u64;

    /// Monotonic clock: time since an arbitrary moment. It never goes back, and it counts the time in
    /// which the machine sleeps.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system. The monotonic one is the time since the machine started: the
/// standard library's stands still while it sleeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The clocks of this machine.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    /// A wall clock before 1970 reads 0.
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        let since = clock_gettime(ClockId::Boottime);
        Duration::try_from(since).unwrap_or_default()
    }
}
