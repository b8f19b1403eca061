//! What needs no cluster: checking bundles and receipts.

use std::fs;
use std::process::Command;

use holdpoint_receipt::{ClusterId, KeySet, NodeSecretKeys, SecretKey};

use super::{Place, repository};

#[test]
fn starter_bundle_is_checked_and_tested_offline() {
    let place = Place::new();
    let starter = repository().join("policies/starter");
    let starter = starter.to_str().unwrap();
    assert!(
        place
            .run(&["policy", "check", starter])
            .exits(0)
            .stdout()
            .starts_with("ok  starter")
    );
    let checked = place
        .run(&["policy", "check", starter, "--output", "json"])
        .exits(0);
    assert_eq!(checked.json("holdpoint.policy-check/1")["ok"], true);
    let tested = place
        .run(&["policy", "test", starter, "--output", "json"])
        .exits(0);
    let tested = tested.json("holdpoint.policy-test/1");
    assert_eq!(tested["failed"], 0);
    assert!(tested["passed"].as_u64().unwrap() > 0);
}

#[test]
fn broken_bundle_is_refused_with_file_and_line() {
    let place = Place::new();
    let starter = repository().join("policies/starter");
    let status = Command::new("cp")
        .arg("-r")
        .arg(&starter)
        .arg(place.path().join("policy"))
        .status();
    assert!(status.unwrap().success());
    let surfaces = place.path().join("policy/surfaces.yaml");
    let text = fs::read_to_string(&surfaces).unwrap();
    fs::write(
        &surfaces,
        text.replace(
            "'workspace/{params.workspace}'",
            "'workspace/{params.worksapce}'",
        ),
    )
    .unwrap();
    for command in ["check", "test"] {
        let run = place.run(&["policy", command, "policy"]).exits(1).stdout();
        assert!(run.contains("policy/surfaces.yaml:"), "{run}");
        assert!(run.contains("did you mean `workspace`?"), "{run}");
        assert!(run.contains("1 error"), "{run}");
    }
    fs::remove_file(place.path().join("policy/schema.cedarschema")).unwrap();
    let _ = place.run(&["policy", "check", "policy"]).exits(1);
    let gone = place
        .run(&["policy", "check", "no-such-folder"])
        .exits(1)
        .stderr();
    assert!(gone.contains("cannot read `no-such-folder`"), "{gone}");
}

#[test]
fn what_is_no_receipt_or_no_keys_is_told_apart() {
    let place = Place::new();
    let receipt = place.write("receipt.json", "{}\n");
    place.write("keys.json", "not keys");
    let verify = ["receipt", "verify", "receipt.json", "--keys"];
    let with = |keys: &str| place.run(&[&verify[..], &[keys]].concat());
    let run = with("keys.json").exits(11);
    assert!(
        run.stdout().starts_with("UNVERIFIABLE  KEYS_MALFORMED"),
        "{}",
        run.stdout()
    );
    let _ = with("no-such-file").exits(1);
    let _ = place
        .run(&["receipt", "verify", "no-such-file", "--keys", "keys.json"])
        .exits(1);
    let _ = place
        .run(&["receipt", "verify", receipt.to_str().unwrap()])
        .exits(2);
}

/// A receipt, as the receipt crate keeps it for its own tests.
pub(crate) fn golden(name: &str) -> String {
    let folder = repository().join("crates/holdpoint-receipt/tests/receipts/golden");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The keys of that receipt, which one node signed.
pub(crate) fn golden_keys() -> KeySet {
    let keys = KeySet::parse(golden("keys.json").as_bytes()).unwrap();
    let mut epochs = keys.epochs().to_vec();
    for epoch in &mut epochs {
        epoch.signers_needed = 1;
    }
    KeySet::new(*keys.authority(), keys.namespace().clone(), epochs, vec![]).unwrap()
}

#[test]
fn genuine_receipt_is_valid_and_any_other_says_what_is_wrong_with_it() {
    let place = Place::new();
    let (receipt, keys) = (golden("receipt.json"), golden_keys().to_file());
    place.write("keys.json", &keys);
    let verify = |content: &str, keys: &str, code: i32| {
        place.write("receipt.json", content);
        place
            .run(&["receipt", "verify", "receipt.json", "--keys", keys])
            .exits(code)
            .stdout()
    };
    let valid = verify(&receipt, "keys.json", 0);
    assert!(valid.starts_with("VALID  PERMIT pmt_"), "{valid}");
    assert!(
        valid.contains("signed by ") && valid.contains("log default, leaf 0 of 10"),
        "{valid}"
    );

    let changed = verify(
        &receipt.replace("\"fence\":41", "\"fence\":42"),
        "keys.json",
        10,
    );
    assert!(
        changed.starts_with("INVALID  RECEIPT_HASH_MISMATCH  the statement is not"),
        "{changed}"
    );
    let spaced = verify(
        &receipt.replace("{\"checkpoint\"", "{ \"checkpoint\""),
        "keys.json",
        10,
    );
    assert!(spaced.starts_with("INVALID  NOT_CANONICAL"), "{spaced}");
    assert!(verify("", "keys.json", 10).starts_with("INVALID  MALFORMED"));
    assert!(verify(&"x".repeat(60_000), "keys.json", 10).starts_with("INVALID  MALFORMED"));
    let newer = verify(
        &receipt.replace("holdpoint.receipt/1", "holdpoint.receipt/2"),
        "keys.json",
        11,
    );
    assert!(newer.starts_with("UNVERIFIABLE  UNKNOWN_SCHEMA"), "{newer}");
}

#[test]
fn receipt_of_another_cluster_is_invalid_and_one_of_unknown_keys_is_unverifiable() {
    let place = Place::new();
    place.write("receipt.json", &golden("receipt.json"));
    let keys = golden_keys();
    let (namespace, epochs) = (keys.namespace().clone(), keys.epochs().to_vec());
    let elsewhere = KeySet::new(
        ClusterId::from_bytes([9; 16]),
        namespace.clone(),
        epochs.clone(),
        vec![],
    );
    let mut fresh = epochs;
    for (place, keys) in fresh
        .iter_mut()
        .flat_map(|epoch| epoch.nodes.values_mut())
        .enumerate()
    {
        let seed = |role: u8| SecretKey::from_seed(&[role + 2 * u8::try_from(place).unwrap(); 32]);
        *keys = NodeSecretKeys::new(seed(100), seed(101)).unwrap().public();
    }
    let rotated = KeySet::new(*keys.authority(), namespace, fresh, vec![]);
    for (keys, code, word) in [
        (elsewhere, 10, "INVALID  WRONG_AUTHORITY"),
        (rotated, 11, "UNVERIFIABLE  UNKNOWN_KEY"),
    ] {
        place.write("keys.json", &keys.unwrap().to_file());
        let verify = ["receipt", "verify", "receipt.json", "--keys", "keys.json"];
        let run = place.run(&verify).exits(code);
        assert!(run.stdout().starts_with(word), "{}", run.stdout());
        let json = place
            .run(&[&verify[..], &["--output", "json"]].concat())
            .exits(code);
        let verdict = json.json("holdpoint.receipt-verify/1")["verdict"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(word.starts_with(&verdict), "{verdict}");
    }
}
