//! Clients that ask at the same time, and lose some of the answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use holdpoint_receipt::sha256;

use super::Plan;
use super::dice::Dice;
use super::gate::Gate;
use super::script::{Next, next};
use crate::history::{Answered, Bound, Demands, Event, Header, History, Mark, Op};

const NAMESPACES: [&str; 2] = ["default", "payments"];
const NODES: [u64; 3] = [1, 2, 3];
/// How long a client waits for an answer.
const PATIENCE_US: u64 = 60_000;
/// The latest that a lost operation still takes effect after its call.
const LATE_US: u64 = 300_000;
/// How often an operator changes the policy of a namespace.
const ACTIVATION_US: u64 = 400_000;
/// Leaves of each namespace that are read at the end, the newest.
const AUDITED_MAX: usize = 2_000;

/// What happens next, somewhere.
#[derive(Debug)]
enum Due {
    /// A client has nothing to do, or asks this.
    Ask(usize, Option<Box<Event>>),
    /// An operation takes effect, and its client is answered after so long, if at all.
    Effect(usize, Box<Event>, Option<u64>),
    /// A client has its answer, or gives up.
    Answer(usize, Box<Event>),
}

struct Run {
    plan: Plan,
    dice: Dice,
    gate: Gate,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    due: BTreeMap<u64, Due>,
    sequence: u64,
    events: Vec<Event>,
}

/// Invents a history in which every promise is kept.
#[must_use]
pub fn invent(plan: &Plan) -> History {
    let bounds: BTreeMap<String, Bound> = [
        ("lock", Bound::Exclusive {}),
        ("pool", Bound::Capacity { limit: 3 }),
        (
            "purse",
            Bound::Budget {
                limit: 100,
                window_ms: 2_000,
            },
        ),
        ("job", Bound::Once {}),
    ]
    .map(|(name, bound)| (name.to_owned(), bound))
    .into();
    let reproduce = format!(
        "cargo run -p chaos -- invent --seed {} --operations {} --keys {} --clients {} \
         --lost-permille {}",
        plan.seed, plan.operations, plan.keys, plan.clients, plan.lost_permille
    );
    let mut header = Header::new(&reproduce, &NODES, bounds.clone());
    header.faults = vec!["lost-answers".to_owned()];
    header.demands = Demands {
        time_slack_ms: Some(100),
        ..Demands::default()
    };
    let mut run = Run {
        plan: *plan,
        dice: Dice::new(plan.seed),
        gate: Gate {
            bounds,
            spaces: BTreeMap::new(),
        },
        queue: BinaryHeap::new(),
        due: BTreeMap::new(),
        sequence: 0,
        events: Vec::new(),
    };
    let (lossy_until_us, ended_us) = run.run();
    run.audit(ended_us);
    let lost = run
        .events
        .iter()
        .filter(|event| event.answer.is_ambiguous());
    let marks = vec![
        Mark::Fault {
            name: "lost-answers".to_owned(),
            at_us: 0,
            proof: format!("{} answers", lost.count()),
        },
        Mark::Healed {
            at_us: lossy_until_us,
        },
    ];
    History {
        header,
        events: run.events,
        marks,
    }
}

impl Run {
    fn push(&mut self, at_us: u64, due: Due) {
        self.sequence = self.sequence.saturating_add(1);
        self.queue.push(Reverse((at_us, self.sequence)));
        self.due.insert(self.sequence, due);
    }

    /// Runs all clients, loses answers for the first three quarters, and says until when and when all
    /// ended.
    fn run(&mut self) -> (u64, u64) {
        let clients = NAMESPACES.len() * usize::try_from(self.plan.clients).unwrap_or(1);
        for operator in 0..NAMESPACES.len() {
            self.push(0, Due::Ask(operator, None));
        }
        for client in 0..clients {
            let at_us = self.dice.between(20_000, 30_000);
            self.push(at_us, Due::Ask(NAMESPACES.len() + client, None));
        }
        let lossy = self.plan.operations / 4 * 3;
        let (mut lossy_until_us, mut now_us) = (None, 0);
        while let Some(Reverse((at_us, sequence))) = self.queue.pop() {
            now_us = at_us;
            if self.events.len() >= lossy && lossy_until_us.is_none() {
                lossy_until_us = Some(now_us);
            }
            match self.due.remove(&sequence) {
                Some(Due::Ask(client, asked)) => {
                    let asked = asked.or_else(|| self.something_new(client));
                    if let Some(asked) = asked {
                        self.ask(client, *asked, now_us, lossy_until_us.is_none());
                    }
                }
                Some(Due::Effect(client, mut event, answered_after_us)) => {
                    event.answer = self.gate.take(&event, now_us);
                    if let Some(after_us) = answered_after_us {
                        self.push(now_us.saturating_add(after_us), Due::Answer(client, event));
                    }
                }
                Some(Due::Answer(client, mut event)) => {
                    event.return_us = now_us;
                    self.answered(client, *event, now_us);
                }
                None => {}
            }
        }
        (lossy_until_us.unwrap_or(now_us), now_us)
    }

    fn ask(&mut self, client: usize, mut event: Event, now_us: u64, is_lossy: bool) {
        event.call_us = now_us;
        event.return_us = now_us;
        event.node = NODES.get(client % NODES.len()).copied();
        let effect_us = now_us.saturating_add(self.dice.between(200, 15_000));
        if !is_lossy || !self.dice.permille(self.plan.lost_permille) {
            let after_us = self.dice.between(100, 15_000);
            self.push(
                effect_us,
                Due::Effect(client, Box::new(event), Some(after_us)),
            );
            return;
        }
        match self.dice.below(4) {
            // It never arrives, and nobody can know.
            0 => {}
            // The gate refuses at the door, and says so.
            1 => {
                event.answer = Answered::Error {
                    reason: "OVERLOADED".to_owned(),
                };
                self.push(effect_us, Due::Answer(client, Box::new(event)));
                return;
            }
            // Its answer is lost.
            2 => self.push(
                effect_us,
                Due::Effect(client, Box::new(event.clone()), None),
            ),
            // It arrives when its client has given up.
            _ => {
                let late_us = now_us.saturating_add(self.dice.between(PATIENCE_US, LATE_US));
                self.push(late_us, Due::Effect(client, Box::new(event.clone()), None));
            }
        }
        event.answer = Answered::Timeout {};
        let give_up_us = now_us.saturating_add(PATIENCE_US);
        self.push(give_up_us, Due::Answer(client, Box::new(event)));
    }

    fn answered(&mut self, client: usize, event: Event, now_us: u64) {
        let is_over = self.events.len() >= self.plan.operations;
        let think_us = if client < NAMESPACES.len() {
            ACTIVATION_US
        } else {
            self.dice.between(100, 20_000)
        };
        let (asked, wait_us) = match next(&event, &mut self.dice) {
            Next::New => (None, 0),
            Next::Ask(asked, wait_us) => (Some(asked), wait_us),
        };
        self.events.push(event);
        // What was begun is ended, so that the last permits are not all left in doubt.
        if asked.is_some() || !is_over {
            let at_us = now_us.saturating_add(think_us).saturating_add(wait_us);
            self.push(at_us, Due::Ask(client, asked));
        }
    }

    /// A new attempt, a read of the version, or for an operator a new policy.
    fn something_new(&mut self, client: usize) -> Option<Box<Event>> {
        let namespace = (*NAMESPACES.get(client % NAMESPACES.len())?).to_owned();
        let number = self.sequence;
        let mut event = Event {
            client: format!("client-{client}"),
            op: Op::Read,
            namespace,
            key: None,
            permit: None,
            digest: None,
            idem: None,
            amount: None,
            outcome: None,
            bundle: None,
            leaf: None,
            call_us: 0,
            return_us: 0,
            node: None,
            answer: Answered::Timeout {},
        };
        if client < NAMESPACES.len() {
            event.op = Op::Activate;
            event.bundle = Some(sha256(format!("bundle {number}").as_bytes()).to_string());
            return Some(Box::new(event));
        }
        if self.dice.permille(30) {
            return Some(Box::new(event));
        }
        // Half of all want one of the first four keys.
        let keys = if self.dice.permille(500) {
            4
        } else {
            self.plan.keys
        };
        let key = self.dice.below(keys);
        let bound = match key % 8 {
            1 => "pool",
            2 => "purse",
            7 => "job",
            _ => "lock",
        };
        event.op = Op::Authorize;
        event.key = Some(format!("{bound}/{key}"));
        event.digest = Some(sha256(format!("request {number}").as_bytes()).to_string());
        event.idem = Some(format!("attempt-{number}"));
        event.amount = (bound == "purse").then(|| self.dice.between(1, 60));
        Some(Box::new(event))
    }

    /// Asks every node for its log.
    fn audit(&mut self, ended_us: u64) {
        let mut now_us = ended_us;
        for namespace in NAMESPACES {
            let size = self
                .gate
                .spaces
                .get(namespace)
                .map_or(0, |space| space.leaves.len());
            let first = size.saturating_sub(AUDITED_MAX);
            for (place, leaf) in (first..size).enumerate() {
                now_us = now_us.saturating_add(10);
                let node = NODES.get(place % NODES.len()).copied();
                self.audited(namespace, node, Some(leaf as u64), now_us, None);
            }
            for node in NODES {
                now_us = now_us.saturating_add(10);
                let size = size.saturating_sub(usize::from(node == 3));
                let head = self
                    .gate
                    .spaces
                    .get(namespace)
                    .map(|space| space.head(size));
                self.audited(namespace, Some(node), None, now_us, head);
            }
        }
    }

    fn audited(
        &mut self,
        namespace: &str,
        node: Option<u64>,
        leaf: Option<u64>,
        now_us: u64,
        head: Option<Answered>,
    ) {
        let mut event = Event {
            client: "auditor".to_owned(),
            op: Op::Read,
            namespace: namespace.to_owned(),
            key: None,
            permit: None,
            digest: None,
            idem: None,
            amount: None,
            outcome: None,
            bundle: None,
            leaf,
            call_us: now_us,
            return_us: now_us.saturating_add(5),
            node,
            answer: Answered::Timeout {},
        };
        event.answer = head.unwrap_or_else(|| self.gate.take(&event, now_us));
        self.events.push(event);
    }
}
