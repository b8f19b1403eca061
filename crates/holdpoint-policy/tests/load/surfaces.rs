//! Mistakes in the surfaces file, and between it and the schema.

use expect_test::expect;

use crate::{INFRA, SCHEMA, SURFACES, with};

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
fn surface_has_no_more_actions_than_the_gate_takes() {
    let actions = |count: u32| {
        let actions = (0..count).map(|number| format!("a{number}: \"infra.apply\", "));
        format!("{{ {} }}", actions.collect::<Vec<_>>().concat())
    };
    let one = "{ apply: \"infra.apply\" }";
    with(
        &[(SURFACES, one, &actions(65))],
        &expect![[r"
            surfaces.yaml:23: `actions` must name between 1 and 64 actions
            1 error
        "]],
    );
    with(
        &[(SURFACES, one, &actions(64))],
        &expect![[r"
        no errors
    "]],
    );
}
