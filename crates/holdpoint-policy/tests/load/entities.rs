//! Mistakes in the entities file.

use expect_test::expect;

use crate::{SCHEMA, with};

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
                "entity Environment in [Team] { tier: String, next?: Environment };",
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
