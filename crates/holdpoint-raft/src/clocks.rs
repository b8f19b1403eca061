//! The voters' wall clocks, as this leader reads them.
//!
//! One task asks every voter once a period while this node leads, and at once when it begins to. Three
//! use what it finds: the entry times of a term ([`crate::timekeeper`]), the status, and the hand-over
//! of a leader whose own clock is off ([`crate::clock_handover`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::ask_answer::Answer;
use holdpoint_proto::peer::v1::ask_request::Question;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::clock_handover::Handover;
use crate::clock_readings::{Clocks, Reading, cluster_time};
use crate::clock_status::{ClockStatus, Herald};
use crate::leadership::Leadership;
use crate::limits;
use crate::net::{Lane, Net};
use crate::peers::Peers;
use crate::timekeeper::Timekeeper;
use crate::types::Raft;

/// What is known of the voters' clocks.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    clocks: Mutex<Clocks>,
    voters: Mutex<Vec<u64>>,
    /// Counts the readings that came.
    readings: watch::Sender<u64>,
    status: watch::Sender<ClockStatus>,
    is_sound: watch::Sender<bool>,
}

impl ClockWatch {
    pub(crate) fn new() -> Self {
        let status = ClockStatus::default();
        Self {
            clocks: Mutex::default(),
            voters: Mutex::default(),
            readings: watch::Sender::new(0),
            is_sound: watch::Sender::new(status.is_sound()),
            status: watch::Sender::new(status),
        }
    }

    pub(crate) fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_voters(&self) -> MutexGuard<'_, Vec<u64>> {
        self.voters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The voters at the last round.
    pub(crate) fn voters(&self) -> Vec<u64> {
        self.lock_voters().clone()
    }

    /// Changes with each reading.
    pub(crate) fn readings(&self) -> watch::Receiver<u64> {
        self.readings.subscribe()
    }

    /// Whether this node's clock is fit to grant.
    pub(crate) fn is_sound(&self) -> watch::Receiver<bool> {
        self.is_sound.subscribe()
    }

    /// What the last round showed.
    pub(crate) fn status(&self) -> ClockStatus {
        self.status.borrow().clone()
    }

    fn set(&self, voter: u64, reading: Reading) {
        self.clocks().set(voter, reading);
        self.readings
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn tell(&self, status: ClockStatus) {
        let is_sound = status.is_sound();
        self.is_sound.send_if_modified(|was_sound| {
            let is_news = *was_sound != is_sound;
            *was_sound = is_sound;
            is_news
        });
        self.status.send_replace(status);
    }
}

/// What the task needs to ask.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) peers: Arc<Peers>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timekeeper: Arc<Timekeeper>,
    /// How often it asks.
    pub(crate) period: Duration,
}

impl Asker {
    /// Asks while this node leads, for as long as the group lives.
    pub(crate) async fn run(self, raft: Raft, mut leadership: watch::Receiver<Leadership>) {
        let mut herald = Herald::default();
        let mut handover = Handover::default();
        loop {
            let leads = leadership.borrow_and_update().leads();
            let Some(term) = leads else {
                // Who does not lead knows nothing of the others' clocks.
                self.timekeeper.watch().tell(ClockStatus::default());
                if leadership.changed().await.is_err() {
                    return;
                }
                continue;
            };
            self.round(&raft).await;
            let status = self.status(term);
            herald.tell(&status, self.clock.monotonic());
            self.timekeeper.watch().tell(status.clone());
            handover
                .consider(term, &status, || self.near(), &raft, &mut leadership)
                .await;
            // A term waits for its first readings.
            sleep(if status.is_known() {
                self.period
            } else {
                limits::CLOCK_RETRY
            })
            .await;
        }
    }

    /// Asks everyone once.
    async fn round(&self, raft: &Raft) {
        let voters: Vec<u64> = raft.voter_ids().collect();
        self.timekeeper.watch().lock_voters().clone_from(&voters);
        let asked = voters.iter().map(|voter| async {
            if let Some(reading) = self.read(*voter).await {
                self.timekeeper.watch().set(*voter, reading);
            }
        });
        join_all(asked).await;
    }

    /// What the readings show of this node's clock and of cluster time.
    fn status(&self, term: u64) -> ClockStatus {
        let voters = self.timekeeper.watch().voters();
        let (now, wall_ms) = (self.clock.monotonic(), self.clock.wall_ms());
        let bounds = self.timekeeper.watch().clocks().bounds(&voters, now);
        let time = self.timekeeper.now(term);
        ClockStatus {
            offset_ms: bounds.map(|bounds| bounds.lead_ms(cluster_time(wall_ms))),
            lead_ms: bounds.and_then(|bounds| Some(bounds.lead_ms(time?))),
            is_lone: voters.len() == 1,
            is_waiting: self.timekeeper.is_waiting(term),
        }
    }

    /// The voters whose clocks are fit to lead.
    fn near(&self) -> Vec<u64> {
        let voters = self.timekeeper.watch().voters();
        let clocks = self.timekeeper.watch().clocks();
        clocks.near(&voters, self.clock.monotonic(), limits::SKEW_MS_NEAR)
    }

    async fn read(&self, voter: u64) -> Option<Reading> {
        let start = self.clock.monotonic();
        if voter == self.peers.local().node.get() {
            return Some(Reading {
                wall_ms: self.clock.wall_ms(),
                at: start,
            });
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
        Reading::answered(clock.wall_ms, start, self.clock.monotonic())
    }
}
