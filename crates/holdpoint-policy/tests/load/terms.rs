//! Lifetimes, limits and the words of a surface, at their edges and beyond.

use expect_test::{Expect, expect};

use crate::{SURFACES, with};

/// `infra.apply` with another `complete_within` line, which can be several.
fn terms(lines: &str, expected: &Expect) {
    let from = "    permit_for: 10m\n    complete_within: 1h\n    honor_issued: false";
    let to = format!("{lines}\n    honor_issued: false");
    with(&[(SURFACES, from, &to)], expected);
}

/// `infra.apply` with `plan` as another bound.
fn bound(bound: &str, expected: &Expect) {
    let from = "once: 'plan/{params.plan_sha256}'";
    with(&[(SURFACES, from, bound)], expected);
}

#[test]
fn lifetimes_beyond_their_limits_are_refused() {
    for (permit_for, complete_within) in [("1s", "1s"), ("24h", "30d"), ("1d", "720h")] {
        let lines = format!("    permit_for: {permit_for}\n    complete_within: {complete_within}");
        terms(
            &lines,
            &expect![[r"
            no errors
        "]],
        );
    }
    terms(
        "    permit_for: 0s\n    complete_within: 0d",
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be between 1s and 1d
            surfaces.yaml:32: `complete_within` must be between 1s and 30d
            2 errors
        "]],
    );
    terms(
        "    permit_for: -1m\n    complete_within: -1d",
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            surfaces.yaml:32: `complete_within` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            2 errors
        "]],
    );
    terms(
        "    permit_for: 86400001ms\n    complete_within: 31d",
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be between 1s and 1d
            surfaces.yaml:32: `complete_within` must be between 1s and 30d
            2 errors
        "]],
    );
    terms(
        "    permit_for: 999ms\n    complete_within: 18446744073709551615d",
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be between 1s and 1d
            surfaces.yaml:32: `complete_within` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            2 errors
        "]],
    );
    terms(
        "    permit_for: 99999999999999999999999s\n    complete_within: 9223372036854775807",
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            surfaces.yaml:32: `complete_within` must be a duration such as `30s`, `10m`, `1h` or `1d`, got an integer
            2 errors
        "]],
    );
}

#[test]
fn redeem_is_online_or_offline() {
    let with_redeem =
        |word: &str| format!("    permit_for: 10m\n    complete_within: 1h\n    redeem: {word}");
    for word in ["online", "offline"] {
        terms(
            &with_redeem(word),
            &expect![[r"
            no errors
        "]],
        );
    }
    terms(
        &with_redeem("ofline"),
        &expect![[r"
            surfaces.yaml:33: `redeem` must be `online` or `offline`, got `ofline` (did you mean `online`?)
            1 error
        "]],
    );
    terms(
        &with_redeem("false"),
        &expect![[r"
            surfaces.yaml:33: `redeem` must be a string, got a boolean
            1 error
        "]],
    );
}

#[test]
fn release_after_goes_neither_with_once_nor_with_offline() {
    let released = |more: &str| {
        format!("    permit_for: 10m\n    complete_within: 1h\n    release_after: {more}")
    };
    terms(
        &released("2h"),
        &expect![[r"
            surfaces.yaml:30: bound `plan` is `once`, which does not go with `release_after`: an effect that may have happened could happen again
            1 error
        "]],
    );
    let without_once = |lines: &str, expected: &Expect| {
        with(
            &[
                (
                    SURFACES,
                    "      - { name: plan, once: 'plan/{params.plan_sha256}' }\n",
                    "",
                ),
                (
                    SURFACES,
                    "    permit_for: 10m\n    complete_within: 1h\n    honor_issued",
                    &format!("{lines}\n    honor_issued"),
                ),
            ],
            expected,
        );
    };
    for duration in ["1s", "30d"] {
        without_once(
            &released(duration),
            &expect![[r"
            no errors
        "]],
        );
    }
    without_once(
        &released("2h\n    redeem: offline"),
        &expect![[r"
            surfaces.yaml:32: `release_after` does not go with `redeem: offline`: the gate does not see when such an executor begins
            1 error
        "]],
    );
    without_once(
        &released("0s"),
        &expect![[r"
            surfaces.yaml:32: `release_after` must be between 1s and 30d
            1 error
        "]],
    );
    without_once(
        &released("31d"),
        &expect![[r"
            surfaces.yaml:32: `release_after` must be between 1s and 30d
            1 error
        "]],
    );
    without_once(
        &released("never"),
        &expect![[r"
            surfaces.yaml:32: `release_after` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            1 error
        "]],
    );
}

#[test]
fn once_is_kept_for_longer_than_its_permit_can_live() {
    for keep in ["70m", "3660d"] {
        bound(
            &format!("once: {{ key: 'plan/{{params.plan_sha256}}', keep: {keep} }}"),
            &expect![[r"
            no errors
        "]],
        );
    }
    let kept = |keep: &str| format!("once: {{ key: 'plan/{{params.plan_sha256}}', keep: {keep} }}");
    bound(
        &kept("69m"),
        &expect![[r"
            surfaces.yaml:30: `keep` of bound `plan` must be at least `permit_for` and `complete_within` together, 70m: a shorter one would forget an effect while its permit can still be retried
            1 error
        "]],
    );
    bound(
        &kept("59m"),
        &expect![[r"
            surfaces.yaml:30: `keep` must be between 1h and 3660d
            1 error
        "]],
    );
    bound(
        &kept("3661d"),
        &expect![[r"
            surfaces.yaml:30: `keep` must be between 1h and 3660d
            1 error
        "]],
    );
    bound(
        &kept("forever"),
        &expect![[r"
            surfaces.yaml:30: `keep` must be a duration such as `30s`, `10m`, `1h` or `1d`, got a string
            1 error
        "]],
    );
    bound(
        "once: { key: 'plan/{params.plan_sha256}' }",
        &expect![[r"
            surfaces.yaml:30: `once` lacks `keep`
            1 error
        "]],
    );
    bound(
        "once: { keep: 90d }",
        &expect![[r"
            surfaces.yaml:30: `once` lacks `key`
            1 error
        "]],
    );
}

#[test]
fn limits_and_windows_beyond_the_exact_integers_are_refused() {
    let capacity =
        |limit: &str| format!("capacity: {{ key: 'plan/{{params.plan_sha256}}', limit: {limit} }}");
    for limit in ["1", "9007199254740991"] {
        bound(
            &capacity(limit),
            &expect![[r"
            no errors
        "]],
        );
    }
    bound(
        &capacity("0"),
        &expect![[r"
            surfaces.yaml:30: `limit` must be at least 1, got 0
            1 error
        "]],
    );
    bound(
        &capacity("-9223372036854775808"),
        &expect![[r"
            surfaces.yaml:30: `limit` must be at least 1, got -9223372036854775808
            1 error
        "]],
    );
    bound(
        &capacity("9007199254740992"),
        &expect![[r"
            surfaces.yaml:30: `limit` must be at most 9007199254740991
            1 error
        "]],
    );
    bound(
        &capacity("9223372036854775807"),
        &expect![[r"
            surfaces.yaml:30: `limit` must be at most 9007199254740991
            1 error
        "]],
    );
    bound(
        &capacity("9223372036854775808"),
        &expect![[r"
            surfaces.yaml:30: `limit` must be an integer, got a number that is not a 64-bit integer
            1 error
        "]],
    );
    bound(
        &capacity("1.5"),
        &expect![[r"
            surfaces.yaml:30: `limit` must be an integer, got a number that is not a 64-bit integer
            1 error
        "]],
    );
}

#[test]
fn windows_beyond_their_limits_are_refused() {
    let budget = |window: &str| {
        format!("budget: {{ key: 'k', field: params.amount, window: {window}, limit: 1 }}")
    };
    bound(
        &budget("59s"),
        &expect![[r"
            surfaces.yaml:30: `window` must be between 1m and 366d
            surfaces.yaml:30: bound `plan` sums `params.amount`, which is not a required Long of `params`
            2 errors
        "]],
    );
    bound(
        &budget("367d"),
        &expect![[r"
            surfaces.yaml:30: `window` must be between 1m and 366d
            surfaces.yaml:30: bound `plan` sums `params.amount`, which is not a required Long of `params`
            2 errors
        "]],
    );
    bound(
        &budget("0d"),
        &expect![[r"
            surfaces.yaml:30: `window` must be between 1m and 366d
            surfaces.yaml:30: bound `plan` sums `params.amount`, which is not a required Long of `params`
            2 errors
        "]],
    );
}
