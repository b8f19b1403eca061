//! Trust bundles on the command line: made, signed, believed, and what is never believed again.

use std::fs;

use holdpoint_receipt::{KeySet, NodeSecretKeys, SecretKey};

use super::offline::{golden, golden_keys};
use super::{Place, Run};

const VERIFY: [&str; 5] = ["trust", "verify", "trust.json", "--roots", "roots"];

impl Place {
    /// A folder with a receipt, its keys, and roots `a`, `b` and `c` in the file `roots`.
    fn with_roots() -> Self {
        let place = Self::new();
        place.write("receipt.json", &golden("receipt.json"));
        place.write("keys.json", &golden_keys().to_file());
        for name in ["a", "b", "c"] {
            place.new_root(name, "roots");
        }
        place
    }

    fn new_root(&self, name: &str, roots: &str) {
        let key = format!("{name}.key");
        let words = ["trust", "new-root", "--key", &key, "--name", name];
        let _ = self
            .run(&[&words[..], &["--roots", roots]].concat())
            .exits(0);
    }

    fn init(&self, out: &str, expires: &str, more: &[&str]) -> Run {
        let words = ["trust", "init", "--key-set", "keys.json", "--out", out];
        self.run(&[&words[..], &["--expires", expires], more].concat())
    }

    fn sign(&self, bundle: &str, names: &[&str]) {
        for name in names {
            let key = format!("{name}.key");
            let words = ["trust", "sign", bundle, "--key", &key];
            let _ = self.run(&words).exits(0);
        }
    }

    /// Verifies the receipt with a bundle; what was said first.
    fn receipt(&self, bundle: &str, roots: &str, code: i32) -> String {
        let words = ["receipt", "verify", "receipt.json", "--trust", bundle];
        let run = self.run(&[&words[..], &["--roots", roots]].concat());
        run.exits(code).stdout()
    }
}

#[test]
fn receipt_verifies_with_keys_that_enough_roots_have_signed() {
    let place = Place::with_roots();
    let made = place.init("trust.json", "90d", &["--roots", "roots"]);
    assert!(made.exits(0).stdout().starts_with("MADE  version 1"));
    let said = place.receipt("trust.json", "roots", 11);
    let few = "UNVERIFIABLE  TRUST_NOT_ENOUGH_SIGNATURES";
    assert!(said.starts_with(few), "{said}");
    place.sign("trust.json", &["b"]);
    assert!(place.receipt("trust.json", "roots", 11).starts_with(few));
    place.sign("trust.json", &["a"]);
    let shown = place.run(&["trust", "show", "trust.json"]).exits(0);
    assert_eq!(shown.stdout().matches("signed  ").count(), 2);
    let said = place.receipt("trust.json", "roots", 0);
    assert!(said.starts_with("VALID  "), "{said}");
    let verified = place.run(&VERIFY).exits(0);
    assert!(verified.stdout().starts_with("VALID  version 1 of cluster"));
    let state = place.path().join(".local/state/holdpoint/trust.json");
    let path = state.display().to_string();
    assert!(verified.stderr().contains(&path), "{}", verified.stderr());
    let with_state = [&VERIFY[..], &["--state", "seen.json", "--output", "json"]].concat();
    let verified = place.run(&with_state).exits(0);
    assert!(verified.stderr().contains("seen.json"));
    let object = verified.json("holdpoint.trust-verify/1");
    assert_eq!(
        (&object["verdict"], &object["state"]),
        (&"VALID".into(), &"seen.json".into())
    );
}

#[test]
fn older_expired_and_second_bundle_of_a_version_are_never_believed_again() {
    let place = Place::with_roots();
    let _ = place.init("1.json", "90d", &["--roots", "roots"]).exits(0);
    let _ = place
        .init("2.json", "90d", &["--previous", "1.json"])
        .exits(0);
    let _ = place
        .init("other.json", "91d", &["--previous", "1.json"])
        .exits(0);
    let _ = place
        .init("3.json", "1ms", &["--previous", "2.json"])
        .exits(0);
    for bundle in ["1.json", "2.json", "other.json", "3.json"] {
        place.sign(bundle, &["a", "c"]);
    }
    assert!(place.receipt("1.json", "roots", 0).starts_with("VALID"));
    assert!(place.receipt("2.json", "roots", 0).starts_with("VALID"));
    for (bundle, code) in [
        ("1.json", "TRUST_ROLLED_BACK"),
        ("other.json", "TRUST_AMBIGUOUS"),
        ("3.json", "TRUST_EXPIRED"),
    ] {
        let said = place.receipt(bundle, "roots", 11);
        assert!(said.starts_with(&format!("UNVERIFIABLE  {code}")), "{said}");
    }
    // More signatures are no other bundle, and what expired was not remembered.
    place.sign("2.json", &["b"]);
    assert!(place.receipt("2.json", "roots", 0).starts_with("VALID"));
    let state = place.path().join(".local/state/holdpoint/trust.json");
    fs::write(&state, "{}").unwrap();
    let words = ["receipt", "verify", "receipt.json", "--trust", "2.json"];
    let damaged = place.run(&[&words[..], &["--roots", "roots"]].concat());
    let said = damaged.exits(1).stderr();
    assert!(
        said.contains("is not what this program remembers"),
        "{said}"
    );
}

#[test]
fn roots_are_replaced_by_old_and_new_ones_together_and_verifiers_follow() {
    let place = Place::with_roots();
    let _ = place.init("1.json", "90d", &["--roots", "roots"]).exits(0);
    place.new_root("d", "new");
    let second = ["--previous", "1.json", "--roots", "new"];
    let _ = place.init("2.json", "90d", &second).exits(0);
    let _ = place
        .init("3.json", "90d", &["--previous", "2.json"])
        .exits(0);
    place.sign("1.json", &["a", "b"]);
    place.sign("2.json", &["d", "b"]);
    place.sign("3.json", &["d"]);
    let unanchored = "UNVERIFIABLE  TRUST_NOT_ANCHORED";
    assert!(place.receipt("1.json", "roots", 0).starts_with("VALID"));
    let said = place.receipt("2.json", "roots", 11);
    assert!(said.starts_with(unanchored), "one of two old roots: {said}");
    place.sign("2.json", &["c"]);
    let said = place.receipt("3.json", "roots", 11);
    assert!(
        said.starts_with(unanchored),
        "a version was left out: {said}"
    );
    assert!(place.receipt("2.json", "roots", 0).starts_with("VALID"));
    assert!(place.receipt("3.json", "roots", 0).starts_with("VALID"));
    // Somebody who was given the new roots needs no version before.
    let fresh = Place::with_roots();
    for file in ["3.json", "new"] {
        fs::copy(place.path().join(file), fresh.path().join(file)).unwrap();
    }
    assert!(fresh.receipt("3.json", "new", 0).starts_with("VALID"));
}

#[test]
fn every_offline_verifier_takes_a_trust_bundle_and_says_why_it_believes_none() {
    let place = Place::with_roots();
    let _ = place
        .init("trust.json", "90d", &["--roots", "roots"])
        .exits(0);
    let with = ["--trust", "trust.json", "--roots", "roots"];
    for words in [
        &["receipt", "verify", "receipt.json"][..],
        &["receipt", "chain", "receipt.json"],
        &["log", "verify", "receipt.json"],
    ] {
        let refused = place.run(&[words, &with].concat()).exits(11);
        let said = refused.stdout();
        assert!(said.contains("TRUST_NOT_ENOUGH_SIGNATURES"), "{said}");
    }
    place.write("roots", "nobody\n");
    let said = place.receipt("trust.json", "roots", 11);
    assert!(said.contains("ROOTS_MALFORMED"), "{said}");
    let alone = place.run(&["receipt", "verify", "receipt.json", "--trust", "trust.json"]);
    let _ = alone.exits(2);
}

#[test]
fn root_key_is_encrypted_where_a_passphrase_is_named_and_signs_with_it_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::with_roots();
    for (name, words) in [("pass", "one two three\n"), ("wrong", "four five six\n")] {
        let path = place.write(name, words);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let drawn = [
        "trust", "new-root", "--key", "d.key", "--name", "d", "--roots", "one",
    ];
    let sealed = ["--key-passphrase-file", "pass"];
    let _ = place.run(&[&drawn[..], &sealed].concat()).exits(0);
    let again = place.run(&drawn).exits(1);
    assert!(
        again
            .stderr()
            .contains("exists already and is not overwritten")
    );
    let key = fs::read_to_string(place.path().join("d.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let _ = place.init("trust.json", "1d", &["--roots", "one"]).exits(0);
    let sign = ["trust", "sign", "trust.json", "--key", "d.key"];
    for more in [&[][..], &["--key-passphrase-file", "wrong"]] {
        let refused = place.run(&[&sign[..], more].concat()).exits(1);
        assert!(refused.stderr().contains("`d.key` is encrypted"));
    }
    let foreign = place.run(&["trust", "sign", "trust.json", "--key", "a.key"]);
    assert!(
        foreign
            .exits(1)
            .stderr()
            .contains("is no root of this trust bundle")
    );
    let _ = place.run(&[&sign[..], &sealed].concat()).exits(0);
    assert!(place.receipt("trust.json", "one", 0).starts_with("VALID"));
}

#[test]
fn next_bundle_cannot_forget_keys_or_marks() {
    let place = Place::with_roots();
    let _ = place.init("1.json", "90d", &["--roots", "roots"]).exits(0);
    let keys = golden_keys();
    let (authority, namespace) = (*keys.authority(), keys.namespace().clone());
    let mut epochs = keys.epochs().to_vec();
    for (node, keys) in epochs.iter_mut().flat_map(|epoch| &mut epoch.nodes) {
        let seed = |role| SecretKey::from_seed(&[u8::try_from(node.get()).unwrap() * 2 + role; 32]);
        *keys = NodeSecretKeys::new(seed(100), seed(101)).unwrap().public();
    }
    let other = KeySet::new(authority, namespace, epochs, vec![]);
    place.write("keys.json", &other.unwrap().to_file());
    let refused = place
        .init("2.json", "90d", &["--previous", "1.json"])
        .exits(1);
    assert!(
        refused
            .stderr()
            .contains("do not continue those of --previous")
    );
}

#[test]
fn published_keys_and_their_view_follow_from_a_bundle_that_is_believed_and_from_no_other() {
    let place = Place::with_roots();
    let _ = place
        .init("trust.json", "90d", &["--roots", "roots"])
        .exits(0);
    let out = ["--keys-out", "out.json", "--jwks-out", "out.jwks"];
    let write = [&VERIFY[..], &out].concat();
    let _ = place.run(&write).exits(11);
    assert!(!place.path().join("out.json").exists());
    place.sign("trust.json", &["a", "b"]);
    let _ = place.run(&write).exits(0);
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("out.json"), golden_keys().to_file());
    assert_eq!(read("out.jwks"), golden_keys().to_jwks());
    let other = [&write[..], &["--trust-namespace", "other"]].concat();
    let refused = place.run(&other).exits(11);
    assert!(refused.stdout().contains("TRUST_NO_KEYS"));
}
