//! The state's rows.

use expect_test::expect;
use holdpoint_core::codec::records::{Present, Record};
use holdpoint_core::command::{ActivationMode, CompletionResult};
use holdpoint_core::limits::RETENTION_DEFAULT;
use holdpoint_core::record::{
    ActivationRecord, AttemptRecord, BundleRecord, BundleUseRecord, ClockRecord, Completion,
    Contradiction, Decided, Denial, DisclosureRecord, Drain, DrainMark, GroupRecord, Held,
    LeafRecord, NamespaceRecord, NodeRecord, OnceRecord, PermitRecord, PermitState, PermitStep,
    Redemption, RefusedBound, ReleaseRecord, StatementRef, Swept, TombstoneRecord, TreeRecord,
    UsageRecord,
};
use holdpoint_receipt::{IdempotencyKey, Reason, RedemptionId};

use super::{DIGEST, OTHER_DIGEST, PERMIT, SALT, check, claim, fence, policy, surface, version};
use crate::world::{caller, name, node, time};

pub(super) fn denial() -> Denial {
    Denial {
        reason: Reason::BoundHeld,
        codes: Vec::new(),
        refused: vec![RefusedBound {
            claim: claim(),
            reason: Reason::BoundHeld,
            fence: Some(fence(40)),
            until: Some(time(9_000)),
        }],
        retry_at: Some(time(9_000)),
    }
}

pub(super) fn permit() -> PermitRecord {
    PermitRecord {
        id: PERMIT,
        fence: fence(41),
        caller: caller("alice"),
        idempotency_key: IdempotencyKey::new("k1").unwrap(),
        actor: None,
        surface: name("pay"),
        action: name("do"),
        session: None,
        step: None,
        prerequisites: Vec::new(),
        request_digest: OTHER_DIGEST,
        policy: policy(),
        evaluator_version: 1,
        issued_at: time(5_000),
        expires_at: time(605_000),
        claims: vec![claim()],
        held: Held::Nothing,
        held_until: Some(time(665_500)),
        approvals: vec![super::approval()],
        state: PermitState::Committed,
        redemption: Some(Redemption {
            id: RedemptionId::new("r1").unwrap(),
            principal: caller("runner"),
            redeemed_at: time(6_000),
            complete_by: time(66_000),
            release_at: Some(time(7_266_000)),
        }),
        completion: Some(Completion {
            result: CompletionResult::Committed { evidence: None },
            principal: caller("runner"),
            operator: false,
            reason: None,
            completed_at: time(7_000),
        }),
        release: Some(ReleaseRecord {
            principal: None,
            reason: Some("the runner is gone".to_owned()),
            released_at: time(8_000),
        }),
        conflicts: 2,
        contradictions: vec![Contradiction {
            result: CompletionResult::Aborted,
            principal: caller("runner"),
            leaf: 302,
        }],
        ended_at: Some(time(7_000)),
        statements: vec![
            StatementRef {
                step: PermitStep::Decision,
                leaf: 300,
            },
            StatementRef {
                step: PermitStep::Redeemed,
                leaf: 301,
            },
            StatementRef {
                step: PermitStep::Erased,
                leaf: 304,
            },
        ],
        receipt: DIGEST,
    }
}

pub(super) fn record<R: Record + PartialEq + std::fmt::Debug>(
    what: &'static str,
    it: &R,
) -> (&'static str, Vec<u8>) {
    let bytes = it.to_bytes().unwrap();
    assert_eq!(R::from_bytes(&bytes).unwrap(), *it, "{what}");
    (what, bytes)
}

fn attempt(decided: Decided) -> AttemptRecord {
    AttemptRecord {
        request_digest: OTHER_DIGEST,
        not_after: time(605_000),
        decided,
        policies: vec!["allow".to_owned()],
        policy: policy(),
        decided_at: time(5_000),
        leaf: 300,
    }
}

fn drain() -> Drain {
    Drain {
        digest: OTHER_DIGEST,
        expected: version(3),
        evaluator_version: 1,
        mode: ActivationMode::Revoke,
        surfaces: vec![name("pay")],
        principal: caller("admin"),
        since: time(5_000),
        leaf: 298,
        mark: Some(DrainMark {
            surface: name("pay"),
            fence: fence(39),
        }),
    }
}

fn cluster_records() -> Vec<(&'static str, Vec<u8>)> {
    let group = GroupRecord {
        cluster: crate::world::CLUSTER,
        epoch: 1,
        voters: vec![node(1), node(2)],
        feature_level: 1,
        nodes: 2,
        signers_required: Some(2),
        is_dev: true,
    };
    let known = NodeRecord {
        incarnation: [0xa1; 16],
        log_key: [0xd1; 32],
        cosign_key: [0xd2; 32],
        feature_level_max: 1,
        evaluator_version: 1,
        announced_at: time(4_000),
        retired: true,
    };
    let namespace = NamespaceRecord {
        fence: fence(41),
        active: Some(policy()),
        frozen: false,
        frozen_surfaces: vec![name("pay")],
        bundles: 2,
        drain: Some(drain()),
        shadows: vec![OTHER_DIGEST],
        retention: RETENTION_DEFAULT,
        ticket: 9,
        waiters: 2,
        pending: 1,
        pending_bytes: 70,
        conflicts: 3,
        swept: Swept {
            fence: fence(7),
            disclosures: 12,
            statements: 11,
        },
        epochs: 2,
        newest_epoch: Some(299),
        disputes: 1,
    };
    let bundle = BundleRecord {
        bundle: b"bundle".to_vec(),
        put_at: time(4_000),
        put_by: caller("admin"),
    };
    let activation = ActivationRecord {
        digest: DIGEST,
        activated_at: time(4_000),
        activated_by: caller("admin"),
        evaluator_version: 1,
        leaf: 299,
        fence: fence(40),
    };
    vec![
        record("group", &group),
        record(
            "clock",
            &ClockRecord {
                now: time(1_700_000_000_000),
                term: 3,
            },
        ),
        record("node", &known),
        record("namespace", &namespace),
        record("bundle", &bundle),
        record("surface", &surface()),
        record("activation", &activation),
        record("bundle use", &BundleUseRecord { named_before: 299 }),
    ]
}

fn records() -> Vec<(&'static str, Vec<u8>)> {
    let tombstone = TombstoneRecord {
        permit: PERMIT,
        fence: fence(41),
        committed_at: time(7_000),
        kept_until: Some(time(3_607_000)),
    };
    let usage = UsageRecord {
        live: 2,
        committed: 4_999_000,
    };
    let once = OnceRecord {
        template: "invoice/{params.invoice}".to_owned(),
        tombstones: 1,
    };
    let tree = TreeRecord {
        size: 3,
        frontier: vec![DIGEST, OTHER_DIGEST],
    };
    let leaf = LeafRecord {
        statement: b"{}".to_vec(),
        issued_at: time(1_000),
        permit: None,
        counts_until: Some(time(2_000)),
    };
    let disclosure = DisclosureRecord {
        salt: SALT,
        request: Some(b"{}".to_vec()),
        evaluation: None,
        erased: None,
    };
    let mut lines = cluster_records();
    lines.extend(super::context::records());
    lines.extend(super::signing::records());
    lines.extend([
        record("attempt, permitted", &attempt(Decided::Permit(PERMIT))),
        record("attempt, denied", &attempt(Decided::Deny(denial()))),
        record("permit", &permit()),
        record("tombstone", &tombstone),
        record("usage", &usage),
        record("once", &once),
        record("tree", &tree),
        record("leaf", &leaf),
        record("disclosure", &disclosure),
        record("disclosure, erased", &DisclosureRecord::erased_by(304)),
        record("index to a permit", &PERMIT),
        record("subtree", &DIGEST),
        record("index without a value", &Present),
    ]);
    lines
}

#[test]
fn records_have_these_bytes() {
    let lines = records();
    check(
        &lines,
        &expect![[r#"
            group: 0107070707070707070707070707070707010201020102010201
            clock: 01fd00"h"e5cf8b01000003
            node: 01(a1*16)(d1*32)(d2*32)0101fba00f01
            namespace: 01")"0103(d1*32)000103"pay"0201(d2*32)0301030103"pay"05"admin"fb8813fb"*"010103"pay'"01(d2*32)01fd00"X|"cf0100000001fd00"X|"cf010000000001fd00"X|"cf01000000090201"F"03070c0b0201fb"+"0101
            bundle: 0106"bundle"fba00f05"admin"
            surface: 0103"pay"0102"do"0307"account"0118"account/{params.account}"0005"slots"030314"slots/{params.slots}"0005"spent"04fc"@KL"00fc00"\&"0514"spent/{params.spent}"0106"amount"02010206"runner"fcc0"'"0900fc80ee"6"00010001fc00dd"m"00
            activation: 01(d1*32)fba00f05"admin"01fb"+"01"("
            bundle use: 01fb"+"01
            approval, given: 0103"pay"fb8813fc88"o&"0503(d1*32)fb2201(d2*32)01
            approval, spent: 0103"pay"fb8813fc88"o&"0503(d1*32)fb2201(d2*32)02(a1*16)
            approval, revoked: 0103"pay"fb8813fc88"o&"0503(d1*32)fb2201(d2*32)03fb"-"01
            pending: 0102"{}"05"alice"fb8813fc88"o&"0503(d1*32)0109"four-eyes"02"{}"(d1*32)02
            session, open: 0105"alice"fb881300
            session, closed: 0105"alice"fb881301fb881305"admin"fb"."01
            waiter: 0109(d2*32)03"pay"0107"invoice"0201fc80ee"6"0009"invoice/7"0103(d1*32)fc"H;"0900fbe8fdfb881301fb98":"0300
            place in a queue: 010905"alice"02"k1"
            epoch: 01010102(d1*32)(d2*32)fb"*"010104"note"
            key revocation: 0102(d1*32)(d2*32)fb1801
            disputed decision: 010201fb8813fb"/"01(d1*32)
            attempt, permitted: 01(d2*32)fc"H;"090001(a1*16)0105"allow"03(d1*32)fb8813fb","01
            attempt, denied: 01(d2*32)fc"H;"090002ca000107"invoice"0201fc80ee"6"0009"invoice/7"01ca01"("01fb"(#"01fb"(#"0105"allow"03(d1*32)fb8813fb","01
            permit: 01(a1*16)")"05"alice"02"k1"0003"pay"02"do"000000(d2*32)03(d1*32)01fb8813fc"H;"09000107"invoice"0201fc80ee"6"0009"invoice/7"010301fc9c"'"0a000109"four-eyes"(d1*32)04"dave"030102"r1"06"runner"fb"p"17fcd001010001fcd0de"n"0001010006"runner"0000fb"X"1b01000112"the"20"runner"20"is"20"gone"fb"@"1f02010206"runner"fb"."0101fb"X"1b0301fb","0102fb"-"0108fb"0"01(d1*32)
            tombstone: 01(a1*16)")"fb"X"1b01fcd809"7"00
            usage: 0102fc"XGL"00
            once: 0118"invoice/{params.invoice}"01
            tree: 010302(d1*32)(d2*32)
            leaf: 0102"{}"fbe8030001fbd007
            disclosure: 01(a2*32)0102"{}"0000
            disclosure, erased: 010000000000000000000000000000000000000000000000000000000000000000000001fb"0"01
            index to a permit: 01(a1*16)
            subtree: 01(d1*32)
            index without a value: 01
        "#]],
    );
}
