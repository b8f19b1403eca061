//! Random histories: judged as the naive model does, single-valued, convergent, fenced.

mod drawing;
mod proposing;

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_core::outcome::{AuthorizeOutcome, Outcome, StepOutcome};
use holdpoint_core::{Command, GroupId, MapView, Overlay, apply, codec};
use holdpoint_receipt::merkle::{leaf_of, verify_inclusion};
use holdpoint_receipt::{ClusterTime, Digest, Fence, sha256};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::model::{Model, Op};
use crate::script::said;
use crate::world::{self, World, default_namespace, granted, time};
use drawing::{Drawn, POLICIES, drawn, histories};
use proposing::{command, outline, policy_name};

/// Caller, idempotency key, digest and policy version.
type AttemptUnder = (String, String, Digest, u64);

/// What must hold over a whole history, watched from outside.
#[derive(Default)]
struct Watch {
    /// One statement for each attempt, digest and policy version: G3.
    statements: BTreeMap<AttemptUnder, (Vec<u8>, u64)>,
    last_fence: Option<Fence>,
    redeemed: BTreeSet<Fence>,
}

impl Watch {
    fn see(&mut self, command: &Command, outcome: &Outcome) {
        if let Some(fence) = granted(outcome) {
            assert!(self.last_fence < Some(fence), "fences rise");
            self.last_fence = Some(fence);
        }
        if let (
            Command::Authorize(asked),
            Outcome::Authorized(AuthorizeOutcome::Decided(decision)),
        ) = (command, outcome)
        {
            let attempt = (
                asked.caller.to_string(),
                asked.idempotency_key.to_string(),
                asked.request_digest,
                decision.policy.version.get(),
            );
            let statement = (decision.statement.bytes.clone(), decision.statement.leaf);
            let is_replay = self.statements.contains_key(&attempt);
            assert_eq!(
                is_replay, decision.replay,
                "only what was decided is replayed"
            );
            let first = self
                .statements
                .entry(attempt)
                .or_insert_with(|| statement.clone());
            assert_eq!(*first, statement, "one attempt, one statement");
        }
        if let Outcome::Redeemed(redeemed) = outcome
            && let StepOutcome::Done {
                permit,
                replay: false,
                ..
            } = redeemed.as_ref()
        {
            assert!(
                self.redeemed.insert(permit.fence()),
                "a permit is redeemed once"
            );
        }
    }
}

/// Runs a history on both and returns the answers.
fn run(history: &[(u64, Vec<Drawn>)]) -> (World, Vec<String>) {
    let mut world = World::new();
    let mut model = Model::new(POLICIES);
    let mut watch = Watch::default();
    let mut answers = Vec::new();
    for (policy, surfaces) in (0..).zip(POLICIES) {
        world.one(world::put(&policy_name(policy), outline(surfaces)));
    }
    let first = Op::Activate {
        policy: 0,
        expects_next: false,
    };
    // Most histories begin with a policy; some have to find their own.
    if history.len() % 8 != 1 {
        let activate = command(&mut world, &model, &first);
        assert_eq!(said(&world.one(activate)), model.step(&first));
    }
    for (step_ms, ops) in history {
        world.clock_ms += step_ms;
        model.tick(world.clock_ms);
        let mut commands = Vec::new();
        let mut expected = Vec::new();
        for op in ops {
            let op = drawn(op, &model);
            commands.push(command(&mut world, &model, &op));
            expected.push(model.step(&op));
            model.assert_single_valued();
        }
        let applied = world.apply(commands.clone());
        // The leader's clock is not behind the voters' for long.
        world.clock_ms = world.clock_ms.max(model.now_ms);
        let found: Vec<String> = applied.outcomes.iter().map(said).collect();
        assert_eq!(found, expected, "after {ops:?}");
        assert_eq!(applied.now, time(model.now_ms));
        for (command, outcome) in commands.iter().zip(&applied.outcomes) {
            watch.see(command, outcome);
        }
        answers.extend(found);
    }
    (world, answers)
}

/// Applies a log from the beginning, committing every `batch` entries at once.
fn apply_again(log: &[Vec<u8>], batch: usize) -> MapView {
    let mut state = MapView::new();
    for (number, entries) in log.chunks(batch).enumerate() {
        let mut overlay = Overlay::new(&state);
        for (place, bytes) in entries.iter().enumerate() {
            let entry = codec::decode_entry(bytes).unwrap();
            let index = (number * batch + place) as u64 + 1;
            let applied = apply(&overlay, 1, index, &entry).unwrap();
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
        run(&history);
    }

    #[test]
    fn same_log_gives_the_same_state_whoever_applies_it_and_in_whatever_batches(
        history in histories(),
        batch in 1..7_usize,
    ) {
        let (world, _) = run(&history);
        let expected = world.state.state_hash();
        prop_assert_eq!(apply_again(&world.log, 1).state_hash(), expected);
        prop_assert_eq!(apply_again(&world.log, batch).state_hash(), expected);
    }

    #[test]
    fn every_statement_is_in_the_tree_of_every_later_size(
        history in histories(),
        place in any::<prop::sample::Index>(),
    ) {
        let (world, _) = run(&history);
        let query = world.query();
        let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
        let head = namespace.head().unwrap();
        prop_assume!(head.size > 0);
        let leaf = place.index(usize::try_from(head.size).unwrap()) as u64;
        let statement = namespace.statement(leaf).unwrap().unwrap();
        let proof = namespace.inclusion(leaf, head.size).unwrap().unwrap();
        let hash = leaf_of(&sha256(&statement.bytes));
        prop_assert!(verify_inclusion(leaf, head.size, &hash, &proof, &head.root).is_ok());
        prop_assert_eq!(namespace.inclusion(leaf, head.size + 1).unwrap(), None);
        prop_assert_eq!(namespace.statement(head.size).unwrap(), None);
    }
}

/// A property that never meets a case proves nothing about it: this draws a fixed set of histories
/// and demands that every kind of answer was among them.
#[test]
fn histories_meet_every_kind_of_answer() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(), rng);
    let met = std::cell::RefCell::new(BTreeSet::new());
    let result = runner.run(&histories(), |history| {
        let (_, answers) = run(&history);
        met.borrow_mut()
            .extend(answers.iter().map(|answer| kind(answer)));
        Ok(())
    });
    result.unwrap();
    let met = met.into_inner();
    for expected in EXPECTED {
        assert!(
            met.contains(*expected),
            "no history met `{expected}`; met: {met:#?}"
        );
    }
}

/// An answer without its numbers.
fn kind(answer: &str) -> String {
    let words = answer.split_whitespace().filter(|word| {
        !word.contains(|c: char| c.is_ascii_digit())
            && !word.starts_with(['[', '('])
            && *word != "by"
    });
    let mut kind = words.collect::<Vec<_>>().join(" ");
    if answer.ends_with("(replay)") {
        kind.push_str(" (replay)");
    }
    kind
}

const EXPECTED: &[&str] = &[
    "time",
    "activated",
    "refused VERSION_CONFLICT",
    "refused BOUNDS_IN_USE pay",
    "refused BOUNDS_IN_USE ship",
    "PERMIT ISSUED until",
    "PERMIT ISSUED until (replay)",
    "PERMIT REDEEMED complete (replay)",
    "PERMIT REDEEMED complete IN DOUBT (replay)",
    "PERMIT COMMITTED (replay)",
    "PERMIT ABORTED (replay)",
    "PERMIT EXPIRED (replay)",
    "PERMIT REVOKED (replay)",
    "DENY POLICY codes=TOO_LATE",
    "DENY POLICY codes=TOO_LATE (replay)",
    "DENY BOUND_HELD BOUND_HELD",
    "DENY BOUND_HELD BOUND_HELD try again at",
    "DENY ALREADY_COMMITTED ALREADY_COMMITTED",
    "SILENCE IDEMPOTENCY_KEY_REUSED",
    "SILENCE ATTEMPT_EXPIRED",
    "SILENCE NO_ACTIVE_POLICY",
    "SILENCE PREREQUISITE_NOT_COMMITTED",
    "evaluate again: POLICY_MOVED supersedes)",
    "evaluate again: POLICY_MOVED",
    "evaluate again: FACTS_MOVED",
    "rejected: the evaluation does not fit: the bundle does not register the surface",
    "REDEEMED complete",
    "REDEEMED complete (replay)",
    "COMMITTED",
    "ABORTED",
    "REVOKED",
    "refused UNKNOWN_PERMIT",
    "refused NOT_EXECUTOR",
    "refused REQUEST_MISMATCH",
    "refused ALREADY_REDEEMED",
    "refused SUPERSEDED",
    "refused REVOKED",
    "refused EXPIRED",
    "refused STALE_POLICY",
    "refused NOT_REDEEMED",
    "refused OUTCOME_CONFLICT",
    "refused FORBIDDEN",
    "refused NOT_ALLOWED",
];

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
    assert_eq!(holdpoint_core::check(&world.state, GroupId::FIRST), Ok(()));
}
