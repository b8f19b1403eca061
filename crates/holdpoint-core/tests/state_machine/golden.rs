//! The bytes that stand on disks and in logs, one of every kind.
//!
//! A change here is a change of the format: nodes of the build before cannot read it. New meaning
//! gets a new variant at the end of its table instead.

mod outcomes;
mod records;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use holdpoint_core::codec::{decode_command, decode_entry, encode_command, encode_entry};
use holdpoint_core::command::{
    ActivatePolicy, AnnounceNode, Authorize, BoundClaim, Complete, CompletionResult, Evaluation,
    Facts, RaiseFeatureLevel, Redeem, Revoke, Verdict,
};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::{ActivePolicy, PermitState};
use holdpoint_core::{Command, Entry, GroupId, KeySpace, Kind};
use holdpoint_receipt::{
    Actor, BoundKey, Digest, Fence, IdempotencyKey, Name, PermitId, PolicyVersion, Reason,
    RedemptionId, Salt, SessionId, StepId,
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
    let mut text = String::new();
    for (what, bytes) in lines {
        writeln!(text, "{what}: {}", shown(bytes)).unwrap();
    }
    expected.assert_eq(&text);
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
        kind: BoundKind::Once,
        key: BoundKey::new("invoice/7").unwrap(),
    }
}

fn surface() -> SurfaceOutline {
    SurfaceOutline {
        surface: name("pay"),
        actions: vec![name("do")],
        bounds: vec![BoundOutline {
            name: name("account"),
            kind: BoundKind::Exclusive,
            template: "account/{params.account}".to_owned(),
        }],
        executors: vec![Executor::Caller, Executor::Principal(caller("runner"))],
        permit_for_ms: 600_000,
        complete_within_ms: 3_600_000,
        honor_issued: true,
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
    let committed = CompletionResult::Committed {
        evidence: Some(DIGEST),
    };
    vec![
        ("redeem", Command::Redeem(redeem)),
        ("complete, committed", complete(committed)),
        ("complete, aborted", complete(CompletionResult::Aborted)),
        ("revoke", Command::Revoke(revoke)),
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
            put policy: 010507"default"148de9c5a7a4"M"19e5"l"d9ae1a"UK"f6"xG"afb0c58f"n"12fa")"ac"}"dfca99"@"01"p"0103"pay"0102"do"0107"account"0118"account/{params.account}"02010206"runner"fcc0"'"0900fc80ee"6"000105"admin"
            activate policy: 010607"default"(d1*32)020105"admin"(a2*32)
            authorize, permitted: 010707"default"05"alice"02"k1"fc"H;"090002"{}"(d2*32)03"pay"02"do"0105"carol"0101"s"0101"2"02(a1*16)(a3*16)0103(d1*32)01fb8813000201030001(a1*16)010105"allow"0107"invoice"0209"invoice/7"(a2*32)
            authorize, denied: 010707"default"05"alice"02"k1"fc"H;"090002"{}"(d2*32)03"pay"02"do"0105"carol"0101"s"0101"2"02(a1*16)(a3*16)0103(d1*32)01fb881300000002c80108"TOO_LATE"0106"forbid"00(a2*32)
            authorize, lookup: 010707"default"05"alice"02"k1"fc"H;"090002"{}"(d2*32)03"pay"02"do"0105"carol"0101"s"0101"2"02(a1*16)(a3*16)00(a2*32)
            redeem: 010807"default"(a1*16)06"runner)"(d2*32)02"r1"(a2*32)
            complete, committed: 010907"default"(a1*16)06"runner"000101(d1*32)(a2*32)
            complete, aborted: 010907"default"(a1*16)06"runner"0002(a2*32)
            revoke: 010a07"default"(a1*16)05"admin"01(a2*32)
            entry: 0100fd00"h"e5cf8b010000010402
        "#]],
    );
}

#[test]
fn keys_have_these_bytes() {
    let group = KeySpace::group(GroupId::FIRST);
    let keys = KeySpace::namespace(GroupId(1), &default_namespace());
    let (pay, invoice) = (name("pay"), name("invoice"));
    let bound = BoundKey::new("invoice/7").unwrap();
    let (alice, attempt) = (caller("alice"), IdempotencyKey::new("k1").unwrap());
    let operation = |kind| keys.operation(kind, &pay, &invoice, &bound);
    let lines = [
        ("group", group.single(Kind::Group)),
        ("clock", group.single(Kind::Clock)),
        ("node", group.node(node(2))),
        (
            "namespace name",
            group.namespace_name(&Name::new("default").unwrap()),
        ),
        ("namespace", keys.single(Kind::Namespace)),
        ("bundle", keys.bundle(&DIGEST)),
        ("surface", keys.surface(&DIGEST, &pay)),
        ("activation", keys.activation(version(3))),
        ("attempt", keys.attempt(&alice, &attempt)),
        (
            "attempt end",
            keys.attempt_end(time(605_000), &alice, &attempt),
        ),
        ("permit", keys.permit(&PERMIT)),
        ("fence", keys.fence(fence(41))),
        ("live", keys.live(&pay, fence(41))),
        ("expiry", keys.due(Kind::Expiry, time(605_000), fence(41))),
        ("doubt", keys.due(Kind::Doubt, time(66_000), fence(41))),
        ("holder", operation(Kind::Holder)),
        ("tombstone", operation(Kind::Tombstone)),
        ("once", keys.once(&pay, &invoice)),
        ("tree", keys.single(Kind::Tree)),
        ("leaf", keys.at_leaf(Kind::Leaf, 300)),
        ("subtree", keys.subtree(2, 75)),
        ("disclosure", keys.at_leaf(Kind::Disclosure, 300)),
    ];
    assert_eq!(lines.len(), Kind::ALL.len(), "one of every kind");
    for ((_, key), kind) in lines.iter().zip(Kind::ALL) {
        assert_eq!(key.parts().unwrap().kind, *kind);
    }
    let lines = lines.map(|(what, key)| (what, key.into_bytes()));
    check(
        &lines,
        &expect![[r#"
        group: 000000000001
        clock: 000000000002
        node: 0000000000030000000000000002
        namespace name: 000000000004"default"00
        namespace: 0000000107"default"10
        bundle: 0000000107"default"11(d1*32)
        surface: 0000000107"default"12(d1*32)"pay"00
        activation: 0000000107"default"130000000000000003
        attempt: 0000000107"default"20"alice"00"k1"00
        attempt end: 0000000107"default!"000000000009";Halice"00"k1"00
        permit: 0000000107"default0"(a1*16)
        fence: 0000000107"default1"00000000000000")"
        live: 0000000107"default2pay"0000000000000000")"
        expiry: 0000000107"default3"000000000009";H"00000000000000")"
        doubt: 0000000107"default4"00000000000101d000000000000000")"
        holder: 0000000107"default@pay"00"invoice"00"invoice/7"00
        tombstone: 0000000107"defaultApay"00"invoice"00"invoice/7"00
        once: 0000000107"defaultBpay"00"invoice"00
        tree: 0000000107"defaultP"
        leaf: 0000000107"defaultQ"00000000000001","
        subtree: 0000000107"defaultR"0200000000000000"K"
        disclosure: 0000000107"defaultS"00000000000001","
    "#]],
    );
}

#[test]
fn reference_lists_every_kind_of_row() {
    let reference = include_str!("../../../../docs/reference/log-format.md");
    for kind in Kind::ALL {
        let row = format!("| `{:#04x}` | {kind:?} |", *kind as u8);
        assert!(
            reference.contains(&row),
            "docs/reference/log-format.md lacks `{row}`"
        );
    }
}
