//! What one bundle changes of another.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use std::path::Path;

use expect_test::{Expect, expect};
use holdpoint_policy::{Bundle, CheckReport, Part, Policy, diff, directory, starter};

fn files(name: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies")
        .join(name);
    let bundle = directory::read(&folder).unwrap();
    let files = bundle.files().map(|(path, content)| {
        (
            path.to_owned(),
            String::from_utf8(content.to_vec()).unwrap(),
        )
    });
    files.collect()
}

fn load(files: Vec<(String, String)>) -> Policy {
    let loaded = Policy::load(&Bundle::new(files).unwrap());
    loaded
        .map_err(|errors| CheckReport { errors }.to_string())
        .unwrap()
}

/// The differences that some replacements make, and that they are undone the other way round.
fn check(bundle: &str, edits: &[(&str, &str, &str)], expected: &Expect) {
    let mut edited = files(bundle);
    for (path, from, to) in edits {
        let (_, text) = edited.iter_mut().find(|(there, _)| there == path).unwrap();
        assert!(text.contains(from), "`{from}` is not in {path}");
        *text = text.replacen(from, to, 1);
    }
    let (before, after) = (load(files(bundle)), load(edited));
    let found = diff(&before, &after);
    assert!(found.is_sorted());
    assert_eq!(diff(&after, &before).is_empty(), found.is_empty());
    let lines = found.iter().map(|difference| {
        let (part, change) = (difference.part.as_str(), difference.change.as_str());
        format!("{part} {} {change}\n  {difference}\n", difference.name)
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn bundle_differs_in_nothing_from_itself_nor_from_one_with_other_comments() {
    for name in ["starter", "cicd-terraform", "payments-export-agents"] {
        check(name, &[], &expect![[""]]);
    }
    check(
        "starter",
        &[
            (
                "policies/demo.cedar",
                "@id(\"demo.echo\")",
                "\n// another comment\n@id(\"demo.echo\")",
            ),
            (
                "tests/demo.yaml",
                "a message is echoed",
                "a message comes back",
            ),
            (
                "entities.json",
                "{ \"uid\": { \"type\": \"Demo\"",
                "{\n\"uid\": { \"type\": \"Demo\"",
            ),
        ],
        &expect![[""]],
    );
}

#[test]
fn bounds_are_tightened_loosened_or_others() {
    let surfaces = "surfaces.yaml";
    let daily = "limit: 50000000 } }";
    let slots = "{ key: 'export/{params.dataset}', limit: 2 }";
    let name = "payments-export-agents";
    check(
        name,
        &[(surfaces, daily, "limit: 50000001 } }")],
        &expect![[r"
            bound payment.execute/daily loosened
              bound `daily` of `payment.execute` is budget 50000001 of `params.amountMinor` in 1d `payment/{params.account}`, was budget 50000000 of `params.amountMinor` in 1d `payment/{params.account}`
        "]],
    );
    check(
        name,
        &[(surfaces, daily, "limit: 49999999 } }")],
        &expect![[r"
            bound payment.execute/daily tightened
              bound `daily` of `payment.execute` is budget 49999999 of `params.amountMinor` in 1d `payment/{params.account}`, was budget 50000000 of `params.amountMinor` in 1d `payment/{params.account}`; live permits have to end first
        "]],
    );
    check(
        name,
        &[(surfaces, "window: 1d", "window: 2d")],
        &expect![[r"
            bound payment.execute/daily changed
              bound `daily` of `payment.execute` is budget 50000000 of `params.amountMinor` in 2d `payment/{params.account}`, was budget 50000000 of `params.amountMinor` in 1d `payment/{params.account}`; live permits have to end first
        "]],
    );
    check(
        name,
        &[(
            surfaces,
            slots,
            "{ key: 'export/{params.bucket}', limit: 3 }",
        )],
        &expect![[r"
            bound data.export/exports changed
              bound `exports` of `data.export` is capacity 3 `export/{params.bucket}`, was capacity 2 `export/{params.dataset}`; live permits have to end first
        "]],
    );
    check(
        name,
        &[
            (
                surfaces,
                "exclusive: 'payment/{params.account}/{params.purpose}'",
                "once: 'payment/{params.account}/{params.purpose}'",
            ),
            (surfaces, "name: exports,", "name: slots,"),
        ],
        &expect![[r"
            bound data.export/exports removed
              bound `exports` of `data.export` is gone: it was capacity 2 `export/{params.dataset}`; live permits have to end first
            bound data.export/slots added
              bound `slots` of `data.export` is new: capacity 2 `export/{params.dataset}`; live permits have to end first
            bound payment.execute/payment changed
              bound `payment` of `payment.execute` is once `payment/{params.account}/{params.purpose}` for ever, was exclusive `payment/{params.account}/{params.purpose}`; live permits have to end first
        "]],
    );
}

#[test]
fn memory_of_a_once_bound_is_loosened_by_an_end() {
    let (surfaces, plan) = ("surfaces.yaml", "once: 'plan/{params.plan_sha256}'");
    let kept = |keep: &str| format!("once: {{ key: 'plan/{{params.plan_sha256}}', keep: {keep} }}");
    check(
        "starter",
        &[(surfaces, plan, &kept("90d"))],
        &expect![[r"
        bound infra.apply/plan loosened
          bound `plan` of `infra.apply` is once `plan/{params.plan_sha256}` for 90d, was once `plan/{params.plan_sha256}` for ever
    "]],
    );
    let mut shorter = files("starter");
    let mut longer = files("starter");
    for (files, keep) in [(&mut shorter, "30d"), (&mut longer, "60d")] {
        let (_, text) = files.iter_mut().find(|(path, _)| path == surfaces).unwrap();
        *text = text.replacen(plan, &kept(keep), 1);
    }
    let found = diff(&load(shorter), &load(longer));
    expect!["bound `plan` of `infra.apply` is once `plan/{params.plan_sha256}` for 60d, was once `plan/{params.plan_sha256}` for 30d; live permits have to end first"].assert_eq(&found[0].to_string());
}

#[test]
fn terms_are_named_field_by_field() {
    check(
        "cicd-terraform",
        &[
            (
                "surfaces.yaml",
                "permit_for: 10m",
                "permit_for: 20m\n    honor_issued: true\n    redeem: offline",
            ),
            (
                "surfaces.yaml",
                "executors: [caller]",
                "executors: [caller, \"loopback:runner\"]",
            ),
            (
                "surfaces.yaml",
                "failed_exit: in_doubt",
                "release_after: 4h",
            ),
        ],
        &expect![[r"
            terms deploy.release changed
              surface `deploy.release`: `executors` is [caller, loopback:runner], was [caller]
            terms deploy.release changed
              surface `deploy.release`: `honor_issued` is true, was false
            terms deploy.release changed
              surface `deploy.release`: `permit_for` is 20m, was 10m
            terms deploy.release changed
              surface `deploy.release`: `redeem` is offline, was online
            terms infra.apply changed
              surface `infra.apply`: `release_after` is 4h, was never
        "]],
    );
}

#[test]
fn quorums_are_named_field_by_field() {
    check(
        "cicd-terraform",
        &[
            (
                "surfaces.yaml",
                "prod-release: { min: 2,",
                "prod-release: { min: 1,",
            ),
            (
                "surfaces.yaml",
                "plan-review: { min: 1,",
                "plan-review: { min: 2,",
            ),
            (
                "surfaces.yaml",
                "params.stateSerial], max_age: 1h }",
                "params.commit], max_age: 2h, spent: false }",
            ),
            (
                "surfaces.yaml",
                "approvals: [prod-release, break-glass]",
                "approvals: [prod-release, break-glass, security-deploy]",
            ),
            (
                "surfaces.yaml",
                "\nsurfaces:\n",
                "  security-deploy: { min: 1, from: 'Team::\"security\"', binds: [request], max_age: 1h }\n\nsurfaces:\n",
            ),
        ],
        &expect![[r#"
            surface deploy.release changed
              surface `deploy.release` lists quorum `security-deploy`
            quorum destroy-review changed
              quorum `destroy-review` changes: binds is [resource, params.commit, params.planDigest], was [resource, params.planDigest, params.stateSerial], max_age is 2h, was 1h, spent is false, was true
            quorum plan-review tightened
              quorum `plan-review` changes: min is 2, was 1
            quorum prod-release loosened
              quorum `prod-release` changes: min is 1, was 2
            quorum security-deploy added
              quorum `security-deploy` is new: 1 of Team::"security"
        "#]],
    );
}

#[test]
fn parameters_are_named_each() {
    check(
        "cicd-terraform",
        &[
            (
                "schema.cedarschema",
                "  strategy: String\n",
                "  strategy?: String,\n  ticket: String\n",
            ),
            (
                "policies/deploy.cedar",
                "context.params.strategy == \"all-at-once\"",
                "context.params has strategy && context.params.strategy == \"all-at-once\"",
            ),
            (
                "tests/deploy.yaml",
                "    strategy: rolling\n",
                "    strategy: rolling\n    ticket: T-1\n",
            ),
        ],
        &expect![[r"
            surface deploy.release changed
              surface `deploy.release`: parameter `strategy` is optional String, was required String
            surface deploy.release changed
              surface `deploy.release`: parameter `ticket` is new: required String
            policy deploy.big-bang changed
              forbid `deploy.big-bang` reads otherwise: all-at-once rollout in production needs break-glass
            schema DeployContext changed
              type `DeployContext` has other attributes
            schema DeployParams changed
              type `DeployParams` has other attributes
            schema deploy changed
              action `deploy` applies otherwise
        "]],
    );
}

#[test]
fn policies_entities_windows_and_callers_are_named() {
    check(
        "cicd-terraform",
        &[
            (
                "policies/deploy.cedar",
                "resource.tier != \"prod\" };",
                "resource.tier == \"staging\" };",
            ),
            (
                "policies/deploy.cedar",
                "@code(\"STRATEGY_REFUSED\")",
                "@code(\"BIG_BANG\")",
            ),
            (
                "policies/terraform.cedar",
                "@id(\"tf.iam\")",
                "@id(\"tf.iam-changes\")",
            ),
            ("calendars.yaml", "\"16:00\"", "\"15:00\""),
            ("entities.json", "\"maxDestroys\": 5", "\"maxDestroys\": 6"),
            (
                "entities.json",
                "{\"email\": \"eve@acme.test\"}, \"parents\": [{\"type\": \"Team\", \"id\": \"platform\"}]",
                "{\"email\": \"eve@acme.test\"}, \"parents\": []",
            ),
            (
                "surfaces.yaml",
                "  loopback:eve: 'Human::\"eve\"'\n",
                "  loopback:eva: 'Human::\"eve\"'\n",
            ),
        ],
        &expect![[r#"
            policy deploy.big-bang changed
              forbid `deploy.big-bang` has the code BIG_BANG, had STRATEGY_REFUSED
            policy deploy.nonprod changed
              permit `deploy.nonprod` reads otherwise: team workload may deploy a digest-pinned artifact below production
            policy tf.iam removed
              forbid `tf.iam` is gone: IAM changes need the security quorum
            policy tf.iam-changes added
              forbid `tf.iam-changes` is new: IAM changes need the security quorum
            window prod-freeze changed
              window `prod-freeze` is open at other times
            caller loopback:eva added
              caller `loopback:eva` is new: Human::"eve"
            caller loopback:eve removed
              caller `loopback:eve` is gone: it was Human::"eve"
            entity Human::"eve" changed
              entity `Human::"eve"` has other attributes or parents
            entity Workspace::"shop-dev" changed
              entity `Workspace::"shop-dev"` has other attributes or parents
        "#]],
    );
}

#[test]
fn whole_surfaces_come_and_go() {
    let starter = load(files("starter"));
    let other = load(files("cicd-terraform"));
    let found = diff(&starter, &other);
    let gone = found
        .iter()
        .find(|difference| difference.part == Part::Surface && difference.name == "demo.echo")
        .unwrap();
    expect!["surface `demo.echo` is gone; live permits have to end first"]
        .assert_eq(&gone.to_string());
    assert!(gone.waits_for_permits);
    let built_in = Policy::load(&starter::bundle().unwrap()).unwrap();
    assert_eq!(diff(&starter, &built_in), []);
}
