//! `docs/reference/reasons.md` says what the code says.

use std::fmt::Write as _;
use std::path::Path;

use holdpoint_receipt::{Decision, Reason};

fn document() -> String {
    let mut text = String::from(
        "# Reasons\n\n\
         Every answer of the gate carries a reason out of this registry. A name and a code are never\n\
         given a second meaning and never taken back.\n\n\
         `PERMIT`, `DENY` and `SILENCE` are the decisions. A refused redeem, complete, revoke,\n\
         approval, change of policy, of keys or of members, or other call has changed nothing and has no\n\
         receipt.\n\n\
         This page is made from the code (`crates/holdpoint-receipt/src/reason.rs`), and a test compares\n\
         the two. After a change of the code, `HOLDPOINT_BLESS=1 cargo test -p holdpoint-receipt` writes it.\n\n\
         | code | reason | answer | meaning |\n\
         | ---: | --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        let (code, scope, meaning) = (reason.code(), reason.scope().as_str(), reason.sentence());
        writeln!(text, "| {code} | `{reason}` | {scope} | {meaning} |").unwrap();
    }
    text
}

#[test]
fn published_registry_is_the_one_in_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/reasons.md");
    if std::env::var_os("HOLDPOINT_BLESS").is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == document(),
        "{} differs from the code; write it with `HOLDPOINT_BLESS=1 cargo test -p holdpoint-receipt`",
        path.display()
    );
}

#[test]
fn every_decision_has_a_reason_and_refusals_have_no_decision() {
    let decision = |reason: Reason| reason.decision();
    assert_eq!(decision(Reason::Granted), Some(Decision::Permit));
    assert_eq!(decision(Reason::BoundHeld), Some(Decision::Deny));
    assert_eq!(decision(Reason::NoQuorum), Some(Decision::Silence));
    assert_eq!(decision(Reason::AlreadyRedeemed), None);
    assert_eq!(decision(Reason::VersionConflict), None);
    assert_eq!(decision(Reason::NotApprover), None);
    assert_eq!(decision(Reason::KeysPending), None);
}
