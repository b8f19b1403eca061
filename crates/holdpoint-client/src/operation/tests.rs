use holdpoint_receipt::sha256;

use super::*;

fn end() -> ClusterTime {
    ClusterTime::new(1_795_356_725_231).unwrap()
}

fn canonical(operation: &Operation) -> String {
    let caller = Caller::new("loopback:dev").unwrap();
    operation
        .request("default", caller, "apply")
        .unwrap()
        .to_canonical()
}

#[test]
fn every_field_stands_in_the_canonical_request() {
    let permit = PermitId::from_bytes([7; 16]);
    let operation = Operation::new("infra.apply")
        .action("destroy")
        .namespace("team-a")
        .param("count", 3)
        .param("force", true)
        .param("workspace", "prod-eu")
        .bind_sha256("plan", sha256(b"plan"))
        .actor("ann")
        .session("s-1")
        .step(2)
        .prerequisite(permit);
    assert_eq!(
        canonical(&operation),
        format!(
            "{{\"action\":\"destroy\",\"actor\":\"ann\",\"caller\":\"loopback:dev\",\
             \"namespace\":\"team-a\",\"params\":{{\"count\":3,\"force\":true,\
             \"plan_sha256\":\"{}\",\"workspace\":\"prod-eu\"}},\"prerequisites\":[\"{permit}\"],\
             \"session\":\"s-1\",\"step\":\"2\",\"surface\":\"infra.apply\"}}",
            sha256(b"plan")
        )
    );
}

#[test]
fn what_is_not_named_is_the_gates() {
    let operation = Operation::new("infra.apply").step(0);
    assert_eq!(
        canonical(&operation),
        "{\"action\":\"apply\",\"caller\":\"loopback:dev\",\"namespace\":\"default\",\
         \"params\":{},\"surface\":\"infra.apply\"}"
    );
    let team_a = Name::new("team-a").unwrap();
    assert_eq!(operation.to_wire(&team_a).unwrap().namespace, "team-a");
    assert_eq!(
        operation
            .namespace("team-b")
            .to_wire(&team_a)
            .unwrap_err()
            .to_string(),
        "the operation is for namespace `team-b`, the gate for `team-a`; connect to that"
    );
}

#[test]
fn wire_and_canonical_request_say_the_same_parameters() {
    let operation = Operation::new("s")
        .param("b", "\u{e9}\n")
        .param("a", Json::Array(Vec::new()));
    let wire = operation.to_wire(&Name::new("default").unwrap()).unwrap();
    let params = String::from_utf8(wire.params_json).unwrap();
    assert!(canonical(&operation).contains(&format!("\"params\":{params}")));
}

#[test]
fn field_that_does_not_fit_is_named() {
    let check = |operation: Operation, sentence: &str| {
        assert_eq!(operation.check().unwrap_err().to_string(), sentence);
    };
    let good = || Operation::new("infra.apply");
    assert!(good().check().is_ok());
    check(Operation::new(""), "`surface`: the name is empty");
    check(good().key(""), "`key`: the idempotency key is empty");
    check(
        good().key("k".repeat(129)),
        "`key`: the idempotency key has 129 bytes, at most 128 are accepted",
    );
    check(
        good().param("n", 1_u64 << 63),
        "`n` is 9223372036854775808, which is beyond ±9007199254740991 (2^53-1); \
         give it as a string",
    );
    check(
        good().param("n", 1_i64 << 53),
        "`params` holds the integer 9007199254740992, which is beyond ±9007199254740991 (2^53-1)",
    );
    let permit = PermitId::from_bytes([7; 16]);
    check(
        good().prerequisite(permit).prerequisite(permit),
        &format!("`prerequisites` names `{permit}` twice"),
    );
}

#[test]
fn attempt_is_named_once_and_a_change_names_another() {
    let operation = Operation::new("infra.apply");
    assert_eq!(operation.attempt_key(), None);
    let attempt = operation.attempt(end()).unwrap();
    assert_eq!(operation.attempt_key(), Some(attempt.key().as_str()));
    let later = ClusterTime::new(end().get() + 1).unwrap();
    assert_eq!(operation.attempt(later).unwrap().not_after(), end());
    let clone = operation.clone();
    assert!(Arc::ptr_eq(&clone.attempt(later).unwrap(), &attempt));
    let changed = operation.param("a", 1);
    assert_eq!(changed.attempt_key(), None);
    assert_ne!(changed.attempt(later).unwrap().key(), attempt.key());
}

#[test]
fn given_key_and_end_are_kept() {
    let operation = Operation::new("infra.apply").key("k").not_after(end());
    assert_eq!(operation.attempt_key(), Some("k"));
    let attempt = operation.attempt(ClusterTime::MAX).unwrap();
    assert_eq!((attempt.key().as_str(), attempt.not_after()), ("k", end()));
}
