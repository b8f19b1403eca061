//! The voters' wall clocks, as this leader reads them.
//!
//! One task asks every voter once a period while this node leads, and at once when it begins to. Two
//! use what it finds: the entry times of a term ([`crate::term`]), and whether this node's own clock
//! is fit to grant anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::ask_answer::Answer;
use holdpoint_proto::peer::v1::ask_request::Question;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::clock_steering::{Clocks, Reading};
use crate::leadership::Leadership;
use crate::limits;
use crate::net::{Lane, Net};
use crate::peers::Peers;
use crate::types::Raft;

/// What is known of the voters' clocks.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    clocks: Mutex<Clocks>,
    voters: Mutex<Vec<u64>>,
    /// Counts the rounds of questions that ended.
    rounds: watch::Sender<u64>,
    /// Whether this node's wall clock is within the skew of the voters' median. `true` where no
    /// majority says otherwise: without one, nothing is granted anyway.
    is_sound: watch::Sender<bool>,
}

impl ClockWatch {
    pub(crate) fn new() -> Self {
        Self {
            clocks: Mutex::default(),
            voters: Mutex::default(),
            rounds: watch::Sender::new(0),
            is_sound: watch::Sender::new(true),
        }
    }

    pub(crate) fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The voters at the last round.
    pub(crate) fn voters(&self) -> Vec<u64> {
        self.voters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this node's clock is fit to grant.
    pub(crate) fn is_sound(&self) -> watch::Receiver<bool> {
        self.is_sound.subscribe()
    }

    /// Waits for one round of questions to end, at most `wait`.
    pub(crate) async fn next_round(&self, wait: Duration) {
        let mut rounds = self.rounds.subscribe();
        rounds.borrow_and_update();
        // Whether it ended or the wait did: the caller looks at the clocks.
        let _ = timeout(wait, rounds.changed()).await;
    }
}

/// What the task needs to ask.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) peers: Arc<Peers>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watch: Arc<ClockWatch>,
}

impl Asker {
    /// Asks while this node leads, for as long as the group lives.
    pub(crate) async fn run(self, raft: Raft, mut leadership: watch::Receiver<Leadership>) {
        loop {
            if leadership
                .wait_for(|now| now.leads().is_some())
                .await
                .is_err()
            {
                return;
            }
            let is_known = self.round(&raft).await;
            // A term waits for its first readings.
            let pause = if is_known {
                limits::CLOCK_PERIOD
            } else {
                limits::CLOCK_RETRY
            };
            sleep(pause).await;
        }
    }

    /// Asks everyone once. Says whether a majority has answered lately.
    async fn round(&self, raft: &Raft) -> bool {
        let voters: Vec<u64> = raft.voter_ids().collect();
        let asked = voters.iter().map(|voter| self.read(*voter));
        let readings = join_all(asked).await;
        let (now, wall_ms) = (self.clock.monotonic(), self.clock.wall_ms());
        let offset = {
            let mut clocks = self.watch.clocks();
            for (voter, reading) in readings.into_iter().flatten() {
                clocks.set(voter, reading);
            }
            clocks.offset_ms(&voters, now, wall_ms)
        };
        *self
            .watch
            .voters
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = voters;
        let is_sound = offset.is_none_or(|offset| offset <= limits::SKEW_MS_MAX);
        if self.watch.is_sound.send_replace(is_sound) != is_sound {
            let offset_ms = offset.unwrap_or_default();
            tracing::warn!(
                is_sound,
                offset_ms,
                "this node's wall clock against the voters' median"
            );
        }
        self.watch
            .rounds
            .send_modify(|round| *round = round.wrapping_add(1));
        offset.is_some()
    }

    async fn read(&self, voter: u64) -> Option<(u64, Reading)> {
        let start = self.clock.monotonic();
        if voter == self.peers.local().node.get() {
            return Some((
                voter,
                Reading {
                    wall_ms: self.clock.wall_ms(),
                    at: start,
                },
            ));
        }
        let member = self.peers.member(voter)?;
        let envelope = Some(self.peers.envelope(voter, Some(member.incarnation)));
        let question = Some(Question::ReadClock(wire::ReadClock {}));
        let request = wire::AskRequest { envelope, question };
        let answer = self
            .net
            .ask(&member.peer_address, Lane::Control, request, limits::ASK)
            .await;
        let Some(Answer::ReadClock(clock)) = answer.ok()?.answer else {
            return None;
        };
        let at = self.clock.monotonic();
        // The answer was true about half the way back.
        let half = u64::try_from(at.saturating_sub(start).as_millis() / 2).unwrap_or(0);
        Some((
            voter,
            Reading {
                wall_ms: clock.wall_ms.saturating_add(half),
                at,
            },
        ))
    }
}
