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
