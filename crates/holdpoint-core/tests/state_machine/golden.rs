//! The bytes that stand on disks and in logs, one of every kind.
//!
//! A change here is a change of the format: nodes of the build before cannot read it. New meaning
//! gets a new variant at the end of its table instead.

mod context;
mod keys;
mod outcomes;
mod records;
mod signing;

use std::fmt::Write as _;
use std::path::Path;

use expect_test::{Expect, expect};
use holdpoint_core::codec::{decode_command, decode_entry, encode_command, encode_entry};
use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, AnnounceNode, ApprovalFact, ApprovalName, Authorize,
    BoundClaim, Complete, CompletionResult, Evaluation, Facts, RaiseFeatureLevel, Redeem, Release,
    Revoke, Verdict,
};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::{ActivePolicy, PermitState};
use holdpoint_core::{Command, Entry, GroupId};
use holdpoint_receipt::{
    Actor, BoundKey, Digest, Fence, IdempotencyKey, PermitId, PolicyVersion, Reason, RedemptionId,
    Salt, SessionId, StepId,
};

use crate::world::{bootstrap, caller, default_namespace, name, node, put, step_time, time};

/// Bytes as text: printable runs in quotes, others in hexadecimal.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut is_open = false;
    for byte in bytes {
        let is_text = byte.is_ascii_graphic() && *byte != b'"';
        if is_text != is_open {
            text.push('"');
            is_open = is_text;
        }
        if is_text {
            text.push(char::from(*byte));
        } else {
            write!(text, "{byte:02x}").unwrap();
        }
    }
    if is_open {
        text.push('"');
    }
    // 32 equal bytes are a filler of this test.
    for filler in ["d1", "d2", "a1", "a2", "a3"] {
        text = text.replace(&filler.repeat(32), &format!("({filler}*32)"));
        text = text.replace(&filler.repeat(16), &format!("({filler}*16)"));
    }
    text
}

fn check(lines: &[(&str, Vec<u8>)], expected: &Expect) {
    compare(lines, expected);
    for (what, bytes) in lines {
        seeds_the_fuzzer(what, bytes);
    }
}

fn compare(lines: &[(&str, Vec<u8>)], expected: &Expect) {
    let mut text = String::new();
    for (what, bytes) in lines {
        writeln!(text, "{what}: {}", shown(bytes)).unwrap();
    }
    expected.assert_eq(&text);
}

/// The fuzzers begin with these bytes, and nothing else would notice a seed of an older format.
#[expect(
    clippy::disallowed_methods,
    reason = "the crate may not read its environment; what writes its seeds may"
)]
fn seeds_the_fuzzer(what: &str, bytes: &[u8]) {
    let name = what.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/decode");
    let path = folder.join(&name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, bytes).unwrap();
        return;
    }
    assert!(
        std::fs::read(path).is_ok_and(|seed| seed == bytes),
        "fuzz/corpus/decode/{name} is not {what:?} as it is encoded now; \
         with UPDATE_EXPECT=1 this test writes it"
    );
}

const DIGEST: Digest = Digest::from_bytes([0xd1; 32]);
const OTHER_DIGEST: Digest = Digest::from_bytes([0xd2; 32]);
const PERMIT: PermitId = PermitId::from_bytes([0xa1; 16]);
const SALT: Salt = Salt::from_bytes([0xa2; 32]);

fn fence(counter: u64) -> Fence {
    Fence::new(counter).unwrap()
}

fn version(number: u64) -> PolicyVersion {
    PolicyVersion::new(number).unwrap()
}

fn policy() -> ActivePolicy {
    ActivePolicy {
        version: version(3),
        digest: DIGEST,
    }
}

fn claim() -> BoundClaim {
    BoundClaim {
        name: name("invoice"),
        kind: BoundKind::Once {
            kept_for_ms: Some(3_600_000),
        },
        key: BoundKey::new("invoice/7").unwrap(),
        amount: 1,
    }
}

fn bounds() -> Vec<BoundOutline> {
    let bound = |text: &str, kind, field: Option<&str>| BoundOutline {
        name: name(text),
        kind,
        template: format!("{text}/{{params.{text}}}"),
        field: field.map(str::to_owned),
    };
    let spent = BoundKind::Budget {
        limit: 5_000_000,
        window_ms: 86_400_000,
    };
    vec![
        bound("account", BoundKind::Exclusive, None),
        bound("slots", BoundKind::Capacity { limit: 3 }, None),
        bound("spent", spent, Some("amount")),
    ]
}

fn surface() -> SurfaceOutline {
    SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: bounds(),
        executors: vec![Executor::Caller, Executor::Principal(caller("runner"))],
        permit_for_ms: 600_000,
        complete_within_ms: 3_600_000,
        honor_issued: true,
        offline: false,
        release_after_ms: Some(7_200_000),
    }
}

fn approval() -> ApprovalName {
    ApprovalName {
        quorum: name("four-eyes"),
        subject: DIGEST,
        approver: caller("dave"),
    }
}

fn evaluation() -> Evaluation {
    Evaluation {
        policy_version: version(3),
        policy_digest: DIGEST,
        evaluator_version: 1,
        evaluated_at: time(5_000),
        facts: Facts {
            frozen: false,
            draining: true,
            session_closed: false,
            approvals: vec![ApprovalFact {
                name: approval(),
                leaf: 290,
                spends: true,
            }],
            prerequisites: vec![Some(PermitState::Committed), None],
            supersedes: Some(PERMIT),
        },
        verdict: Verdict::Permit {
            policies: vec!["allow".to_owned()],
        },
        claims: vec![claim()],
    }
}

fn authorize(evaluation: Option<Evaluation>) -> Command {
    Command::Authorize(Box::new(Authorize {
        namespace: default_namespace(),
        caller: caller("alice"),
        idempotency_key: IdempotencyKey::new("k1").unwrap(),
        not_after: time(605_000),
        wait_until: Some(time(65_000)),
        request: b"{}".to_vec(),
        request_digest: OTHER_DIGEST,
        surface: name("pay"),
        action: name("do"),
        actor: Some(Actor::new("carol").unwrap()),
        session: Some(SessionId::new("s").unwrap()),
        step: Some(StepId::new("2").unwrap()),
        prerequisites: vec![PERMIT, PermitId::from_bytes([0xa3; 16])],
        evaluation,
        salt: SALT,
    }))
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let announce = AnnounceNode {
        node: node(2),
        incarnation: [0xa1; 16],
        log_key: [0xd1; 32],
        cosign_key: [0xd2; 32],
        feature_level_max: 1,
        evaluator_version: 1,
    };
    let activate = ActivatePolicy {
        namespace: default_namespace(),
        digest: DIGEST,
        expected: version(2),
        evaluator_version: 1,
        mode: ActivationMode::Drain,
        principal: caller("admin"),
        salt: SALT,
    };
    let denied = Evaluation {
        verdict: Verdict::Deny {
            reason: Reason::Policy,
            codes: vec!["TOO_LATE".to_owned()],
            policies: vec!["forbid".to_owned()],
        },
        claims: Vec::new(),
        facts: Facts::default(),
        ..evaluation()
    };
    [
        ("bootstrap", bootstrap()),
        ("step time", step_time(1_000_000)),
        ("announce node", Command::AnnounceNode(announce)),
        (
            "raise feature level",
            Command::RaiseFeatureLevel(RaiseFeatureLevel { to: 2 }),
        ),
        ("put policy", put("p", vec![surface()])),
        ("activate policy", Command::ActivatePolicy(activate)),
        ("authorize, permitted", authorize(Some(evaluation()))),
        ("authorize, denied", authorize(Some(denied))),
        ("authorize, lookup", authorize(None)),
    ]
    .into_iter()
    .chain(permit_commands())
    .chain(context::commands())
    .chain(signing::commands())
    .collect()
}

fn permit_commands() -> Vec<(&'static str, Command)> {
    let redeem = Redeem {
        namespace: default_namespace(),
        permit: PERMIT,
        principal: caller("runner"),
        fence: fence(41),
        request_digest: OTHER_DIGEST,
        redemption_id: RedemptionId::new("r1").unwrap(),
        salt: SALT,
    };
    let complete = |result| {
        Command::Complete(Complete {
            namespace: default_namespace(),
            permit: PERMIT,
            principal: caller("runner"),
            operator: false,
            result,
            reason: Some("seen".to_owned()),
            salt: SALT,
        })
    };
    let revoke = Revoke {
        namespace: default_namespace(),
        permit: PERMIT,
        principal: caller("admin"),
        operator: true,
        salt: SALT,
    };
    let release = Release {
        namespace: default_namespace(),
        permit: PERMIT,
        principal: caller("admin"),
        operator: true,
        reason: Some("gone".to_owned()),
        salt: SALT,
    };
    let committed = CompletionResult::Committed {
        evidence: Some(DIGEST),
    };
    vec![
        ("redeem", Command::Redeem(redeem)),
        ("complete, committed", complete(committed)),
        ("complete, aborted", complete(CompletionResult::Aborted)),
        ("revoke", Command::Revoke(revoke)),
        ("release", Command::Release(release)),
    ]
}

#[test]
fn commands_and_entries_have_these_bytes() {
    let mut lines: Vec<(&str, Vec<u8>)> = Vec::new();
    for (what, command) in commands() {
        let bytes = encode_command(&command).unwrap();
        assert_eq!(decode_command(&bytes).unwrap(), command, "{what}");
        lines.push((what, bytes));
    }
    let entry = Entry {
        group: GroupId::FIRST,
        time: time(1_700_000_000_000),
        commands: vec![Command::RaiseFeatureLevel(RaiseFeatureLevel { to: 2 })],
    };
    let bytes = encode_entry(&entry).unwrap();
    assert_eq!(decode_entry(&bytes).unwrap(), entry);
    lines.push(("entry", bytes));
    check(
        &lines,
        &expect![[r#"
            bootstrap: 010107070707070707070707070707070707000301020300
            step time: 01020201fc"@B"0f0003fc"GB"0f00
            announce node: 010302(a1*16)(d1*32)(d2*32)0101
            raise feature level: 010402
            put policy: 010507"default"148de9c5a7a4"M"19e5"l"d9ae1a"UK"f6"xG"afb0c58f"n"12fa")"ac"}"dfca99"@"01"p"0103"pay"0102"do"0307"account"0118"account/{params.account}"0005"slots"030314"slots/{params.slots}"0005"spent"04fc"@KL"00fc00"\&"0514"spent/{params.spent}"0106"amount"02010206"runner"fcc0"'"0900fc80ee"6"00010001fc00dd"m"0005"admin"
            activate policy: 010607"default"(d1*32)02010205"admin"(a2*32)
            authorize, permitted: 010707"default"05"alice"02"k1"fc"H;"090001fbe8fd02"{}"(d2*32)03"pay"02"do"0105"carol"0101"s"0101"2"02(a1*16)(a3*16)0103(d1*32)01fb88130001000109"four-eyes"(d1*32)04"dave"fb2201010201030001(a1*16)010105"allow"0107"invoice"0201fc80ee"6"0009"invoice/7"01(a2*32)
            authorize, denied: 010707"default"05"alice"02"k1"fc"H;"090001fbe8fd02"{}"(d2*32)03"pay"02"do"0105"carol"0101"s"0101"2"02(a1*16)(a3*16)0103(d1*32)01fb881300000000000002c80108"TOO_LATE"0106"forbid"00(a2*32)
            authorize, lookup: 010707"default"05"alice"02"k1"fc"H;"090001fbe8fd02"{}"(d2*32)03"pay"02"do"0105"carol"0101"s"0101"2"02(a1*16)(a3*16)00(a2*32)
            redeem: 010807"default"(a1*16)06"runner)"(d2*32)02"r1"(a2*32)
            complete, committed: 010907"default"(a1*16)06"runner"000101(d1*32)0104"seen"(a2*32)
            complete, aborted: 010907"default"(a1*16)06"runner"00020104"seen"(a2*32)
            revoke: 010a07"default"(a1*16)05"admin"01(a2*32)
            release: 010b07"default"(a1*16)05"admin"010104"gone"(a2*32)
            approve: 010c07"default"09"four-eyes"(d1*32)04"dave"03"pay"03(d1*32)fc00"\&"05(a2*32)
            revoke approval: 010d07"default"09"four-eyes"(d1*32)04"dave"05"admin"01(a2*32)
            ask approval: 010e07"default"02"{}"(d2*32)05"alice"03(d1*32)0109"four-eyes"02"{}"(d1*32)02
            close session: 010f07"default"01"s"05"alice"00(a2*32)
            freeze a namespace: 011007"default"000105"admin"(a2*32)
            freeze a surface: 011007"default"0103"pay"0105"admin"(a2*32)
            leave queue: 011107"default"010905"alice"02"k1"
            cancel drain: 011207"default"05"admin"(a2*32)
            set shadow: 011307"default"02(d1*32)(d2*32)
            delete policy: 011407"default"(d1*32)
            set retention: 011507"default"01fc00b8"L"0a01fc00b8"L"0a0001fc0014"s"0f
            sweep: 011607"default"(a2*32)
            rotate keys: 011702(a2*32)(a3*32)(d1*32)(d2*32)05"admin"(a2*32)
            retire keys: 01180205"admin"(a2*32)
            revoke keys: 011902(d1*32)(d2*32)fb180105"admin"(a2*32)
            require signers: 011a010205"admin"(a2*32)
            record handover: 011b07"default"fb"+"0104"note"
            dispute: 011c07"default"fb","010201(a2*32)
            erase a permit's: 011d07"default"01(a1*16)05"admin"01(d1*32)(a2*32)
            erase a denial's: 011d07"default"02fb","0105"admin"00(a2*32)
            entry: 0100fd00"h"e5cf8b010000010402
        "#]],
    );
}
