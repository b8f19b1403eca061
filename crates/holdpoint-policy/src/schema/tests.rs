use expect_test::{Expect, expect};

use super::*;
use crate::problem::Problems;

fn check(text: &str, expected: &Expect) {
    let problems = Problems::default();
    let file = File {
        path: "schema.cedarschema",
        problems: &problems,
    };
    let actions = parse(&file, text).map_or_else(BTreeMap::new, |schema| schema.actions);
    let shown = actions.iter().map(|(name, action)| {
        let context = Type::Record(action.context.clone()).show();
        format!(
            "{name}: {:?} {:?} {context}",
            action.principals, action.resources
        )
    });
    let errors = problems.into_sorted();
    let lines: Vec<String> = errors
        .iter()
        .map(ToString::to_string)
        .chain(shown)
        .collect();
    expected.assert_eq(&format!("{}\n", lines.join("\n")));
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

/// Whether a schema of `count` types loads, each made from the one before it.
fn chain(count: usize, next: fn(usize) -> String) -> bool {
    let types: String = (1..count).map(next).collect();
    let text = format!("type T0 = Long;\n{types}");
    let problems = Problems::default();
    parse(
        &File {
            path: "s",
            problems: &problems,
        },
        &text,
    )
    .is_some()
}

#[test]
fn long_chain_of_names_is_refused_and_not_a_crash() {
    let set = |index: usize| format!("type T{index} = Set<T{}>;\n", index - 1);
    assert!(chain(12, set));
    assert!(!chain(14, set));
    assert!(!chain(4_000, set));
}

#[test]
fn names_that_double_are_refused_and_do_not_take_for_ever() {
    let pair = |index: usize| format!("type T{index} = {{ a: T{0}, b: T{0} }};\n", index - 1);
    assert!(chain(8, pair));
    assert!(!chain(24, pair));
}
