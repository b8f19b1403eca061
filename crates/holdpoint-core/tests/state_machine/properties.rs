//! Random histories: judged as the naive model does, single-valued, convergent, fenced.

mod drawing;
mod placing;
mod proposing;
mod watching;

use std::collections::BTreeMap;

use holdpoint_core::{GroupId, MapView, Outcome, Overlay, check};
use holdpoint_receipt::merkle::{leaf_of, verify_inclusion};
use holdpoint_receipt::{ClusterTime, Digest, sha256};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::model::{Mode, Model, Op};
use crate::script::said;
use crate::world::{self, Logged, World, default_namespace, time};
use drawing::{Batch, Drawn, History, POLICIES, histories};
use placing::drawn;
use proposing::{command, outline, policy_name};
use watching::Watch;

/// Runs a history on both and returns the kinds of its answers.
fn run(history: &History, is_checked: bool) -> (World, Vec<String>) {
    let mut world = World::new();
    world.is_checked = is_checked;
    let mut model = Model::new(POLICIES);
    let mut watch = Watch::default();
    let mut answers = Vec::new();
    let mut story = Story::default();
    for (policy, surfaces) in (0..).zip(POLICIES) {
        world.one(world::put(&policy_name(policy), outline(surfaces)));
        model.put(policy);
    }
    if let Some(policy) = history.start {
        let first = Op::Activate {
            policy,
            expects_next: false,
            mode: Mode::Refuse,
        };
        let activate = command(&mut world, &model, &first);
        assert_eq!(said(&world.one(activate)), model.step(&first));
    }
    for Batch {
        is_elected,
        step_ms,
        ops,
        voters,
    } in &history.entries
    {
        world.term += u64::from(*is_elected);
        world.clock_ms += step_ms;
        let is_of_namespace = |op: &&Drawn| !op.op.is_of_group();
        let count = ops.iter().filter(is_of_namespace).count();
        model.begin(world.term, world.clock_ms, count);
        let mut commands = Vec::new();
        let mut expected = Vec::new();
        let mut names = Vec::new();
        for op in ops {
            let op = drawn(op, &model);
            names.push(op.name());
            commands.push(command(&mut world, &model, &op));
            let answer = model.step(&op);
            story.tell(&model, &op, &answer);
            expected.push(answer);
        }
        let applied = world.apply(commands.clone());
        // The leader's clock is not behind the voters' for long.
        world.clock_ms = world.clock_ms.max(model.now_ms);
        let found: Vec<String> = applied.outcomes.iter().map(answered).collect();
        assert_eq!(found, expected);
        assert_eq!(applied.now, time(model.now_ms));
        watch.recount(&world);
        for (command, outcome) in commands.iter().zip(&applied.outcomes) {
            watch.see(command, outcome);
        }
        if let Some(voters) = voters {
            world.change_voters(voters);
            model.change_voters(voters);
            watch.recount(&world);
        }
        answers.extend(
            names
                .iter()
                .zip(&found)
                .map(|(name, answer)| kind(name, answer)),
        );
    }
    answers.extend(model.notes.iter().map(|note| format!("note: {note}")));
    watch.compare(&world, &model);
    assert_eq!(check(&world.state, GroupId::FIRST), Ok(()));
    (world, answers)
}

/// What happened, for whoever reads a failure.
#[derive(Default)]
struct Story(Vec<String>);

impl Story {
    fn tell(&mut self, model: &Model, op: &Op, answer: &str) {
        let at_ms = model.now_ms - world::START_MS;
        self.0.push(format!("{at_ms}: {op:?}\n    {answer}"));
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("STORY\n{}", self.0.join("\n"));
        }
    }
}

/// What the model says too: how many rows a sweep has met is the state machine's own business.
fn answered(outcome: &Outcome) -> String {
    let text = said(outcome);
    if !matches!(outcome, Outcome::Swept(_)) {
        return text;
    }
    let words = text.split(' ').filter(|word| !word.starts_with("rows="));
    words.collect::<Vec<_>>().join(" ")
}

/// Applies a log from the beginning, committing every `batch` entries at once.
fn apply_again(log: &[(u64, Logged)], batch: usize) -> MapView {
    let mut state = MapView::new();
    for (number, entries) in log.chunks(batch).enumerate() {
        let mut overlay = Overlay::new(&state);
        for (place, (term, logged)) in entries.iter().enumerate() {
            let index = (number * batch + place) as u64 + 1;
            let applied = logged.apply(&overlay, *term, index);
            overlay.commit(applied.writes);
        }
        let writes = overlay.into_writes();
        state.commit(&writes);
    }
    state
}

/// A history is some fifty commands, so a few of them go a long way; `PROPTEST_CASES` asks for more.
fn config() -> Config {
    let default = Config::default();
    Config {
        cases: default.cases.div_ceil(3),
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_history_is_judged_as_the_naive_model_judges_it(history in histories()) {
        run(&history, true);
    }

    #[test]
    fn same_log_gives_the_same_state_whoever_applies_it_and_in_whatever_batches(
        history in histories(),
        batch in 1..7_usize,
    ) {
        let (world, _) = run(&history, false);
        let expected = world.state.state_hash();
        prop_assert_eq!(apply_again(&world.log, 1).state_hash(), expected);
        prop_assert_eq!(apply_again(&world.log, batch).state_hash(), expected);
    }

    #[test]
    fn every_statement_is_in_the_tree_of_every_later_size(
        history in histories(),
        place in any::<prop::sample::Index>(),
    ) {
        let (world, _) = run(&history, false);
        let query = world.query();
        let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
        let head = namespace.head().unwrap();
        prop_assume!(head.size > 0);
        let leaf = place.index(usize::try_from(head.size).unwrap()) as u64;
        let proof = namespace.inclusion(leaf, head.size).unwrap().unwrap();
        // One that retention has taken away can still be proved by who has kept it.
        if let Some(statement) = namespace.statement(leaf).unwrap() {
            let hash = leaf_of(&sha256(&statement.bytes));
            prop_assert!(verify_inclusion(leaf, head.size, &hash, &proof, &head.root).is_ok());
        }
        prop_assert_eq!(namespace.inclusion(leaf, head.size + 1).unwrap(), None);
        prop_assert_eq!(namespace.statement(head.size).unwrap(), None);
    }
}

/// A property that never meets a case proves nothing about it: this draws a fixed set of histories
/// and demands that every kind of answer was among them, often enough not to be chance.
#[test]
fn histories_meet_every_kind_of_answer() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config {
        cases: KINDS_CASES,
        ..config()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let met: std::cell::RefCell<BTreeMap<String, u64>> = std::cell::RefCell::default();
    let result = runner.run(&histories(), |history| {
        let (_, answers) = run(&history, false);
        for answer in answers {
            *met.borrow_mut().entry(answer).or_default() += 1;
        }
        Ok(())
    });
    result.unwrap();
    let met = met.into_inner();
    let rare: Vec<&str> = EXPECTED
        .lines()
        .map(str::trim)
        .filter(|expected| met.get(*expected).is_none_or(|count| *count < KINDS_MIN))
        .collect();
    assert!(rare.is_empty(), "met too rarely: {rare:#?}; met: {met:#?}");
}

/// What was done and how it was answered, without numbers and without what was refused in detail.
fn kind(name: &str, answer: &str) -> String {
    let mut kind = name.to_owned();
    let mut is_detail = false;
    for word in answer.split_whitespace() {
        is_detail |= word.starts_with('[');
        let word = word.split('=').next().unwrap_or(word);
        let is_number = word.contains(|c: char| c.is_ascii_digit());
        let is_name = [
            "by", "alice", "bob", "fence", "ticket", "version", "(active",
        ]
        .contains(&word);
        if !is_detail && !is_number && !is_name {
            kind.push(' ');
            kind.push_str(word);
        }
        is_detail &= !word.ends_with(']');
    }
    kind
}

/// Histories that are drawn for it, and how often each kind must be among their answers.
const KINDS_CASES: u32 = 2_000;
const KINDS_MIN: u64 = 2;

const EXPECTED: &str = include_str!("properties/answers.txt");

#[test]
fn state_of_a_log_cut_anywhere_is_the_state_that_the_log_had_there() {
    let mut world = World::new();
    let hashes: Vec<Digest> = (0..5)
        .map(|_| {
            world.clock_ms += 100;
            world.apply(Vec::new());
            world.state.state_hash()
        })
        .collect();
    for (count, hash) in (2..).zip(&hashes) {
        assert_eq!(apply_again(&world.log[..count], 1).state_hash(), *hash);
    }
    assert_ne!(ClusterTime::default(), world.query().now().unwrap());
    assert_eq!(check(&world.state, GroupId::FIRST), Ok(()));
}
