//! What time it is: a seam, so that a simulation can say.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The two clocks of a node.
///
/// Nothing else in this crate reads a clock for what it *means*; time-outs count in the runtime's
/// time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Wall clock: milliseconds since the Unix epoch. It may jump either way.
    fn wall_ms(&self) -> u64;

    /// Monotonic clock: time since an arbitrary moment. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at nought.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
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
        self.start.elapsed()
    }
}
