//! The two worked bundles: they load, and every case that this version can run passes.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use expect_test::{Expect, expect};
use holdpoint_policy::{CheckReport, Policy, directory};

fn run(name: &str, expected: &Expect) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies")
        .join(name);
    let bundle = directory::read(&folder).unwrap();
    let loaded = Policy::load(&bundle).map(|policy| policy.run_tests().to_string());
    let seen = loaded.unwrap_or_else(|errors| CheckReport { errors }.to_string());
    expected.assert_eq(&seen);
}

#[test]
fn cicd_terraform_passes_what_needs_no_approvals() {
    run(
        "cicd-terraform",
        &expect![[r"
        passed   tests/deploy.yaml:14: staging deploy
        not run  tests/deploy.yaml:17: prod without approvals is requestable (part 2: approvals)
        not run  tests/deploy.yaml:22: prod with two sre approvals of this artifact (part 2: approvals)
        not run  tests/deploy.yaml:30: approvals of another artifact do not count (part 2: approvals)
        not run  tests/deploy.yaml:38: the same person twice is one approval (part 2: approvals)
        not run  tests/deploy.yaml:46: stale approvals do not count (part 2: approvals)
        not run  tests/deploy.yaml:54: someone outside sre does not count (part 2: approvals)
        not run  tests/deploy.yaml:62: no provenance (part 2: approvals)
        not run  tests/deploy.yaml:69: friday evening freeze (part 2: approvals)
        not run  tests/deploy.yaml:75: year-end freeze with break-glass (part 2: approvals)
        passed   tests/deploy.yaml:84: a tag is not a digest
        passed   tests/deploy.yaml:88: prod from a feature branch
        passed   tests/deploy.yaml:93: missing material
        passed   tests/deploy.yaml:97: unknown material
        not run  tests/deploy.yaml:101: big bang (part 2: approvals)
        passed   tests/deploy.yaml:106: other issuer
        passed   tests/terraform.yaml:21: dev additive plan
        not run  tests/terraform.yaml:24: prod reviewed (part 2: approvals)
        not run  tests/terraform.yaml:30: prod not reviewed (part 2: approvals)
        not run  tests/terraform.yaml:34: plan changed after the approval (part 2: approvals)
        not run  tests/terraform.yaml:40: state moved after the plan (part 2: approvals)
        passed   tests/terraform.yaml:46: old plan
        passed   tests/terraform.yaml:50: four hours to the second is still fresh
        passed   tests/terraform.yaml:54: future plan
        not run  tests/terraform.yaml:58: destroy in prod with a plan review only (part 2: approvals)
        not run  tests/terraform.yaml:64: destroy in prod fully reviewed (part 2: approvals)
        not run  tests/terraform.yaml:72: iam without security (part 2: approvals)
        not run  tests/terraform.yaml:76: freeze covers applies (part 2: approvals)
        10 passed, 0 failed, 18 not run
    "]],
    );
}

#[test]
fn payments_export_agents_passes_what_needs_neither_approvals_nor_budgets() {
    run(
        "payments-export-agents",
        &expect![[r"
        not run  tests/payments.yaml:14: small payment (part 2: bound `daily` is a budget)
        not run  tests/payments.yaml:17: exactly ten thousand needs nobody (part 2: bound `daily` is a budget)
        not run  tests/payments.yaml:21: one cent more needs two (part 2: approvals)
        not run  tests/payments.yaml:25: one approval is not two (part 2: approvals)
        not run  tests/payments.yaml:31: two approvals (part 2: approvals)
        not run  tests/payments.yaml:38: approvals of another amount (part 2: approvals)
        not run  tests/payments.yaml:45: requester approving herself (part 2: approvals)
        not run  tests/payments.yaml:53: sanctioned beats approvals (part 2: approvals)
        not run  tests/payments.yaml:60: cooling off (part 2: approvals)
        not run  tests/payments.yaml:64: agent within its ceiling (part 2: bound `daily` is a budget)
        not run  tests/payments.yaml:69: agent above its ceiling even with approvals (part 2: approvals)
        passed   tests/payments.yaml:77: wrong currency
        not run  tests/payments.yaml:81: budget exactly used up (part 2: budgets)
        not run  tests/payments.yaml:85: budget exceeded by a cent (part 2: budgets)
        passed   tests/payments.yaml:89: huge numbers do not overflow open
        passed   tests/payments.yaml:93: zero amount
        passed   tests/payments.yaml:97: a float amount is not a payment
        passed   tests/payments.yaml:101: amount as a string
        passed   tests/payments.yaml:105: unknown beneficiary is an error and an error is silence
        passed   tests/payments.yaml:109: saturday
        not run  tests/export-tools.yaml:6: export of orders (part 2: bound `exports` is a capacity)
        passed   tests/export-tools.yaml:12: bucket off the list
        not run  tests/export-tools.yaml:18: personal data (part 2: approvals)
        not run  tests/export-tools.yaml:24: personal data reviewed (part 2: approvals)
        not run  tests/export-tools.yaml:32: one more column after the review (part 2: approvals)
        not run  tests/export-tools.yaml:40: an email column in an internal set (part 2: approvals)
        passed   tests/export-tools.yaml:46: plaintext
        passed   tests/export-tools.yaml:52: another region
        passed   tests/export-tools.yaml:58: too many rows
        passed   tests/export-tools.yaml:64: read tool
        not run  tests/export-tools.yaml:70: send without approval (part 2: approvals)
        not run  tests/export-tools.yaml:76: send approved (part 2: approvals)
        not run  tests/export-tools.yaml:84: arguments changed after approval (part 2: approvals)
        passed   tests/export-tools.yaml:92: tool definition changed
        passed   tests/export-tools.yaml:98: too deep
        passed   tests/export-tools.yaml:104: for someone else
        passed   tests/export-tools.yaml:110: a payment action with a tool resource
        16 passed, 0 failed, 21 not run
    "]],
    );
}
