//! Every mistake in a bundle is found at load, with its file and its line.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the functions that tests share fail like tests"
)]

use expect_test::{Expect, expect};
use holdpoint_policy::{Bundle, check, starter};

/// Loads the starter bundle with some replacements, and compares the errors.
fn with(edits: &[(&str, &str, &str)], expected: &Expect) {
    let mut files: Vec<(String, String)> = starter::FILES
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    for (path, from, to) in edits {
        let (_, text) = files
            .iter_mut()
            .find(|(there, _)| there == path)
            .expect(path);
        assert!(text.contains(from), "`{from}` is not in {path}");
        *text = text.replacen(from, to, 1);
    }
    expected.assert_eq(&check(&Bundle::new(files).unwrap()).to_string());
}

const SURFACES: &str = "surfaces.yaml";
const INFRA: &str = "policies/infra.cedar";
const DEPLOY: &str = "policies/deploy.cedar";
const SCHEMA: &str = "schema.cedarschema";

#[test]
fn bundle_without_mistakes_has_no_errors() {
    with(
        &[],
        &expect![[r"
        no errors
    "]],
    );
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_file_and_line() {
    with(
        &[
            (INFRA, "@code(\"WORKSPACE_FROZEN\")\n", ""),
            (
                SURFACES,
                "workspace/{params.workspace}",
                "workspace/{params.worksapce}",
            ),
            ("calendars.yaml", "year-end", "year-edn"),
            ("tests/demo.yaml", "decision: PERMIT", "decison: PERMIT"),
        ],
        &expect![[r"
            policies/deploy.cedar:9: `deploy.year-end` asks for window `year-end`, which nothing declares (did you mean `year-edn`?)
            policies/infra.cedar:6: `tf.frozen-workspace` is a forbid without @code
            surfaces.yaml:29: bound `workspace` uses `{params.worksapce}`, which TerraformParams does not have (did you mean `workspace`?)
            tests/demo.yaml:11: `expect` has an unknown key `decison` (did you mean `decision`?)
            tests/demo.yaml:11: `expect` lacks `decision`
            5 errors
        "]],
    );
}

#[test]
fn keys_are_strict() {
    with(
        &[(SURFACES, "permit_for: 10m", "permit_fro: 10m")],
        &expect![[r"
            surfaces.yaml:21: surface `infra.apply` lacks `permit_for`
            surfaces.yaml:31: surface `infra.apply` has an unknown key `permit_fro` (did you mean `permit_for`?)
            2 errors
        "]],
    );
    with(
        &[(SURFACES, "honor_issued: false", "honor_issued: no")],
        &expect![[r"
            surfaces.yaml:33: `honor_issued` must be `true` or `false`, got a string
            surfaces.yaml:33: `no` is a boolean to some readers of YAML and a string to others: write `true` or `false`, or quote it
            2 errors
        "]],
    );
    with(
        &[(
            SURFACES,
            "    executors: [caller]\n",
            "    executors: [caller]\n    executors: [caller]\n",
        )],
        &expect![[r"
            surfaces.yaml:28: key `executors` is already on line 27
            1 error
        "]],
    );
    with(
        &[(SURFACES, "permit_for: 10m", "permit_for: 600")],
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be a duration such as `30s`, `10m`, `1h` or `1d`, got an integer
            1 error
        "]],
    );
    with(
        &[(SURFACES, "permit_for: 10m", "permit_for: 25h")],
        &expect![[r"
            surfaces.yaml:31: `permit_for` must be between 1s and 1d
            1 error
        "]],
    );
    with(
        &[(SURFACES, "failed_exit: aborted", "failed_exit: abort")],
        &expect![[r"
            surfaces.yaml:50: `failed_exit` must be `in_doubt` or `aborted`, got `abort`
            1 error
        "]],
    );
    with(
        &[(SURFACES, "executors: [caller]", "executors: []")],
        &expect![[r"
            surfaces.yaml:14: `executors` must name between 1 and 32 principals, such as `caller`
            1 error
        "]],
    );
}

#[test]
fn list_of_files_is_closed() {
    with(
        &[("bundle.yaml", ", policies/deploy.cedar", "")],
        &expect![[r"
            bundle.yaml:5: file `policies/deploy.cedar` is there but not listed under `files`
            1 error
        "]],
    );
    with(
        &[(
            "bundle.yaml",
            "policies/deploy.cedar",
            "policies/delpoy.cedar",
        )],
        &expect![[r"
            bundle.yaml:5: file `policies/deploy.cedar` is there but not listed under `files`
            bundle.yaml:16: file `policies/delpoy.cedar` is listed but not there (did you mean `policies/deploy.cedar`?)
            2 errors
        "]],
    );
    with(
        &[(
            "bundle.yaml",
            "calendars: calendars.yaml",
            "calendars: surfaces.yaml",
        )],
        &expect![[r"
            bundle.yaml:5: file `calendars.yaml` is there but not listed under `files`
            bundle.yaml:17: file `surfaces.yaml` is listed twice
            2 errors
        "]],
    );
}

#[test]
fn bundle_for_another_engine_is_refused() {
    with(
        &[(
            "bundle.yaml",
            "evaluator: 1, cedar: \"4.6\"",
            "evaluator: 2, cedar: \"4.7\"",
        )],
        &expect![[r"
            bundle.yaml:9: this build has evaluator 1, the bundle wants 2
            bundle.yaml:9: this build has the Cedar language 4.6, the bundle wants 4.7
            2 errors
        "]],
    );
    with(
        &[("bundle.yaml", "cedar: \"4.6\"", "cedar: 4.6")],
        &expect![[r"
            bundle.yaml:9: `cedar` must be a string (quote it), got a number that is not a 64-bit integer
            1 error
        "]],
    );
    with(
        &[("bundle.yaml", "engine:", "engnie:")],
        &expect![[r"
        bundle.yaml:5: the bundle lacks `engine`
        bundle.yaml:9: the bundle has an unknown key `engnie` (did you mean `engine`?)
        2 errors
    "]],
    );
}

#[test]
fn policies_carry_their_annotations() {
    with(
        &[(INFRA, "@id(\"tf.apply\")\n", "")],
        &expect![[r"
        policies/infra.cedar:1: the policy has no @id
        1 error
    "]],
    );
    with(
        &[(INFRA, "@reason(\"anybody", "@raeson(\"anybody")],
        &expect![[r"
            policies/infra.cedar:1: `tf.apply` has no @reason: say in a sentence why it is there
            policies/infra.cedar:1: annotation `@raeson` is not known (did you mean `reason`?)
            2 errors
        "]],
    );
    with(
        &[(
            INFRA,
            "@id(\"tf.apply\")",
            "@id(\"tf.apply\")\n@code(\"YES\")",
        )],
        &expect![[r"
            policies/infra.cedar:1: `tf.apply` is a permit with a @code: codes explain refusals
            1 error
        "]],
    );
    with(
        &[(INFRA, "WORKSPACE_FROZEN", "workspace-frozen")],
        &expect![[r"
            policies/infra.cedar:6: @code of `tf.frozen-workspace` must be UPPER_SNAKE of at most 64 bytes, got `workspace-frozen`
            1 error
        "]],
    );
    with(
        &[(INFRA, "@id(\"tf.apply\")", "@id(\"demo.echo\")")],
        &expect![[r"
            policies/infra.cedar:1: policy id `demo.echo` is already used at policies/demo.cedar:3
            1 error
        "]],
    );
}

#[test]
fn cedar_errors_keep_their_line_in_the_file() {
    with(
        &[(
            INFRA,
            "context.params.workspace like",
            "context.params.worksapce like",
        )],
        &expect![[r#"
            policies/infra.cedar:10: for policy `tf.frozen-workspace`, attribute `params.worksapce` in context for Action::"infra.apply" not found (did you mean `workspace`?)
            1 error
        "#]],
    );
    with(
        &[(INFRA, "when { context", "whn { context")],
        &expect![[r"
            policies/infra.cedar:10: invalid policy condition: whn (condition must be either `when` or `unless`)
            1 error
        "]],
    );
    with(
        &[(INFRA, "like \"frozen-*\"", "< 3")],
        &expect![[r"
        policies/infra.cedar:10: for policy `tf.frozen-workspace`, unexpected type: expected Long but saw String
        1 error
    "]],
    );
    with(
        &[(
            INFRA,
            "permit (principal,",
            "permit (principal == ?principal,",
        )],
        &expect![[r"
            policies/infra.cedar:3: expected a static policy, got a template containing the slot ?principal (try removing the template slot(s) from this policy)
            1 error
        "]],
    );
}

#[test]
fn policy_that_can_never_apply_is_an_error() {
    with(
        &[(INFRA, "context.params.workspace like \"frozen-*\"", "false")],
        &expect![[r"
            policies/infra.cedar:6: for policy `tf.frozen-workspace`, policy is impossible: the policy expression evaluates to false for all valid requests
            1 error
        "]],
    );
    with(
        &[(
            INFRA,
            "permit (principal, action == Action::\"infra.apply\", resource)",
            "permit (principal is Demo, action == Action::\"infra.apply\", resource)",
        )],
        &expect![[r"
            policies/infra.cedar:1: for policy `tf.apply`, policy is impossible: the policy expression evaluates to false for all valid requests
            policies/infra.cedar:1: for policy `tf.apply`, unable to find an applicable action given the policy scope constraints
            2 errors
        "]],
    );
    with(
        &[
            (
                SCHEMA,
                "action \"demo.echo\"",
                "action \"other\" appliesTo { principal: Caller, resource: Demo };\naction \"demo.echo\"",
            ),
            (INFRA, "Action::\"infra.apply\"", "Action::\"other\""),
        ],
        &expect![[r"
            policies/infra.cedar:1: `tf.apply` is about an action that no surface has
            1 error
        "]],
    );
}

#[test]
fn names_that_would_be_false_for_ever_are_errors() {
    with(
        &[(DEPLOY, "contains(\"year-end\")", "contains(\"year-edn\")")],
        &expect![[r"
            policies/deploy.cedar:9: `deploy.year-end` asks for window `year-edn`, which nothing declares (did you mean `year-end`?)
            1 error
        "]],
    );
    with(
        &[(
            DEPLOY,
            "contains(\"year-end\")",
            "containsAny([\"year-end\", \"no-such\"])",
        )],
        &expect![[r"
            policies/deploy.cedar:9: `deploy.year-end` asks for window `no-such`, which nothing declares
            1 error
        "]],
    );
    with(
        &[(
            DEPLOY,
            "resource.tier == \"production\"",
            "resource == Environment::\"pord\"",
        )],
        &expect![[r#"
            policies/deploy.cedar:9: `deploy.year-end` names Environment::"pord", which is not in the entities file (did you mean `Environment::"prod"`?)
            1 error
        "#]],
    );
}

#[test]
fn surfaces_agree_with_the_schema() {
    with(
        &[(
            SURFACES,
            "{ apply: \"infra.apply\" }",
            "{ apply: \"infra.aply\" }",
        )],
        &expect![[r"
            surfaces.yaml:23: action `infra.aply` is not in the schema (did you mean `infra.apply`?)
            1 error
        "]],
    );
    with(
        &[(SURFACES, "principal: Caller", "principal: Workspace")],
        &expect![[r"
            surfaces.yaml:11: action `demo.echo` does not apply to a principal of type `Workspace`
            1 error
        "]],
    );
    with(
        &[(
            SURFACES,
            "resource: 'Workspace::",
            "resource: 'Environment::",
        )],
        &expect![[r"
            surfaces.yaml:23: action `infra.apply` does not apply to a resource of type `Environment`
            surfaces.yaml:25: `resource_must_exist: false` needs a type without required attributes, but `Environment` has some (or is an enumeration)
            2 errors
        "]],
    );
    with(
        &[(
            SURFACES,
            "params: TerraformParams",
            "params: TeraformParams",
        )],
        &expect![[r"
            surfaces.yaml:26: `TeraformParams` is not a record type of the schema (did you mean `TerraformParams`?)
            1 error
        "]],
    );
    with(
        &[(SURFACES, "params: TerraformParams", "params: EchoParams")],
        &expect![[r"
            surfaces.yaml:24: `resource` uses `{params.workspace}`, which EchoParams does not have
            surfaces.yaml:29: bound `workspace` uses `{params.workspace}`, which EchoParams does not have
            surfaces.yaml:30: bound `plan` uses `{params.plan_sha256}`, which EchoParams does not have
            3 errors
        "]],
    );
}

#[test]
fn contexts_and_templates_agree_with_the_schema() {
    with(
        &[(SCHEMA, "now: datetime, windows", "now: String, windows")],
        &expect![[r"
            surfaces.yaml:40: the context of action `deploy.release` has `now: String`, but the gate gives a required `datetime`
            1 error
        "]],
    );
    with(
        &[(SCHEMA, "now: datetime, windows", "nwo: datetime, windows")],
        &expect![[r"
            surfaces.yaml:40: the context of action `deploy.release` wants `nwo`, which the gate does not give (did you mean `now`?)
            1 error
        "]],
    );
    with(
        &[
            (SCHEMA, "workspace: String", "workspace?: String"),
            (
                INFRA,
                "context.params.workspace like",
                "context.params has workspace && context.params.workspace like",
            ),
        ],
        &expect![[r"
            surfaces.yaml:24: `resource` uses `{params.workspace}`, which may be missing: make `workspace` required
            surfaces.yaml:29: bound `workspace` uses `{params.workspace}`, which may be missing: make `workspace` required
            2 errors
        "]],
    );
    with(
        &[(
            SURFACES,
            "    params: ReleaseParams",
            "    resource_must_exist: false\n    params: ReleaseParams",
        )],
        &expect![[r"
            surfaces.yaml:42: `resource_must_exist: false` needs a type without required attributes, but `Environment` has some (or is an enumeration)
            1 error
        "]],
    );
}

#[test]
fn bounds_are_checked() {
    with(
        &[(
            SURFACES,
            "exclusive: 'workspace/{params.workspace}'",
            "exclusive: 'w/{params.workspace}{params.plan_sha256}'",
        )],
        &expect![[r"
            surfaces.yaml:29: bound `workspace` has two placeholders without a separator such as `/` between them: different values could render to one key
            1 error
        "]],
    );
    with(
        &[(SURFACES, "name: plan,", "name: workspace,")],
        &expect![[r"
            surfaces.yaml:30: bound `workspace` is declared twice
            1 error
        "]],
    );
    with(
        &[(
            SURFACES,
            "name: plan, once:",
            "name: plan, exclusive: 'x', once:",
        )],
        &expect![[r"
            surfaces.yaml:30: bound `plan` must have exactly one of exclusive, once, capacity, budget
            1 error
        "]],
    );
    with(
        &[(
            SURFACES,
            "once: 'plan/{params.plan_sha256}'",
            "budget: { key: 'k', field: params.workspace, window: 1d, limit: 0 }",
        )],
        &expect![[r"
            surfaces.yaml:30: `limit` must be at least 1, got 0
            surfaces.yaml:30: bound `plan` sums `params.workspace`, which is not a required Long of `params`
            2 errors
        "]],
    );
}

#[test]
fn quorums_and_callers_are_checked() {
    let quorum = "quorums:\n  review: { min: 0, from: 'Environment::\"pord\"', exclude: [everybody], binds: [params.plan, reqest], max_age: 1s }\n\
                  callers:\n  loopback:x: 'Environment::\"porod\"'\nsurfaces:\n\n";
    with(
        &[
            (SURFACES, "surfaces:\n\n", quorum),
            (
                SURFACES,
                "    executors: [caller]\n",
                "    executors: [caller]\n    approvals: [review, other]\n",
            ),
        ],
        &expect![[r#"
            surfaces.yaml:3: `binds` knows caller, action, resource, request and `params.…`, got `reqest` (did you mean `request`?)
            surfaces.yaml:3: `exclude` knows `requester` only, got `everybody`
            surfaces.yaml:3: `max_age` must be between 1m and 90d
            surfaces.yaml:3: `min` must be at least 1, got 0
            surfaces.yaml:3: entity `Environment::"pord"` is not in the entities file (did you mean `Environment::"prod"`?)
            surfaces.yaml:5: entity `Environment::"porod"` is not in the entities file (did you mean `Environment::"prod"`?)
            surfaces.yaml:32: quorum `other` is not declared under `quorums`
            surfaces.yaml:32: quorum `review` binds `params.plan`, which TerraformParams does not have
            8 errors
        "#]],
    );
}

#[test]
fn entities_are_checked() {
    let entities = "entities.json";
    with(
        &[(entities, "\"tier\": \"test\"", "\"teir\": \"test\"")],
        &expect![[r#"
            entities.json:4: error during entity deserialization: attribute `teir` on `Environment::"dev"` should not exist according to the schema
            1 error
        "#]],
    );
    with(
        &[(entities, "\"id\": \"staging\"", "\"id\": \"dev\"")],
        &expect![[r#"
            entities.json:5: entity Environment::"dev" is there twice
            1 error
        "#]],
    );
    with(
        &[(entities, "\"type\": \"Demo\"", "\"type\": \"Dmeo\"")],
        &expect![[r#"
            entities.json:2: error during entity deserialization: entity `Dmeo::"echo"` has type `Dmeo` which is not declared in the schema
            1 error
        "#]],
    );
    with(
        &[(entities, "[\n", "[\n,")],
        &expect![[r"
        entities.json:2: not JSON: expected value at line 2 column 1
        1 error
    "]],
    );
}

#[test]
fn deep_entities_are_refused_and_not_a_crash() {
    let nested = format!("{}1{}", "{ \"a\": ".repeat(100), " }".repeat(100));
    let attributes = format!("\"tier\": {nested}");
    with(
        &[("entities.json", "\"tier\": \"test\"", &attributes)],
        &expect![[r#"
            entities.json:4: entity does not conform to the schema: in attribute `tier` on `Environment::"dev"`, type mismatch: value was expected to have type string, but it actually has type record: `{"a": {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {…
            1 error
        "#]],
    );
    let deeper = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let attributes = format!("\"tier\": {deeper}");
    with(
        &[("entities.json", "\"tier\": \"test\"", &attributes)],
        &expect![[r"
            entities.json:4: not JSON: recursion limit exceeded at line 4 column 195
            1 error
        "]],
    );
}

#[test]
fn references_between_entities_are_checked() {
    with(
        &[
            (
                SCHEMA,
                "entity Environment { tier: String };",
                "entity Team;\nentity Environment in [Team] { tier: String, next?: Environment };",
            ),
            (
                "entities.json",
                "{ \"tier\": \"test\" }, \"parents\": []",
                "{ \"tier\": \"test\", \"next\": { \"__entity\": { \"type\": \"Environment\", \"id\": \"stagin\" } } }, \"parents\": [{ \"type\": \"Team\", \"id\": \"sre\" }]",
            ),
        ],
        &expect![[r#"
            entities.json:4: entity Environment::"dev" names Environment::"stagin", which is not in the file (did you mean `staging`?)
            entities.json:4: entity Environment::"dev" names Team::"sre", which is not in the file
            2 errors
        "#]],
    );
}

#[test]
fn test_cases_are_checked() {
    with(
        &[
            (
                "tests/infra.yaml",
                "without: [workspace]",
                "without: [workspce]",
            ),
            (
                "tests/infra.yaml",
                "codes: [WORKSPACE_FROZEN]",
                "codes: [X], reason: GRANTED",
            ),
            (
                "tests/infra.yaml",
                "reason: UNKNOWN_ACTION",
                "reason: UNKNOWN_ACTON",
            ),
            (
                "tests/infra.yaml",
                "now: \"2026-11-24T10:00:00Z\"",
                "now: \"yesterday\"",
            ),
        ],
        &expect![[r#"
            tests/infra.yaml:2: `now` must be an instant in UTC such as "2026-11-24T10:00:00Z"
            tests/infra.yaml:30: key `reason` is already on line 30
            tests/infra.yaml:33: `without` names `workspce`, which is not among the params (did you mean `workspace`?)
            tests/infra.yaml:38: `UNKNOWN_ACTON` is not a reason of the registry (did you mean `UNKNOWN_ACTION`?)
            4 errors
        "#]],
    );
}
