//! Showing what a statement hides, one member at a time.

use holdpoint_receipt::names::{Actor, Caller, Name, SessionId};
use holdpoint_receipt::open::{self, Field, OpenError};
use holdpoint_receipt::request::Params;
use holdpoint_receipt::statement::{Body, DecisionStatement, Verdict, commit};
use holdpoint_receipt::{Request, Salt, Statement};

use crate::fixture::{bodies, decision, grant, namespace, salt, statement};

fn request() -> Request {
    Request {
        namespace: namespace(),
        caller: Caller::new("loopback:ci").unwrap(),
        actor: Some(Actor::new("alice").unwrap()),
        surface: Name::new("infra.apply").unwrap(),
        action: Name::new("apply").unwrap(),
        params: Params::parse(br#"{"workspace":"prod-eu"}"#).unwrap(),
        session: Some(SessionId::new("turn-9").unwrap()),
        step: None,
        prerequisites: vec![],
    }
}

/// A decision about [`request`], committed to as the gate does.
fn stated() -> Statement {
    let body = DecisionStatement {
        request_digest: request().digest(),
        session_commitment: Some(commit(&salt(), "session_commitment", b"turn-9")),
        inputs_digest: commit(&salt(), "inputs_digest", b"facts"),
        ..decision(Verdict::Permit(grant()))
    };
    statement(0, Body::Decision(Box::new(body)))
}

fn shown(statement: &Statement, member: &str, value: &str) -> Result<(), OpenError> {
    let field = Field::of_member(member).unwrap();
    assert_eq!(field.to_string(), member);
    open::field(
        statement,
        &field,
        &salt().of_member(member),
        value.as_bytes(),
    )
}

const SHOWN: [(&str, &str); 7] = [
    ("caller_commitment", "loopback:ci"),
    ("actor_commitment", "alice"),
    ("session_commitment", "turn-9"),
    ("idempotency_key_commitment", "k7"),
    ("inputs_digest", "facts"),
    ("bound.workspace", "workspace/prod-eu"),
    ("bound.plan", "plan/0942c333"),
];

#[test]
fn each_member_is_opened_by_its_value_and_its_own_salt() {
    let statement = stated();
    for (member, value) in SHOWN {
        assert_eq!(shown(&statement, member, value), Ok(()));
        let other = Err(OpenError::AnotherValue(member.to_owned()));
        assert_eq!(shown(&statement, member, "another"), other);
    }
}

/// What was handed out for one member must not let anybody try guesses on another.
#[test]
fn salt_of_one_member_opens_no_other() {
    let statement = stated();
    for (opened, _) in SHOWN {
        for (member, value) in SHOWN.iter().filter(|(member, _)| *member != opened) {
            let field = Field::of_member(member).unwrap();
            let salt = salt().of_member(opened);
            let found = open::field(&statement, &field, &salt, value.as_bytes());
            assert_eq!(found, Err(OpenError::AnotherValue((*member).to_owned())));
        }
    }
    let other = Salt::from_bytes([8; 32]).of_member("caller_commitment");
    let found = open::field(&statement, &Field::Caller, &other, b"loopback:ci");
    assert!(found.is_err());
    assert_eq!(format!("{other:?}"), "MemberSalt");
}

#[test]
fn member_that_the_statement_does_not_have_is_named() {
    let policy = statement(8, bodies().remove(8));
    for member in ["actor_commitment", "bound.plan", "reason_commitment"] {
        let missing = Err(OpenError::NoSuchMember(member.to_owned()));
        assert_eq!(shown(&policy, member, "x"), missing);
    }
    assert_eq!(shown(&policy, "caller_commitment", "loopback:dev"), Ok(()));
    assert_eq!(
        shown(&stated(), "bound.other", "x"),
        Err(OpenError::NoSuchMember("bound.other".to_owned()))
    );
    assert_eq!(Field::of_member("fence"), None);
    assert_eq!(Field::of_member("bound.Plan"), None);
}

/// Every member of every kind that ends in `_commitment` can be opened.
#[test]
fn every_commitment_of_every_kind_of_statement_is_a_field() {
    for body in bodies() {
        let statement = statement(3, body);
        for (member, value) in statement.to_json().as_object().unwrap() {
            let is_commitment = member.ends_with("_commitment") || member.starts_with("bound.");
            if !is_commitment {
                continue;
            }
            let field = Field::of_member(member).unwrap();
            let found = open::field(&statement, &field, &salt().of_member(member), b"\0");
            assert_eq!(
                found,
                Err(OpenError::AnotherValue(member.clone())),
                "{value:?}"
            );
        }
    }
}

#[test]
fn request_is_shown_whole_and_says_what_its_members_were() {
    let (statement, request) = (stated(), request());
    assert_eq!(open::request(&statement, &request), Ok(()));
    for (field, value) in [
        (Field::Caller, "loopback:ci"),
        (Field::Actor, "alice"),
        (Field::Session, "turn-9"),
    ] {
        assert_eq!(field.value_in(&request), Some(value));
        assert_eq!(shown(&statement, &field.member(), value), Ok(()));
    }
    assert_eq!(Field::IdempotencyKey.value_in(&request), None);
    let other = Request {
        params: Params::none(),
        ..request.clone()
    };
    let another = Err(OpenError::AnotherRequest);
    assert_eq!(open::request(&statement, &other), another);
    for (place, body) in bodies().into_iter().enumerate() {
        let has_digest = crate::fixture::statement(0, body.clone())
            .to_canonical()
            .contains("\"request_digest\"");
        let found = open::request(&crate::fixture::statement(0, body), &request);
        let missing = OpenError::NoSuchMember("request_digest".to_owned());
        assert_eq!(found == Err(missing), !has_digest, "body {place}");
    }
}

#[test]
fn each_reason_why_nothing_is_shown_has_its_published_code() {
    let member = || "caller_commitment".to_owned();
    assert_eq!(OpenError::NoSuchMember(member()).code(), "NO_SUCH_MEMBER");
    assert_eq!(OpenError::AnotherValue(member()).code(), "ANOTHER_VALUE");
    assert_eq!(OpenError::AnotherRequest.code(), "BINDING_MISMATCH");
}
