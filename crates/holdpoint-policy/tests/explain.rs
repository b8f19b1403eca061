//! Why a request got its verdict, and what would have to change: in sentences, each evaluated.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use std::path::Path;

use expect_test::{Expect, expect};
use holdpoint_policy::{Approval, Evaluation, Facts, Input, Policy, directory, starter};
use holdpoint_receipt::request::Params;
use holdpoint_receipt::{Caller, Name, Request};

/// 2026-11-24T10:00:00Z, a Tuesday.
const NOW_MS: u64 = 1_795_514_400_000;
const HOUR_MS: u64 = 3_600_000;

fn shipped(name: &str) -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies")
        .join(name);
    Policy::load(&directory::read(&folder).unwrap()).unwrap()
}

fn request(caller: &str, surface: &str, action: &str, params: &str) -> Request {
    Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new(caller).unwrap(),
        actor: None,
        surface: Name::new(surface).unwrap(),
        action: Name::new(action).unwrap(),
        params: Params::parse(params.as_bytes()).unwrap(),
        session: None,
        step: None,
        prerequisites: Vec::new(),
    }
}

fn deploy(branch: &str) -> Request {
    let params = format!(
        r#"{{"environment":"shop/prod","artifactDigest":"sha256:aa","ref":"refs/heads/{branch}","commit":"c","strategy":"rolling"}}"#
    );
    request("loopback:shop-deploy", "deploy.release", "deploy", &params)
}

fn pay(amount: i64, beneficiary: &str) -> Request {
    let params = format!(
        r#"{{"account":"acc-1","amountMinor":{amount},"currency":"EUR","beneficiary":"{beneficiary}","purpose":"i"}}"#
    );
    request("loopback:payouts", "payment.execute", "transfer", &params)
}

/// Explains, and checks that the explanation has the evaluation of the gate.
fn explain(policy: &Policy, request: &Request, now_ms: u64, facts: &Facts, expected: &Expect) {
    let input = Input {
        request,
        now_ms,
        facts,
    };
    let explanation = policy.explain(input);
    assert_eq!(explanation.evaluation, policy.evaluate(input));
    if let Some(opening) = explanation
        .change
        .iter()
        .find_map(|change| change.opening.as_ref())
    {
        let then = policy.evaluate(Input {
            now_ms: opening.at_ms,
            ..input
        });
        let passes = match then {
            Evaluation::Decided(decided) => decided.verdict.is_permit(),
            Evaluation::Silence(silence) => silence.missing == opening.missing,
        };
        assert!(passes, "an opening is what an evaluation then says");
    }
    expected.assert_eq(&explanation.to_string());
}

fn verified() -> Facts {
    Facts {
        evidence: ["slsa-provenance".to_owned()].into(),
        ..Facts::default()
    }
}

#[test]
fn permit_is_explained_by_its_policies_and_by_what_they_saw() {
    let policy = Policy::load(&starter::bundle().unwrap()).unwrap();
    let echo = request(
        "loopback:dev",
        "demo.echo",
        "echo",
        r#"{"message":"hello"}"#,
    );
    explain(
        &policy,
        &echo,
        NOW_MS,
        &Facts::default(),
        &expect![[r#"
        the policy permits it
          by permit `demo.echo`: anybody may echo
        what the policies saw
          now  2026-11-24T10:00:00.000Z
          principal  Caller::"loopback:dev"
          resource  Demo::"echo"
          windows open  none
          params.message  "hello"
    "#]],
    );
}

#[test]
fn denial_outside_of_a_window_says_when_it_opens() {
    let policy = shipped("payments-export-agents");
    let saturday = NOW_MS + 4 * 24 * HOUR_MS;
    explain(
        &policy,
        &pay(100, "supplier-7"),
        saturday,
        &Facts::default(),
        &expect![[r#"
            the policy denies it: POLICY
              by forbid `pay.settlement-window` (WINDOW_CLOSED): no transfers while the settlement window is closed
            what the policies saw
              now  2026-11-28T10:00:00.000Z
              principal  Service::"payouts"
              resource  Account::"acc-1"
              windows open  none
              quorum  `two-person` not met, 0 of 2
              params.account  "acc-1"
              params.amountMinor  100
              params.beneficiary  "supplier-7"
              params.currency  "EUR"
              params.purpose  "i"
            what would have to change
              no approval lifts forbid `pay.settlement-window` (WINDOW_CLOSED): no transfers while the settlement window is closed
              then it is permitted by permit `pay.standard`: initiator may send up to 10 000.00 on an operated account
              from 2026-11-30T06:00:00.000Z on, when `settlement-open` opens, the policy permits it
        "#]],
    );
    explain(
        &policy,
        &pay(2_000_000, "supplier-7"),
        saturday,
        &Facts::default(),
        &expect![[r#"
            the policy denies it: POLICY
              by forbid `pay.settlement-window` (WINDOW_CLOSED): no transfers while the settlement window is closed
            what the policies saw
              now  2026-11-28T10:00:00.000Z
              principal  Service::"payouts"
              resource  Account::"acc-1"
              windows open  none
              quorum  `two-person` not met, 0 of 2
              params.account  "acc-1"
              params.amountMinor  2000000
              params.beneficiary  "supplier-7"
              params.currency  "EUR"
              params.purpose  "i"
            what would have to change
              no approval lifts forbid `pay.settlement-window` (WINDOW_CLOSED): no transfers while the settlement window is closed
              quorum `two-person` has 0 of 2 approvals
              then it is permitted by permit `pay.two-person`: above 10 000.00 with two approvals bound to these bytes
              from 2026-11-30T06:00:00.000Z on, when `settlement-open` opens, it can be approved: quorum `two-person` has 0 of 2 approvals
        "#]],
    );
}

#[test]
fn denial_that_no_approval_lifts_names_the_forbids_and_what_else_is_missing() {
    let policy = shipped("payments-export-agents");
    explain(
        &policy,
        &pay(2_000_000, "bad-1"),
        NOW_MS,
        &Facts::default(),
        &expect![[r#"
            the policy denies it: POLICY
              by forbid `pay.sanctioned` (SANCTIONED): beneficiary is sanctioned
            what the policies saw
              now  2026-11-24T10:00:00.000Z
              principal  Service::"payouts"
              resource  Account::"acc-1"
              windows open  `settlement-open`
              quorum  `two-person` not met, 0 of 2
              params.account  "acc-1"
              params.amountMinor  2000000
              params.beneficiary  "bad-1"
              params.currency  "EUR"
              params.purpose  "i"
            what would have to change
              no approval lifts forbid `pay.sanctioned` (SANCTIONED): beneficiary is sanctioned
              quorum `two-person` has 0 of 2 approvals
              then it is permitted by permit `pay.two-person`: above 10 000.00 with two approvals bound to these bytes
        "#]],
    );
}

#[test]
fn denial_that_nothing_permits_names_the_permits_that_do_not_hold() {
    let policy = shipped("cicd-terraform");
    explain(
        &policy,
        &deploy("main"),
        NOW_MS,
        &Facts::default(),
        &expect![[r#"
            the policy denies it: NOT_PERMITTED
            what the policies saw
              now  2026-11-24T10:00:00.000Z
              principal  Workload::"gha:acme/shop:deploy"
              resource  Environment::"shop/prod"
              windows open  none
              quorum  `break-glass` not met, 0 of 2
              quorum  `prod-release` not met, 0 of 2
              params.artifactDigest  "sha256:aa"
              params.commit  "c"
              params.environment  "shop/prod"
              params.ref  "refs/heads/main"
              params.strategy  "rolling"
            what would have to change
              no policy permits it, whoever approves
              does not hold: permit `deploy.nonprod`: team workload may deploy a digest-pinned artifact below production
              does not hold: permit `deploy.prod`: production deploy with release quorum and verified provenance
        "#]],
    );
}

#[test]
fn missing_approvals_are_counted_and_a_freeze_that_ends_is_named() {
    let policy = shipped("cicd-terraform");
    let friday_evening = NOW_MS + (3 * 24 + 7) * HOUR_MS;
    let request = deploy("main");
    let subjects = policy.subjects(&request).unwrap();
    let release = subjects
        .iter()
        .find(|subject| subject.quorum.as_str() == "prod-release")
        .unwrap();
    let given = |by: &str| Approval {
        quorum: release.quorum.clone(),
        subject: release.digest,
        approver: Caller::new(by).unwrap(),
        given_at_ms: friday_evening,
    };
    let mut facts = verified();
    facts.approvals = vec![given("loopback:ann"), given("loopback:bob")];
    explain(
        &policy,
        &request,
        friday_evening,
        &facts,
        &expect![[r#"
            SILENCE APPROVAL_REQUIRED: approvals are missing: `break-glass` (0 of 2)
            what the policies saw
              now  2026-11-27T17:00:00.000Z
              principal  Workload::"gha:acme/shop:deploy"
              resource  Environment::"shop/prod"
              windows open  `prod-freeze`
              evidence  `slsa-provenance`
              quorum  `break-glass` not met, 0 of 2
              quorum  `prod-release` met, 2 of 2: loopback:ann, loopback:bob
              params.artifactDigest  "sha256:aa"
              params.commit  "c"
              params.environment  "shop/prod"
              params.ref  "refs/heads/main"
              params.strategy  "rolling"
            what would have to change
              quorum `break-glass` has 0 of 2 approvals
              then it is permitted by permit `deploy.prod`: production deploy with release quorum and verified provenance
              from 2026-11-30T00:00:00.000Z on, when `prod-freeze` closes, it can be approved: quorum `prod-release` has 0 of 2 approvals
        "#]],
    );
}

#[test]
fn request_that_does_not_fit_is_explained_by_its_silence_alone() {
    let policy = shipped("cicd-terraform");
    let unknown = request("loopback:shop-deploy", "deploy.relase", "deploy", "{}");
    explain(
        &policy,
        &unknown,
        NOW_MS,
        &Facts::default(),
        &expect![[r"
        SILENCE UNKNOWN_SURFACE: the active policy does not register the surface `deploy.relase`
    "]],
    );
}
