//! What no correct leader, disk or library gives: judged all the same, or refused by name.

mod extremes;
mod signers;

use std::cell::Cell;

use holdpoint_core::codec::{
    CodecError, decode_command, decode_entry, decode_outcome, encode_command,
};
use holdpoint_core::command::{Authorize, Evaluation, Verdict};
use holdpoint_core::rejection::{EvaluationProblem, OutlineProblem};
use holdpoint_core::view::Row;
use holdpoint_core::{
    ApplyError, Command, Corruption, Entry, GroupId, Kind, MapView, Outcome, Rejection, StateKey,
    View, Write, apply, check,
};
use holdpoint_receipt::{BoundKey, PermitId, Reason};
use proptest::prelude::*;

use crate::golden::commands;
use crate::script::said;
use crate::world::{Asked, START_MS, World, name, put, time};

fn entry(commands: Vec<Command>) -> Entry {
    Entry {
        group: GroupId::FIRST,
        time: time(START_MS),
        commands,
    }
}

fn asked() -> Asked {
    Asked {
        surface: "pay".to_owned(),
        params: vec![("account".to_owned(), "a".to_owned())],
    }
}

/// A cluster with a policy, a redeemed permit, an issued one, a committed one and a denial.
fn lived() -> World {
    let mut world = World::new();
    let bound = |text: &str, kind| holdpoint_core::outline::BoundOutline {
        name: name(text),
        kind,
        template: text.to_owned(),
        field: None,
    };
    let surface = holdpoint_core::outline::SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: vec![
            bound("account", holdpoint_core::outline::BoundKind::Exclusive),
            bound(
                "invoice",
                holdpoint_core::outline::BoundKind::Once { kept_for_ms: None },
            ),
        ],
        executors: vec![holdpoint_core::outline::Executor::Caller],
        permit_for_ms: 10_000,
        complete_within_ms: 10_000,
        honor_issued: false,
        offline: false,
        release_after_ms: None,
    };
    world.one(put("p", vec![surface]));
    let activate = world.activate("p", None);
    world.one(activate);
    for (key, account) in [("k1", "a"), ("k2", "b"), ("k3", "c"), ("k4", "a")] {
        let params = vec![
            ("account".to_owned(), account.to_owned()),
            ("invoice".to_owned(), key.to_owned()),
        ];
        let asked = Asked {
            surface: "pay".to_owned(),
            params,
        };
        let mut authorize = world.lookup("alice", key, START_MS + 60_000, &asked);
        authorize.evaluation = world.permits(&asked);
        world.one(Command::Authorize(Box::new(authorize)));
    }
    for fence in [1, 2] {
        let redeem = world.redeem(fence, "alice", "r1");
        world.one(Command::Redeem(redeem));
    }
    let committed = holdpoint_core::command::CompletionResult::Committed { evidence: None };
    let complete = world.complete(2, "alice", committed);
    world.one(Command::Complete(complete));
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_decode_to_something_or_are_refused(
        version in prop::option::of(Just(1_u8)),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes: Vec<u8> = version.into_iter().chain(bytes).collect();
        if let Ok(entry) = decode_entry(&bytes) {
            prop_assert!(apply(&MapView::new(), 1, 1, &entry).is_ok());
        }
        let _ = decode_outcome(&bytes);
        let _ = decode_command(&bytes);
    }

    #[test]
    fn every_command_that_decodes_has_an_outcome_and_leaves_a_sound_state(
        place in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
    ) {
        let commands = commands();
        let mut bytes = encode_command(&place.get(&commands).1).unwrap();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
            if bytes.is_empty() {
                bytes.push(1);
            }
        }
        let Ok(command) = decode_command(&bytes) else { return Ok(()) };
        for mut state in [MapView::new(), LIVED.with(Clone::clone)] {
            let applied = apply(&state, 9, 99, &entry(vec![command.clone()])).unwrap();
            prop_assert_eq!(applied.outcomes.len(), 1);
            state.commit(&applied.writes);
            prop_assert_eq!(check(&state, GroupId::FIRST), Ok(()));
        }
    }
}

thread_local! {
    static LIVED: MapView = lived().state;
}

#[test]
fn every_cut_of_every_command_and_every_byte_after_it_is_refused() {
    for (what, command) in commands() {
        let mut bytes = encode_command(&command).unwrap();
        for length in 0..bytes.len() {
            assert!(
                decode_command(&bytes[..length]).is_err(),
                "{what} cut to {length} bytes"
            );
        }
        bytes.push(0);
        let refused = decode_command(&bytes);
        assert!(
            matches!(refused, Err(CodecError::Trailing { count: 1 })),
            "{what}"
        );
        bytes.pop();
        bytes[0] = 0;
        let refused = decode_command(&bytes);
        assert!(
            matches!(refused, Err(CodecError::Version { found: 0 })),
            "{what}"
        );
    }
}

/// A whole number in more bytes than it needs would be a second encoding of the same command.
#[test]
fn command_has_one_encoding() {
    let mut widened = 0;
    for (what, command) in commands() {
        let bytes = encode_command(&command).unwrap();
        for place in 1..bytes.len() {
            for (tag, zeros) in [(251, 1), (252, 3), (253, 7)] {
                let mut longer = bytes.clone();
                longer.splice(place..place, [tag]);
                let after = place + 2;
                longer.splice(after..after, vec![0; zeros]);
                match decode_command(&longer) {
                    Ok(other) => {
                        let found = encode_command(&other).unwrap();
                        assert_eq!(found, longer, "{what}, widened at byte {place}");
                    }
                    Err(CodecError::NotShortest { .. }) => widened += 1,
                    Err(_) => {}
                }
            }
        }
    }
    assert!(widened > 50, "only {widened} whole numbers were widened");
}

#[test]
fn nothing_but_a_bootstrap_begins_a_cluster() {
    for (what, command) in commands() {
        let applied = apply(&MapView::new(), 1, 1, &entry(vec![command])).unwrap();
        let expected = match what {
            "bootstrap" => "bootstrapped",
            _ => "rejected: the group is not bootstrapped",
        };
        assert_eq!(
            applied.outcomes.iter().map(said).collect::<Vec<_>>(),
            [expected],
            "{what}"
        );
        assert_eq!(applied.writes.is_empty(), what != "bootstrap", "{what}");
    }
}

/// What becomes of an attempt that is changed before it is proposed.
fn rejected(change: impl FnOnce(&mut Authorize)) -> Rejection {
    let mut world = lived();
    let asked = asked();
    let mut authorize = world.lookup("alice", "new", START_MS + 60_000, &asked);
    authorize.evaluation = world.permits(&asked);
    change(&mut authorize);
    let before = world.state.state_hash();
    let outcome = world.one(Command::Authorize(Box::new(authorize)));
    assert_eq!(
        world.state.state_hash(),
        before,
        "a rejected command changes nothing"
    );
    match outcome {
        Outcome::Rejected(rejection) => rejection,
        other => panic!("not rejected: {}", said(&other)),
    }
}

#[test]
fn forged_digest_is_rejected() {
    let found = rejected(|command| command.request.push(b' '));
    assert_eq!(found, Rejection::DigestMismatch);
}

#[test]
fn leader_that_leaves_a_bound_out_is_rejected() {
    let claims = Rejection::Evaluation(EvaluationProblem::Claims);
    let change = |change: fn(&mut Vec<holdpoint_core::command::BoundClaim>)| {
        rejected(|command| change(&mut command.evaluation.as_mut().unwrap().claims))
    };
    assert_eq!(
        change(|claims| {
            claims.pop();
        }),
        claims
    );
    assert_eq!(change(|claims| claims.reverse()), claims);
    assert_eq!(change(|claims| claims.push(claims[0].clone())), claims);
    assert_eq!(change(|claims| claims[1].kind = claims[0].kind), claims);
}

#[test]
fn evaluation_of_a_time_that_has_not_come_is_not_current() {
    let mut world = lived();
    let asked = Asked {
        surface: "pay".to_owned(),
        params: vec![("account".to_owned(), "d".to_owned())],
    };
    let mut authorize = world.lookup("alice", "early", START_MS + 60_000, &asked);
    authorize.evaluation = world.permits(&asked).map(|evaluation| Evaluation {
        evaluated_at: time(world.clock_ms + 1),
        ..evaluation
    });
    let outcome = world.one(Command::Authorize(Box::new(authorize)));
    assert_eq!(said(&outcome), "evaluate again: FACTS_MOVED (active v1)");
}

#[test]
fn retry_horizon_itself_is_within_reach() {
    let horizon_ms = START_MS + 10 * 60_000 + 5_500;
    let mut world = lived();
    let mut lookup = |end_ms| {
        let lookup = world.lookup("alice", "late", end_ms, &asked());
        said(&world.one(Command::Authorize(Box::new(lookup))))
    };
    assert_eq!(
        lookup(horizon_ms),
        "evaluate again: POLICY_MOVED (active v1)"
    );
    let beyond = lookup(horizon_ms + 1);
    assert!(
        beyond.contains("is beyond the retry horizon at"),
        "{beyond}"
    );
}

#[test]
fn evaluation_that_policy_cannot_have_given_is_rejected() {
    let verdict = |verdict: Verdict| {
        rejected(|command| command.evaluation.as_mut().unwrap().verdict = verdict)
    };
    let denied = |reason, codes: &[&str]| Verdict::Deny {
        reason,
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        policies: Vec::new(),
    };
    assert_eq!(
        verdict(denied(Reason::Granted, &[])),
        Rejection::Evaluation(EvaluationProblem::Reason)
    );
    assert_eq!(
        verdict(denied(Reason::Policy, &["b", "a"])),
        Rejection::Evaluation(EvaluationProblem::Order)
    );
    let many: Vec<String> = (0..65).map(|number| format!("{number:03}")).collect();
    assert!(matches!(
        verdict(Verdict::Permit { policies: many }),
        Rejection::TooMuch { count: 65, .. }
    ));
    assert!(matches!(
        verdict(Verdict::Permit {
            policies: vec!["p".repeat(513)]
        }),
        Rejection::TooMuch { count: 513, .. }
    ));
}

#[test]
fn overlong_and_contradictory_requests_are_rejected() {
    let permits = |count: u8| (0..count).map(|n| PermitId::from_bytes([n; 16])).collect();
    assert!(matches!(
        rejected(|command| command.prerequisites = permits(33)),
        Rejection::TooMuch { count: 33, .. }
    ));
    let prerequisites = Rejection::Evaluation(EvaluationProblem::Prerequisites);
    assert_eq!(
        rejected(|command| command.prerequisites = permits(1)),
        prerequisites
    );
    assert_eq!(
        rejected(|command| command.prerequisites = vec![PermitId::from_bytes([1; 16]); 2]),
        prerequisites
    );
    assert!(matches!(
        rejected(|command| command.request = vec![b'x'; 72 * 1024 + 1]),
        Rejection::TooMuch { count: 73_729, .. }
    ));
    assert!(matches!(
        rejected(|command| command.not_after = holdpoint_receipt::ClusterTime::MAX),
        Rejection::NotAfterTooFar { .. }
    ));
    assert_eq!(
        rejected(|command| command.namespace = name("elsewhere")),
        Rejection::UnknownNamespace
    );
    assert_eq!(
        rejected(|command| command.action = name("undo")),
        Rejection::Evaluation(EvaluationProblem::Action)
    );
    assert_eq!(
        rejected(|command| command.surface = name("elsewhere")),
        Rejection::Evaluation(EvaluationProblem::Surface)
    );
}

#[test]
fn outline_that_is_not_in_its_one_form_is_rejected() {
    let mut world = World::new();
    let good = holdpoint_core::outline::SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: Vec::new(),
        executors: Vec::new(),
        permit_for_ms: 1_000,
        complete_within_ms: 30 * 24 * 3_600_000,
        honor_issued: false,
        offline: false,
        release_after_ms: None,
    };
    let longest = world.one(put("longest", vec![good.clone()]));
    assert!(matches!(longest, Outcome::PolicyPut(_)), "{longest:?}");
    let mut change = |change: fn(&mut Vec<holdpoint_core::outline::SurfaceOutline>)| {
        let mut surfaces = vec![good.clone()];
        change(&mut surfaces);
        match world.one(put("p", surfaces)) {
            Outcome::Rejected(Rejection::Outline(problem)) => problem,
            other => panic!("not rejected: {}", said(&other)),
        }
    };
    assert_eq!(change(Vec::clear), OutlineProblem::Empty);
    assert_eq!(
        change(|all| all.push(all[0].clone())),
        OutlineProblem::Order
    );
    assert_eq!(change(|all| all[0].actions.clear()), OutlineProblem::Empty);
    assert_eq!(
        change(|all| all[0].actions.push(name("a"))),
        OutlineProblem::Order
    );
    assert_eq!(
        change(|all| all[0].permit_for_ms = 999),
        OutlineProblem::Lifetime
    );
    // A permit may be in use for longer than it can be waited with: 30 days, as bundles say.
    assert_eq!(
        change(|all| all[0].permit_for_ms = 24 * 3_600_000 + 1),
        OutlineProblem::Lifetime
    );
    assert_eq!(
        change(|all| all[0].complete_within_ms = 30 * 24 * 3_600_000 + 1),
        OutlineProblem::Lifetime
    );
    let many = change(|all| {
        let executor = holdpoint_core::outline::Executor::Caller;
        all[0].executors = vec![executor; 65];
    });
    assert_eq!(many, OutlineProblem::TooMany);
}

#[test]
fn keys_that_differ_only_in_where_a_part_ends_are_different_keys() {
    let keys = holdpoint_core::KeySpace::namespace(GroupId::FIRST, &name("default"));
    let key = |surface: &str, bound: &str, text: &str| {
        let text = BoundKey::new(text).unwrap();
        keys.operation(Kind::Holder, &name(surface), &name(bound), &text)
    };
    assert_ne!(key("pa", "yinvoice", "7"), key("pay", "invoice", "7"));
    assert_ne!(key("pay", "invoice", "7"), key("pay", "invoic", "e7"));
}

/// Every record of our own, damaged one at a time, under commands that read it.
#[test]
fn damaged_record_is_a_fault_that_names_it_and_never_an_outcome() {
    let mut world = lived();
    let commands = touching(&mut world);
    let mut named = std::collections::BTreeSet::new();
    let keys: Vec<StateKey> = world.state.iter().map(|(key, _)| key.clone()).collect();
    for key in keys {
        let mut damaged = world.state.clone();
        damaged.commit(&[Write::Put {
            key: key.clone(),
            value: vec![0xff],
        }]);
        for command in commands.clone() {
            match apply(&damaged, 1, 99, &entry(vec![command])) {
                Ok(_) => {}
                Err(ApplyError::Corrupt {
                    key: found,
                    corruption: Corruption::Codec(_),
                }) => {
                    assert_eq!(found, key);
                    named.insert(key.parts().unwrap().kind);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    let unread = [
        Kind::Node,
        Kind::NamespaceName,
        Kind::Activation,
        Kind::AttemptEnd,
    ];
    for kind in [
        Kind::Group,
        Kind::Clock,
        Kind::Namespace,
        Kind::Surface,
        Kind::Bundle,
    ] {
        assert!(
            named.contains(&kind),
            "{kind:?} was read by none of the commands"
        );
    }
    for kind in [
        Kind::Attempt,
        Kind::Permit,
        Kind::Holder,
        Kind::Tree,
        Kind::Leaf,
    ] {
        assert!(
            named.contains(&kind),
            "{kind:?} was read by none of the commands"
        );
    }
    for kind in unread {
        assert!(!named.contains(&kind), "{kind:?}: judge does not read it");
    }
}

/// Commands that between them read every record that `judge` reads.
fn touching(world: &mut World) -> Vec<Command> {
    let mut commands = Vec::new();
    for (key, account) in [("k1", "a"), ("k2", "b"), ("k5", "a"), ("k6", "b")] {
        let params = vec![
            ("account".to_owned(), account.to_owned()),
            ("invoice".to_owned(), key.to_owned()),
        ];
        let asked = Asked {
            surface: "pay".to_owned(),
            params,
        };
        let mut authorize = world.lookup("alice", key, START_MS + 60_000, &asked);
        authorize.evaluation = world.permits(&asked);
        commands.push(Command::Authorize(Box::new(authorize)));
    }
    commands.push(Command::Redeem(world.redeem(3, "alice", "r1")));
    let aborted = holdpoint_core::command::CompletionResult::Aborted;
    commands.push(Command::Complete(world.complete(1, "alice", aborted)));
    commands.push(Command::Complete(world.complete(2, "alice", aborted)));
    commands.push(Command::Revoke(world.revoke(3, "alice")));
    commands.push(world.activate("p", None));
    commands.extend(signers::touching());
    commands
}

/// A state whose disk fails at the n-th read.
struct Failing {
    state: MapView,
    reads_left: Cell<u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct DiskFailed;

impl Failing {
    fn read<T>(&self, answer: T) -> Result<T, DiskFailed> {
        let left = self.reads_left.get();
        self.reads_left.set(left.saturating_sub(1));
        if left == 0 {
            Err(DiskFailed)
        } else {
            Ok(answer)
        }
    }
}

impl View for Failing {
    type Error = DiskFailed;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, DiskFailed> {
        let Ok(found) = self.state.get(key);
        self.read(found)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, DiskFailed> {
        let Ok(found) = self.state.scan(prefix, after, limit);
        self.read(found)
    }
}

#[test]
fn disk_that_fails_at_any_read_is_a_fault_and_never_an_outcome() {
    let mut world = lived();
    for command in touching(&mut world) {
        let entry = entry(vec![command]);
        let expected = apply(&world.state, 1, 99, &entry).unwrap();
        for reads in 0.. {
            let view = Failing {
                state: world.state.clone(),
                reads_left: Cell::new(reads),
            };
            match apply(&view, 1, 99, &entry) {
                Err(ApplyError::View(DiskFailed)) => {}
                Ok(found) => {
                    assert_eq!(found, expected);
                    break;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
