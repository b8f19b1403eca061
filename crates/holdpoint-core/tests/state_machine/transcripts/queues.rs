//! Queues that are too long, or too tangled, for a story.

use std::collections::BTreeMap;

use holdpoint_core::command::{
    AttemptName, Authorize, Complete, CompletionResult, LeaveQueue, Ticket,
};
use holdpoint_core::limits::{
    ENTRY_COMMANDS_MAX, LEAVES_MAX, WAITERS_MAX, WAITERS_PER_OPERATION_MAX,
};
use holdpoint_core::outcome::{AuthorizeOutcome, ChangeOutcome, Decided, Offer, Outcome, Waiting};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::rejection::{Bounded, Rejection};
use holdpoint_core::{Command, GroupId, look};
use holdpoint_receipt::{IdempotencyKey, Reason};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::world::{Asked, START_MS, World, caller, default_namespace, name, put, time};

/// A surface with an exclusive `account`, two `seats`, and ten to `spend` a minute.
fn world() -> World {
    let mut world = World::new();
    let bound = |text: &str, kind, field: Option<&str>| BoundOutline {
        name: name(text),
        kind,
        template: format!("{text}/{{params.{text}}}"),
        field: field.map(str::to_owned),
    };
    let spend = BoundKind::Budget {
        limit: 10,
        window_ms: 60_000,
    };
    let surface = SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: vec![
            bound("account", BoundKind::Exclusive, None),
            bound("seats", BoundKind::Capacity { limit: 2 }, None),
            bound("spend", spend, Some("amount")),
        ],
        executors: vec![Executor::Caller],
        permit_for_ms: 10_000,
        complete_within_ms: 60_000,
        honor_issued: false,
        offline: false,
        release_after_ms: None,
    };
    world.one(put("p", vec![surface]));
    let activate = world.activate("p", None);
    world.one(activate);
    world
}

/// What is asked for: values of `account`, `seats` and `spend`, and the amount.
type Wish<'a> = [&'a str; 4];

/// An attempt that waits for a minute, or not at all.
fn ask(world: &mut World, key: &str, wish: Wish<'_>, waits: bool) -> Authorize {
    let params = ["account", "seats", "spend", "amount"];
    let asked = Asked {
        surface: "pay".to_owned(),
        params: params
            .iter()
            .zip(wish)
            .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
            .collect(),
    };
    let end_ms = START_MS + 500_000;
    let mut command = world.lookup("alice", key, end_ms, &asked);
    command.wait_until = waits.then(|| time(world.clock_ms + 60_000));
    command.evaluation = world.permits(&asked);
    command
}

fn authorize(command: Authorize) -> Command {
    Command::Authorize(Box::new(command))
}

fn waiting(outcome: &Outcome) -> Option<&Waiting> {
    match outcome {
        Outcome::Authorized(AuthorizeOutcome::Waiting(waiting)) => Some(waiting),
        _ => None,
    }
}

fn is_overloaded(outcome: &Outcome) -> bool {
    let silent = AuthorizeOutcome::Silent {
        reason: Reason::Overloaded,
    };
    *outcome == Outcome::Authorized(silent)
}

fn fence(outcome: &Outcome) -> u64 {
    crate::world::granted(outcome).unwrap().get()
}

/// Redeems and commits, and gives the offers of that.
fn finish(world: &mut World, fence: u64) -> Vec<Offer> {
    let redeem = world.redeem(fence, "alice", "r1");
    world.one(Command::Redeem(redeem));
    let committed = CompletionResult::Committed { evidence: None };
    let complete: Complete = world.complete(fence, "alice", committed);
    world.apply(vec![Command::Complete(complete)]).offers
}

#[test]
fn sixty_four_that_wait_for_one_key_are_granted_in_the_order_of_their_arrival() {
    let mut world = world();
    let mut attempts = BTreeMap::new();
    let first = authorize(ask(&mut world, "first", ["a", "first", "-", "0"], true));
    let mut holder = fence(&world.one(first));
    for number in 0..64 {
        let key = format!("k{number:02}");
        let command = ask(&mut world, &key, ["a", &key, "-", "0"], true);
        let outcome = world.one(authorize(command.clone()));
        assert_eq!(waiting(&outcome).unwrap().ticket, number + 1);
        attempts.insert(key, command);
    }
    let entries_before = world.log.len();
    // The keys are sorted as they arrived.
    for (key, command) in attempts {
        let offers = finish(&mut world, holder);
        let [offer] = offers.as_slice() else {
            panic!("one offer for one place, not {offers:?}");
        };
        assert_eq!(offer.attempt.idempotency_key.as_str(), key);
        holder = fence(&world.one(authorize(command)));
    }
    // Redeem, complete, authorize: nothing is in the log that only asks whether it is time.
    assert_eq!(world.log.len() - entries_before, 3 * 64);
    assert_eq!(world.namespace().record().waiters, 0);
}

/// A new leader proposes again what it does not know to be in the log already.
#[test]
fn command_that_is_proposed_again_takes_no_second_ticket() {
    let mut world = world();
    let first = authorize(ask(&mut world, "first", ["a", "first", "-", "0"], true));
    world.one(first);
    let command = authorize(ask(&mut world, "k1", ["a", "x", "-", "0"], true));
    let once = world.apply(vec![command.clone(), command.clone()]).outcomes;
    let again = world.one(command);
    assert_eq!(waiting(&again).unwrap().ticket, 1);
    assert_eq!(once, [again.clone(), again]);
    assert_eq!(world.namespace().record().ticket, 1);
}

#[test]
fn queue_of_one_operation_is_bounded() {
    let mut world = world();
    let first = authorize(ask(&mut world, "first", ["a", "first", "-", "0"], true));
    world.one(first);
    let commands: Vec<Command> = (0..WAITERS_PER_OPERATION_MAX)
        .map(|number| {
            let key = format!("k{number}");
            authorize(ask(&mut world, &key, ["a", &key, "-", "0"], true))
        })
        .collect();
    let outcomes = world.apply(commands).outcomes;
    assert!(outcomes.iter().all(|outcome| waiting(outcome).is_some()));
    let too_many = authorize(ask(&mut world, "late", ["a", "late", "-", "0"], true));
    assert!(is_overloaded(&world.one(too_many.clone())));
    // Others are not behind them.
    let other = authorize(ask(&mut world, "other", ["b", "other", "-", "0"], true));
    fence(&world.one(other));
    let (attempt, waiter) = world.namespace().waiters(None).unwrap().remove(0);
    let number = waiter.ticket;
    world.one(Command::LeaveQueue(LeaveQueue {
        namespace: default_namespace(),
        waiters: vec![Ticket { number, attempt }],
    }));
    assert!(waiting(&world.one(too_many)).is_some());
}

#[test]
fn those_that_wait_in_a_namespace_are_bounded() {
    let mut world = world();
    // A thousand permits, and ten or eleven that wait for each.
    let accounts: Vec<String> = (0..1_000).map(|number| format!("a{number}")).collect();
    let mut commands = Vec::new();
    for account in &accounts {
        let holder = ask(&mut world, account, [account, account, "-", "0"], false);
        commands.push(authorize(holder));
    }
    for (number, account) in (0..=WAITERS_MAX).zip(accounts.iter().cycle()) {
        let key = format!("k{number}");
        let waits = ask(&mut world, &key, [account, &key, "-", "0"], true);
        commands.push(authorize(waits));
    }
    let mut outcomes = Vec::new();
    for commands in commands.chunks(ENTRY_COMMANDS_MAX) {
        outcomes.extend(world.apply(commands.to_vec()).outcomes);
    }
    let waits = outcomes.iter().filter(|outcome| waiting(outcome).is_some());
    assert_eq!(waits.count() as u64, WAITERS_MAX);
    assert!(is_overloaded(outcomes.last().unwrap()));
}

#[test]
fn one_command_takes_a_bounded_number_out() {
    let mut world = world();
    let attempt = AttemptName {
        caller: caller("alice"),
        idempotency_key: IdempotencyKey::new("k1").unwrap(),
    };
    let waiters = vec![Ticket { number: 1, attempt }; LEAVES_MAX + 1];
    let leave = |waiters: &[Ticket]| {
        Command::LeaveQueue(LeaveQueue {
            namespace: default_namespace(),
            waiters: waiters.to_vec(),
        })
    };
    let too_many = Rejection::TooMuch {
        what: Bounded::Tickets,
        count: LEAVES_MAX as u64 + 1,
        count_max: LEAVES_MAX as u64,
    };
    assert_eq!(world.one(leave(&waiters)), Outcome::Rejected(too_many));
    let nobody_left = ChangeOutcome::Done {
        statement: None,
        replay: true,
    };
    let outcome = world.one(leave(&waiters[1..]));
    assert_eq!(outcome, Outcome::Changed(nobody_left));
}

/// After an outage all of them have ended, and nobody has taken them out yet.
#[test]
fn tickets_that_have_ended_keep_nobody_away_however_many_they_are() {
    let mut world = world();
    let first = authorize(ask(&mut world, "first", ["a", "first", "-", "0"], true));
    world.one(first);
    let commands: Vec<Command> = (0..500)
        .map(|number| {
            let key = format!("k{number}");
            authorize(ask(&mut world, &key, ["a", &key, "-", "0"], true))
        })
        .collect();
    world.apply(commands);
    world.clock_ms += 60_000;
    world.one(crate::world::step_time(world.clock_ms));
    let late = authorize(ask(&mut world, "late", ["a", "late", "-", "0"], false));
    fence(&world.one(late));
    let left = world.namespace().record().waiters;
    assert!(
        (1..500).contains(&left),
        "some are taken out: {left} are left"
    );
    while world.namespace().record().waiters > 0 {
        let left = world.namespace().record().waiters;
        world.one(Command::LeaveQueue(LeaveQueue {
            namespace: default_namespace(),
            waiters: Vec::new(),
        }));
        assert!(world.namespace().record().waiters < left);
    }
}

/// One thing that happens to a gate: what, and two numbers to choose by.
type Event = (u8, u8, u8);

const VALUES: [&str; 2] = ["a", "b"];
const AMOUNTS: [&str; 4] = ["0", "3", "6", "10"];

fn pick<'a>(from: &[&'a str], number: u8, shift: u8) -> &'a str {
    from[usize::from(number >> shift) % from.len()]
}

/// A gate under random events, and what its attempts asked for.
struct Play {
    world: World,
    attempts: Vec<Authorize>,
    fences: Vec<u64>,
    granted_waiting: usize,
}

impl Play {
    fn command(&mut self, (what, one, two): Event) -> Command {
        let world = &mut self.world;
        let fence = self.fences.get(usize::from(one) % self.fences.len().max(1));
        let committed = CompletionResult::Committed { evidence: None };
        match (what % 8, fence) {
            (0, Some(fence)) => Command::Revoke(world.revoke(*fence, "alice")),
            (1, Some(fence)) => Command::Redeem(world.redeem(*fence, "alice", "r1")),
            (2, Some(fence)) => Command::Complete(world.complete(*fence, "alice", committed)),
            (3, Some(fence)) => {
                Command::Complete(world.complete(*fence, "alice", CompletionResult::Aborted))
            }
            (4 | 6, _) if !self.attempts.is_empty() => {
                // An earlier attempt comes again, evaluated now; mostly one whose turn it is.
                let namespace = world.namespace();
                let waiters = namespace.waiters(None).unwrap();
                let mut offered = waiters.iter().filter(|(_, waiter)| waiter.offer.is_some());
                let offered = offered.next().map(|(name, _)| &name.idempotency_key);
                let place = usize::from(one) % self.attempts.len();
                let mut attempts = self.attempts.iter();
                let found = attempts.find(|asked| Some(&asked.idempotency_key) == offered);
                let mut again = found.unwrap_or(&self.attempts[place]).clone();
                if let Some(evaluation) = &mut again.evaluation {
                    evaluation.evaluated_at = time(world.clock_ms);
                }
                authorize(again)
            }
            (5, _) => {
                world.clock_ms += u64::from(one) * 80;
                world.term += u64::from(two % 4 == 0);
                Command::LeaveQueue(LeaveQueue {
                    namespace: default_namespace(),
                    waiters: Vec::new(),
                })
            }
            _ => {
                let key = format!("k{}", self.attempts.len());
                let wish = [
                    pick(&VALUES, one, 0),
                    pick(&VALUES, one, 1),
                    pick(&VALUES, one, 2),
                    pick(&AMOUNTS, one, 3),
                ];
                let command = ask(world, &key, wish, !two.is_multiple_of(4));
                self.attempts.push(command.clone());
                authorize(command)
            }
        }
    }

    fn happens(&mut self, event: Event) {
        let command = self.command(event);
        let waited = match &command {
            Command::Authorize(command) => {
                self.live_tickets().contains_key(&command.idempotency_key)
            }
            _ => false,
        };
        let outcome = self.world.one(command);
        if let Outcome::Authorized(AuthorizeOutcome::Decided(decision)) = &outcome
            && let Decided::Permit(permit) = &decision.verdict
            && !decision.replay
        {
            self.fences.push(permit.fence().get());
            self.granted_waiting += usize::from(waited);
        }
    }

    fn live_tickets(&self) -> BTreeMap<IdempotencyKey, u64> {
        let waiters = self.world.namespace().waiters(None).unwrap();
        let clock = self.world.namespace().clock();
        let live = waiters
            .into_iter()
            .filter(|(_, waiter)| waiter.is_live_at(clock));
        live.map(|(name, waiter)| (name.idempotency_key, waiter.ticket))
            .collect()
    }

    /// Who could be decided now has an offer, and nobody else has: no turn is ever lost.
    fn check_turns(&self) {
        let namespace = self.world.namespace();
        for (name, waiter) in namespace.waiters(None).unwrap() {
            if !waiter.is_live_at(namespace.clock()) {
                continue;
            }
            let asked = self.attempts.iter();
            let mut asked = asked.filter(|asked| asked.idempotency_key == name.idempotency_key);
            let asked = asked.next().unwrap();
            let found = look(&self.world.state, GroupId::FIRST, asked).unwrap();
            let is_told_to_wait = waiting(&found).is_some();
            assert_eq!(
                is_told_to_wait,
                waiter.offer.is_none(),
                "ticket {} of {waiter:?} is told {found:?}",
                waiter.ticket
            );
        }
    }
}

#[test]
fn whoever_could_be_granted_has_an_offer_in_every_history() {
    let events = prop::collection::vec(any::<Event>(), 60..120);
    let config = Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    };
    // Always the same histories: how many are granted is counted.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let total = std::cell::Cell::new(0);
    let result = runner.run(&events.boxed(), |events| {
        let mut play = Play {
            world: world(),
            attempts: Vec::new(),
            fences: Vec::new(),
            granted_waiting: 0,
        };
        for event in events {
            play.happens(event);
            play.check_turns();
        }
        total.set(total.get() + play.granted_waiting);
        Ok(())
    });
    result.unwrap();
    let granted_waiting = total.get();
    assert!(
        granted_waiting > 20,
        "{granted_waiting} waited and were granted"
    );
}
