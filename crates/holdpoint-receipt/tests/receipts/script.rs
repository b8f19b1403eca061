//! The verifier that uses nothing of ours agrees with ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use holdpoint_receipt::{KeySet, verify};

use crate::fixture::{
    cluster, epoch, key_set, key_set_of, log, namespace, permit_receipt, revoked, whole_log,
};

const TOOLS: [&str; 6] = ["bash", "openssl", "jq", "sha256sum", "base64", "xxd"];

/// A script run, or nothing where its tools are not installed.
struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_installed =
            |tool: &&str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
        if let Some(missing) = TOOLS.iter().find(|tool| !is_installed(tool)) {
            println!("skipped: `{missing}` is not installed");
            return None;
        }
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// What the script prints, and its exit code.
    fn verify(&self, receipt: &[u8], keys: &KeySet) -> (String, Option<i32>) {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/verify-receipt.sh");
        let output = Command::new(script)
            .arg(self.file("receipt.json", receipt))
            .arg(self.file("keys.json", keys.to_file().as_bytes()))
            .output()
            .unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            output.status.code(),
        )
    }
}

#[test]
fn receipt_verifies_with_openssl_and_jq_alone() {
    let Some(script) = Script::new() else { return };
    let (said, code) = script.verify(permit_receipt().to_file().as_bytes(), &key_set());
    assert_eq!(
        said,
        "VALID  decision PERMIT GRANTED pmt_beeqscijbeeqscijbeeqscijbe  \
         leaf 0 of 10, signed by node 1 (1 needed)\n"
    );
    assert_eq!(code, Some(0));
    let epochs = || vec![epoch(0, 1, &[1]), epoch(4, 2, &[1, 2, 3])];
    let (said, code) = script.verify(
        log().receipt(9, &[2, 3]).to_file().as_bytes(),
        &key_set_of(epochs()),
    );
    assert_eq!(
        said,
        "VALID  keys founded  leaf 9 of 10, signed by node 2,3 (2 needed)\n"
    );
    assert_eq!(code, Some(0));
    for (valid_to, expected) in [(10, Some(0)), (9, Some(10))] {
        let marks = vec![revoked(3, 12, valid_to)];
        let keys = KeySet::new(cluster(), namespace(), epochs(), marks).unwrap();
        let file = log().receipt(9, &[2, 3]).to_file();
        let (said, code) = script.verify(file.as_bytes(), &keys);
        assert_eq!(code, expected, "{said}");
        assert_eq!(said.contains("KEY_REVOKED"), expected == Some(10));
    }
}

#[test]
fn script_says_what_every_kind_of_statement_is_about() {
    let Some(script) = Script::new() else { return };
    let log = whole_log();
    let size = log.frontier.size();
    for (leaf_index, said) in [
        (10, "approved plan-review"),
        (11, "approval_revoked plan-review"),
        (12, "session_closed"),
        (13, "frozen frozen"),
        (14, "drain revoke"),
        (18, "frozen thawed"),
        (19, "keys rotated"),
        (20, "frozen frozen"),
        (21, "erased pmt_beeqscijbeeqscijbeeqscijbe"),
        (22, "erased"),
    ] {
        let file = log.receipt(leaf_index, &[1]).to_file();
        let expected =
            format!("VALID  {said}  leaf {leaf_index} of {size}, signed by node 1 (1 needed)\n");
        assert_eq!(
            script.verify(file.as_bytes(), &key_set()),
            (expected, Some(0))
        );
        let changed = file.replacen("\"caller_commitment\":\"", "\"caller_commitment\":\"0", 1);
        let (said, code) = script.verify(changed.as_bytes(), &key_set());
        assert_eq!(code, Some(10), "{said}");
    }
}

/// One changed byte in each part of the file, and both verifiers give the same reason.
#[test]
fn script_refuses_what_our_verifier_refuses_for_the_same_reason() {
    let Some(script) = Script::new() else { return };
    let file = permit_receipt().to_file();
    let edits = [
        ("\"PERMIT\"", "\"PERMIX\""),
        ("\"fence\":41", "\"fence\":40"),
        ("infra.apply", "infra.applx"),
        ("\"entry_place\":3", "\"entry_place\":2"),
        ("\"leaf_index\":0,\"receipt", "\"leaf_index\":1,\"receipt"),
        ("\"tree_size\":10", "\"tree_size\":11"),
        ("\\n10\\n", "\\n11\\n"),
        ("/default\\n", "/defaulu\\n"),
        ("\u{2014} node-1", "\u{2014} node-2"),
        ("\u{2014} node-1", "\u{2014}_node-1"),
        ("receipt/1", "receipt/2"),
        ("{", "["),
        ("{\"ch", "{ \"ch"),
        ("\n", " "),
        ("\n", "\n\n"),
    ];
    for (from, to) in edits {
        let changed = file.replacen(from, to, 1);
        assert_ne!(changed, file, "{from}");
        let expected = verify(changed.as_bytes(), &key_set()).unwrap_err().code();
        let (said, code) = script.verify(changed.as_bytes(), &key_set());
        assert_eq!(
            said.split_whitespace().nth(1),
            Some(expected),
            "{from} to {to}: {said}"
        );
        assert_eq!(code, Some(10), "{from} to {to}");
    }
    // A bit of a signature, of the root and of a hash of the proof, wherever they stand.
    for place in (0..file.len()).step_by(file.len() / 12) {
        let mut changed = file.clone().into_bytes();
        changed[place] ^= 1;
        assert!(verify(&changed, &key_set()).is_err());
        let (said, code) = script.verify(&changed, &key_set());
        assert_eq!(code, Some(10), "byte {place}: {said}");
    }
}
