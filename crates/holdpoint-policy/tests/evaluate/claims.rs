//! What a request claims of its bounds, and keys and amounts that nothing can claim.

use expect_test::expect;
use holdpoint_policy::Evaluation;

use crate::{check, edited, evaluate, request, shipped, show, starter_policy};

#[test]
fn key_beyond_its_limit_is_silence() {
    let digest = "0".repeat(64);
    let params = format!(
        r#"{{"workspace":"{}","plan_sha256":"{digest}"}}"#,
        "/".repeat(200)
    );
    check(
        &starter_policy(),
        &request("loopback:dev", "infra.apply", "apply", &params),
        &expect![[r"
            SILENCE INVALID_PARAMS []
            the key of bound `workspace` would be empty or longer than 512 bytes
        "]],
    );
}

#[test]
fn key_that_would_be_empty_is_silence() {
    let policy = edited(&[(
        "surfaces.yaml",
        "'workspace/{params.workspace}'",
        "'{params.workspace}'",
    )]);
    let apply = |workspace: &str| {
        let digest = "0".repeat(64);
        let params = format!(r#"{{"workspace":"{workspace}","plan_sha256":"{digest}"}}"#);
        request("loopback:dev", "infra.apply", "apply", &params)
    };
    check(
        &policy,
        &apply(""),
        &expect![[r"
            SILENCE INVALID_PARAMS []
            the key of bound `workspace` would be empty or longer than 512 bytes
        "]],
    );
    assert!(show(&evaluate(&policy, &apply(&"x".repeat(512)))).starts_with("PERMIT"));
    assert!(show(&evaluate(&policy, &apply(&"x".repeat(513)))).starts_with("SILENCE"));
}

#[test]
fn claims_have_their_amounts_and_limits() {
    let policy = shipped("payments-export-agents");
    let params = r#"{"account":"acc-1","amountMinor":100,"currency":"EUR","beneficiary":"supplier-7","purpose":"i"}"#;
    let pay = request("loopback:payouts", "payment.execute", "transfer", params);
    let Evaluation::Decided(decided) = evaluate(&policy, &pay) else {
        panic!("undecided");
    };
    let claims = decided.claims.iter();
    let claims: Vec<String> = claims
        .map(|claim| format!("{} {:?} {}", claim.key, claim.kind, claim.amount))
        .collect();
    expect![[r#"
        [
            "payment/acc-1 Budget { limit: 50000000, window_ms: 86400000 } 100",
            "payment/acc-1/i Exclusive 1",
        ]
    "#]]
    .assert_debug_eq(&claims);
}

#[test]
fn negative_amount_is_silence_and_the_extremes_are_not() {
    let policy = shipped("payments-export-agents");
    let seen = |amount: i64| {
        let params = format!(
            r#"{{"account":"acc-1","amountMinor":{amount},"currency":"EUR","beneficiary":"supplier-7","purpose":"i"}}"#
        );
        let pay = request("loopback:payouts", "payment.execute", "transfer", &params);
        show(&evaluate(&policy, &pay))
    };
    for negative in [-1, -9_007_199_254_740_991] {
        expect![[r"
            SILENCE INVALID_PARAMS []
            the amount of bound `daily` is negative
        "]]
        .assert_eq(&seen(negative));
    }
    assert!(seen(0).starts_with("DENY NOT_PERMITTED"));
    assert!(seen(9_007_199_254_740_991).starts_with("SILENCE APPROVAL_REQUIRED"));
}
