//! A gate in memory, for the unit tests of code that asks one.
//!
//! ```
//! use holdpoint_client::testkit::{Call, Testbed, Twist};
//! use holdpoint_client::{Decided, Gate, NothingHappened, Operation, Permit, Redeemed, Refusal};
//!
//! // Code as it runs in production: it is given a gate and knows nothing of testbeds.
//! async fn pay(gate: &Gate, payment: &Operation, bank: &Bank) -> Result<(), Refusal> {
//!     let permit = gate.authorize(payment).await?;
//!     let Ok(redeemed) = permit.redeem().await else { return Ok(()) };
//!     let done = bank.transfer(&redeemed).await;
//!     let _ = redeemed.complete(done.into()).await;
//!     Ok(())
//! }
//! # #[derive(Default)] struct Bank(std::cell::Cell<u32>);
//! # impl Bank {
//! #     async fn transfer(&self, _: &Permit<Redeemed>) -> Result<(), NothingHappened> {
//! #         self.0.set(self.0.get() + 1);
//! #         Ok(())
//! #     }
//! # }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let bed = Testbed::starter()?;
//! let (gate, bank) = (bed.gate("billing"), Bank::default());
//! let payment = Operation::new("payment.execute")
//!     .param("account", "main")
//!     .param("amount_minor", 2500)
//!     .param("currency", "EUR")
//!     .param("invoice", "INV-7")
//!     .key("INV-7/attempt-1");
//!
//! // The permit is granted, and the caller never hears of it.
//! bed.next(Call::Authorize, Twist::LoseAnswer);
//! let Err(Refusal::Silence(silence)) = pay(&gate, &payment, &bank).await else {
//!     return Err("the answer was lost".into());
//! };
//! assert_eq!(silence.decided(), Decided::Unknown);
//! assert_eq!(bank.0.get(), 0);
//!
//! // The same key finds it, and the money moves once.
//! pay(&gate, &payment, &bank).await?;
//! let repeated = pay(&gate, &payment, &bank).await;
//! assert!(repeated.is_ok());
//! assert_eq!(bank.0.get(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Testbed`] decides with the state machine and the policy evaluator of the gate itself, signs real
//! receipts with keys that everybody knows, and is asked through the messages and services of the
//! protocol. On the other side is the client that you ship: [`Testbed::gate`] gives the same
//! [`Gate`], which repeats, verifies and believes as it always does. What differs is below: there is
//! no connection, and time.
//!
//! # Time
//!
//! A testbed has a clock of its own. It begins on Monday, 5 January 2026, 09:00 UTC, and moves
//! * when the test says so, with [`Testbed::advance`];
//! * when a scripted fault takes time: a lost answer takes as long as the call waits for it.
//!
//! Nothing sleeps. An hour passes in no time, and every time-out, pause and expiry in it happens in its
//! order. A call that waits for its bounds ([`Authorize::wait`](crate::Authorize::wait)) is held until
//! another future frees them or moves the clock, so it is awaited beside that future, with
//! `tokio::join!` or in a task. On a runtime of one thread, which `#[tokio::test]` is, every run takes
//! the same course. Only what the client draws at random differs, as it does in production: keys that
//! you do not give, redemption ids, and how long it pauses before it asks again.
//!
//! # Faults
//!
//! [`Testbed::next`] scripts a [`Twist`] for the next call of a kind; further ones of that kind come in
//! the order in which they were said. A testbed that is dropped with twists which no call has met
//! fails the test.
//!
//! # What it never does
//!
//! It never opens a port, reads a disk (but for [`Testbed::from_directory`]) or starts a thread or a
//! task. It has one namespace, `default`, and gives every caller every role, as `holdpoint dev` does.
//! It does not answer calls that change or read bundles ([`Testbed::activate`] does), retention, status
//! and history; they are refused with `INVALID_REQUEST`. It does not show how long anything takes.

mod bed;
mod clock;
mod deciding;
mod error;
mod link;
mod notary;
mod refused;
mod script;
mod services;
mod translate;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_policy::{Policy, directory, starter};
use holdpoint_receipt::{Caller, ClusterTime};

use crate::gate::{Gate, of_bed};
use bed::Bed;
use world::World;

pub use error::TestbedError;
pub use holdpoint_policy::Bundle;
pub use script::{Call, Twist};

pub(crate) use clock::BedClock;
pub(crate) use link::{CallTag, Door, Link, over};

/// When a testbed begins: Monday, 5 January 2026, 09:00 UTC.
const BEGINS_MS: u64 = 1_767_603_600_000;
/// Who changes what no gate asked for.
const OPERATOR: &str = "testkit:operator";
/// How often other futures get their turn at one moment at least.
const TURNS_MIN: u32 = 32;
/// How often they get it while one of them may have what it waits for.
const TURNS_MAX: u32 = 1_000;

/// A cluster in memory, with a clock that the test moves and faults that it scripts.
///
/// # Panics
///
/// When it is dropped while a scripted [`Twist`] has met no call, unless the test fails already.
#[derive(Debug)]
pub struct Testbed {
    door: Door,
}

impl Testbed {
    /// A testbed with the bundle that `holdpoint dev` starts with.
    ///
    /// # Errors
    ///
    /// None in a build whose tests passed.
    pub fn starter() -> Result<Self, TestbedError> {
        Self::new(&starter::bundle()?)
    }

    /// A testbed with the bundle of a directory, such as the one that your gate runs with.
    ///
    /// # Errors
    ///
    /// [`TestbedError`] says what cannot be read or does not load.
    pub fn from_directory(path: impl AsRef<Path>) -> Result<Self, TestbedError> {
        Self::new(&directory::read(path.as_ref())?)
    }

    /// A testbed in which `bundle` is in force.
    ///
    /// # Errors
    ///
    /// [`TestbedError`] names file and line of everything that is wrong with it.
    pub fn new(bundle: &Bundle) -> Result<Self, TestbedError> {
        Self::beginning_at(bundle, ClusterTime::new(BEGINS_MS).unwrap_or_default())
    }

    /// A testbed that begins at another time, for bundles with calendars.
    ///
    /// # Errors
    ///
    /// As for [`Testbed::new`].
    pub fn beginning_at(bundle: &Bundle, time: ClusterTime) -> Result<Self, TestbedError> {
        let clock = BedClock::new(Duration::from_millis(time.get()));
        let world = World::found(bundle, Policy::load(bundle)?, clock.clone())?;
        let bed = Arc::new(Bed::new(world, clock));
        Ok(Self {
            door: Door::new(bed),
        })
    }

    /// The gate, as the caller `loopback:NAME` has it. Executors and approvers have gates of their
    /// own.
    ///
    /// # Panics
    ///
    /// If `name` is not 1 to 240 printable ASCII characters.
    #[must_use]
    #[expect(
        clippy::panic,
        reason = "a test that asks for nonsense must fail there"
    )]
    pub fn gate(&self, name: &str) -> Gate {
        of_bed(self.door.clone(), name).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Says what becomes of the next call of this kind that has no twist yet.
    ///
    /// # Panics
    ///
    /// If [`Twist::Deny`] is said of another call than [`Call::Authorize`].
    #[expect(
        clippy::must_use_candidate,
        reason = "what it gives is for saying the next twist, if there is one"
    )]
    pub fn next(&self, call: Call, twist: Twist) -> &Self {
        assert!(
            call == Call::Authorize || !matches!(twist, Twist::Deny(_)),
            "only authorize can be denied; a {call} is refused with `Twist::Refuse`"
        );
        self.door.bed().world().script.add(call, twist);
        self
    }

    /// The twists that no call has met yet, by kind of call, in their order.
    #[must_use]
    pub fn unused(&self) -> Vec<(Call, Twist)> {
        self.door.bed().world().script.unused()
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> ClusterTime {
        self.door.bed().world().wall()
    }

    /// Lets time pass, and everything that it brings about happen in its order. Whoever waits gets
    /// its turn at its moment.
    ///
    /// # Errors
    ///
    /// [`TestbedError::Refused`] is a fault of the testbed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops time where it is.
    pub async fn advance(&self, time: Duration) -> Result<(), TestbedError> {
        let bed = self.door.bed();
        let end = bed.clock.now().saturating_add(time);
        loop {
            let due = bed.world().next_due()?;
            let next = due.into_iter().chain(bed.clock.next_awaited()).min();
            bed.clock.pass_to(next.map_or(end, |next| next.min(end)));
            bed.world().catch_up()?;
            bed.changed.notify_waiters();
            self.let_others_run().await?;
            if bed.clock.now() >= end {
                return Ok(());
            }
        }
    }

    /// Gives other futures their turn: longer while one of them may have what it waits for.
    async fn let_others_run(&self) -> Result<(), TestbedError> {
        for turn in 0..TURNS_MAX {
            tokio::task::yield_now().await;
            if turn >= TURNS_MIN && !self.door.bed().world().has_offer()? {
                break;
            }
        }
        Ok(())
    }

    /// Puts another bundle in force, which makes a new policy version.
    ///
    /// # Errors
    ///
    /// [`TestbedError::Policy`] if it does not load; [`TestbedError::Refused`] with `BOUNDS_IN_USE`
    /// while live permits hold bounds that it changes or removes.
    pub fn activate(&self, bundle: &Bundle) -> Result<(), TestbedError> {
        let policy = Policy::load(bundle)?;
        let bed = self.door.bed();
        let operator = Caller::new(OPERATOR).map_err(|error| refused::fault(&error))?;
        {
            let mut world = bed.world();
            world.catch_up()?;
            let digest = world.put(bundle, policy, operator.clone())?;
            world.activate(digest, operator)?;
        }
        bed.changed.notify_waiters();
        Ok(())
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let unused = self.unused();
        // A second panic would hide the first.
        assert!(
            unused.is_empty() || std::thread::panicking(),
            "no call has met these twists: {unused:?}"
        );
    }
}
