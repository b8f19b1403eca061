//! The names of the state's rows.

use expect_test::expect;
use holdpoint_core::{GroupId, KeySpace, Kind, StateKey};
use holdpoint_receipt::{BoundKey, IdempotencyKey, Name, SessionId};

use super::{DIGEST, OTHER_DIGEST, PERMIT, compare, fence, seeds_the_fuzzer, version};
use crate::world::{caller, default_namespace, name, node, time};

type Named = (&'static str, StateKey);

fn keys() -> KeySpace {
    KeySpace::namespace(GroupId(1), &default_namespace())
}

fn operation(kind: Kind) -> StateKey {
    let bound = BoundKey::new("invoice/7").unwrap();
    keys().operation(kind, &name("pay"), &name("invoice"), &bound)
}

/// The part after the kind, which an index of ends repeats.
fn rest(key: &StateKey) -> &[u8] {
    key.parts().unwrap().rest
}

fn of_group_and_policies() -> Vec<Named> {
    let group = KeySpace::group(GroupId::FIRST);
    vec![
        ("group", group.single(Kind::Group)),
        ("clock", group.single(Kind::Clock)),
        ("node", group.node(node(2))),
        (
            "namespace name",
            group.namespace_name(&Name::new("default").unwrap()),
        ),
        ("namespace", keys().single(Kind::Namespace)),
        ("bundle", keys().bundle(&DIGEST)),
        ("surface", keys().surface(&DIGEST, &name("pay"))),
        ("activation", keys().activation(version(3))),
        ("bundle use", keys().bundle_use(&DIGEST)),
        (
            "bundle activation",
            keys().bundle_activation(&DIGEST, version(3)),
        ),
    ]
}

fn of_attempts() -> Vec<Named> {
    let (alice, attempt) = (caller("alice"), IdempotencyKey::new("k1").unwrap());
    let bound = BoundKey::new("invoice/7").unwrap();
    vec![
        ("attempt", keys().attempt(&alice, &attempt)),
        (
            "attempt end",
            keys().attempt_end(time(605_000), &alice, &attempt),
        ),
        ("waiter", keys().waiter(&alice, &attempt)),
        (
            "queue",
            keys().queue(&name("pay"), &name("invoice"), &bound, 9),
        ),
        ("waiter end", keys().waiter_end(time(65_000), 9)),
    ]
}

fn of_permits() -> Vec<Named> {
    let due = |kind, at| keys().due(kind, time(at), fence(41));
    vec![
        ("permit", keys().permit(&PERMIT)),
        ("fence", keys().fence(fence(41))),
        ("live", keys().live(&name("pay"), fence(41))),
        ("expiry", due(Kind::Expiry, 605_000)),
        ("doubt", due(Kind::Doubt, 66_000)),
        ("held end", due(Kind::HeldEnd, 665_500)),
        ("release at", due(Kind::ReleaseAt, 126_000)),
        ("permit end", due(Kind::PermitEnd, 905_000)),
    ]
}

fn of_bounds() -> Vec<Named> {
    let usage = keys().usage(&operation(Kind::Usage), 86_400_000, 172_800_000);
    let held = keys().usage(&operation(Kind::Holding), 86_400_000, 172_800_000);
    let tombstone = operation(Kind::Tombstone);
    vec![
        ("holder", operation(Kind::Holder)),
        ("tombstone", tombstone.clone()),
        ("once", keys().once(&name("pay"), &name("invoice"))),
        ("usage", usage.clone()),
        (
            "holding",
            KeySpace::holding(&held, time(605_000), fence(41)),
        ),
        (
            "tombstone end",
            keys().end_of(Kind::TombstoneEnd, time(3_607_000), rest(&tombstone)),
        ),
        (
            "usage end",
            keys().end_of(Kind::UsageEnd, time(259_200_000), rest(&usage)),
        ),
    ]
}

fn of_log_and_context() -> Vec<Named> {
    let approval = keys().approval(&name("four-eyes"), &DIGEST, &caller("dave"));
    let pending = keys().pending(&OTHER_DIGEST);
    let session = keys().session(&SessionId::new("s").unwrap());
    vec![
        ("tree", keys().single(Kind::Tree)),
        ("leaf", keys().at_leaf(Kind::Leaf, 300)),
        ("subtree", keys().subtree(2, 75)),
        ("disclosure", keys().at_leaf(Kind::Disclosure, 300)),
        ("epoch", keys().at_leaf(Kind::Epoch, 299)),
        ("key revocation", keys().at_leaf(Kind::KeyRevocation, 303)),
        ("dispute", keys().at_leaf(Kind::Dispute, 300)),
        ("approval", approval.clone()),
        (
            "approval end",
            keys().end_of(Kind::ApprovalEnd, time(605_000), rest(&approval)),
        ),
        ("pending", pending.clone()),
        (
            "pending subject",
            keys().pending_subject(&DIGEST, &OTHER_DIGEST),
        ),
        (
            "pending end",
            keys().end_of(Kind::PendingEnd, time(605_000), rest(&pending)),
        ),
        ("session", session.clone()),
        (
            "session end",
            keys().end_of(Kind::SessionEnd, time(605_000), rest(&session)),
        ),
    ]
}

#[test]
fn keys_have_these_bytes() {
    let lines: Vec<Named> = [
        of_group_and_policies(),
        of_attempts(),
        of_permits(),
        of_bounds(),
        of_log_and_context(),
    ]
    .concat();
    assert_eq!(lines.len(), Kind::ALL.len(), "one of every kind");
    for ((what, key), kind) in lines.iter().zip(Kind::ALL) {
        assert_eq!(key.parts().unwrap().kind, *kind, "{what}");
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(what, key)| (what, key.into_bytes()))
        .collect();
    for (what, bytes) in &lines {
        // What stands under a key has its name.
        seeds_the_fuzzer(&format!("key {what}"), bytes);
    }
    compare(
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
            bundle use: 0000000107"default"14(d1*32)
            bundle activation: 0000000107"default"15(d1*32)0000000000000003
            attempt: 0000000107"default"20"alice"00"k1"00
            attempt end: 0000000107"default!"000000000009";Halice"00"k1"00
            waiter: 0000000107"default"22"alice"00"k1"00
            queue: 0000000107"default#pay"00"invoice"00"invoice/7"000000000000000009
            waiter end: 0000000107"default$"000000000000fde80000000000000009
            permit: 0000000107"default0"(a1*16)
            fence: 0000000107"default1"00000000000000")"
            live: 0000000107"default2pay"0000000000000000")"
            expiry: 0000000107"default3"000000000009";H"00000000000000")"
            doubt: 0000000107"default4"00000000000101d000000000000000")"
            held end: 0000000107"default5"00000000000a"'"9c00000000000000")"
            release at: 0000000107"default6"000000000001ec"0"00000000000000")"
            permit end: 0000000107"default7"00000000000dcf"("00000000000000")"
            holder: 0000000107"default@pay"00"invoice"00"invoice/7"00
            tombstone: 0000000107"defaultApay"00"invoice"00"invoice/7"00
            once: 0000000107"defaultBpay"00"invoice"00
            usage: 0000000107"defaultCpay"00"invoice"00"invoice/7"000000000005"&\"00000000000a"L"b800
            holding: 0000000107"defaultDpay"00"invoice"00"invoice/7"000000000005"&\"00000000000a"L"b800000000000009";H"00000000000000")"
            tombstone end: 0000000107"defaultE"0000000000"7"09d8"pay"00"invoice"00"invoice/7"00
            usage end: 0000000107"defaultF"000000000f"s"1400"pay"00"invoice"00"invoice/7"000000000005"&\"00000000000a"L"b800
            tree: 0000000107"defaultP"
            leaf: 0000000107"defaultQ"00000000000001","
            subtree: 0000000107"defaultR"0200000000000000"K"
            disclosure: 0000000107"defaultS"00000000000001","
            epoch: 0000000107"defaultT"00000000000001"+"
            key revocation: 0000000107"defaultU"00000000000001"/"
            dispute: 0000000107"defaultV"00000000000001","
            approval: 0000000107"default`four-eyes"00(d1*32)"dave"00
            approval end: 0000000107"defaulta"000000000009";Hfour-eyes"00(d1*32)"dave"00
            pending: 0000000107"defaultb"(d2*32)
            pending subject: 0000000107"defaultc"(d1*32)(d2*32)
            pending end: 0000000107"defaultd"000000000009";H"(d2*32)
            session: 0000000107"defaultps"00
            session end: 0000000107"defaultq"000000000009";Hs"00
        "#]],
    );
}

#[test]
fn reference_lists_every_kind_of_row() {
    let reference = include_str!("../../../../../docs/reference/log-format.md");
    for kind in Kind::ALL {
        let row = format!("| `{:#04x}` | {kind:?} |", *kind as u8);
        assert!(
            reference.contains(&row),
            "docs/reference/log-format.md lacks `{row}`"
        );
    }
}
