//! Mistakes in quorums, and in what the cases say about them.

use expect_test::{Expect, expect};

use crate::{SURFACES, with};

#[test]
fn quorums_and_callers_are_checked() {
    let quorum = "\nquorums:\n  review: { min: 0, from: 'Environment::\"pord\"', exclude: [everybody], binds: [params.plan, reqest], max_age: 1s }\n";
    with(
        &[
            (SURFACES, "\nquorums:\n", quorum),
            (
                SURFACES,
                "\ncallers:\n",
                "\ncallers:\n  loopback:x: 'Environment::\"porod\"'\n",
            ),
            (
                SURFACES,
                "    executors: [caller]\n",
                "    executors: [caller]\n    approvals: [review, other]\n",
            ),
        ],
        &expect![[r#"
            surfaces.yaml:28: quorum `other` is not declared under `quorums`
            surfaces.yaml:97: entity `Environment::"porod"` is not in the entities file (did you mean `Environment::"prod"`?)
            surfaces.yaml:105: `binds` knows caller, action, resource, request and `params.…`, got `reqest` (did you mean `request`?)
            surfaces.yaml:105: `exclude` knows `requester` only, got `everybody`
            surfaces.yaml:105: `max_age` must be between 1m and 90d
            surfaces.yaml:105: `min` must be at least 1, got 0
            surfaces.yaml:105: entity `Environment::"pord"` is not in the entities file (did you mean `Environment::"prod"`?)
            7 errors
        "#]],
    );
}

/// Loads the starter bundle with approvers, and with `quorum` listed by `infra.apply`.
fn quorum(quorum: &str, expected: &Expect) {
    let callers = "\ncallers:\n  loopback:ann: 'Environment::\"dev\"'\n  loopback:ann-2: 'Environment::\"dev\"'\n";
    let quorums = format!("\nquorums:\n  review: {quorum}\n");
    with(
        &[
            (SURFACES, "\ncallers:\n", callers),
            (SURFACES, "\nquorums:\n", &quorums),
            (
                SURFACES,
                "    params: TerraformParams\n    executors: [caller]\n",
                "    params: TerraformParams\n    executors: [caller]\n    approvals: [review]\n",
            ),
        ],
        expected,
    );
}

#[test]
fn quorum_that_no_listed_caller_can_meet_is_refused() {
    let dev = |min: &str| {
        format!("{{ min: {min}, from: 'Environment::\"dev\"', binds: [request], max_age: 1h }}")
    };
    quorum(
        &dev("1"),
        &expect![[r"
        no errors
    "]],
    );
    quorum(
        &dev("2"),
        &expect![[r#"
            surfaces.yaml:106: quorum `review` needs 2 of Environment::"dev", but `callers` lists 1 of them: list the callers that approve
            1 error
        "#]],
    );
}

#[test]
fn extremes_of_a_quorum_are_refused() {
    let with_min = |min: &str, age: &str| {
        format!(
            "{{ min: {min}, from: 'Environment::\"dev\"', binds: [request, request], max_age: {age}, spent: maybe }}"
        )
    };
    quorum(
        &with_min("65", "91d"),
        &expect![[r"
            surfaces.yaml:106: `max_age` must be between 1m and 90d
            surfaces.yaml:106: `min` must be at most 64
            surfaces.yaml:106: `request` is already in the list
            surfaces.yaml:106: `spent` must be `true` or `false`, got a string
            4 errors
        "]],
    );
    quorum(
        &with_min("9223372036854775807", "0m"),
        &expect![[r"
            surfaces.yaml:106: `max_age` must be between 1m and 90d
            surfaces.yaml:106: `min` must be at most 64
            surfaces.yaml:106: `request` is already in the list
            surfaces.yaml:106: `spent` must be `true` or `false`, got a string
            4 errors
        "]],
    );
    quorum(
        &with_min("9223372036854775808", "18446744073709551616ms"),
        &expect![[r"
            surfaces.yaml:106: `max_age` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            surfaces.yaml:106: `min` must be an integer, got a number that is not a 64-bit integer
            surfaces.yaml:106: `request` is already in the list
            surfaces.yaml:106: `spent` must be `true` or `false`, got a string
            4 errors
        "]],
    );
    quorum(
        &with_min("-1", "-1h"),
        &expect![[r"
            surfaces.yaml:106: `max_age` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            surfaces.yaml:106: `min` must be at least 1, got -1
            surfaces.yaml:106: `request` is already in the list
            surfaces.yaml:106: `spent` must be `true` or `false`, got a string
            4 errors
        "]],
    );
}

#[test]
fn facts_of_a_case_that_would_change_nothing_are_refused() {
    let case = |facts: &str, expected: &Expect| {
        let expect = "expect: { decision: PERMIT, policies: [tf.apply] }";
        let from = "    expect:\n      decision: PERMIT\n      policies: [tf.apply]\n      resource: 'Workspace::\"prod-eu\"'\n      \
                    bounds:\n        workspace: workspace/prod-eu\n        \
                    plan: plan/0942c33300000000000000000000000000000000000000000000000000000000\n";
        let to = format!("    {facts}\n    {expect}\n");
        with(&[("tests/infra.yaml", from, &to)], expected);
    };
    case(
        "held: [{ bound: workspace, key: other, live: 1 }, { bound: plan, committed: true, key: other }]",
        &expect![[r"
            no errors
        "]],
    );
    case(
        "held: [{ bound: workspac, live: 1 }]",
        &expect![[r"
            tests/infra.yaml:12: `infra.apply` has no bound `workspac` (did you mean `workspace`?)
            1 error
        "]],
    );
    case(
        "held: [{ bound: workspace, committed: true }, { bound: plan, sum: 1 }]",
        &expect![[r"
            tests/infra.yaml:12: `committed` says nothing about bound `workspace`, which is of kind `exclusive`
            tests/infra.yaml:12: `sum` says nothing about bound `plan`, which is of kind `once`
            2 errors
        "]],
    );
    case(
        "held: [{ bound: plan, live: 1, committed: true }, { bound: plan }, { bound: plan, committed: false }]",
        &expect![[r"
            tests/infra.yaml:12: `committed` must be `true`, or left out
            tests/infra.yaml:12: an entry of `held` must have exactly one of live, committed, sum
            2 errors
        "]],
    );
    case(
        "held: [{ bound: plan, live: -1 }, { bound: plan, live: 9007199254740992 }, { bound: plan, key: '' , live: 1 }]",
        &expect![[r"
            tests/infra.yaml:12: `key`: the bound key is empty
            tests/infra.yaml:12: `live` must be at least 0, got -1
            tests/infra.yaml:12: `live` must be at most 9007199254740991
            3 errors
        "]],
    );
    case(
        "approvals: [{ by: loopback:ann, at: yesterday }, { by: '', at: \"2026-11-24T09:00:00Z\" }, { by: x, at: \"2026-11-24T09:00:00Z\", quorum: review }]",
        &expect![[r#"
            tests/infra.yaml:12: `at` must be an instant in UTC such as "2026-11-24T10:00:00Z"
            tests/infra.yaml:12: `by`: the caller is empty
            tests/infra.yaml:12: `infra.apply` does not list quorum `review`
            3 errors
        "#]],
    );
}
