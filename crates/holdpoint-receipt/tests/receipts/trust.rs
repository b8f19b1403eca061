//! The trust bundle: who may change whom, and what no holder of old keys can do.

use holdpoint_receipt::keys::{Algorithm, KeyName, VerifierKey};
use holdpoint_receipt::names::{ClusterId, Name};
use holdpoint_receipt::trust::{Anchor, Seen, TrustBundle, TrustContent, TrustError, Trusted};
use holdpoint_receipt::{KeySet, SecretKey};
use proptest::prelude::*;

use crate::fixture::{SIGNED_AT_S, cluster, epoch, key_set, namespace, secret_keys};

const NOW_MS: u64 = SIGNED_AT_S * 1000;

fn secret(id: u8) -> SecretKey {
    SecretKey::from_seed(&[100 + id; 32])
}

fn name(id: u8) -> KeyName {
    KeyName::new(format!("root-{id}.example")).unwrap()
}

fn root(id: u8) -> VerifierKey {
    VerifierKey::new(name(id), Algorithm::Ed25519, secret(id).public())
}

fn roots(ids: &[u8]) -> Vec<VerifierKey> {
    ids.iter().map(|id| root(*id)).collect()
}

fn content(version: u64, threshold: u32, ids: &[u8], former: &[u8]) -> TrustContent {
    TrustContent {
        authority: cluster(),
        version,
        expires_at_ms: NOW_MS + 1,
        threshold,
        roots: roots(ids),
        former_roots: roots(former),
        keys: vec![key_set()],
    }
}

fn signed(content: TrustContent, signers: &[u8]) -> TrustBundle {
    let mut bundle = TrustBundle::new(content).unwrap();
    for id in signers {
        bundle.sign(&name(*id), &secret(*id)).unwrap();
    }
    bundle
}

fn anchor(ids: &[u8], threshold: u32) -> Anchor {
    Anchor::new(roots(ids), threshold).unwrap()
}

/// Two of three roots, all of which signed.
fn bundle() -> TrustBundle {
    signed(content(7, 2, &[1, 2, 3], &[]), &[1, 2, 3])
}

fn verified(bundle: &TrustBundle, anchor: &Anchor, seen: u64) -> Result<Trusted, &'static str> {
    let read = TrustBundle::parse(bundle.to_file().as_bytes()).unwrap();
    assert_eq!(read, *bundle);
    let digest = bundle.digest();
    let seen = (seen > 0).then_some(Seen {
        version: seen,
        digest,
    });
    let found = read.verify(anchor, seen.as_ref(), NOW_MS);
    found.map_err(|error| error.code())
}

/// Golden: `trust.json` as it is handed out.
#[test]
fn trust_bundle_file_never_changes() {
    assert_eq!(bundle().to_file(), include_str!("golden/trust.json"));
}

#[test]
fn bundle_signed_by_enough_trusted_roots_gives_its_keys() {
    let trusted = verified(&bundle(), &anchor(&[1, 2, 3], 2), 7).unwrap();
    assert_eq!(trusted.key_set(&namespace()), Some(&key_set()));
    assert_eq!(trusted.key_set(&Name::new("other").unwrap()), None);
    assert_eq!(trusted.anchor(), anchor(&[1, 2, 3], 2));
    assert_eq!(trusted.content().version, 7);
    let two = signed(content(7, 2, &[1, 2, 3], &[]), &[3, 1]);
    assert!(verified(&two, &anchor(&[1, 2, 3], 2), 0).is_ok());
}

#[test]
fn too_few_signatures_of_its_own_or_of_trusted_roots_are_refused() {
    let one = signed(content(7, 2, &[1, 2, 3], &[]), &[1]);
    let few = Err("TRUST_NOT_ENOUGH_SIGNATURES");
    assert_eq!(verified(&one, &anchor(&[1], 1), 0), few);
    let none = signed(content(7, 1, &[1], &[]), &[]);
    assert_eq!(verified(&none, &anchor(&[1], 1), 0), few);
    // Whoever makes up roots of their own satisfies themselves and nobody else.
    let foreign = signed(content(8, 2, &[4, 5, 6], &[]), &[4, 5]);
    let unanchored = Err("TRUST_NOT_ANCHORED");
    assert_eq!(verified(&foreign, &anchor(&[1, 2, 3], 2), 7), unanchored);
    let one_of_two = signed(content(8, 2, &[3, 4, 5], &[]), &[3, 4]);
    assert_eq!(verified(&one_of_two, &anchor(&[1, 2, 3], 2), 7), unanchored);
}

#[test]
fn roots_are_replaced_one_version_at_a_time() {
    let trusted = verified(&bundle(), &anchor(&[1, 2, 3], 2), 0).unwrap();
    let second = signed(content(8, 2, &[3, 4, 5], &[1, 2]), &[1, 3, 4]);
    let second = verified(&second, &trusted.anchor(), 7).unwrap();
    let third = signed(content(9, 1, &[6], &[4, 5]), &[4, 5, 6]);
    assert_eq!(
        verified(&third, &trusted.anchor(), 7),
        Err("TRUST_NOT_ANCHORED"),
        "a version between was left out"
    );
    let third = verified(&third, &second.anchor(), 8).unwrap();
    assert_eq!(third.anchor(), anchor(&[6], 1));
    // Former roots sign nothing by themselves.
    let taken_over = signed(content(8, 1, &[6], &[1, 2]), &[1, 2]);
    assert_eq!(
        verified(&taken_over, &trusted.anchor(), 7),
        Err("TRUST_NOT_ENOUGH_SIGNATURES")
    );
}

#[test]
fn older_and_expired_bundles_are_refused() {
    let anchor = anchor(&[1, 2, 3], 2);
    assert_eq!(verified(&bundle(), &anchor, 8), Err("TRUST_ROLLED_BACK"));
    let at = |now_ms| bundle().verify(&anchor, None, now_ms).map(|_| ());
    assert_eq!(at(NOW_MS), Ok(()));
    assert_eq!(at(NOW_MS + 1), Err(TrustError::Expired { ago_ms: 0 }));
    assert_eq!(at(u64::MAX).unwrap_err().code(), "TRUST_EXPIRED");
}

#[test]
fn other_bundle_of_a_version_that_was_seen_is_refused_and_more_signatures_are_not_another() {
    let anchor = anchor(&[1, 2, 3], 2);
    let two = signed(content(7, 2, &[1, 2, 3], &[]), &[1, 2]);
    let seen = two.verify(&anchor, None, NOW_MS).unwrap().seen();
    assert!(bundle().verify(&anchor, Some(&seen), NOW_MS).is_ok());
    let mut other = content(7, 2, &[1, 2, 3], &[]);
    other.expires_at_ms += 1;
    let other = signed(other, &[1, 2, 3]);
    let refused = other.verify(&anchor, Some(&seen), NOW_MS).unwrap_err();
    assert_eq!(refused, TrustError::Ambiguous { version: 7 });
    assert_eq!(refused.code(), "TRUST_AMBIGUOUS");
}

#[test]
fn key_that_is_no_root_cannot_sign() {
    let mut bundle = bundle();
    let unknown = TrustError::UnknownRoot(name(4));
    assert_eq!(bundle.sign(&name(4), &secret(4)), Err(unknown));
    let misnamed = TrustError::UnknownRoot(name(1));
    assert_eq!(bundle.sign(&name(1), &secret(2)), Err(misnamed));
    // A signature again replaces the one before.
    bundle.sign(&name(2), &secret(2)).unwrap();
    assert_eq!(bundle, self::bundle());
}

#[test]
fn bundle_that_leaves_something_open_is_refused() {
    let check = |change: &dyn Fn(&mut TrustContent), error: TrustError| {
        let mut content = content(7, 2, &[1, 2, 3], &[4]);
        change(&mut content);
        assert_eq!(TrustBundle::new(content), Err(error));
    };
    let member = |name: &str| TrustError::Member(name.to_owned());
    check(&|content| content.version = 0, member("version"));
    check(&|content| content.version = 1 << 53, member("version"));
    check(
        &|content| content.expires_at_ms = 1 << 53,
        member("expires_at_ms"),
    );
    check(&|content| content.threshold = 0, TrustError::Threshold);
    check(&|content| content.threshold = 4, TrustError::Threshold);
    check(&|content| content.roots.clear(), TrustError::Roots("roots"));
    check(
        &|content| content.roots[1] = root(1),
        TrustError::Roots("roots"),
    );
    check(
        &|content| content.former_roots[0] = root(1),
        TrustError::Roots("former_roots"),
    );
    let node = secret_keys(1).public().log;
    let of_node = VerifierKey::new(name(1), Algorithm::Ed25519, node);
    check(
        &|content| content.roots[0] = of_node.clone(),
        TrustError::Roots("roots"),
    );
    let cosign = VerifierKey::new(name(1), Algorithm::CosignatureV1, secret(1).public());
    check(
        &|content| content.roots[0] = cosign.clone(),
        TrustError::Roots("roots"),
    );
    check(&|content| content.keys.clear(), TrustError::Namespaces);
    check(
        &|content| content.keys.push(key_set()),
        TrustError::Namespaces,
    );
    let elsewhere = ClusterId::from_bytes([1; 16]);
    let foreign = KeySet::new(elsewhere, namespace(), vec![epoch(0, 1, &[1])], vec![]).unwrap();
    check(
        &|content| content.keys = vec![foreign.clone()],
        TrustError::Namespaces,
    );
    assert_eq!(Anchor::new(vec![], 0), Err(TrustError::Roots("roots")));
    assert_eq!(Anchor::new(roots(&[1]), 0), Err(TrustError::Threshold));
    assert_eq!(Anchor::new(roots(&[1]), 2), Err(TrustError::Threshold));
}

/// Every bit of every byte, and each byte removed or doubled.
#[test]
fn every_changed_byte_of_a_trust_bundle_is_refused() {
    let file = bundle().to_file().into_bytes();
    let anchor = anchor(&[1, 2, 3], 2);
    let is_refused = |changed: &[u8]| match TrustBundle::parse(changed) {
        Ok(bundle) => bundle.verify(&anchor, None, NOW_MS).is_err(),
        Err(_) => true,
    };
    for place in 0..file.len() {
        let mut changed = file.clone();
        // One bit of each byte, another one in the next.
        changed[place] ^= 1 << (place % 8);
        assert!(is_refused(&changed), "byte {place}");
        changed.remove(place);
        assert!(is_refused(&changed), "byte {place} removed");
        changed = file.clone();
        changed.insert(place, file[place]);
        assert!(is_refused(&changed), "byte {place} doubled");
    }
    let spaced = bundle().to_file().replace("{\"authority", "{ \"authority");
    assert_eq!(
        TrustBundle::parse(spaced.as_bytes()),
        Err(TrustError::NotCanonical)
    );
    let newer = bundle().to_file().replace("trust/1", "trust/2");
    assert_eq!(
        TrustBundle::parse(newer.as_bytes()),
        Err(TrustError::UnknownSchema)
    );
}

#[test]
fn signatures_out_of_order_or_twice_are_refused() {
    let file = bundle().to_file();
    let start = file.find("\u{2014}").unwrap();
    let lines: Vec<&str> = file[start..]
        .split('"')
        .filter(|part| part.starts_with('\u{2014}'))
        .collect();
    let with = |order: &[usize]| {
        let own = lines
            .iter()
            .map(|line| format!("\"{line}\""))
            .collect::<Vec<_>>();
        let other: Vec<String> = order.iter().map(|place| own[*place].clone()).collect();
        let changed = file.replace(&own.join(","), &other.join(","));
        TrustBundle::parse(changed.as_bytes()).map(|_| ())
    };
    assert_eq!(with(&[0, 1, 2]), Ok(()));
    assert_eq!(with(&[0, 2]), Ok(()));
    let malformed = Err(TrustError::Member("signatures".to_owned()));
    assert_eq!(with(&[1, 0, 2]), malformed);
    assert_eq!(with(&[0, 0, 1]), malformed);
}

proptest! {
    #[test]
    fn every_replaced_byte_of_a_trust_bundle_is_refused(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut file = bundle().to_file().into_bytes();
        let place = place.index(file.len());
        prop_assume!(file[place] != byte);
        file[place] = byte;
        let read = TrustBundle::parse(&file);
        let found = read.and_then(|read| read.verify(&anchor(&[1, 2, 3], 2), None, NOW_MS));
        prop_assert!(found.is_err());
    }
}
