use holdpoint_receipt::{Caller, Name, Request, request::Params as RequestParams};
use proptest::prelude::*;

use super::*;
use crate::schema::Attribute;

fn record() -> Record {
    let required = |ty| Attribute { ty, required: true };
    let inner = Record::from([("id".to_owned(), required(Type::Long))]);
    Record::from([
        ("a".to_owned(), required(Type::String)),
        ("b".to_owned(), required(Type::String)),
        ("workspace".to_owned(), required(Type::String)),
        ("flag".to_owned(), required(Type::Bool)),
        ("at".to_owned(), required(Type::Datetime)),
        ("owner".to_owned(), required(Type::Record(inner))),
        (
            "maybe".to_owned(),
            Attribute {
                ty: Type::String,
                required: false,
            },
        ),
    ])
}

fn parse(source: &str) -> Result<Template, String> {
    let record = record();
    Template::parse(
        source,
        Params {
            type_name: "P",
            record: &record,
        },
    )
}

fn request(members: &[(&str, Json)]) -> Request {
    Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new("loopback:dev").unwrap(),
        actor: None,
        surface: Name::new("s").unwrap(),
        action: Name::new("act").unwrap(),
        params: RequestParams::from_json(Json::object(members.iter().cloned())).unwrap(),
        session: None,
        step: None,
        prerequisites: Vec::new(),
    }
}

fn refusal(source: &str) -> String {
    parse(source).unwrap_err()
}

#[test]
fn placeholders_become_encoded_values() {
    let template = parse("x/{params.a}:{params.owner.id}/{params.flag}/{caller}/{action}").unwrap();
    let request = request(&[
        ("a", Json::str("ä/%{b}")),
        ("owner", Json::object([("id", Json::Int(-7))])),
        ("flag", Json::Bool(true)),
    ]);
    assert_eq!(
        template.render(&request).unwrap(),
        "x/%C3%A4%2F%25%7Bb%7D:-7/true/loopback%3Adev/act"
    );
}

#[test]
fn missing_value_renders_nothing() {
    assert_eq!(parse("x/{params.a}").unwrap().render(&request(&[])), None);
}

#[test]
fn key_has_its_limit_after_encoding() {
    let template = parse("{params.a}").unwrap();
    let key =
        |length: usize| template.render_key(&request(&[("a", Json::str("x".repeat(length)))]));
    assert!(key(512).is_some());
    assert!(key(513).is_none());
    assert!(key(0).is_none());
    let encoded = template.render_key(&request(&[("a", Json::str("/".repeat(171)))]));
    assert!(encoded.is_none(), "513 bytes once encoded");
}

#[test]
fn misspelt_placeholder_is_explained() {
    assert_eq!(
        refusal("w/{params.worksapce}"),
        "uses `{params.worksapce}`, which P does not have (did you mean `workspace`?)"
    );
    assert_eq!(
        refusal("w/{param.a}"),
        "uses `{param.a}`: placeholders are `{params.…}`, `{caller}` and `{action}`"
    );
    assert_eq!(
        refusal("w/{params.maybe}"),
        "uses `{params.maybe}`, which may be missing: make `maybe` required"
    );
    assert!(refusal("w/{params.at}").contains("of type datetime"));
    assert!(refusal("w/{params.owner}").contains("of type { id: Long }"));
    assert!(refusal("w/{params.a.b}").contains("`a` is not a record"));
    assert!(refusal("w/{params.a").contains("without its `}`"));
    assert!(refusal("w/a}").contains("'}'"));
    assert!(refusal("w/ä").contains("printable ASCII"));
    assert!(refusal("w%2F{params.a}").contains("'%'"));
}

#[test]
fn placeholders_need_a_separator_that_no_value_can_hold() {
    for source in [
        "{params.a}{params.b}",
        "{params.a}-{params.b}",
        "{params.a}.x_{params.b}",
    ] {
        assert!(refusal(source).contains("without a separator"), "{source}");
    }
    for source in [
        "{params.a}/{params.b}",
        "{params.a}-:{params.b}",
        "a-{params.a}",
    ] {
        assert!(parse(source).is_ok(), "{source}");
    }
}

proptest! {
    /// The property that keeps two operations apart: whatever the values, different pairs of them
    /// have different keys.
    #[test]
    fn different_values_never_share_a_key(
        a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}",
        source in prop_oneof![
            Just("{params.a}/{params.b}"), Just("x{params.a}a:b{params.b}"), Just("k/{params.a}//{params.b}/"),
        ],
    ) {
        let template = parse(source).unwrap();
        let key = |a: &str, b: &str| {
            template.render(&request(&[("a", Json::str(a)), ("b", Json::str(b))])).unwrap()
        };
        prop_assert_eq!(key(&a, &b) == key(&c, &d), (&a, &b) == (&c, &d));
    }

    /// The same with values made of the characters that matter to the encoding.
    #[test]
    fn tricky_values_never_share_a_key(
        a in "[/:%2Fa]{0,4}", b in "[/:%2Fa]{0,4}", c in "[/:%2Fa]{0,4}", d in "[/:%2Fa]{0,4}",
    ) {
        let template = parse("{params.a}/{params.b}").unwrap();
        let key = |a: &str, b: &str| {
            template.render(&request(&[("a", Json::str(a)), ("b", Json::str(b))])).unwrap()
        };
        prop_assert_eq!(key(&a, &b) == key(&c, &d), (&a, &b) == (&c, &d));
    }
}
