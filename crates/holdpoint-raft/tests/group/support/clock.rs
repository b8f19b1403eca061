//! A clock whose wall can be moved.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdpoint_raft::{Clock, SystemClock};

#[derive(Debug)]
pub(crate) struct TestClock {
    system: SystemClock,
    offset_ms: AtomicI64,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self {
            system: SystemClock::new(),
            offset_ms: AtomicI64::new(0),
        }
    }

    /// The wall clock is off by this much from now on.
    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn wall_ms(&self) -> u64 {
        self.system
            .wall_ms()
            .saturating_add_signed(self.offset_ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}
