//! The program without any server: what it refuses, what it verifies offline, and that nothing runs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use holdpoint_receipt::{ClusterId, KeySet, NodeSecretKeys, SecretKey};
use serde_json::Value;

/// A folder with nothing of this machine's configuration in reach.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, words: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOLDPOINT_") {
                command.env_remove(name);
            }
        }
        let output = command
            .args(words)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("no-configuration"))
            .env("TF_CLI_ARGS_apply", "-destroy")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run {
            words: words.join(" "),
            output,
        }
    }
}

struct Run {
    words: String,
    output: Output,
}

impl Run {
    fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    #[track_caller]
    fn exits(self, code: i32) -> Self {
        let (words, out, err) = (&self.words, self.stdout(), self.stderr());
        assert_eq!(
            self.output.status.code(),
            Some(code),
            "{words}\nstdout: {out}\nstderr: {err}"
        );
        self
    }

    /// Stdout as exactly one JSON object with its schema.
    #[track_caller]
    fn json(&self, schema: &str) -> Value {
        let text = self.stdout();
        let value: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", self.words));
        assert_eq!(value["schema"], schema);
        assert_eq!(text.lines().count(), 1);
        value
    }
}

/// An address on which nothing listens.
fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn exit_codes_of_the_program_and_of_the_page_are_one_table() {
    let printed = Place::new()
        .run(&["help", "exit-codes", "--output", "json"])
        .exits(0);
    let printed = printed.json("holdpoint.exit-codes/1");
    let page = fs::read_to_string(repository().join("docs/reference/exit-codes.md")).unwrap();
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    let expected: Vec<String> = printed["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            format!(
                "| {} | {} | {} |",
                text("code"),
                text("name"),
                text("meaning")
            )
        })
        .collect();
    assert_eq!(
        rows, expected,
        "docs/reference/exit-codes.md must say what the program says"
    );
}

#[test]
fn every_option_of_every_command_is_on_the_page() {
    let place = Place::new();
    let page = fs::read_to_string(repository().join("docs/reference/cli.md")).unwrap();
    let examples = place
        .run(&["help", "examples", "--output", "json"])
        .exits(0);
    for example in examples.json("holdpoint.examples/1")["examples"]
        .as_array()
        .unwrap()
    {
        let command = example["command"].as_str().unwrap();
        if command.is_empty() {
            continue;
        }
        assert!(
            page.contains(&format!("`holdpoint {command}")),
            "`{command}` is not on the page"
        );
        let words: Vec<&str> = command.split_whitespace().chain(["-h"]).collect();
        let help = place.run(&words).exits(0).stdout();
        let options = help
            .split_whitespace()
            .filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options {
            let option: String = option
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            assert!(
                page.contains(&format!("`{option}")),
                "{option} of `{command}` is not on the page"
            );
        }
    }
}

#[test]
fn wrong_command_line_ends_with_usage_and_prints_nothing_to_stdout() {
    let place = Place::new();
    for words in [
        &["frobnicate"][..],
        &["authorize"],
        &["authorize", "--surface", "s", "--param", "n:=1.5"],
        &[
            "authorize",
            "--surface",
            "s",
            "--param",
            "n:={\"a\":1,\"a\":2}",
        ],
        &[
            "authorize",
            "--surface",
            "s",
            "--param",
            "n:=9007199254740992",
        ],
        &[
            "authorize",
            "--surface",
            "s",
            "--param",
            "n=1",
            "--param",
            "n=2",
        ],
        &["authorize", "--surface", "Not A Name", "--param", "n=1"],
        &["complete", "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa"],
        &[
            "complete",
            "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "--committed",
            "--aborted",
        ],
        &["dev", "--listen", "0.0.0.0:7400"],
        &["help", "nonsense"],
    ] {
        let run = place.run(words).exits(2);
        assert_eq!(run.stdout(), "", "{words:?}");
        assert!(!run.stderr().is_empty(), "{words:?}");
    }
    assert!(!place.path().join(".holdpoint").exists());
}

#[test]
fn run_finds_the_command_and_reads_the_files_before_it_asks_anybody() {
    let place = Place::new();
    place.write("plan.tfplan", "plan");
    let plain = place.write("not-executable", "#!/bin/sh\n");
    let plain = plain.to_str().unwrap();
    let surface = [
        "run",
        "--surface",
        "infra.apply",
        "--bind",
        "plan=@plan.tfplan",
    ];
    let run = |rest: &[&str]| place.run(&[&surface[..], rest].concat());

    let missing = run(&["--", "terrafrom", "apply", "{plan}"])
        .exits(127)
        .stderr();
    assert!(
        missing.contains("error: command `terrafrom` not found in PATH (no permit was requested)"),
        "{missing}"
    );
    let _ = run(&["--", "./no-such-command", "{plan}"]).exits(127);
    let _ = run(&["--", plain, "{plan}"]).exits(126);
    let unused = run(&["--", "touch", "ran"]).exits(2).stderr();
    assert!(unused.contains("write `{plan}`"), "{unused}");
    let gone = [
        "run",
        "--surface",
        "s",
        "--bind",
        "x=@no-such-file",
        "--",
        "cat",
        "{x}",
    ];
    assert!(
        place
            .run(&gone)
            .exits(125)
            .stderr()
            .contains("no-such-file")
    );
    let _ = run(&["--result", "no/such/folder", "--", "cat", "{plan}"]).exits(125);
    assert!(!place.path().join("ran").exists());
}

#[test]
fn run_without_a_cluster_runs_nothing_and_says_so_in_its_result() {
    let place = Place::new();
    place.write("plan.tfplan", "plan");
    let closed = closed_port();
    let command = ["--", "sh", "-c", "touch ran; cat \"$0\"", "{plan}"];
    let ask = [
        "run",
        "--surface",
        "infra.apply",
        "--bind",
        "plan=@plan.tfplan",
        "--result",
        "r.json",
    ];
    let anywhere = ["--endpoint", &closed, "--deadline", "500ms"];
    for place_of_gate in [&[][..], &anywhere] {
        let run = place
            .run(&[&ask[..], place_of_gate, &command].concat())
            .exits(122);
        assert_eq!(run.stdout(), "");
        let said = run.stderr();
        assert!(
            said.contains("holdpoint: dropped from the environment: "),
            "{said}"
        );
        assert!(said.contains("TF_CLI_ARGS_apply"), "{said}");
        let result = fs::read_to_string(place.path().join("r.json")).unwrap();
        let result: Value = serde_json::from_str(&result).unwrap();
        assert_eq!(result["schema"], "holdpoint.run/1");
        assert_eq!(result["exit_code"], 122);
        assert!(result["child_exit"].is_null() && result["outcome"].is_null());
        assert_eq!(result["key"].as_str().unwrap().len(), 32);
        assert!(
            !place.path().join("ran").exists(),
            "nothing may run without a permit"
        );
    }
    let json = [&ask[..], &["--output", "json"], &command].concat();
    assert_eq!(
        place.run(&json).exits(122).json("holdpoint.run/1")["stage"],
        "prepare"
    );
}

#[test]
fn every_command_says_that_it_reaches_nobody() {
    let place = Place::new();
    let closed = closed_port();
    let permit = "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let digest = "0".repeat(64);
    for words in [
        &["redeem", permit][..],
        &["complete", permit, "--aborted"],
        &["revoke", permit],
        &["get", "permit", permit],
        &[
            "get",
            "operation",
            "infra.apply",
            "workspace",
            "workspace/prod-eu",
        ],
        &["get", "receipt", "--leaf", "0"],
        &["policy", "activate", &digest],
        &["policy", "list"],
        &["policy", "get"],
        &["keys", "export"],
    ] {
        let _ = place.run(words).exits(122);
        let at = [
            "--endpoint",
            &closed,
            "--deadline",
            "300ms",
            "--output",
            "json",
        ];
        let run = place.run(&[words, &at].concat()).exits(122);
        let error = run.json("holdpoint.error/1");
        assert!(
            error["error"].as_str().unwrap().contains("UNREACHABLE"),
            "{error}"
        );
    }
    let ask = [
        "authorize",
        "--surface",
        "demo.echo",
        "--endpoint",
        &closed,
        "--deadline",
        "300ms",
    ];
    let asked = place
        .run(&[&ask[..], &["--output", "json"]].concat())
        .exits(122);
    let asked = asked.json("holdpoint.authorize/1");
    assert_eq!(
        (&asked["decision"], &asked["decided"]),
        (&"SILENCE".into(), &"never".into())
    );
    assert_eq!(asked["reason"], "UNREACHABLE");
    let status = [
        "status",
        "--endpoint",
        &closed,
        "--deadline",
        "300ms",
        "--output",
        "json",
    ];
    let status = place.run(&status).exits(122).json("holdpoint.status/1");
    assert_eq!(status["nodes"][0]["answered"], false);
}

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
fn golden(name: &str) -> String {
    let folder = repository().join("crates/holdpoint-receipt/tests/receipts/golden");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The keys of that receipt, which one node signed.
fn golden_keys() -> KeySet {
    let keys = KeySet::parse(golden("keys.json").as_bytes()).unwrap();
    let mut epochs = keys.epochs().to_vec();
    for epoch in &mut epochs {
        epoch.signers_needed = 1;
    }
    KeySet::new(*keys.authority(), keys.namespace().clone(), epochs).unwrap()
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
    let rotated = KeySet::new(*keys.authority(), namespace, fresh);
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
