//! A second verifier, in Python and without any code of ours, gives the same answer to everything.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdpoint_receipt::json::Json;
use holdpoint_receipt::keys::Revocation;
use holdpoint_receipt::names::Name;
use holdpoint_receipt::{KeySet, Receipt, verify};

use crate::fixture::{cluster, epoch, key_set, key_set_of, log, namespace, revoked, whole_log};
use crate::mutants::{Case, Chance, mutate};

const MUTANTS: usize = 6000;
const SEED: u64 = 20_261_122;

/// The codes of an audit, and `KEYS` for what is no key set.
const ANSWERS: [&str; 20] = [
    "VALID",
    "KEYS",
    "MALFORMED",
    "NOT_CANONICAL",
    "UNKNOWN_SCHEMA",
    "RECEIPT_HASH_MISMATCH",
    "STATEMENT_MALFORMED",
    "WRONG_AUTHORITY",
    "WRONG_NAMESPACE",
    "CHECKPOINT_MALFORMED",
    "WRONG_LOG",
    "WRONG_SIZE",
    "UNKNOWN_KEY",
    "SIGNATURE_INVALID",
    "SIGNATURE_ORDER",
    "TIMESTAMP",
    "KEY_REVOKED",
    "NOT_ENOUGH_SIGNATURES",
    "SURPLUS_SIGNATURES",
    "INCLUSION_PROOF",
];

/// What our verifier says, as the script says it.
fn ours(case: &Case) -> String {
    let Ok(keys) = KeySet::parse(&case.keys) else {
        return "KEYS".to_owned();
    };
    match verify(&case.receipt, &keys) {
        Ok(_) => "VALID".to_owned(),
        Err(error) => format!("INVALID {}", error.code()),
    }
}

/// What the script says of each, from one process.
fn theirs(cases: &[Case]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.jsonl");
    let line = |case: &Case| {
        let encoded = |bytes: &[u8]| Json::str(STANDARD.encode(bytes));
        let (keys, receipt) = (encoded(&case.keys), encoded(&case.receipt));
        Json::object([("keys", keys), ("receipt", receipt)]).to_canonical() + "\n"
    };
    std::fs::write(&path, cases.iter().map(line).collect::<String>()).unwrap();
    let cases = File::open(&path).unwrap();
    let output = python().stdin(cases).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

/// The script, run by the first `python3` on the path that has what it needs.
fn python() -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_cryptography = |python: &PathBuf| {
        let tried = Command::new(python)
            .args(["-c", "import cryptography"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let mut pythons = std::env::split_paths(&path).map(|folder| folder.join("python3"));
    let python = pythons.find(has_cryptography);
    assert!(
        python.is_some(),
        "no `python3` with the package `cryptography` is installed, so receipts have no second \
         verifier: `make setup` installs both on Debian and Ubuntu, and names them elsewhere"
    );
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/verify_receipt.py");
    let mut command = Command::new(python.unwrap());
    command.arg(script);
    command
}

fn set(epochs: &[(u64, u32, &[u8])], marks: Vec<Revocation>) -> KeySet {
    let epochs = epochs
        .iter()
        .map(|(from, k, nodes)| epoch(*from, *k, nodes));
    KeySet::new(cluster(), namespace(), epochs.collect(), marks).unwrap()
}

/// Genuine receipts with k = 1, 2 and 3, one to three epochs, with and without marks on keys.
fn genuine() -> Vec<Case> {
    let case = |receipt: Receipt, keys: &KeySet| Case {
        receipt: receipt.to_file().into_bytes(),
        keys: keys.to_file().into_bytes(),
    };
    let mut cases = Vec::new();
    let whole = whole_log();
    for leaf_index in 0..whole.frontier.size() {
        cases.push(case(whole.receipt(leaf_index, &[1]), &key_set()));
    }
    let two = [(0, 1, [1].as_slice()), (4, 2, &[1, 2, 3])];
    let three = [two[0], two[1], (9, 3, &[1, 2, 3, 4, 5])];
    let ended = [three[0], three[1], three[2], (11, 1, &[4])];
    let log = log();
    for leaf_index in 0..log.frontier.size() {
        for signers in [[1, 2], [1, 3], [2, 3]] {
            cases.push(case(log.receipt(leaf_index, &signers), &set(&two, vec![])));
        }
        for signers in [[1, 2, 3], [2, 3, 5], [3, 4, 5]] {
            let receipt = || log.receipt(leaf_index, &signers);
            cases.push(case(receipt(), &set(&three, vec![])));
            cases.push(case(receipt(), &set(&ended, vec![revoked(3, 12, 10)])));
        }
        let revoked = set(&three, vec![revoked(2, 10, 10), revoked(3, 12, 9)]);
        cases.push(case(log.receipt(leaf_index, &[1, 2, 4]), &revoked));
    }
    cases
}

#[test]
fn python_verifier_agrees_on_thousands_of_mutants_and_on_the_code_of_each() {
    let mut cases = genuine();
    assert!(cases.iter().all(|case| ours(case) == "VALID"));
    let mut chance = Chance(SEED);
    let genuine_count = cases.len();
    while cases.len() < genuine_count + MUTANTS {
        let mut case = cases[chance.below(genuine_count)].clone();
        for _ in 0..=chance.below(6) / 4 {
            mutate(&mut case, &mut chance);
        }
        cases.push(case);
    }
    let theirs = theirs(&cases);
    assert_eq!(theirs.len(), cases.len());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut differing = Vec::new();
    for (case, theirs) in cases.iter().zip(theirs) {
        let ours = ours(case);
        let word = ours.trim_start_matches("INVALID ").to_owned();
        *counts.entry(word).or_default() += 1;
        if ours != theirs {
            let (receipt, keys) = (&case.receipt, &case.keys);
            differing.push(format!(
                "ours: {ours}, theirs: {theirs}\n{}\n{}",
                receipt.escape_ascii(),
                keys.escape_ascii()
            ));
        }
    }
    let shown = differing.iter().take(5).cloned().collect::<Vec<_>>();
    let count = differing.len();
    assert!(count == 0, "{count} differ:\n{}", shown.join("\n\n"));
    for answer in ANSWERS {
        assert!(
            counts.contains_key(answer),
            "no mutant is {answer}: {counts:?}"
        );
    }
    assert!(
        counts["VALID"] < cases.len() / 2,
        "too few mutants: {counts:?}"
    );
}

/// The order of the page: whose receipt it is comes before what is wrong with its checkpoint.
#[test]
fn python_verifier_reads_two_files_and_exits_by_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let genuine = log().receipt(0, &[1]).to_file();
    let damaged = genuine.replace("\\n10\\n", "\\n010\\n");
    let foreign = KeySet::new(
        cluster(),
        Name::new("other").unwrap(),
        vec![epoch(0, 1, &[1])],
        vec![],
    );
    for (receipt, keys, expected, code) in [
        (&genuine, key_set(), "VALID\n", 0),
        (&damaged, key_set(), "INVALID CHECKPOINT_MALFORMED\n", 1),
        (&damaged, foreign.unwrap(), "INVALID WRONG_NAMESPACE\n", 1),
        (
            &genuine,
            key_set_of(vec![epoch(0, 1, &[2])]),
            "INVALID UNKNOWN_KEY\n",
            1,
        ),
    ] {
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let output = python()
            .arg(path("receipt.json", receipt))
            .arg(path("keys.json", &keys.to_file()))
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{stderr}"
        );
        assert_eq!(output.status.code(), Some(code));
        let case = Case {
            receipt: receipt.clone().into_bytes(),
            keys: keys.to_file().into_bytes(),
        };
        assert_eq!(ours(&case) + "\n", expected);
    }
}
