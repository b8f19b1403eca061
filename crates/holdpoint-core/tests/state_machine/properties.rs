//! Random histories: judged as the naive model does, single-valued, convergent, fenced.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_core::command::{Authorize, CompletionResult, Evaluation, Facts, Redeem, Verdict};
use holdpoint_core::outcome::{AuthorizeOutcome, Outcome, StepOutcome};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::PermitState;
use holdpoint_core::{Command, GroupId, MapView, Overlay, apply, codec};
use holdpoint_receipt::merkle::{leaf_of, verify_inclusion};
use holdpoint_receipt::{
    ClusterTime, Digest, Fence, IdempotencyKey, PermitId, PolicyVersion, Reason, RedemptionId,
    sha256, sha256_domain,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::model::{Asked, Bound, Freshness, Model, Op, Policy, Surface, Wrong};
use crate::script::said;
use crate::world::{
    self, CLUSTER, START_MS, World, caller, default_namespace, granted, name, time,
};

const ACCOUNT: Bound = Bound("account", false, "account/{params.account}");
const ACCOUNT_ONCE: Bound = Bound("account", true, "account/{params.account}");
const INVOICE: Bound = Bound("invoice", true, "invoice/{params.invoice}");
const INVOICE_OTHERWISE: Bound = Bound("invoice", true, "inv/{params.invoice}");

const fn surface(name: &'static str, bounds: &'static [Bound]) -> Surface {
    Surface {
        name,
        bounds,
        executors: &["caller", "runner"],
        life_ms: 10_000,
        within_ms: 20_000,
        honours: false,
    }
}

const POLICIES: &[Policy] = &[
    &[surface("pay", &[ACCOUNT]), surface("ship", &[INVOICE])],
    &[
        Surface {
            honours: true,
            life_ms: 20_000,
            ..surface("pay", &[ACCOUNT])
        },
        Surface {
            executors: &["caller"],
            ..surface("ship", &[INVOICE])
        },
    ],
    &[surface("pay", &[ACCOUNT, INVOICE]), surface("ship", &[])],
    &[surface("pay", &[ACCOUNT])],
    &[
        surface("pay", &[ACCOUNT_ONCE]),
        surface("ship", &[INVOICE_OTHERWISE]),
    ],
];

const CALLERS: &[&str] = &["alice", "bob"];
const PRINCIPALS: &[&str] = &["alice", "bob", "runner"];
const ENDS_MS: &[u64] = &[START_MS + 25_000, START_MS + 80_000, START_MS + 300_000];

/// What is drawn; see [`drawn`] for what it becomes.
#[derive(Clone, Debug)]
struct Drawn {
    op: Op,
    /// Commands about a permit are about this one, counted back from the next fence.
    back: u64,
}

fn ops() -> impl Strategy<Value = Drawn> {
    let principal = prop::sample::select(PRINCIPALS);
    // The request and the end follow from the key, mostly, as a retry repeats them.
    let other = prop_oneof![9 => Just(0_u8), 1 => 1..3_u8];
    let freshness = prop_oneof![
        12 => Just(Freshness::Fresh),
        1 => Just(Freshness::OldVersion),
        1 => Just(Freshness::OldTime),
        1 => Just(Freshness::WrongFacts),
        2 => Just(Freshness::Lookup),
    ];
    let wrong = prop_oneof![
        12 => Just(Wrong::Nothing), 1 => Just(Wrong::Fence), 1 => Just(Wrong::Bytes)
    ];
    let authorize = (
        prop::sample::select(CALLERS),
        0..8_u8,
        other.clone(),
        other,
        freshness,
        prop::bool::weighted(0.1),
        prop::option::weighted(0.15, Just(0)),
    );
    let authorize = authorize.prop_map(|(by, key, asked, end, freshness, denies, after)| {
        let asked = key.wrapping_add(asked);
        Op::Authorize {
            by,
            key,
            asked: (
                ["pay", "ship"][usize::from(asked % 2)],
                asked / 2 % 2,
                asked / 4 % 2,
            ),
            end_ms: ENDS_MS[usize::from(key + end) % ENDS_MS.len()],
            freshness,
            denies,
            after,
        }
    });
    let op = prop_oneof![
        2 => prop_oneof![4 => 0..4_000_u64, 1 => 4_000..25_000_u64].prop_map(Op::Wait),
        2 => (0..POLICIES.len(), prop::bool::weighted(0.1))
            .prop_map(|(policy, expects_next)| Op::Activate { policy, expects_next }),
        9 => authorize,
        6 => (principal.clone(), 0..2_u8, wrong)
            .prop_map(|(by, id, wrong)| Op::Redeem { fence: 0, by, id, wrong }),
        4 => (principal.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(by, is_committed, is_operator)| Op::Complete {
                fence: 0, by, is_committed, is_operator,
            }),
        1 => (principal, any::<bool>())
            .prop_map(|(by, is_operator)| Op::Revoke { fence: 0, by, is_operator }),
    ];
    (op, 0..5_u64).prop_map(|(op, back)| Drawn { op, back })
}

/// Entries: how far the leader's clock moved, and what it batched.
fn histories() -> impl Strategy<Value = Vec<(u64, Vec<Drawn>)>> {
    prop::collection::vec((0..2_000_u64, prop::collection::vec(ops(), 1..5)), 1..32)
}

/// What was drawn relative to the state, as of now.
fn drawn(drawn: &Drawn, model: &Model) -> Op {
    let newest = (model.grants.len() as u64).saturating_add(1);
    let about = newest.saturating_sub(drawn.back).max(1);
    let mut op = drawn.op.clone();
    match &mut op {
        Op::Wait(to_ms) => *to_ms += model.now_ms,
        Op::Redeem { fence, .. } | Op::Complete { fence, .. } | Op::Revoke { fence, .. } => {
            *fence = about;
        }
        Op::Authorize { after, .. } => *after = after.map(|_| about),
        Op::Activate { .. } => {}
    }
    op
}

fn outline(policy: Policy) -> Vec<SurfaceOutline> {
    let bound = |bound: &Bound| BoundOutline {
        name: name(bound.0),
        kind: if bound.1 {
            BoundKind::Once
        } else {
            BoundKind::Exclusive
        },
        template: bound.2.to_owned(),
    };
    let executor = |text: &&str| match *text {
        "caller" => Executor::Caller,
        named => Executor::Principal(caller(named)),
    };
    policy
        .iter()
        .map(|surface| SurfaceOutline {
            surface: name(surface.name),
            actions: vec![name("do")],
            bounds: surface.bounds.iter().map(bound).collect(),
            executors: surface.executors.iter().map(executor).collect(),
            permit_for_ms: surface.life_ms,
            complete_within_ms: surface.within_ms,
            honor_issued: surface.honours,
        })
        .collect()
}

fn policy_name(policy: usize) -> String {
    format!("policy-{policy}")
}

/// The id of a permit, computed as documented and not as implemented.
fn permit_id(fence: u64) -> PermitId {
    let digest = sha256_domain(
        "holdpoint/permit/v1",
        &[CLUSTER.as_bytes(), b"default", &fence.to_be_bytes()],
    );
    PermitId::from_bytes(digest.as_bytes()[..16].try_into().unwrap())
}

fn asked_as_world(asked: Asked) -> world::Asked {
    world::Asked {
        surface: asked.0.to_owned(),
        params: vec![
            ("account".to_owned(), asked.1.to_string()),
            ("invoice".to_owned(), asked.2.to_string()),
        ],
    }
}

fn state(text: &str) -> PermitState {
    let all = PermitState::ALL.iter();
    all.copied().find(|state| state.as_str() == text).unwrap()
}

/// The command that a leader proposes for `op`, as of what the model knows.
fn command(world: &mut World, model: &Model, op: &Op) -> Command {
    let digest_of = |fence: u64| {
        model
            .grant(fence)
            .map_or_else(|| sha256(b""), |g| asked_as_world(g.asked).digest())
    };
    match op {
        Op::Wait(to_ms) => world::step_time(*to_ms),
        Op::Activate {
            policy,
            expects_next,
        } => {
            let expected = model.version() + u64::from(*expects_next);
            world.activate(&policy_name(*policy), Some(expected))
        }
        Op::Authorize { .. } => Command::Authorize(Box::new(authorize(world, model, op))),
        Op::Redeem {
            fence,
            by,
            id,
            wrong,
        } => Command::Redeem(Redeem {
            namespace: default_namespace(),
            permit: permit_id(*fence),
            principal: caller(by),
            fence: Fence::new(*fence + u64::from(*wrong == Wrong::Fence)).unwrap(),
            request_digest: match wrong {
                Wrong::Bytes => sha256(b"other bytes"),
                Wrong::Nothing | Wrong::Fence => digest_of(*fence),
            },
            redemption_id: RedemptionId::new(format!("r{id}")).unwrap(),
            salt: world.salt(),
        }),
        Op::Complete {
            fence,
            by,
            is_committed,
            is_operator,
        } => {
            let result = if *is_committed {
                CompletionResult::Committed { evidence: None }
            } else {
                CompletionResult::Aborted
            };
            let mut complete = world.complete(*fence, by, result);
            complete.permit = permit_id(*fence);
            complete.operator = *is_operator;
            Command::Complete(complete)
        }
        Op::Revoke {
            fence,
            by,
            is_operator,
        } => {
            let mut revoke = world.revoke(*fence, by);
            revoke.permit = permit_id(*fence);
            revoke.operator = *is_operator;
            Command::Revoke(revoke)
        }
    }
}

fn authorize(world: &mut World, model: &Model, op: &Op) -> Authorize {
    let Op::Authorize {
        by,
        key,
        asked,
        end_ms,
        freshness,
        denies,
        after,
    } = op.clone()
    else {
        unreachable!("only authorize comes here");
    };
    let request = asked_as_world(asked);
    let mut command = world.lookup(by, &format!("k{key}"), end_ms, &request);
    command.idempotency_key = IdempotencyKey::new(format!("k{key}")).unwrap();
    command.prerequisites = after.iter().map(|fence| permit_id(*fence)).collect();
    if freshness == Freshness::Lookup {
        return command;
    }
    let policy = model.activations.last().copied().unwrap_or_default();
    let surface = outline(model.policies[policy]);
    let declared = surface
        .iter()
        .find(|known| known.surface.as_str() == asked.0);
    let claims = declared.map_or_else(Vec::new, |declared| {
        declared
            .bounds
            .iter()
            .map(|bound| request.claim(bound))
            .collect()
    });
    let stale = u64::from(freshness == Freshness::OldVersion);
    let age_ms = if freshness == Freshness::OldTime {
        1_001
    } else {
        0
    };
    command.evaluation = Some(Evaluation {
        policy_version: PolicyVersion::new(model.version() + stale).unwrap(),
        policy_digest: world::digest_of_policy(&policy_name(policy)),
        evaluator_version: 1,
        evaluated_at: time(model.now_ms - age_ms),
        facts: Facts {
            frozen: freshness == Freshness::WrongFacts,
            prerequisites: after
                .iter()
                .map(|fence| {
                    model
                        .grant(*fence)
                        .map(|grant| state(grant.state(model.now_ms)))
                })
                .collect(),
            supersedes: model.replaced(by, key).map(permit_id),
        },
        verdict: if denies {
            Verdict::Deny {
                reason: Reason::Policy,
                codes: vec!["TOO_LATE".to_owned()],
                policies: Vec::new(),
            }
        } else {
            Verdict::Permit {
                policies: vec!["allow".to_owned()],
            }
        },
        claims,
    });
    command
}

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
