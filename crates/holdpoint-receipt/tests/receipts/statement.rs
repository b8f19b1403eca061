use holdpoint_receipt::json::Json;
use holdpoint_receipt::names::Name;
use holdpoint_receipt::statement::{
    BOUNDS_MAX, Body, BoundCommitments, BoundsError, PermitStep, Place, STATEMENT_BYTES_MAX,
    Statement, StatementError, StatementText, Verdict, commit,
};
use holdpoint_receipt::{Reason, sha256};

use crate::fixture::{bodies, decision, grant, salt, statement, step};

/// Golden: receipts that name these hashes exist for ever.
#[test]
fn canonical_statement_and_its_hash_never_change() {
    let permit = statement(0, bodies().remove(0));
    // `head -1 statements.jsonl | tr -d '\n' | sha256sum`
    assert_eq!(
        permit.receipt_hash().to_string(),
        "3080980ddf22fe029291f164de70b9275c8263ea0ef5300d9c7c68f6c76e965c"
    );
    let all: Vec<String> = bodies()
        .into_iter()
        .zip(0..)
        .map(|(body, leaf_index)| statement(leaf_index, body).to_canonical() + "\n")
        .collect();
    assert_eq!(all.concat(), include_str!("golden/statements.jsonl"));
}

#[test]
fn every_kind_of_statement_reads_back() {
    for (body, is_dev) in bodies().into_iter().zip([true, false].into_iter().cycle()) {
        let statement = Statement {
            is_dev,
            ..statement(5, body)
        };
        let canonical = statement.to_canonical();
        assert_eq!(
            Statement::parse(canonical.as_bytes()).as_ref(),
            Ok(&statement)
        );
        assert_eq!(statement.receipt_hash(), sha256(canonical.as_bytes()));
    }
}

/// The profile in which all JSON writers agree: no escapes, no nesting, no null, no signs.
#[test]
fn every_statement_is_flat_printable_ascii_without_escapes() {
    for body in bodies() {
        let statement = statement(0, body);
        assert!(
            statement
                .to_canonical()
                .chars()
                .all(|c| matches!(c, ' '..='~') && c != '\\')
        );
        for (member, value) in statement.to_json().as_object().unwrap() {
            let fits = match value {
                Json::Str(text) => !text.contains('"'),
                Json::Int(value) => *value >= 0,
                Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => false,
            };
            assert!(fits, "{member}: {value:?}");
        }
    }
}

#[test]
fn largest_statement_fits_its_limit() {
    let longest = |fill: &str| Name::new(fill.repeat(Name::BYTES_MAX)).unwrap();
    let text = || StatementText::new("x".repeat(StatementText::BYTES_MAX)).unwrap();
    let mut largest = decision(Verdict::Permit(grant()));
    largest.bounds = BoundCommitments::default();
    for fill in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        largest
            .bounds
            .commit(&salt(), &longest(fill), "key")
            .unwrap();
    }
    assert_eq!(
        largest.bounds.commit(&salt(), &longest("i"), "key"),
        Err(BoundsError::TooMany),
        "{BOUNDS_MAX} is the maximum"
    );
    largest.surface = longest("s");
    largest.action = longest("a");
    largest.session_commitment = Some(sha256(b"session"));
    largest.approvals_digest = Some(sha256(b"approvals"));
    largest.evaluator = text();
    largest.policy_codes = Some(text());
    largest.policy_ids = Some(text());
    let max = (1 << 53) - 1;
    let largest = Statement {
        namespace: longest("n"),
        place: Place::new(max, max, max, u32::MAX).unwrap(),
        is_dev: true,
        ..statement(0, Body::Decision(Box::new(largest)))
    };
    // Room for the numbers that this one has in fewer digits than they can have.
    assert!(largest.to_canonical().len() + 100 <= STATEMENT_BYTES_MAX);
    assert_eq!(
        Statement::parse(largest.to_canonical().as_bytes()),
        Ok(largest)
    );
}

#[test]
fn statement_in_another_form_is_refused() {
    let check = |from: &str, to: &str, error: StatementError| {
        let text = statement(0, bodies().remove(0))
            .to_canonical()
            .replacen(from, to, 1);
        assert_eq!(Statement::parse(text.as_bytes()), Err(error), "{to}");
    };
    let value = |member: &str| StatementError::Value(member.to_owned());
    check("statement/1", "statement/2", value("schema"));
    check(
        "\"kind\":\"decision\",",
        "",
        StatementError::Missing("kind"),
    );
    check("\"decision\",", "\"verdict\",", value("kind"));
    check("\"PERMIT\"", "\"SILENCE\"", value("decision"));
    check("\"PERMIT\"", "\"DENY\"", value("decision"));
    check("\"GRANTED\"", "\"POLICY\"", value("decision"));
    check("\"fence\":41", "\"fence\":-41", value("fence"));
    check("\"fence\":41", "\"fence\":\"41\"", value("fence"));
    check("\"fence\":41", "\"fence\":null", value("fence"));
    check(
        "\"entry_place\":3",
        "\"entry_place\":4294967296",
        value("entry_place"),
    );
    check("\"fence\"", "\"fences\"", StatementError::Missing("fence"));
    check(
        "{",
        "{\"a\":1,",
        StatementError::UnknownMember("a".to_owned()),
    );
    check("bound.plan", "bound.Plan", value("bound.Plan"));
    check("{", "{ ", StatementError::NotCanonical);
    check("cedar", "c\\u0065dar", StatementError::NotCanonical);
    check("cedar", "c\u{e9}dar", value("evaluator"));
    assert_eq!(Statement::parse(b"[]"), Err(StatementError::NotAnObject));
    let nested = Statement::parse(br#"{"a":{}}"#).unwrap_err().to_string();
    assert_eq!(
        nested,
        "invalid JSON at byte 5: nested deeper than 1 levels"
    );
    let long = " ".repeat(STATEMENT_BYTES_MAX + 1);
    assert!(matches!(
        Statement::parse(long.as_bytes()),
        Err(StatementError::Json(_))
    ));
}

#[test]
fn kind_of_statement_has_only_its_own_members() {
    let superseded = statement(0, Body::Superseded(step())).to_canonical();
    let text = superseded.replace("superseded", "redeemed");
    let missing = StatementError::Missing("redemption_commitment");
    assert_eq!(Statement::parse(text.as_bytes()), Err(missing));
    let completed = statement(0, bodies().remove(3)).to_canonical();
    let text = completed.replace("\"completed\"", "\"revoked\"");
    let unknown = StatementError::UnknownMember("evidence_digest".to_owned());
    assert_eq!(Statement::parse(text.as_bytes()), Err(unknown));
}

#[test]
fn place_beyond_what_json_keeps_exact_is_refused() {
    assert!(Place::new(1 << 53, 0, 0, 0).is_err());
    assert!(Place::new(0, 1 << 53, 0, 0).is_err());
    assert_eq!(
        Place::new(0, 0, 1 << 53, 0).unwrap_err().to_string(),
        "the log term must be a whole number from 0 to 9007199254740991 (2^53-1)"
    );
}

#[test]
fn commitment_depends_on_salt_member_and_value() {
    let base = commit(&salt(), "caller_commitment", b"loopback:ci");
    let other_salt = holdpoint_receipt::Salt::from_bytes([8; 32]);
    assert_ne!(
        base,
        commit(&other_salt, "caller_commitment", b"loopback:ci")
    );
    assert_ne!(base, commit(&salt(), "actor_commitment", b"loopback:ci"));
    assert_ne!(base, commit(&salt(), "caller_commitment", b"loopback:cd"));
    assert_eq!(format!("{:?}", salt()), "Salt");
}

#[test]
fn bound_named_twice_is_refused() {
    let mut bounds = BoundCommitments::default();
    let name = Name::new("plan").unwrap();
    bounds.insert(name.clone(), sha256(b"a")).unwrap();
    assert_eq!(
        bounds.insert(name.clone(), sha256(b"b")),
        Err(BoundsError::Twice(name))
    );
}

#[test]
fn any_text_can_be_made_to_fit_a_statement() {
    let check = |text: &str, fitted: &str| {
        let found = StatementText::lossy(text);
        assert_eq!(found.as_str(), fitted);
        assert_eq!(StatementText::new(found.as_str()), Some(found));
    };
    check("tf.reviewed-plan", "tf.reviewed-plan");
    check("", "-");
    check("a\"b\\c\n\u{e9}", "a?b?c??");
    check(&"x".repeat(256), &"x".repeat(256));
    check(&"\u{1f600}".repeat(300), &format!("{}...", "?".repeat(253)));
    for bad in ["", "a\"", "\\", "\n", "\u{e9}", &"x".repeat(257)] {
        assert_eq!(StatementText::new(bad), None);
    }
}

#[test]
fn decision_names_the_permit_and_a_denial_names_none() {
    let mut bodies = bodies().into_iter();
    assert_eq!(bodies.next().unwrap().permit_id(), Some(grant().permit_id));
    let Some(Body::Decision(denied)) = bodies.next() else {
        panic!("a decision")
    };
    assert_eq!(denied.verdict.reason(), Reason::BoundHeld);
    assert_eq!(Body::Decision(denied).permit_id(), None);
    let released = Body::Released {
        step: PermitStep { ..step() },
        reason_commitment: None,
    };
    assert_eq!(released.permit_id(), Some(grant().permit_id));
}
