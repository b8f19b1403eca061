//! The state's rows.

use expect_test::expect;
use holdpoint_core::codec::records::{Present, Record};
use holdpoint_core::command::CompletionResult;
use holdpoint_core::record::{
    ActivationRecord, AttemptRecord, BundleRecord, ClockRecord, Completion, Decided, Denial,
    DisclosureRecord, GroupRecord, LeafRecord, NamespaceRecord, NodeRecord, OnceRecord,
    PermitRecord, PermitState, PermitStep, Redemption, RefusedBound, StatementRef, TombstoneRecord,
    TreeRecord,
};
use holdpoint_receipt::{IdempotencyKey, Reason, RedemptionId};

use super::{DIGEST, OTHER_DIGEST, PERMIT, SALT, check, claim, fence, policy, surface};
use crate::world::{caller, name, node, time};

pub(super) fn denial() -> Denial {
    Denial {
        reason: Reason::BoundHeld,
        codes: Vec::new(),
        refused: vec![RefusedBound {
            claim: claim(),
            reason: Reason::BoundHeld,
            fence: fence(40),
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
        state: PermitState::Committed,
        redemption: Some(Redemption {
            id: RedemptionId::new("r1").unwrap(),
            principal: caller("runner"),
            redeemed_at: time(6_000),
            complete_by: time(66_000),
        }),
        completion: Some(Completion {
            result: CompletionResult::Committed { evidence: None },
            principal: caller("runner"),
            operator: false,
            completed_at: time(7_000),
        }),
        statements: vec![
            StatementRef {
                step: PermitStep::Decision,
                leaf: 300,
            },
            StatementRef {
                step: PermitStep::Redeemed,
                leaf: 301,
            },
        ],
    }
}

fn record<R: Record + PartialEq + std::fmt::Debug>(
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

fn cluster_records() -> Vec<(&'static str, Vec<u8>)> {
    let group = GroupRecord {
        cluster: crate::world::CLUSTER,
        epoch: 1,
        voters: vec![node(1), node(2)],
        feature_level: 1,
        nodes: 2,
        is_dev: true,
    };
    let known = NodeRecord {
        incarnation: [0xa1; 16],
        log_key: [0xd1; 32],
        cosign_key: [0xd2; 32],
        feature_level_max: 1,
        evaluator_version: 1,
        announced_at: time(4_000),
    };
    let namespace = NamespaceRecord {
        fence: fence(41),
        active: Some(policy()),
        frozen: false,
        bundles: 2,
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
    };
    vec![
        record("group", &group),
        record(
            "clock",
            &ClockRecord {
                now: time(1_700_000_000_000),
            },
        ),
        record("node", &known),
        record("namespace", &namespace),
        record("bundle", &bundle),
        record("surface", &surface()),
        record("activation", &activation),
    ]
}

#[test]
fn records_have_these_bytes() {
    let tombstone = TombstoneRecord {
        permit: PERMIT,
        fence: fence(41),
        committed_at: time(7_000),
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
    };
    let disclosure = DisclosureRecord {
        salt: SALT,
        request: Some(b"{}".to_vec()),
        evaluation: None,
    };
    let mut lines = cluster_records();
    lines.extend([
        record("attempt, permitted", &attempt(Decided::Permit(PERMIT))),
        record("attempt, denied", &attempt(Decided::Deny(denial()))),
        record("permit", &permit()),
        record("tombstone", &tombstone),
        record("once", &once),
        record("tree", &tree),
        record("leaf", &leaf),
        record("disclosure", &disclosure),
        record("index to a permit", &PERMIT),
        record("subtree", &DIGEST),
        record("index without a value", &Present),
    ]);
    check(
        &lines,
        &expect![[r#"
        group: 010707070707070707070707070707070701020102010201
        clock: 01fd00"h"e5cf8b010000
        node: 01(a1*16)(d1*32)(d2*32)0101fba00f
        namespace: 01")"0103(d1*32)0002
        bundle: 0106"bundle"fba00f05"admin"
        surface: 0103"pay"0102"do"0107"account"0118"account/{params.account}"02010206"runner"fcc0"'"0900fc80ee"6"0001
        activation: 01(d1*32)fba00f05"admin"01fb"+"01
        attempt, permitted: 01(d2*32)fc"H;"090001(a1*16)0105"allow"03(d1*32)fb8813fb","01
        attempt, denied: 01(d2*32)fc"H;"090002ca000107"invoice"0209"invoice/7"ca"("01fb"(#"01fb"(#"0105"allow"03(d1*32)fb8813fb","01
        permit: 01(a1*16)")"05"alice"02"k1"0003"pay"02"do"000000(d2*32)03(d1*32)01fb8813fc"H;"09000107"invoice"0209"invoice/7"030102"r1"06"runner"fb"p"17fcd001010001010006"runner"00fb"X"1b0201fb","0102fb"-"01
        tombstone: 01(a1*16)")"fb"X"1b
        once: 0118"invoice/{params.invoice}"01
        tree: 010302(d1*32)(d2*32)
        leaf: 0102"{}"
        disclosure: 01(a2*32)0102"{}"00
        index to a permit: 01(a1*16)
        subtree: 01(d1*32)
        index without a value: 01
    "#]],
    );
}
