//! Clocks that stand still until a test moves them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdpoint_raft::Clock;

/// Time as it really is in a test.
#[derive(Debug)]
pub(crate) struct World(AtomicU64);

impl World {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1_800_000_000_000))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

/// What a wall clock shows: `shown` when it is really `real`, and from then on at a rate.
#[derive(Clone, Copy, Debug)]
struct Wall {
    real: u64,
    shown: u64,
    per_mille: u64,
}

/// The clocks of one node. The monotonic one is right; the wall can be moved.
#[derive(Debug)]
pub(crate) struct TestClock {
    world: Arc<World>,
    wall: Mutex<Wall>,
    /// How often the wall clock was read.
    read_count: AtomicU64,
}

impl TestClock {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let now = world.now_ms();
        Self {
            world,
            wall: Mutex::new(Wall {
                real: now,
                shown: now,
                per_mille: 1_000,
            }),
            read_count: AtomicU64::new(0),
        }
    }

    /// The wall clock is off by this much from now on, at the rate that it has.
    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        let mut wall = self.wall.lock().unwrap();
        wall.real = self.world.now_ms();
        wall.shown = wall.real.saturating_add_signed(offset_ms);
    }

    /// The wall clock goes this fast from now on.
    pub(crate) fn set_rate(&self, per_mille: u64) {
        let mut wall = self.wall.lock().unwrap();
        let (real, shown) = (self.world.now_ms(), self.shown(*wall));
        *wall = Wall {
            real,
            shown,
            per_mille,
        };
    }

    pub(crate) fn read_count(&self) -> u64 {
        self.read_count.load(Ordering::SeqCst)
    }

    fn shown(&self, wall: Wall) -> u64 {
        wall.shown + (self.world.now_ms() - wall.real) * wall.per_mille / 1_000
    }
}

impl Clock for TestClock {
    fn wall_ms(&self) -> u64 {
        let shown = self.shown(*self.wall.lock().unwrap());
        self.read_count.fetch_add(1, Ordering::SeqCst);
        shown
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.world.now_ms())
    }
}
