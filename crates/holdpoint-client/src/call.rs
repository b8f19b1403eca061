//! One call, carried from node to node until it has an answer.
//!
//! The shell around [`crate::retry`] and [`crate::endpoints`]: it waits and connects, they decide.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdpoint_proto::v1;

use crate::allowance::Allowance;
use crate::clock::Clock;
use crate::connection::{Connection, Connections};
use crate::endpoints::{Address, Endpoints, Slot};
use crate::failure::{Failure, Refused};
use crate::fault::{Decided, Fault, NodeFault};
use crate::pinned::{Pinned, Published};
use crate::random::draw_jitter;
use crate::refusal::Unanswered;
use crate::retry::{Retry, Step};
use crate::testkit::CallTag;

/// An answer, and what the submissions before it left open.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) answer: T,
    pub(crate) earlier: Decided,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    Refused(Refused),
    Unanswered(Unanswered),
}

/// The nodes and the connections to them.
#[derive(Debug)]
pub(crate) struct Nodes {
    clock: Clock,
    endpoints: Mutex<Endpoints>,
    connections: Connections,
    /// For attempts that are shed.
    allowance: Allowance,
    /// What answers are verified against; none while nothing is pinned.
    keys: Option<Pinned>,
}

impl Nodes {
    pub(crate) fn new(clock: Clock, endpoints: Endpoints, connections: Connections) -> Self {
        Self {
            clock,
            endpoints: Mutex::new(endpoints),
            connections,
            allowance: Allowance::default(),
            keys: None,
        }
    }

    /// The same, for answers that are verified against `keys`.
    pub(crate) fn with_keys(self, keys: Pinned) -> Self {
        Self {
            keys: Some(keys),
            ..self
        }
    }

    /// Every known node.
    pub(crate) fn known(&self) -> Vec<(Slot, Address)> {
        self.endpoints()
            .iter()
            .map(|(slot, address)| (slot, address.clone()))
            .collect()
    }

    /// Adds a node; none if there are too many.
    pub(crate) fn learn(&self, address: Address) -> Option<Slot> {
        self.endpoints().learn(address)
    }

    /// Repeats `ask` at one node after another until it has an answer, at most for `deadline`.
    ///
    /// `ask` gets a connection and the time for which the node should try. It must send the same
    /// request every time.
    pub(crate) async fn call<T, F, Fut>(
        &self,
        deadline: Duration,
        ask: F,
    ) -> Result<Answered<T>, NoAnswer>
    where
        F: Fn(Arc<Connection>, Duration) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        self.repeat(deadline, || true, ask).await
    }

    /// The same for an attempt, which is one of many: where a node has no room for it, it is repeated
    /// only while this client's [`Allowance`] lasts.
    pub(crate) async fn call_sparingly<T, F, Fut>(
        &self,
        deadline: Duration,
        ask: F,
    ) -> Result<Answered<T>, NoAnswer>
    where
        F: Fn(Arc<Connection>, Duration) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        self.allowance.earn();
        self.repeat(deadline, || self.allowance.take(), ask).await
    }

    /// `may_repeat` is asked each time that a node had no room.
    async fn repeat<T, F, Fut>(
        &self,
        deadline: Duration,
        may_repeat: impl Fn() -> bool,
        ask: F,
    ) -> Result<Answered<T>, NoAnswer>
    where
        F: Fn(Arc<Connection>, Duration) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let (began, tag) = (self.now(), self.connections.call());
        let mut retry = Retry::new(began.saturating_add(deadline));
        loop {
            let step = retry.next(&self.endpoints(), self.now(), draw_jitter());
            match step {
                Step::Pause { until } => self.clock.pause_until(until).await,
                Step::GiveUp => {
                    let decided = retry.decided();
                    let waited = self.now().saturating_sub(began);
                    let nodes = self.blame(retry);
                    return Err(NoAnswer::Unanswered(Unanswered {
                        nodes,
                        waited,
                        decided,
                    }));
                }
                Step::Ask { slot, give_up_at } => match self.ask(tag, slot, give_up_at, &ask).await
                {
                    Ok(answer) => {
                        self.endpoints().answered(slot);
                        return Ok(Answered {
                            answer,
                            earlier: retry.decided(),
                        });
                    }
                    Err(Failure::Final(mut refused)) => {
                        self.endpoints().alive(slot);
                        if retry.decided() == Decided::Unknown {
                            refused.decided = Decided::Unknown;
                        }
                        return Err(NoAnswer::Refused(refused));
                    }
                    Err(Failure::Again { fault, hint }) => {
                        self.note(slot, &fault, hint);
                        if fault.is_of_load() && !may_repeat() {
                            retry.end();
                        }
                        retry.failed(slot, fault);
                    }
                },
            }
        }
    }

    /// Asks one node once, without any repetition.
    pub(crate) async fn once<T, F, Fut>(
        &self,
        slot: Slot,
        give_up_at: Duration,
        ask: &F,
    ) -> Result<T, Failure>
    where
        F: Fn(Arc<Connection>, Duration) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        self.ask(self.connections.call(), slot, give_up_at, ask)
            .await
    }

    async fn ask<T, F, Fut>(
        &self,
        tag: CallTag,
        slot: Slot,
        give_up_at: Duration,
        ask: &F,
    ) -> Result<T, Failure>
    where
        F: Fn(Arc<Connection>, Duration) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let again = |fault| Failure::Again { fault, hint: None };
        let Some(address) = self.endpoints().address(slot).cloned() else {
            return Err(again(Fault::Unreachable("not a known node".to_owned())));
        };
        let began = self.now();
        let tag = tag.until(give_up_at);
        let connection = self.connections.get(slot, &address, tag);
        let connection = match self.clock.within(give_up_at, connection).await {
            Some(Ok(connection)) => connection,
            Some(Err(why)) => return Err(again(Fault::Unreachable(why))),
            None => {
                return Err(again(Fault::Unreachable(
                    "no connection in time".to_owned(),
                )));
            }
        };
        let answered_before = connection.answer_count();
        let asked = self.ask_and_follow(&connection, give_up_at, ask);
        let Some(answer) = self.clock.within(give_up_at, asked).await else {
            let waited = self.now().saturating_sub(began);
            // Other calls got answers meanwhile, so the node is there and merely slow.
            let is_alive = connection.answer_count() != answered_before;
            return Err(again(if is_alive {
                Fault::Slow(waited)
            } else {
                Fault::NoAnswer(waited)
            }));
        };
        match &answer {
            Err(Failure::Again {
                fault: Fault::Broken(_),
                ..
            }) => {
                self.connections.discard(slot, &connection);
            }
            Ok(_) | Err(_) => connection.answered(),
        }
        answer
    }

    /// Asks over `connection`; where the answer's proof does not verify, and the published keys follow
    /// from those that it was verified against, asks once more.
    async fn ask_and_follow<T, F, Fut>(
        &self,
        connection: &Arc<Connection>,
        give_up_at: Duration,
        ask: &F,
    ) -> Result<T, Failure>
    where
        F: Fn(Arc<Connection>, Duration) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        // The node gives up a little earlier than we do, so that it can say so.
        let budget = || give_up_at.saturating_sub(self.now()) / 10 * 9;
        let seen = self.keys.as_ref().map(|keys| (keys, keys.now()));
        let answer = ask(Arc::clone(connection), budget()).await;
        let (Err(failure), Some((keys, seen))) = (&answer, seen) else {
            return answer;
        };
        if !failure.is_of_receipt() {
            return answer;
        }
        let fetch = || Published::fetch(connection, budget());
        if keys.follow(&seen, self.now(), fetch).await {
            return ask(Arc::clone(connection), budget()).await;
        }
        answer
    }

    /// Time since the gate was built.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The clock that all times here are of.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, slot: Slot, fault: &Fault, hint: Option<v1::LeaderHint>) {
        let now = self.now();
        let mut endpoints = self.endpoints();
        let address = endpoints
            .address(slot)
            .map(Address::to_string)
            .unwrap_or_default();
        tracing::debug!(node = address, %fault, "asking elsewhere");
        match fault {
            Fault::CannotDecide { .. } | Fault::Slow(_) => endpoints.alive(slot),
            Fault::Unreachable(_)
            | Fault::NoAnswer(_)
            | Fault::Broken(_)
            | Fault::NotBelieved(_) => endpoints.failed(slot, now),
        }
        let Some(hint) = hint else { return };
        for node in &hint.nodes {
            if let Ok(address) = node.client.parse() {
                endpoints.learn(address);
            }
        }
        if let Some(Ok(leader)) = hint.leader.map(|leader| leader.client.parse()) {
            endpoints.hinted(leader, hint.term);
        }
    }

    fn blame(&self, retry: Retry) -> Vec<NodeFault> {
        let endpoints = self.endpoints();
        let faults = retry.into_faults().into_iter();
        let name = |(slot, fault)| {
            let address = endpoints.address(slot)?.clone();
            Some(NodeFault { address, fault })
        };
        faults.filter_map(name).collect()
    }
}

/// The time for which a node should try, as the protocol carries it: 1 ms to 60 s.
pub(crate) fn wire_ms(budget: Duration) -> u32 {
    const DEADLINE_MS_MAX: u32 = 60_000;
    u32::try_from(budget.as_millis())
        .unwrap_or(DEADLINE_MS_MAX)
        .clamp(1, DEADLINE_MS_MAX)
}
