//! A bundle's own cases: what failed, and what came out instead.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use expect_test::{Expect, expect};
use holdpoint_policy::{Bundle, CaseOutcome, Policy, TestReport, starter};

/// Runs the cases of the starter bundle with `text` in place of one of its test files.
fn run(text: &str) -> TestReport {
    let files = starter::FILES.iter().map(|(path, original)| {
        let replaced = if *path == "tests/demo.yaml" {
            text
        } else {
            original
        };
        (*path, replaced)
    });
    Policy::load(&Bundle::new(files).unwrap())
        .unwrap()
        .run_tests()
}

fn check(cases: &str, expected: &Expect) {
    let head = "defaults: { now: \"2026-11-24T10:00:00Z\", caller: loopback:dev, surface: demo.echo }\ncases:\n";
    let report = run(&format!("{head}{cases}"));
    let shown: String = report
        .cases
        .iter()
        .filter(|case| case.path == "tests/demo.yaml")
        .flat_map(|case| [case.to_string(), "\n".to_owned()])
        .collect();
    expected.assert_eq(&shown);
}

#[test]
fn failure_says_what_was_expected_and_what_came_out() {
    check(
        "  - { name: a, params: { message: forbidden }, expect: { decision: PERMIT } }\n  \
           - { name: b, params: { message: x }, expect: { decision: DENY, reason: POLICY, codes: [X] } }\n  \
           - { name: c, params: { message: x }, expect: { decision: PERMIT, policies: [], bounds: { a: b }, resource: r } }\n  \
           - { name: d, params: { message: 1.5 }, expect: { decision: PERMIT } }\n  \
           - { name: e, surface: nothing, expect: { decision: SILENCE, reason: TIMEOUT } }\n",
        &expect![[r#"
            FAILED   tests/demo.yaml:3: a
              expected  PERMIT
              got       DENY POLICY codes [FORBIDDEN_WORD] policies [demo.forbidden-word] resource Demo::"echo" bounds {}
            FAILED   tests/demo.yaml:4: b
              expected  DENY POLICY codes [X]
              got       PERMIT GRANTED codes [] policies [demo.echo] resource Demo::"echo" bounds {}
            FAILED   tests/demo.yaml:5: c
              expected  PERMIT policies [] resource r bounds {a: b}
              got       PERMIT GRANTED codes [] policies [demo.echo] resource Demo::"echo" bounds {}
            FAILED   tests/demo.yaml:6: d
              expected  PERMIT
              got       SILENCE INVALID_PARAMS because `message` is 1.5, which is no integer
            FAILED   tests/demo.yaml:7: e
              expected  SILENCE TIMEOUT
              got       SILENCE UNKNOWN_SURFACE because The active policy does not register this surface.
        "#]],
    );
}

/// What is held, and what must come of it.
const HELD: &[(&str, &str)] = &[
    ("", "decision: PERMIT, refused: []"),
    (
        "{ bound: lock, live: 1 }",
        "decision: DENY, reason: BOUND_HELD, refused: [lock]",
    ),
    (
        "{ bound: lock, key: lock/other, live: 1 }",
        "decision: PERMIT",
    ),
    (
        "{ bound: lock, key: lock/w, live: 1 }",
        "decision: DENY, reason: BOUND_HELD",
    ),
    ("{ bound: lock, live: 0 }", "decision: PERMIT"),
    (
        "{ bound: effect, live: 1 }",
        "decision: DENY, reason: BOUND_HELD, refused: [effect]",
    ),
    (
        "{ bound: effect, committed: true }",
        "decision: DENY, reason: ALREADY_COMMITTED, refused: [effect]",
    ),
    ("{ bound: slots, live: 1 }", "decision: PERMIT"),
    (
        "{ bound: slots, live: 2 }",
        "decision: DENY, reason: BOUND_EXHAUSTED, refused: [slots]",
    ),
    ("{ bound: sum, sum: 90 }", "decision: PERMIT"),
    (
        "{ bound: sum, sum: 91 }",
        "decision: DENY, reason: BOUND_EXHAUSTED, refused: [sum]",
    ),
    (
        "{ bound: sum, sum: 45 }, { bound: sum, sum: 46 }",
        "decision: DENY, reason: BOUND_EXHAUSTED",
    ),
    (
        "{ bound: lock, live: 1 }, { bound: sum, sum: 100 }",
        "decision: DENY, reason: BOUND_EXHAUSTED, refused: [lock, sum]",
    ),
    (
        "{ bound: slots, live: 9 }, { bound: effect, committed: true }, { bound: lock, live: 1 }",
        "decision: DENY, reason: ALREADY_COMMITTED, refused: [effect, lock, slots]",
    ),
];

/// A surface with all four kinds of bounds.
#[test]
fn held_bounds_refuse_as_the_state_machine_does() {
    let head = "defaults: { now: \"2026-11-24T10:00:00Z\", caller: loopback:dev, surface: demo.echo, params: { w: w, amount: 10 } }\ncases:\n";
    let cases = HELD.iter().enumerate().map(|(index, (held, expect))| {
        format!("  - {{ name: c{index}, held: [{held}], expect: {{ {expect} }} }}\n")
    });
    let more = "  - { name: nothing, params: { amount: 0 }, held: [{ bound: sum, sum: 100 }], expect: { decision: PERMIT } }\n\
                \x20 - { name: forbidden, params: { message: forbidden }, held: [{ bound: lock, live: 1 }], expect: { decision: DENY, reason: POLICY, refused: [] } }\n";
    let text = format!("{head}{}{more}", cases.collect::<String>());
    let files = starter::FILES.iter().map(|(path, original)| {
        let replaced = match *path {
            "tests/demo.yaml" => text.clone(),
            "surfaces.yaml" => original.replacen(
                "    params: EchoParams\n",
                "    params: EchoParams\n    bounds:\n      - { name: lock, exclusive: 'lock/{params.w}' }\n      \
                 - { name: effect, once: 'effect/{params.w}' }\n      - { name: slots, capacity: { key: slots, limit: 2 } }\n      \
                 - { name: sum, budget: { key: sum, field: params.amount, window: 1d, limit: 100 } }\n",
                1,
            ),
            "schema.cedarschema" => original.replacen("{ message?: String,", "{ w: String, amount: Long, message?: String,", 1),
            _ => (*original).to_owned(),
        };
        (*path, replaced)
    });
    let policy = Policy::load(&Bundle::new(files).unwrap()).unwrap();
    let report = policy.run_tests();
    assert!(report.is_acceptable(), "{report}");
}

#[test]
fn one_failure_makes_the_bundle_unacceptable() {
    let head = "cases:\n  - { name: a, now: \"2026-11-24T10:00:00Z\", caller: x, surface: demo.echo, expect: ";
    let failing = run(&format!("{head}{{ decision: DENY }} }}\n"));
    assert!(!failing.is_acceptable());
    assert_eq!(failing.failed_count(), 1);
    let passing = run(&format!("{head}{{ decision: PERMIT }} }}\n"));
    assert!(passing.is_acceptable());
    assert_eq!(passing.cases[0].outcome, CaseOutcome::Passed);
}
