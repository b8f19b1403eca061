use expect_test::{Expect, expect};

use super::*;
use crate::problem::Problems;

/// Parses `text` and compares the tree, or the errors if there are any.
fn check(text: &str, expected: &Expect) {
    let problems = Problems::default();
    let node = parse(
        &File {
            path: "f.yaml",
            problems: &problems,
        },
        text,
    );
    let errors = problems.into_sorted();
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if let (Some(node), true) = (node, errors.is_empty()) {
        show(&node, "", &mut lines);
    }
    expected.assert_eq(&format!("{}\n", lines.join("\n")));
}

fn show(node: &Node, pad: &str, lines: &mut Vec<String>) {
    if let Value::List(items) = &node.value {
        for item in items {
            lines.push(format!("{pad}{}: -", item.line));
            show(item, &format!("{pad}  "), lines);
        }
    } else if let Value::Map(entries) = &node.value {
        for entry in entries {
            lines.push(format!("{pad}{}: {}", entry.line, entry.key));
            show(&entry.node, &format!("{pad}  "), lines);
        }
    } else {
        lines.push(format!("{pad}{}: {:?}", node.line, node.value));
    }
}

#[test]
fn values_have_the_type_in_which_they_are_written() {
    check(
        "a: 1\nb: \"1\"\nc: -7\nd: [true, null, x]\ne: 1.5\nf: 9223372036854775808\n",
        &expect![[r#"
            1: a
              1: Int(1)
            2: b
              2: Text("1")
            3: c
              3: Int(-7)
            4: d
              4: -
                4: Bool(true)
              4: -
                4: Null
              4: -
                4: Text("x")
            5: e
              5: Number("1.5")
            6: f
              6: Number("9223372036854775808")
        "#]],
    );
}

#[test]
fn words_that_readers_understand_differently_are_errors() {
    check(
        "a: no\nb: Yes\nc: 0777\nd: 0x1f\ne: 12:30\nf: 1_000\ng: \"no\"\non: 1\n",
        &expect![[r"
            f.yaml:1: `no` is a boolean to some readers of YAML and a string to others: write `true` or `false`, or quote it
            f.yaml:2: `Yes` is a boolean to some readers of YAML and a string to others: write `true` or `false`, or quote it
            f.yaml:3: `0777` is octal to some readers of YAML: quote it
            f.yaml:4: `0x1f` is a number to some readers of YAML: quote it
            f.yaml:5: `12:30` is a number to some readers of YAML: quote it
            f.yaml:6: `1_000` is a number to some readers of YAML: quote it
            f.yaml:8: `on` is a boolean to some readers of YAML and a string to others: write `true` or `false`, or quote it
        "]],
    );
}

#[test]
fn repeated_keys_are_errors_wherever_they_are() {
    check(
        "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n",
        &expect![[r"
            f.yaml:4: key `c` is already on line 3
            f.yaml:5: key `a` is already on line 1
        "]],
    );
}

#[test]
fn anchors_tags_merge_keys_and_second_documents_are_errors() {
    check(
        "a: &x 1\n",
        &expect![[r"
        f.yaml:1: anchors are not accepted: write the value out where it is used
    "]],
    );
    check(
        "a: *x\n",
        &expect![[r"
        f.yaml:1: not YAML: while parsing node, found unknown anchor
    "]],
    );
    check(
        "a: !!str 1\n",
        &expect![[r"
        f.yaml:1: tags are not accepted: a value's type is how it is written
    "]],
    );
    check(
        "<<: {a: 1}\n",
        &expect![[r"
        f.yaml:1: merge keys are not accepted: write the keys out
    "]],
    );
    check(
        "a: 1\n---\nb: 1\n",
        &expect![[r"
        f.yaml:3: a second document: a file holds one
    "]],
    );
    check(
        "",
        &expect![[r"
        f.yaml:1: the file is empty
    "]],
    );
    check(
        "a: [1\n",
        &expect![[r"
        f.yaml:1: not YAML: unclosed bracket '['
    "]],
    );
    check(
        "? [a]\n: 1\n",
        &expect![[r"
        f.yaml:1: a key must be a string
    "]],
    );
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = |depth: usize| format!("{}1{}\n", "[".repeat(depth), "]".repeat(depth));
    let problems = Problems::default();
    let file = File {
        path: "f.yaml",
        problems: &problems,
    };
    assert!(parse(&file, &deep(YAML_DEPTH_MAX)).is_some());
    assert!(parse(&file, &deep(YAML_DEPTH_MAX + 1)).is_none());
    assert!(parse(&file, &deep(100_000)).is_none());
}
