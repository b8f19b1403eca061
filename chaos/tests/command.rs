//! The program `chaos`, as operators and scripts run it.
#![expect(clippy::expect_used, reason = "a test that cannot go on must fail")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn chaos(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(words).output().expect("the program runs")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn exit_code_says_whether_every_promise_holds() {
    let file = file("exit.jsonl");
    let file = file.to_str().expect("a path of text");
    for (plant, code) in [
        (None, 0),
        (Some("redeemed_at_expiry"), 1),
        (Some("fault_without_proof"), 3),
    ] {
        let mut words = vec!["invent", "--seed", "3", "--out", file];
        words.extend(plant.into_iter().flat_map(|bug| ["--plant", bug]));
        let invented = chaos(&words);
        assert!(invented.status.success(), "{}", text(&invented.stderr));
        let checked = chaos(&["check", file]);
        assert_eq!(
            checked.status.code(),
            Some(code),
            "{}",
            text(&checked.stdout)
        );
    }
}

#[test]
fn breach_is_shown_with_its_operations_and_the_command_that_makes_them_again() {
    let file = file("breach.jsonl");
    let file = file.to_str().expect("a path of text");
    chaos(&["invent", "--plant", "redeemed_at_expiry", "--out", file]);
    let table = text(&chaos(&["check", file]).stdout);
    assert!(table.contains("linearizable   BROKEN"), "{table}");
    let again = "reproduce: cargo run -p chaos -- invent --seed 1";
    assert!(table.contains(again), "{table}");
    let json = chaos(&["check", file, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["overall"], "broken");
    let findings = json["findings"].as_array().expect("findings");
    let finding = findings.iter().find(|one| one["checker"] == "linearizable");
    let excerpt = finding.expect("a finding")["excerpt"].as_array();
    assert!(!excerpt.expect("operations").is_empty());
}

#[test]
fn what_cannot_be_read_or_is_no_command_is_wrong_usage() {
    for (words, said) in [
        (vec![], "no command is given"),
        (vec!["chek"], "`chek` is no command"),
        (vec!["check"], "give its file"),
        (vec!["check", "no-such-file"], "`no-such-file`"),
        (vec!["check", "a", "--output", "yaml"], "not `yaml`"),
        (vec!["invent", "--seed", "x"], "`x`"),
        (
            vec!["invent", "--plant", "kindness"],
            "`kindness` is no bug",
        ),
    ] {
        let output = chaos(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let error = text(&output.stderr);
        assert!(error.contains(said), "{error}");
    }
}
