//! What the program prints is what the pages say, and a wrong command line is refused.

use std::fs;

use super::{Place, repository};

const PERMIT: &str = "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa";

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
        &["complete", PERMIT],
        &["complete", PERMIT, "--committed", "--aborted"],
        &["redeem", PERMIT, "--unbound", "--bind", "x=@x"],
        &["dev", "--listen", "0.0.0.0:7400"],
        &["help", "nonsense"],
    ] {
        let run = place.run(words).exits(2);
        assert_eq!(run.stdout(), "", "{words:?}");
        assert!(!run.stderr().is_empty(), "{words:?}");
        let json = place
            .run(&[&["--output=json"][..], words].concat())
            .exits(2);
        assert_eq!(json.json("holdpoint.error/1")["exit_code"], 2, "{words:?}");
        assert!(!json.stderr().is_empty(), "{words:?}");
    }
    let json = ["run", "--output", "json"];
    let error = place.run(&json).exits(2).json("holdpoint.error/1");
    let error = error["error"].as_str().unwrap();
    assert!(
        error.contains("--surface <NAME>") && !error.contains("Usage"),
        "{error}"
    );
    let guarded = ["run", "--", "x", "--output", "json"];
    assert_eq!(place.run(&guarded).exits(2).stdout(), "");
    let version = place.run(&["--version", "--output", "json"]).exits(0);
    assert_eq!(
        version.json("holdpoint.version/1")["version"],
        env!("CARGO_PKG_VERSION")
    );
    let _ = place
        .run(&["run", "-h", "--output", "json"])
        .exits(0)
        .json("holdpoint.help/1");
    assert!(!place.path().join(".holdpoint").exists());
}
