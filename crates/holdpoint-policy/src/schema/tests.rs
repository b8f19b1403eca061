use expect_test::{Expect, expect};

use super::*;
use crate::problem::Problems;

fn check(text: &str, expected: &Expect) {
    let problems = Problems::default();
    let schema = parse(
        &File {
            path: "schema.cedarschema",
            problems: &problems,
        },
        text,
    );
    let errors = problems.into_sorted();
    let seen: String = match schema {
        Some(schema) if errors.is_empty() => schema
            .actions
            .iter()
            .map(|(name, action)| {
                let context = Type::Record(action.context.clone()).show();
                format!(
                    "{name}: {:?} {:?} {context}\n",
                    action.principals, action.resources
                )
            })
            .collect(),
        _ => errors.iter().map(|error| format!("{error}\n")).collect(),
    };
    expected.assert_eq(&seen);
}

#[test]
fn named_types_are_followed_and_optional_attributes_are_kept() {
    check(
        "type P = { n: Long, who?: A };\nentity A, B;\naction \"x.y\" appliesTo { principal: A, \
         resource: [A, B], context: { now: datetime, params: P, s: Set<Set<String>> } };\n",
        &expect![[r#"
            x.y: {"A"} {"A", "B"} { now: datetime, params: { n: Long, who?: A }, s: Set<Set<String>> }
        "#]],
    );
}

#[test]
fn errors_name_the_line() {
    check(
        "entity A;\nentity B { x: Foo };\n",
        &expect![[r"
        schema.cedarschema:2: failed to resolve type: Foo (`Foo` has not been declared as a common or entity type)
    "]],
    );
    check(
        "entity A;\nentity B { x Long };\n",
        &expect![[r"
        schema.cedarschema:2: error parsing schema: unexpected token `Long`
    "]],
    );
    check(
        "namespace N { entity A; }\n",
        &expect![[r"
        schema.cedarschema:1: namespace `N`: declare types and actions outside of namespaces
    "]],
    );
    check(
        "",
        &expect![[r"
        schema.cedarschema:1: the schema is empty
    "]],
    );
}

#[test]
fn deep_type_is_refused_and_not_a_crash() {
    let deep = |depth: usize| {
        format!(
            "entity A {{ x: {}Long{} }};",
            "Set<".repeat(depth),
            ">".repeat(depth)
        )
    };
    for depth in [scan::DEPTH_MAX + 1, 50_000] {
        let problems = Problems::default();
        assert!(
            parse(
                &File {
                    path: "s",
                    problems: &problems
                },
                &deep(depth)
            )
            .is_none()
        );
    }
    let problems = Problems::default();
    assert!(
        parse(
            &File {
                path: "s",
                problems: &problems
            },
            &deep(16)
        )
        .is_some()
    );
}

#[test]
fn long_chain_of_names_is_refused_and_not_a_crash() {
    let mut text = String::from("type T0 = Long;\n");
    for index in 1..2_000 {
        text.push_str(&format!("type T{index} = Set<T{}>;\n", index - 1));
    }
    let problems = Problems::default();
    assert!(
        parse(
            &File {
                path: "s",
                problems: &problems
            },
            &text
        )
        .is_none()
    );
}
