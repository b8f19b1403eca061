//! A place for every request that waits, or the answer that there is none.
//!
//! A request without a place has reached nothing yet, so the refusal is certain: `decided: never`.
//! Places are given back by drop, never by a call. Who asks for a decision needs more than a free place:
//! with as many before it as there are, it must be expected to be decided in time ([`meter`]). Settling
//! steps and reads are only counted, so that a crowd of askers never sheds them. Nothing here looks at
//! what is asked, or waits, but who worked before and works again.

mod meter;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use meter::Meter;

use crate::limits::{
    ASKING_MAX, DEADLINE_DEFAULT, DEADLINE_MAX, READING_MAX, SETTLING_MAX, WAITING_MAX,
};

/// What kind of request asks for a place. Each kind has places of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Asks for a decision.
    Ask,
    /// Redeems, completes or revokes.
    Settle,
    /// Reads, or changes the policy.
    Read,
}

/// The places of the process. Closed once, when the node stops.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    ask: Arc<Semaphore>,
    settle: Arc<Semaphore>,
    read: Arc<Semaphore>,
    wait: Arc<Semaphore>,
    /// What a place in [`Lane::Ask`] costs.
    meter: Arc<Meter>,
    /// Becomes `true` when the node stops.
    closed: Arc<watch::Sender<bool>>,
}

/// A place and the instant until which its holder waits.
#[derive(Debug)]
pub(crate) struct Admitted {
    deadline: Instant,
    place: OwnedSemaphorePermit,
    /// When it began to work.
    since: Instant,
    /// How many worked then.
    beside: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// As many requests wait as may, or so many that this one would be late.
    Overloaded,
    /// The node stops.
    Stopping,
}

/// A wait that is longer than any request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given_ms} ms is longer than {} ms, the longest wait", DEADLINE_MAX.as_millis())]
pub(crate) struct DeadlineTooLong {
    given_ms: u32,
}

/// The wait that `deadline_ms` names; 0 means the default.
pub(crate) fn wait(deadline_ms: u32) -> Result<Duration, DeadlineTooLong> {
    if deadline_ms == 0 {
        return Ok(DEADLINE_DEFAULT);
    }
    let wait = Duration::from_millis(u64::from(deadline_ms));
    if wait > DEADLINE_MAX {
        Err(DeadlineTooLong {
            given_ms: deadline_ms,
        })
    } else {
        Ok(wait)
    }
}

impl Admission {
    pub(crate) fn new() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            ask: places(ASKING_MAX),
            settle: places(SETTLING_MAX),
            read: places(READING_MAX),
            wait: places(WAITING_MAX),
            meter: Arc::default(),
            closed: Arc::default(),
        }
    }

    /// Takes a place in `lane` for at most `wait`.
    pub(crate) fn admit(&self, lane: Lane, wait: Duration) -> Result<Admitted, NotAdmitted> {
        let beside = match lane {
            Lane::Ask => self.asking(),
            Lane::Settle | Lane::Read => 0,
        };
        let place = take(match lane {
            Lane::Ask => &self.ask,
            Lane::Settle => &self.settle,
            Lane::Read => &self.read,
        })?;
        if lane == Lane::Ask && !self.meter.admits(beside, wait) {
            return Err(NotAdmitted::Overloaded);
        }
        let since = Instant::now();
        Ok(Admitted {
            deadline: since + wait,
            place,
            since,
            beside,
        })
    }

    /// Takes note that a request of [`Lane::Ask`] was worked on to its end, or until its time was over.
    pub(crate) fn worked(&self, admitted: &Admitted) {
        let took = admitted.since.elapsed();
        self.meter.took(took, admitted.beside, self.asking());
    }

    /// How many hold a place in [`Lane::Ask`].
    fn asking(&self) -> usize {
        ASKING_MAX.saturating_sub(self.ask.available_permits())
    }

    /// Whether the node stops.
    pub(crate) fn is_closed(&self) -> bool {
        self.ask.is_closed()
    }

    /// How many requests hold a place.
    pub(crate) fn in_flight(&self) -> usize {
        let places = [
            (&self.ask, ASKING_MAX),
            (&self.settle, SETTLING_MAX),
            (&self.read, READING_MAX),
            (&self.wait, WAITING_MAX),
        ];
        places
            .iter()
            .map(|(free, all)| all.saturating_sub(free.available_permits()))
            .sum()
    }

    /// Refuses every later request. Those admitted keep their places.
    pub(crate) fn close(&self) {
        self.ask.close();
        self.settle.close();
        self.read.close();
        self.wait.close();
        self.closed.send_replace(true);
    }

    /// Resolves when the node stops.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as this handle.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Lets the holder of a place in [`Lane::Ask`] wait for something that others do: its place goes to
    /// the next, and it holds one of those for who waits.
    pub(crate) fn park(&self, admitted: &mut Admitted) -> Result<(), NotAdmitted> {
        admitted.place = take(&self.wait)?;
        Ok(())
    }

    /// Counts the time of `admitted` from now on: what it waited for so far was not its turn.
    pub(crate) fn begin(&self, admitted: &mut Admitted) {
        admitted.since = Instant::now();
        admitted.beside = self.asking();
    }

    /// Lets it work again: waits for a place in [`Lane::Ask`], at most until its deadline.
    pub(crate) async fn resume(&self, admitted: &mut Admitted) -> Result<(), NotAdmitted> {
        let place = timeout_at(admitted.deadline, Arc::clone(&self.ask).acquire_owned()).await;
        let place = place.map_err(|_| NotAdmitted::Overloaded)?;
        admitted.place = place.map_err(|_| NotAdmitted::Stopping)?;
        self.begin(admitted);
        Ok(())
    }
}

fn take(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, NotAdmitted> {
    use tokio::sync::TryAcquireError;
    let place = Arc::clone(places).try_acquire_owned();
    place.map_err(|error| match error {
        TryAcquireError::Closed => NotAdmitted::Stopping,
        TryAcquireError::NoPermits => NotAdmitted::Overloaded,
    })
}

impl Admitted {
    /// The instant until which the holder waits.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_late(&self) -> bool {
        self.left().is_zero()
    }

    /// What is left until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(1);

    #[test]
    fn request_beyond_the_places_of_its_lane_is_refused_and_other_lanes_are_not() {
        let admission = Admission::new();
        let admit = |_| admission.admit(Lane::Read, WAIT);
        let mut held: Vec<_> = (0..READING_MAX)
            .map(|place| admit(place).unwrap())
            .collect();
        assert_eq!(admit(0).unwrap_err(), NotAdmitted::Overloaded);
        assert!(admission.admit(Lane::Settle, WAIT).is_ok());
        held.pop();
        assert!(admit(0).is_ok());
    }

    #[test]
    fn who_would_be_late_is_shed_at_once_and_settling_steps_are_not() {
        let admission = Admission::new();
        let ask = |wait| admission.admit(Lane::Ask, wait);
        let mut crowd: Vec<_> = (0..200).map(|_| ask(WAIT).unwrap()).collect();
        for asked in &mut crowd {
            asked.since -= WAIT;
            (0..9).for_each(|_| admission.worked(asked));
        }
        assert_eq!(ask(WAIT).unwrap_err(), NotAdmitted::Overloaded);
        assert_eq!(admission.in_flight(), 200, "who is shed holds no place");
        assert!(admission.admit(Lane::Settle, WAIT).is_ok());
        drop(crowd);
        let few: Vec<_> = (0..meter::ALWAYS).map(|_| ask(WAIT).unwrap()).collect();
        for asked in &few {
            (0..99).for_each(|_| admission.worked(asked));
        }
        assert!(ask(WAIT).is_ok(), "they were answered at once");
    }

    #[test]
    fn nothing_is_admitted_once_the_node_stops() {
        let admission = Admission::new();
        let held = admission.admit(Lane::Ask, WAIT).unwrap();
        admission.close();
        assert_eq!(
            admission.admit(Lane::Ask, WAIT).unwrap_err(),
            NotAdmitted::Stopping
        );
        assert!(held.left() <= WAIT);
    }

    #[tokio::test]
    async fn who_waits_holds_no_place_of_those_who_work_until_it_works_again() {
        let admission = Admission::new();
        let ask = || admission.admit(Lane::Ask, WAIT);
        // It has learnt that nothing takes long.
        (0..5_000).for_each(|_| admission.worked(&ask().unwrap()));
        let mut held: Vec<_> = (0..ASKING_MAX).map(|_| ask().unwrap()).collect();
        let mut waiting = held.pop().unwrap();
        admission.park(&mut waiting).unwrap();
        held.push(ask().unwrap());
        assert_eq!(ask().unwrap_err(), NotAdmitted::Overloaded);
        assert_eq!(admission.in_flight(), ASKING_MAX + 1);
        {
            let mut working = std::pin::pin!(admission.resume(&mut waiting));
            assert!(futures_util::poll!(working.as_mut()).is_pending());
            held.pop();
            working.await.unwrap();
        }
        assert_eq!(admission.in_flight(), ASKING_MAX);
        admission.close();
        admission.closed().await;
        assert_eq!(
            admission.park(&mut waiting).unwrap_err(),
            NotAdmitted::Stopping
        );
    }

    #[test]
    fn wait_is_five_seconds_unless_named_and_never_more_than_sixty() {
        assert_eq!(wait(0), Ok(DEADLINE_DEFAULT));
        assert_eq!(wait(60_000), Ok(DEADLINE_MAX));
        let error = wait(60_001).unwrap_err().to_string();
        assert_eq!(error, "60001 ms is longer than 60000 ms, the longest wait");
    }
}
