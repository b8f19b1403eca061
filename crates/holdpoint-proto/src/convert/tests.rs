use holdpoint_receipt::{Caller, Name, Reason};

use super::*;
use crate::v1;

fn operation() -> v1::Operation {
    v1::Operation {
        surface: "demo.echo".to_owned(),
        params_json: br#"{"message":"hello"}"#.to_vec(),
        ..v1::Operation::default()
    }
}

fn parse(operation: v1::Operation) -> Result<Draft, Malformed> {
    Draft::parse(operation, Caller::new("loopback:dev").unwrap())
}

/// Changes one thing of a good operation and checks the refusal.
fn check(change: impl FnOnce(&mut v1::Operation), refusal: &str) {
    let mut changed = operation();
    change(&mut changed);
    assert_eq!(parse(changed).unwrap_err().to_string(), refusal);
}

#[test]
fn action_is_the_one_named_and_else_the_one_given() {
    let action = |name: &str| Name::new(name).unwrap();
    let draft = parse(operation()).unwrap();
    assert_eq!(draft.action, None);
    assert_eq!(draft.with_action(action("echo")).action, action("echo"));
    let named = v1::Operation {
        action: "shout".to_owned(),
        ..operation()
    };
    assert_eq!(
        parse(named).unwrap().with_action(action("echo")).action,
        action("shout")
    );
}

#[test]
fn absent_fields_do_not_enter_the_request() {
    let request = parse(operation())
        .unwrap()
        .with_action(Name::new("echo").unwrap());
    assert_eq!(
        request.to_canonical(),
        r#"{"action":"echo","caller":"loopback:dev","namespace":"default","params":{"message":"hello"},"surface":"demo.echo"}"#
    );
}

#[test]
fn malformed_parameters_are_refused_with_the_field() {
    for (params, problem) in [
        ("{", "json"),
        (r#"{"a":1,"a":2}"#, "`a`"),
        (r#"{"a":1.5}"#, "byte"),
        (r#"{"a":9007199254740992}"#, "byte"),
        ("[]", "an array"),
    ] {
        let changed = v1::Operation {
            params_json: params.into(),
            ..operation()
        };
        let error = parse(changed).unwrap_err();
        assert_eq!(error.field(), "params_json", "{params}: {error}");
        let text = error.to_string().to_lowercase();
        assert!(text.contains(problem), "{params}: {error}");
    }
}

#[test]
fn parameters_beyond_their_size_are_refused() {
    let params = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 * 1024));
    let changed = v1::Operation {
        params_json: params.into_bytes(),
        ..operation()
    };
    assert_eq!(parse(changed).unwrap_err().field(), "params_json");
}

#[test]
fn malformed_names_and_permits_are_refused_with_the_field() {
    check(
        |o| o.surface = String::new(),
        "`surface`: the name is empty",
    );
    check(
        |o| o.namespace = "Default".to_owned(),
        "`namespace`: the name has 'D' at byte 0; accepted are `a` to `z`, `0` to `9`, `.`, `_` and `-`",
    );
    check(
        |o| o.prerequisites = vec!["pmt_1".to_owned()],
        "`prerequisites`: `pmt_1`: not a permit id: give `pmt_` and 26 characters out of `a` to `z` \
         and `2` to `7`",
    );
    let permit = "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    check(
        |o| o.prerequisites = vec![permit.to_owned(), permit.to_owned()],
        &format!("`prerequisites`: `prerequisites` names `{permit}` twice"),
    );
}

#[test]
fn redeem_shows_permit_fence_digest_and_redemption_id() {
    let good = v1::RedeemRequest {
        permit_id: "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        fence: 1,
        request_digest: vec![7; 32],
        redemption_id: "r-1".to_owned(),
        ..v1::RedeemRequest::default()
    };
    let call = RedeemCall::try_from(good.clone()).unwrap();
    assert_eq!(call.named.namespace.as_str(), "default");
    let field = |call: v1::RedeemRequest| RedeemCall::try_from(call).unwrap_err().field();
    assert_eq!(
        field(v1::RedeemRequest {
            request_digest: vec![7; 31],
            ..good.clone()
        }),
        "request_digest"
    );
    assert_eq!(
        field(v1::RedeemRequest {
            redemption_id: String::new(),
            ..good.clone()
        }),
        "redemption_id"
    );
    assert_eq!(
        field(v1::RedeemRequest {
            fence: 1 << 53,
            ..good.clone()
        }),
        "fence"
    );
    assert_eq!(
        field(v1::RedeemRequest {
            permit_id: "41".to_owned(),
            ..good
        }),
        "permit_id"
    );
}

#[test]
fn completion_names_an_outcome_and_only_a_committed_one_has_evidence() {
    let call = |completion: v1::Completion, evidence: usize| {
        CompleteCall::try_from(v1::CompleteRequest {
            permit_id: "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
            completion: completion.into(),
            evidence_digest: vec![1; evidence],
            ..v1::CompleteRequest::default()
        })
    };
    assert_eq!(
        call(v1::Completion::Aborted, 0).unwrap().completed,
        Completed::Aborted
    );
    assert!(matches!(
        call(v1::Completion::Committed, 32).unwrap().completed,
        Completed::Committed { evidence: Some(_) }
    ));
    assert_eq!(
        call(v1::Completion::Aborted, 32).unwrap_err().field(),
        "evidence_digest"
    );
    assert_eq!(
        call(v1::Completion::Committed, 5).unwrap_err().field(),
        "evidence_digest"
    );
    assert_eq!(
        call(v1::Completion::Unspecified, 0).unwrap_err().field(),
        "completion"
    );
}

#[test]
fn reasons_of_the_protocol_are_those_of_the_registry() {
    for reason in Reason::ALL {
        let wire = v1::Reason::try_from(i32::from(reason.code())).unwrap();
        assert_eq!(wire.as_str_name(), format!("REASON_{reason}"));
    }
    let known = (1..=i32::from(u16::MAX)).filter(|code| v1::Reason::try_from(*code).is_ok());
    assert_eq!(known.count(), Reason::ALL.len());
}
