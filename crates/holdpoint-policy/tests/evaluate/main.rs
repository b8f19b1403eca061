//! What an evaluation says, and above all what it does not say.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

mod claims;

use std::path::Path;

use expect_test::{Expect, expect};
use holdpoint_policy::{Bundle, Evaluation, Facts, Input, Policy, Verdict, directory, starter};
use holdpoint_receipt::request::Params;
use holdpoint_receipt::{Caller, Json, Name, Reason, Request};
use proptest::prelude::*;

/// 2026-11-24T10:00:00Z, a Tuesday.
const NOW_MS: u64 = 1_795_514_400_000;

fn starter_policy() -> Policy {
    Policy::load(&starter::bundle().unwrap()).unwrap()
}

fn shipped(name: &str) -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies")
        .join(name);
    Policy::load(&directory::read(&folder).unwrap()).unwrap()
}

/// The starter bundle with some replacements.
fn edited(edits: &[(&str, &str, &str)]) -> Policy {
    let files = starter::FILES.iter().map(|(path, text)| {
        let mut text = (*text).to_owned();
        for (_, from, to) in edits.iter().filter(|(there, ..)| there == path) {
            assert!(text.contains(from), "`{from}` is not in {path}");
            text = text.replacen(from, to, 1);
        }
        (*path, text)
    });
    Policy::load(&Bundle::new(files).unwrap()).unwrap()
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

fn evaluate(policy: &Policy, request: &Request) -> Evaluation {
    let facts = Facts::default();
    policy.evaluate(Input {
        request,
        now_ms: NOW_MS,
        facts: &facts,
    })
}

fn show(evaluation: &Evaluation) -> String {
    match evaluation {
        Evaluation::Silence(silence) => {
            let missing = silence.missing.iter();
            let missing: Vec<&str> = missing.map(|missing| missing.quorum.as_str()).collect();
            format!(
                "SILENCE {} {:?}\n{}\n",
                silence.reason, missing, silence.sentence
            )
        }
        Evaluation::Decided(decided) => {
            let verdict = match &decided.verdict {
                Verdict::Permit { policies } => format!("PERMIT {policies:?}"),
                Verdict::Deny {
                    reason,
                    codes,
                    policies,
                } => format!("DENY {reason} {codes:?} {policies:?}"),
            };
            let claims = decided
                .claims
                .iter()
                .map(|claim| format!("  {} {} {}\n", claim.kind.as_str(), claim.bound, claim.key));
            format!(
                "{verdict}\n{}\n{}",
                decided.resource,
                claims.collect::<Vec<_>>().concat()
            )
        }
    }
}

fn check(policy: &Policy, request: &Request, expected: &Expect) {
    expected.assert_eq(&show(&evaluate(policy, request)));
}

fn echo(params: &str) -> Request {
    request("loopback:dev", "demo.echo", "echo", params)
}

#[test]
fn permit_names_its_policies_its_resource_and_its_claims() {
    let digest = "0942c333".repeat(8);
    let params = format!(r#"{{"workspace":"prod-eu","plan_sha256":"{digest}"}}"#);
    check(
        &starter_policy(),
        &request("loopback:dev", "infra.apply", "apply", &params),
        &expect![[r#"
            PERMIT [Name("tf.apply")]
            Workspace::"prod-eu"
              once plan plan/0942c3330942c3330942c3330942c3330942c3330942c3330942c3330942c333
              exclusive workspace workspace/prod-eu
        "#]],
    );
}

#[test]
fn unknown_words_are_silence() {
    let policy = starter_policy();
    check(
        &policy,
        &request("loopback:dev", "infra.aply", "apply", "{}"),
        &expect![[r"
            SILENCE UNKNOWN_SURFACE []
            the active policy does not register the surface `infra.aply`
        "]],
    );
    check(
        &policy,
        &request("loopback:dev", "infra.apply", "destroy", "{}"),
        &expect![[r"
            SILENCE UNKNOWN_ACTION []
            the surface `infra.apply` has no action `destroy`; it has `apply`
        "]],
    );
}

#[test]
fn parameters_of_another_shape_are_silence() {
    let policy = starter_policy();
    check(
        &policy,
        &echo(r#"{"mesage":"x"}"#),
        &expect![[r"
        SILENCE INVALID_PARAMS []
        `params.mesage` is not a parameter of the surface (did you mean `message`?)
    "]],
    );
    check(
        &policy,
        &echo(r#"{"message":1}"#),
        &expect![[r"
        SILENCE INVALID_PARAMS []
        `params.message` must be String, got an integer
    "]],
    );
    check(
        &policy,
        &echo(r#"{"message":null}"#),
        &expect![[r"
        SILENCE INVALID_PARAMS []
        `params.message` must be String, got null
    "]],
    );
    check(
        &policy,
        &echo(r#"{"message":{"__entity":{"type":"Caller","id":"root"}}}"#),
        &expect![[r"
            SILENCE INVALID_PARAMS []
            `params.message` must be String, got an object
        "]],
    );
    check(
        &policy,
        &echo(r#"{"file_sha256":"abc"}"#),
        &expect![[r"
        SILENCE INVALID_PARAMS []
        `params.file_sha256` must be 64 lower-case hexadecimal digits
    "]],
    );
    check(
        &policy,
        &request("loopback:dev", "infra.apply", "apply", "{}"),
        &expect![[r"
            SILENCE INVALID_PARAMS []
            `params.plan_sha256` is missing: it must be 64 lower-case hexadecimal digits
        "]],
    );
}

#[test]
fn entities_that_are_not_there_are_silence() {
    let policy = starter_policy();
    let artifact = "a".repeat(64);
    let params =
        format!(r#"{{"environment":"prdo","version":"1","artifact_sha256":"{artifact}"}}"#);
    check(
        &policy,
        &request("loopback:dev", "deploy.release", "release", &params),
        &expect![[r#"
            SILENCE EVALUATION_ERROR []
            `params.environment` names Environment::"prdo", which is not in the bundle
        "#]],
    );
    let strict = edited(&[(
        "surfaces.yaml",
        "    principal_must_exist: false                  # any authenticated caller, listed or not\n",
        "",
    )]);
    check(
        &strict,
        &echo("{}"),
        &expect![[r#"
        SILENCE EVALUATION_ERROR []
        the caller `loopback:dev` is Caller::"loopback:dev", which is not in the bundle
    "#]],
    );
    let payments = shipped("payments-export-agents");
    check(
        &payments,
        &request(
            "loopback:nobody",
            "tool.invoke",
            "call",
            r#"{"tool":"crm/read","argumentsDigest":"x","schemaDigest":"sha256:aa","depth":1,"session":"s","onBehalfOf":"ann"}"#,
        ),
        &expect![[r#"
            SILENCE EVALUATION_ERROR []
            the caller `loopback:nobody` is Agent::"loopback:nobody", which is not in the bundle
        "#]],
    );
    check(
        &payments,
        &request(
            "loopback:tina",
            "tool.invoke",
            "call",
            r#"{"tool":"crm/read","argumentsDigest":"x","schemaDigest":"sha256:aa","depth":1,"session":"s","onBehalfOf":"ann"}"#,
        ),
        &expect![[r#"
            SILENCE EVALUATION_ERROR []
            the caller `loopback:tina` is Human::"tina", which `tool.invoke` does not accept
        "#]],
    );
}

#[test]
fn ids_are_taken_as_they_are_and_cannot_break_out_of_their_quotes() {
    let digest = "0".repeat(64);
    let params = format!(r#"{{"workspace":"x\" || true || \"","plan_sha256":"{digest}"}}"#);
    check(
        &starter_policy(),
        &request("loopback:dev", "infra.apply", "apply", &params),
        &expect![[r#"
            PERMIT [Name("tf.apply")]
            Workspace::"x\" || true || \""
              once plan plan/0000000000000000000000000000000000000000000000000000000000000000
              exclusive workspace workspace/x%22%20%7C%7C%20true%20%7C%7C%20%22
        "#]],
    );
}

/// The forbid multiplies beyond 64 bits for large `n`. Cedar alone would leave it out and permit.
fn overflowing() -> Policy {
    edited(&[
        (
            "schema.cedarschema",
            "type EchoParams = { message?: String,",
            "type EchoParams = { n?: Long, message?: String,",
        ),
        (
            "policies/demo.cedar",
            "// Cedar:",
            "@id(\"demo.large\") @reason(\"too much\") @code(\"TOO_MUCH\")\n\
             forbid (principal, action == Action::\"demo.echo\", resource)\n\
             when { context.params has n && context.params.n * 4611686018427387904 > 5 };\n// Cedar:",
        ),
    ])
}

#[test]
fn forbid_that_errors_is_silence_and_never_left_out() {
    let policy = overflowing();
    check(
        &policy,
        &echo(r#"{"n":0}"#),
        &expect![[r#"
        PERMIT [Name("demo.echo")]
        Demo::"echo"
    "#]],
    );
    check(
        &policy,
        &echo(r#"{"n":1}"#),
        &expect![[r#"
        DENY POLICY ["TOO_MUCH"] [Name("demo.large")]
        Demo::"echo"
    "#]],
    );
    check(
        &policy,
        &echo(r#"{"n":9}"#),
        &expect![[r"
        SILENCE EVALUATION_ERROR []
        a policy could not be evaluated: error while evaluating policy `demo.large`: integer overflow while attempting to multiply the values `9` and `4611686018427387904`
    "]],
    );
    check(
        &policy,
        &echo(r#"{"n":9,"message":"forbidden"}"#),
        &expect![[r"
            SILENCE EVALUATION_ERROR []
            a policy could not be evaluated: error while evaluating policy `demo.large`: integer overflow while attempting to multiply the values `9` and `4611686018427387904`
        "]],
    );
}

/// The state machine takes no decision that names more.
#[test]
fn more_deciding_policies_than_a_decision_can_name_are_silence() {
    let with = |count: u32| {
        let policies = (1..count).map(|number| {
            format!(
                "@id(\"more-{number}\")\n@reason(\"more\")\npermit (principal, action, resource);\n"
            )
        });
        let policies = policies.collect::<Vec<_>>().concat() + "@id(\"demo.echo\")";
        edited(&[("policies/demo.cedar", "@id(\"demo.echo\")", &policies)])
    };
    assert!(show(&evaluate(&with(64), &echo("{}"))).starts_with("PERMIT"));
    check(
        &with(65),
        &echo("{}"),
        &expect![[r"
            SILENCE EVALUATION_ERROR []
            65 policies decide this request, at most 64 can be recorded: merge some
        "]],
    );
}

#[test]
fn time_that_cannot_be_said_is_silence() {
    let artifact = "a".repeat(64);
    let params =
        format!(r#"{{"environment":"prod","version":"1","artifact_sha256":"{artifact}"}}"#);
    let request = request("loopback:dev", "deploy.release", "release", &params);
    let facts = Facts::default();
    let at = |now_ms| {
        starter_policy().evaluate(Input {
            request: &request,
            now_ms,
            facts: &facts,
        })
    };
    assert!(
        matches!(at(u64::MAX), Evaluation::Silence(silence) if silence.reason == Reason::EvaluationError)
    );
    assert!(matches!(at(0), Evaluation::Decided(_)));
}

#[test]
fn missing_quorums_are_silence_and_exactly_those_are_named() {
    let policy = shipped("cicd-terraform");
    let deploy = |strategy: &str, branch: &str| {
        let params = format!(
            r#"{{"environment":"shop/prod","artifactDigest":"sha256:aa","ref":"refs/heads/{branch}","commit":"c","strategy":"{strategy}"}}"#
        );
        request("loopback:shop-deploy", "deploy.release", "deploy", &params)
    };
    let with_provenance = |request: &Request, now_ms| {
        let facts = Facts {
            evidence: ["slsa-provenance".to_owned()].into(),
            ..Facts::default()
        };
        show(&policy.evaluate(Input {
            request,
            now_ms,
            facts: &facts,
        }))
    };
    let friday_evening = NOW_MS + (3 * 24 + 7) * 3_600_000;
    expect![[r#"
        SILENCE APPROVAL_REQUIRED ["prod-release"]
        approvals are missing: `prod-release` (0 of 2)
    "#]]
    .assert_eq(&with_provenance(&deploy("rolling", "main"), NOW_MS));
    expect![[r#"
        SILENCE APPROVAL_REQUIRED ["break-glass", "prod-release"]
        approvals are missing: `break-glass` (0 of 2), `prod-release` (0 of 2)
    "#]]
    .assert_eq(&with_provenance(&deploy("all-at-once", "main"), NOW_MS));
    expect![[r#"
        SILENCE APPROVAL_REQUIRED ["break-glass", "prod-release"]
        approvals are missing: `break-glass` (0 of 2), `prod-release` (0 of 2)
    "#]]
    .assert_eq(&with_provenance(&deploy("rolling", "main"), friday_evening));
    expect![[r#"
        DENY POLICY ["REF_NOT_PROTECTED"] [Name("deploy.unprotected-ref")]
        Environment::"shop/prod"
          exclusive environment deploy/shop%2Fprod
    "#]]
    .assert_eq(&with_provenance(&deploy("rolling", "feature"), NOW_MS));
    check(
        &policy,
        &deploy("rolling", "main"),
        &expect![[r#"
        DENY NOT_PERMITTED [] []
        Environment::"shop/prod"
          exclusive environment deploy/shop%2Fprod
    "#]],
    );
}

#[test]
fn outline_has_what_outlives_one_evaluation() {
    let outline = starter_policy().outline();
    let infra = outline
        .iter()
        .find(|surface| surface.surface.as_str() == "infra.apply")
        .unwrap();
    expect![[r#"
        SurfaceOutline {
            surface: Name("infra.apply"),
            actions: [
                Name("apply"),
            ],
            bounds: [
                BoundOutline {
                    name: Name("plan"),
                    kind: Once {
                        kept_for_ms: None,
                    },
                    template: "plan/{params.plan_sha256}",
                    field: None,
                },
                BoundOutline {
                    name: Name("workspace"),
                    kind: Exclusive,
                    template: "workspace/{params.workspace}",
                    field: None,
                },
            ],
            terms: Terms {
                executors: [
                    Caller,
                ],
                permit_for_ms: 600000,
                complete_within_ms: 3600000,
                honor_issued: false,
                failed_exit: InDoubt,
                offline: false,
                release_after_ms: None,
            },
        }
    "#]]
    .assert_debug_eq(infra);
}

#[test]
fn request_without_an_action_means_the_only_one() {
    let surface = |name: &str| Name::new(name).unwrap();
    let policy = starter_policy();
    assert_eq!(
        policy
            .default_action(&surface("infra.apply"))
            .map(Name::as_str),
        Some("apply")
    );
    assert_eq!(policy.default_action(&surface("unknown")), None);
    let two = edited(&[(
        "surfaces.yaml",
        "{ echo: \"demo.echo\" }",
        "{ echo: \"demo.echo\", shout: \"demo.echo\" }",
    )]);
    assert_eq!(two.default_action(&surface("demo.echo")), None);
}

#[test]
fn actor_is_evidence_and_changes_nothing() {
    let policy = starter_policy();
    let mut request = echo(r#"{"message":"x"}"#);
    let before = evaluate(&policy, &request);
    request.actor = Some(holdpoint_receipt::Actor::new("root").unwrap());
    assert_eq!(evaluate(&policy, &request), before);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-9_007_199_254_740_991..=9_007_199_254_740_991_i64).prop_map(Json::Int),
        prop_oneof![
            Just("prod".to_owned()),
            Just("forbidden".to_owned()),
            ".{0,8}"
        ]
        .prop_map(Json::Str),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..3).prop_map(Json::Object),
        ]
    })
}

proptest! {
    /// Total and the same everywhere: two policies loaded apart from each other agree on every
    /// request, whatever is in it, and every list comes sorted.
    #[test]
    fn same_input_gives_the_same_answer(
        surface in prop_oneof![Just("demo.echo"), Just("infra.apply"), Just("deploy.release")],
        action in prop_oneof![Just("echo"), Just("apply"), Just("release")],
        names in proptest::sample::subsequence(
            vec!["message", "file_sha256", "workspace", "plan_sha256", "environment", "version", "n"], 0..5),
        values in proptest::collection::vec(any_json(), 5),
        now_ms in prop_oneof![any::<u64>(), 1_700_000_000_000_u64..1_900_000_000_000],
    ) {
        thread_local! {
            static TWO: (Policy, Policy) = (overflowing(), overflowing());
        }
        let params = Json::object(names.into_iter().zip(values));
        prop_assume!(Params::from_json(params.clone()).is_ok());
        let mut request = request("loopback:dev", surface, action, "{}");
        request.params = Params::from_json(params).unwrap();
        let facts = Facts::default();
        let input = Input { request: &request, now_ms, facts: &facts };
        let (one, two) = TWO.with(|(one, two)| (one.evaluate(input), two.evaluate(input)));
        prop_assert_eq!(&one, &two);
        if let Evaluation::Decided(decided) = one {
            prop_assert!(decided.claims.is_sorted());
            match decided.verdict {
                Verdict::Permit { policies } => prop_assert!(policies.is_sorted()),
                Verdict::Deny { policies, codes, .. } => {
                    prop_assert!(policies.is_sorted() && codes.is_sorted());
                }
            }
        }
    }
}
