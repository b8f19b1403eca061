//! Every mistake in a bundle is found at load, with its file and its line.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the functions that tests share fail like tests"
)]

mod entities;
mod policies;
mod quorums;
mod surfaces;
mod terms;

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
fn mistake_in_a_case_is_named_with_its_line() {
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
