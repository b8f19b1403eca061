//! Mistakes in policy files.

use expect_test::expect;

use crate::{DEPLOY, INFRA, SCHEMA, with};

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
    for backwards in [
        "[\"year-end\", \"no-such\"].containsAny(context.windows)",
        "[\"no-such\"].containsAll(context.windows)",
        "context.windows == [\"no-such\"]",
    ] {
        with(
            &[(DEPLOY, "context.windows.contains(\"year-end\")", backwards)],
            &expect![[r"
                policies/deploy.cedar:9: `deploy.year-end` asks for window `no-such`, which nothing declares
                1 error
            "]],
        );
    }
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
fn text_that_is_shown_in_another_order_than_it_is_read_in_is_refused() {
    with(
        &[(
            INFRA,
            "@id(\"tf.frozen-workspace\")",
            "// \u{202e}only a comment\n@id(\"tf.frozen-workspace\")",
        )],
        &expect![[r"
            policies/infra.cedar:6: the file has '\u{202e}', which shows text in another order than it is read in
            1 error
        "]],
    );
}

#[test]
fn quorum_that_no_surface_of_the_action_lists_is_refused() {
    with(
        &[(
            "surfaces.yaml",
            "    approvals: [two-person]                      # quorums that can turn a refusal into a permit\n",
            "",
        )],
        &expect![[r"
            policies/payment.cedar:12: `pay.two-person` asks for quorum `two-person`, which no surface of its action lists under `approvals`
            1 error
        "]],
    );
}
