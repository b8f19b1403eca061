//! One worker that takes the steps of a workload, one after the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::system::{Claim, Inside, NoAnswer, Worker};
use crate::workload::Workload;

/// Keys of W2.
const CONTENDED_KEYS: u64 = 1_000;
/// How long a worker of W2 keeps what it was granted. So about nine of ten find a key held.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// Attempts that each worker of W5 asks for again and again.
const RETRIED_EACH: usize = 4;

/// What all workers of a cell share.
#[derive(Debug)]
pub(crate) struct Shared {
    workload: Workload,
    /// Before every key, so that cells on one system do not meet.
    prefix: String,
    next: AtomicU64,
    /// The inside of the hot key.
    pub(crate) inside: Inside,
}

impl Shared {
    pub(crate) fn new(workload: Workload, prefix: String) -> Self {
        Self {
            workload,
            prefix,
            next: AtomicU64::new(1),
            inside: Inside::default(),
        }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// How a step ended that had a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With what was asked for.
    Granted,
    /// Somebody else holds the key.
    Held,
}

/// A worker with what it holds.
#[derive(Debug)]
pub(crate) struct Task<W: Worker> {
    worker: W,
    /// W2: what it was granted, the oldest first.
    kept: VecDeque<(Instant, W::Permit)>,
    /// W5: what it asks for again, in turn.
    retried: VecDeque<W::Attempt>,
}

impl<W: Worker> Task<W> {
    pub(crate) fn new(worker: W) -> Self {
        Self {
            worker,
            kept: VecDeque::new(),
            retried: VecDeque::new(),
        }
    }

    /// What must be there before anything is measured: the decisions that W5 asks for again.
    pub(crate) async fn prepare(&mut self, shared: &Shared) -> Result<(), NoAnswer> {
        if shared.workload != Workload::Retries {
            return Ok(());
        }
        for _ in 0..RETRIED_EACH {
            let attempt = self.fresh(shared);
            if let Claim::Granted(permit) = self.worker.claim(&attempt).await? {
                W::set_aside(permit);
            }
            self.retried.push_back(attempt);
        }
        Ok(())
    }

    /// What belongs to the workload and not to the time of a step: W2 gives back what it has kept for
    /// long enough.
    pub(crate) async fn tidy(&mut self) -> Result<(), NoAnswer> {
        while let Some((since, permit)) = self.kept.pop_front() {
            if since.elapsed() < KEPT_FOR {
                self.kept.push_front((since, permit));
                break;
            }
            self.worker.give_back(permit).await?;
        }
        Ok(())
    }

    /// One step.
    pub(crate) async fn step(&mut self, shared: &Shared) -> Result<Ended, NoAnswer> {
        match shared.workload {
            Workload::Fresh => self.claim_fresh(shared).await,
            Workload::Contended => self.claim_contended(shared).await,
            Workload::HandOver => {
                let number = shared.number();
                let key = format!("{}-hot", shared.prefix);
                let attempt = self.worker.attempt(&key, number);
                let handed = self.worker.hand_over(&attempt, &shared.inside).await;
                handed.map(|()| Ended::Granted)
            }
            Workload::Life => self.live(shared).await,
            Workload::Retries => self.retry().await,
        }
    }

    /// An attempt at a key that nobody asked for before.
    fn fresh(&self, shared: &Shared) -> W::Attempt {
        let number = shared.number();
        // Keys come in no order, as real ones do.
        let key = format!("{}-{:016x}", shared.prefix, scattered(number));
        self.worker.attempt(&key, number)
    }

    async fn claim_fresh(&mut self, shared: &Shared) -> Result<Ended, NoAnswer> {
        let attempt = self.fresh(shared);
        match self.worker.claim(&attempt).await? {
            Claim::Granted(permit) => {
                W::set_aside(permit);
                Ok(Ended::Granted)
            }
            Claim::Held => Err(NoAnswer("a fresh key is held".to_owned())),
        }
    }

    async fn claim_contended(&mut self, shared: &Shared) -> Result<Ended, NoAnswer> {
        let number = shared.number();
        let key = format!("{}-{}", shared.prefix, scattered(number) % CONTENDED_KEYS);
        let attempt = self.worker.attempt(&key, number);
        match self.worker.claim(&attempt).await? {
            Claim::Granted(permit) => {
                self.kept.push_back((Instant::now(), permit));
                Ok(Ended::Granted)
            }
            Claim::Held => Ok(Ended::Held),
        }
    }

    async fn live(&mut self, shared: &Shared) -> Result<Ended, NoAnswer> {
        let attempt = self.fresh(shared);
        match self.worker.claim(&attempt).await? {
            Claim::Granted(permit) => {
                self.worker.fulfil(permit).await?;
                Ok(Ended::Granted)
            }
            Claim::Held => Err(NoAnswer("a fresh key is held".to_owned())),
        }
    }

    async fn retry(&mut self) -> Result<Ended, NoAnswer> {
        let Some(attempt) = self.retried.pop_front() else {
            return Err(NoAnswer("nothing was prepared".to_owned()));
        };
        let claimed = self.worker.claim(&attempt).await;
        self.retried.push_back(attempt);
        match claimed? {
            Claim::Granted(permit) => {
                W::set_aside(permit);
                Ok(Ended::Granted)
            }
            Claim::Held => Err(NoAnswer("a retry found another decision".to_owned())),
        }
    }

    /// Goes without what it still holds.
    pub(crate) fn leave(self) {
        for (_, permit) in self.kept {
            W::set_aside(permit);
        }
    }
}

/// A number for each number, in no order (the finisher of splitmix64, which is a bijection).
const fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
