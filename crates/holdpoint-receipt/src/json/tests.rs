use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: Result<&str, JsonProblem>) {
    let found = Json::parse(text.as_bytes()).map(|value| value.to_canonical());
    match expected {
        Ok(canonical) => assert_eq!(found.as_deref(), Ok(canonical), "{text}"),
        Err(problem) => assert_eq!(found.map_err(|e| e.problem), Err(problem), "{text}"),
    }
}

#[test]
fn numbers_that_are_not_exact_integers_are_refused() {
    check("9007199254740991", Ok("9007199254740991"));
    check("-9007199254740991", Ok("-9007199254740991"));
    check("0", Ok("0"));
    for text in [
        "9007199254740992",
        "-9007199254740992",
        "99999999999999999999999999",
    ] {
        check(text, Err(JsonProblem::IntegerTooLarge));
    }
    for text in ["1.0", "1e3", "1E3", "-0.0", "0e0", "9007199254740993.5"] {
        check(text, Err(JsonProblem::Float));
    }
    check("-0", Err(JsonProblem::NegativeZero));
    check("01", Err(JsonProblem::LeadingZero));
    check("-01", Err(JsonProblem::LeadingZero));
    check(
        "+1",
        Err(JsonProblem::Expected {
            expected: "a value",
        }),
    );
    check("-", Err(JsonProblem::UnexpectedEnd));
    check(
        "NaN",
        Err(JsonProblem::Expected {
            expected: "a value",
        }),
    );
}

#[test]
fn duplicate_keys_are_refused_in_any_spelling() {
    let duplicate = |key: &str| {
        Err(JsonProblem::DuplicateKey {
            key: key.to_owned(),
        })
    };
    check(r#"{"a":1,"a":1}"#, duplicate("a"));
    check(r#"{"a":1,"\u0061":2}"#, duplicate("a"));
    check(r#"{"x":{"é":1,"\u00e9":2}}"#, duplicate("é"));
    check(r#"[{"a":1},{"a":1}]"#, Ok(r#"[{"a":1},{"a":1}]"#));
}

#[test]
fn lone_surrogates_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
    ] {
        check(text, Err(JsonProblem::LoneSurrogate));
    }
    check(r#""\ud83d\ude00""#, Ok("\"\u{1f600}\""));
    check(r#""\uD83D\uDE00""#, Ok("\"\u{1f600}\""));
}

#[test]
fn only_utf8_is_read() {
    let found = Json::parse(b"\"\xff\"").unwrap_err();
    assert_eq!(
        found,
        JsonError {
            offset: 1,
            problem: JsonProblem::NotUtf8
        }
    );
    // A surrogate encoded as if it were a character.
    assert_eq!(
        Json::parse(b"\"\xed\xa0\x80\"").unwrap_err().problem,
        JsonProblem::NotUtf8
    );
    check(
        "\u{feff}1",
        Err(JsonProblem::Expected {
            expected: "a value",
        }),
    );
}

#[test]
fn depth_beyond_the_limit_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(16), Ok(&nested(16)));
    check(&nested(17), Err(JsonProblem::TooDeep { depth_max: 16 }));
    check(
        &"[".repeat(60_000),
        Err(JsonProblem::TooDeep { depth_max: 16 }),
    );
    check(
        &r#"{"a":"#.repeat(10_000),
        Err(JsonProblem::TooDeep { depth_max: 16 }),
    );
}

#[test]
fn size_beyond_the_limit_is_refused() {
    let text = format!("\"{}\"", "x".repeat(64 * 1024 - 2));
    check(&text, Ok(&text));
    let longer = format!(" {text}");
    check(
        &longer,
        Err(JsonProblem::TooLong {
            bytes: 65_537,
            bytes_max: 65_536,
        }),
    );
}

#[test]
fn what_json_does_not_have_is_refused() {
    check("", Err(JsonProblem::UnexpectedEnd));
    check("1 2", Err(JsonProblem::TrailingData));
    check("{} x", Err(JsonProblem::TrailingData));
    check(
        "[1,]",
        Err(JsonProblem::Expected {
            expected: "a value",
        }),
    );
    check(
        "[1 2]",
        Err(JsonProblem::Expected {
            expected: "`,` or `]`",
        }),
    );
    check(
        r#"{"a":1,}"#,
        Err(JsonProblem::Expected {
            expected: "a key in double quotes",
        }),
    );
    check(
        "{'a':1}",
        Err(JsonProblem::Expected {
            expected: "a key in double quotes",
        }),
    );
    check(r#"{"a" 1}"#, Err(JsonProblem::Expected { expected: "`:`" }));
    check(
        "tru",
        Err(JsonProblem::Expected {
            expected: "a value",
        }),
    );
    check("truex", Err(JsonProblem::TrailingData));
    check("\"a\nb\"", Err(JsonProblem::ControlCharacter));
    check(r#""\x""#, Err(JsonProblem::UnknownEscape));
    check(
        r#""\u12g4""#,
        Err(JsonProblem::Expected {
            expected: "four hexadecimal digits",
        }),
    );
    check(r#"{"a":"#, Err(JsonProblem::UnexpectedEnd));
    check("\"abc", Err(JsonProblem::UnexpectedEnd));
    check(
        "// no\n1",
        Err(JsonProblem::Expected {
            expected: "a value",
        }),
    );
}

/// The example of RFC 8785 section 3.2.2, without its floats.
#[test]
fn strings_and_literals_are_written_as_in_rfc_8785() {
    check(
        r#"{"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
        Ok("{\"literals\":[null,true,false],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"),
    );
    check(
        r#""\b\f\n\r\t\u0000\u007f""#,
        Ok("\"\\b\\f\\n\\r\\t\\u0000\u{7f}\""),
    );
}

/// The example of RFC 8785 section 3.2.3: an emoji sorts before U+FB33, because of UTF-16.
#[test]
fn keys_are_ordered_by_their_utf16_code_units() {
    check(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
            "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control",
            "\u00f6":"Latin Small Letter O With Diaeresis"}"#,
        Ok(
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
            \"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\
            \"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
        ),
    );
}

fn any_json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-INT_MAX..=INT_MAX).prop_map(Json::Int),
        any::<String>().prop_map(Json::Str),
    ];
    scalar.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Json::Object),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_form_reads_back_as_the_same_value(value in any_json()) {
        let canonical = value.to_canonical();
        let read = Json::parse(canonical.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&value));
        prop_assert_eq!(read.unwrap().to_canonical(), canonical);
    }

    #[test]
    fn no_input_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Json::parse(&bytes);
    }

    #[test]
    fn no_json_like_input_makes_the_parser_panic(text in r#"[\[\]{}",:\\u0-9a-f.eE+\- tn]{0,60}"#) {
        let _ = Json::parse(text.as_bytes());
    }
}
