//! A receipt is checked by people who have nothing but the published keys.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use holdpoint_receipt::{KeySet, verify};
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::dev::Dev;
use holdpoint_tests::repository;

/// What the script of openssl, jq, sha256sum, base64 and xxd says.
fn script(receipt: &Path, keys: &Path) -> (bool, String) {
    let script = repository::root().join("tests/scripts/verify-receipt.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(receipt)
        .arg(keys)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

/// What the page of Python says, run by the first `python3` that has the package it needs.
fn python(receipt: &Path, keys: &Path) -> (bool, String) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut pythons = std::env::split_paths(&path).map(|folder| folder.join("python3"));
    let has_cryptography = |python: &PathBuf| {
        let tried = Command::new(python)
            .args(["-c", "import cryptography"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let python = pythons.find(has_cryptography);
    let python = python.expect("a `python3` with `cryptography`; `make setup` installs both");
    let script = repository::root().join("tests/scripts/verify_receipt.py");
    let output = Command::new(python)
        .arg(script)
        .args([receipt, keys])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

/// Both independent verifiers find a receipt valid, and it with one changed byte not.
fn others_agree(receipt: &Path, keys: &Path) {
    for verifier in [script, python] {
        let (valid, said) = verifier(receipt, keys);
        assert!(valid, "{}: {said}", receipt.display());
        let mut changed = std::fs::read(receipt).unwrap();
        // In the statement, the proof or the head.
        let place = changed.len() / 2;
        changed[place] ^= 0x01;
        let path = receipt.with_extension("changed");
        std::fs::write(&path, changed).unwrap();
        let (valid, said) = verifier(&path, keys);
        assert!(!valid, "{} changed: {said}", receipt.display());
    }
}

/// The receipts of a permit, its redemption and its completion, and of a denial.
fn receipts(cli: impl Fn(&[&str]) -> holdpoint_tests::command::Run) -> Vec<String> {
    let mut files = Vec::new();
    let permit = cli(&[
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=hello",
        "--output",
        "json",
    ]);
    let permit = permit.exits(0).json();
    files.push(permit["receipt"].as_str().unwrap().to_owned());
    let id = permit["permit"]["id"].as_str().unwrap();
    let redeemed = cli(&["redeem", id, "--output", "json"]).exits(0).json();
    files.push(redeemed["receipt"].as_str().unwrap().to_owned());
    let completed = cli(&["complete", id, "--committed", "--output", "json"])
        .exits(0)
        .json();
    files.push(completed["receipt"].as_str().unwrap().to_owned());
    let denied = cli(&[
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=forbidden",
        "--output",
        "json",
    ]);
    files.push(
        denied.exits(120).json()["receipt"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    files
}

#[test]
fn receipts_verify_by_the_program_and_by_standard_tools_alone() {
    let dev = Dev::started();
    let files = receipts(|words| dev.cli(words));
    let _ = dev
        .cli(&["keys", "export", "--out", "published.json"])
        .exits(0);
    let keys = dev.scratch().join("published.json");
    for file in &files {
        let verified = dev
            .cli(&["receipt", "verify", file, "--keys", "published.json"])
            .exits(0);
        assert!(verified.stdout.contains("VALID"), "{}", verified.stdout);
        others_agree(&dev.scratch().path().join(file), &keys);
    }
}

#[test]
fn receipts_that_two_of_three_nodes_signed_verify_by_standard_tools_and_a_page_of_python() {
    let cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let all = cluster.endpoints().join(",");
    let cli = |words: &[&str]| cluster.cli(&[words, &["--endpoint", &all]].concat());
    let files = receipts(cli);
    let _ = cli(&["keys", "export", "--out", "keys.json"]).exits(0);
    let keys = cluster.scratch().join("keys.json");
    assert_eq!(files.len(), 4);
    for file in &files {
        let verified = cluster.cli(&["receipt", "verify", file, "--keys", "keys.json"]);
        let said = verified.exits(0).stdout;
        assert!(said.contains("signed by 2 of 2 needed"), "{said}");
        others_agree(&cluster.scratch().join(file), &keys);
    }
}

#[test]
fn every_changed_byte_of_a_receipt_is_refused_and_a_sample_by_standard_tools() {
    let dev = Dev::started();
    let files = receipts(|words| dev.cli(words));
    let keys_file = dev.scratch().path().join(".holdpoint/keys.json");
    let keys = KeySet::parse(&std::fs::read(&keys_file).unwrap()).unwrap();
    for file in &files {
        let receipt = std::fs::read(dev.scratch().path().join(file)).unwrap();
        verify(&receipt, &keys).unwrap();
        for place in 0..receipt.len() {
            let mut changed = receipt.clone();
            changed[place] ^= 0x01;
            assert!(
                verify(&changed, &keys).is_err(),
                "{file}: byte {place} may be changed"
            );
        }
        for place in (0..receipt.len()).step_by((receipt.len() / 12).max(1)) {
            let mut changed = receipt.clone();
            changed[place] ^= 0x01;
            let path = dev.scratch().write("changed.json", &changed);
            let (valid, said) = script(&path, &keys_file);
            assert!(
                !valid,
                "{file}: byte {place} may be changed for the script: {said}"
            );
        }
    }
}

#[test]
fn receipt_of_another_cluster_is_refused_by_name() {
    let (one, other) = (Dev::started(), Dev::started());
    let file = receipts(|words| one.cli(words)).remove(0);
    let path = one.scratch().path().join(file);
    let path = path.display().to_string();
    let refused = other
        .cli(&["receipt", "verify", &path, "--keys", ".holdpoint/keys.json"])
        .exits(10);
    assert!(
        refused.stdout.contains("INVALID") && refused.stdout.contains("WRONG_AUTHORITY"),
        "{}",
        refused.stdout
    );
}

#[test]
fn receipt_from_any_of_three_nodes_verifies_with_one_key_file() {
    let cluster = Cluster::deciding(&repository::root().join("policies/starter"));
    let endpoints = cluster.endpoints();
    let all = endpoints.join(",");
    let _ = cluster
        .cli(&["keys", "export", "--endpoint", &all, "--out", "keys.json"])
        .exits(0);
    let keys = KeySet::parse(&std::fs::read(cluster.scratch().join("keys.json")).unwrap()).unwrap();
    for (place, endpoint) in endpoints.iter().enumerate() {
        let message = format!("message=through {place}");
        let file = format!("receipt-{place}.json");
        let _ = cluster
            .cli(&[
                "authorize",
                "--endpoint",
                endpoint,
                "--surface",
                "demo.echo",
                "--param",
                &message,
                "--receipt",
                &file,
            ])
            .exits(0);
        verify(
            &std::fs::read(cluster.scratch().join(&file)).unwrap(),
            &keys,
        )
        .unwrap();
    }
}
