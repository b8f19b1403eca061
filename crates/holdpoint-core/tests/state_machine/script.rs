//! Stories as text: one command a line, one answer a line.
//!
//! ```text
//! put P SURFACE BOUND… [; OPTION…]    register bundle P: `account!` is exclusive, `invoice*` once,
//!                                     `invoice*2h` once for that time, `seats#3` a capacity,
//!                                     `spend$100/1h` a budget that sums the parameter `amount`;
//!                                     `+ SURFACE BOUND…` adds another surface
//!                                     options: for 10s, within 60s, executors caller,runner, honour,
//!                                     offline, release 60s, template BOUND=TEXT
//! activate P [; expect N] [; drain] [; revoke]
//! authorize KEY SURFACE NAME=VALUE… [; OPTION…]
//!                                     options: by CALLER, end 60s, deny REASON, version N, age 2s,
//!                                     lookup, after FENCE…, facts wrong, until 60s (it waits),
//!                                     session SESSION, using QUORUM SUBJECT APPROVER…, leaf N
//! redeem FENCE [; by CALLER] [; id ID] [; fence N] [; other bytes]
//! complete FENCE committed|aborted [; by CALLER] [; operator] [; evidence TEXT]
//! revoke FENCE [; by CALLER] [; operator]
//! leave KEY [; by CALLER] [; ticket N]
//! queue SURFACE BOUND VALUE
//! wait 5s                             the voters' clocks move on
//! tick 5s                             one leader's clock moves on
//! idle 5s                             the same, and no entry is made
//! elect                               entries are of the next term from now on
//! get FENCE
//! who SURFACE BOUND VALUE
//! ```
//!
//! More in [`context`], [`keeping`] and [`signing`]. Times are shown relative to the start, and offers after the answer. After every
//! line every invariant is checked.

mod context;
mod keeping;
mod said;
mod signing;

use std::fmt::Write as _;

use expect_test::Expect;
use holdpoint_core::command::{
    ActivationMode, AttemptName, Authorize, CompletionResult, Facts, LeaveQueue, Ticket, Verdict,
};
use holdpoint_core::outcome::{AuthorizeOutcome, Outcome};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::{Command, GroupId, look};
use holdpoint_receipt::{BoundKey, Fence, IdempotencyKey, PolicyVersion, SessionId, sha256};

pub(crate) use said::said;
use said::{shown, stands};

use crate::world::{Asked, START_MS, World, caller, default_namespace, name, step_time, time};

/// Runs `script` on a new cluster and compares its answers.
pub(crate) fn check(script: &str, expected: &Expect) {
    let mut world = World::new();
    let mut answers = String::new();
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let answer = answer(&mut world, &Line::parse(line));
        writeln!(answers, "{number}: {answer}").unwrap();
    }
    expected.assert_eq(&answers);
}

/// The surfaces of a bundle, said as in a `put`.
pub(crate) fn outline(surfaces_said: &str) -> Vec<SurfaceOutline> {
    surfaces(&Line::parse(&format!("put p {surfaces_said}")))
}

struct Line<'a> {
    words: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let words = parts
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let options = parts
            .map(|part| part.split_once(' ').unwrap_or((part, "")))
            .collect();
        Self { words, options }
    }

    fn option(&self, name: &str) -> Option<&'a str> {
        let found = self.options.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn word(&self, place: usize) -> &'a str {
        self.words
            .get(place)
            .copied()
            .unwrap_or_else(|| panic!("word {place} of {:?}", self.words))
    }

    fn number(&self, place: usize) -> u64 {
        self.word(place).parse().unwrap()
    }

    fn by(&self) -> &'a str {
        self.option("by").unwrap_or("alice")
    }
}

fn duration(text: &str) -> u64 {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().unwrap();
    }
    let (number, unit) = text.split_at(text.len() - 1);
    let unit_ms = match unit {
        "s" => 1_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => panic!("no unit `{other}`"),
    };
    number.parse::<u64>().unwrap() * unit_ms
}

fn answer(world: &mut World, line: &Line<'_>) -> String {
    let command = match line.word(0) {
        "put" => crate::world::put(line.word(1), surfaces(line)),
        "activate" => {
            let expected = line.option("expect").map(|number| number.parse().unwrap());
            activate(world.activate(line.word(1), expected), line)
        }
        "authorize" => authorize(world, line),
        "redeem" => redeem(world, line),
        "complete" => complete(world, line),
        "revoke" => {
            let mut revoke = world.revoke(line.number(1), line.by());
            revoke.operator = line.option("operator").is_some();
            Command::Revoke(revoke)
        }
        "leave" => leave(world, line),
        "wait" => {
            world.clock_ms += duration(line.word(1));
            step_time(world.clock_ms)
        }
        "idle" => {
            world.clock_ms += duration(line.word(1));
            return "no entry".to_owned();
        }
        "elect" => {
            world.term += 1;
            return format!("term {}", world.term);
        }
        "tick" => {
            world.clock_ms += duration(line.word(1));
            return format!("time {}", shown(world.apply(Vec::new()).now));
        }
        "get" => return get(world, line.number(1)),
        "who" => return who(world, line),
        "queue" => return queue(world, line),
        "release" | "retain" | "sweep" | "due" | "used" | "doubts" | "statements" | "many" => {
            return keeping::answer(world, line);
        }
        "announce" | "voters" | "rotate" | "retire" | "mark" | "require" | "hand" | "epochs"
        | "marks" | "dispute" | "erase" | "stated" => return signing::answer(world, line),
        _ => return context::answer(world, line),
    };
    apply(world, command)
}

/// What one command meant, and whose turn it is then.
fn apply(world: &mut World, command: Command) -> String {
    let applied = world.apply(vec![command]);
    let mut text = applied.outcomes.iter().map(said).collect::<String>();
    for offer in &applied.offers {
        let (by, key) = (&offer.attempt.caller, &offer.attempt.idempotency_key);
        write!(
            text,
            " | offered to {by}/{key} until {}",
            shown(offer.until)
        )
        .unwrap();
    }
    text
}

fn surfaces(line: &Line<'_>) -> Vec<SurfaceOutline> {
    let mut surfaces: Vec<SurfaceOutline> = line.words[2..]
        .split(|word| *word == "+")
        .map(|words| surface(words, line))
        .collect();
    surfaces.sort_by(|a, b| a.surface.cmp(&b.surface));
    surfaces
}

fn surface(words: &[&str], line: &Line<'_>) -> SurfaceOutline {
    let executors = line.option("executors").unwrap_or("caller").split(',');
    let mut bounds: Vec<BoundOutline> = words[1..].iter().map(|word| bound(word, line)).collect();
    bounds.sort_by(|a, b| a.name.cmp(&b.name));
    SurfaceOutline {
        surface: name(words[0]),
        actions: vec![name("do")],
        bounds,
        executors: executors
            .map(|word| match word {
                "caller" => Executor::Caller,
                other => Executor::Principal(caller(other)),
            })
            .collect(),
        permit_for_ms: duration(line.option("for").unwrap_or("10s")),
        complete_within_ms: duration(line.option("within").unwrap_or("60s")),
        honor_issued: line.option("honour").is_some(),
        offline: line.option("offline").is_some(),
        release_after_ms: line.option("release").map(duration),
    }
}

fn bound(word: &str, line: &Line<'_>) -> BoundOutline {
    let at = word.find(['!', '*', '#', '$']).unwrap();
    let (text, kind) = word.split_at(at);
    let (kind, rest) = kind.split_at(1);
    let (kind, field) = match kind {
        "!" => (BoundKind::Exclusive, None),
        "*" => {
            let kept_for_ms = (!rest.is_empty()).then(|| duration(rest));
            (BoundKind::Once { kept_for_ms }, None)
        }
        "#" => {
            let limit = rest.parse().unwrap();
            (BoundKind::Capacity { limit }, None)
        }
        _ => {
            let (limit, window) = rest.split_once('/').unwrap();
            let (limit, window_ms) = (limit.parse().unwrap(), duration(window));
            (
                BoundKind::Budget { limit, window_ms },
                Some("amount".to_owned()),
            )
        }
    };
    let other = line
        .option("template")
        .and_then(|option| option.split_once('='));
    let template = match other {
        Some((bound, template)) if bound == text => template.to_owned(),
        _ => format!("{text}/{{params.{text}}}"),
    };
    BoundOutline {
        name: name(text),
        kind,
        template,
        field,
    }
}

fn activate(command: Command, line: &Line<'_>) -> Command {
    let Command::ActivatePolicy(mut activate) = command else {
        return command;
    };
    if line.option("drain").is_some() {
        activate.mode = ActivationMode::Drain;
    }
    if line.option("revoke").is_some() {
        activate.mode = ActivationMode::Revoke;
    }
    Command::ActivatePolicy(activate)
}

/// `SURFACE NAME=VALUE…`, from the word at `place` on.
fn asked(line: &Line<'_>, place: usize) -> Asked {
    Asked {
        surface: line.word(place).to_owned(),
        params: line.words[place + 1..]
            .iter()
            .map(|word| word.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

fn authorize(world: &mut World, line: &Line<'_>) -> Command {
    let asked = asked(line, 2);
    let end_ms = START_MS + duration(line.option("end").unwrap_or("300s"));
    let mut command = world.lookup(line.by(), line.word(1), end_ms, &asked);
    let until = line.option("until").map(duration);
    command.wait_until = until.map(|until| time(START_MS + until));
    let fences = line.option("after").unwrap_or_default().split_whitespace();
    command.prerequisites = fences
        .map(|fence| world.permit(fence.parse().unwrap()).0)
        .collect();
    let session = line.option("session");
    command.session = session.map(|text| SessionId::new(text).unwrap());
    if line.option("lookup").is_none() {
        command.evaluation = world.permits(&asked);
    }
    let current = current(world, &command);
    if let Some(evaluation) = &mut command.evaluation {
        if let Some(current) = current {
            evaluation.facts = current;
        }
        evaluation.facts.approvals = context::used(world, line);
        if let Some(reason) = line.option("deny") {
            evaluation.verdict = Verdict::Deny {
                reason: reason.parse().unwrap(),
                codes: vec!["TOO_LATE".to_owned()],
                policies: vec!["forbid".to_owned()],
            };
        }
        if let Some(version) = line.option("version") {
            evaluation.policy_version = PolicyVersion::new(version.parse().unwrap()).unwrap();
        }
        if let Some(age) = line.option("age") {
            evaluation.evaluated_at = time(world.clock_ms - duration(age));
        }
        if line.option("facts") == Some("wrong") {
            evaluation.facts.frozen = !evaluation.facts.frozen;
        }
    }
    Command::Authorize(Box::new(command))
}

/// The facts of now, as a leader learns them: by a look that changes nothing.
fn current(world: &World, command: &Authorize) -> Option<Facts> {
    match look(&world.state, GroupId::FIRST, command).unwrap() {
        Outcome::Authorized(AuthorizeOutcome::NotCurrent { current, .. }) => Some(current.facts),
        _ => None,
    }
}

fn redeem(world: &mut World, line: &Line<'_>) -> Command {
    let id = line.option("id").unwrap_or("r1");
    let mut redeem = world.redeem(line.number(1), line.by(), id);
    if let Some(fence) = line.option("fence") {
        redeem.fence = Fence::new(fence.parse().unwrap()).unwrap();
    }
    if line.option("other").is_some() {
        redeem.request_digest = sha256(b"other bytes");
    }
    Command::Redeem(redeem)
}

fn complete(world: &mut World, line: &Line<'_>) -> Command {
    let evidence = line.option("evidence").map(|text| sha256(text.as_bytes()));
    let result = match line.word(2) {
        "committed" => CompletionResult::Committed { evidence },
        "aborted" => CompletionResult::Aborted,
        other => panic!("no result `{other}`"),
    };
    let mut complete = world.complete(line.number(1), line.by(), result);
    complete.operator = line.option("operator").is_some();
    Command::Complete(complete)
}

fn leave(world: &World, line: &Line<'_>) -> Command {
    let attempt = AttemptName {
        caller: caller(line.by()),
        idempotency_key: IdempotencyKey::new(line.word(1)).unwrap(),
    };
    let found = world.namespace().waiter(&attempt);
    let ticket = found.unwrap().map_or(0, |waiter| waiter.ticket);
    let number = line
        .option("ticket")
        .map_or(ticket, |number| number.parse().unwrap());
    Command::LeaveQueue(LeaveQueue {
        namespace: default_namespace(),
        waiters: vec![Ticket { number, attempt }],
    })
}

fn queue(world: &World, line: &Line<'_>) -> String {
    let key = BoundKey::new(format!("{}/{}", line.word(2), line.word(3))).unwrap();
    let waiters = world
        .namespace()
        .queue(&name(line.word(1)), &name(line.word(2)), &key)
        .unwrap();
    if waiters.is_empty() {
        return "nobody waits".to_owned();
    }
    let places = waiters.iter().map(|(attempt, waiter)| {
        let offered = waiter
            .offer
            .map(|offer| format!(" offered until {}", shown(offer.until)));
        let (by, key) = (&attempt.caller, &attempt.idempotency_key);
        format!(
            "{} {by}/{key}{}",
            waiter.ticket,
            offered.unwrap_or_default()
        )
    });
    places.collect::<Vec<_>>().join(", ")
}

fn get(world: &World, fence: u64) -> String {
    let namespace = world
        .query()
        .namespace(&default_namespace())
        .unwrap()
        .unwrap();
    let permit = namespace
        .permit_by_fence(Fence::new(fence).unwrap())
        .unwrap();
    permit.map_or_else(|| "no such permit".to_owned(), |permit| stands(&permit))
}

fn who(world: &World, line: &Line<'_>) -> String {
    let namespace = world
        .query()
        .namespace(&default_namespace())
        .unwrap()
        .unwrap();
    let key = BoundKey::new(format!("{}/{}", line.word(2), line.word(3))).unwrap();
    let operation = namespace
        .operation(&name(line.word(1)), &name(line.word(2)), &key)
        .unwrap();
    let fence = |fence: Option<Fence>| {
        fence.map_or_else(|| "nobody".to_owned(), |fence| format!("fence={fence}"))
    };
    format!(
        "held by {}, committed by {}",
        fence(operation.holder.map(|permit| permit.fence())),
        fence(operation.tombstone.map(|tombstone| tombstone.fence))
    )
}
