//! What a newcomer meets: `holdpoint dev`, the command that it prints, and a second start.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use holdpoint_tests::command::holdpoint;
use holdpoint_tests::dev::Dev;
use holdpoint_tests::scratch::Scratch;

/// The command after `label` in what `dev` printed.
fn printed_command(said: &str, label: &str) -> Vec<String> {
    let line = said
        .lines()
        .find(|line| line.trim_start().starts_with(label))
        .unwrap();
    let command = line.split_once("holdpoint ").unwrap().1;
    command.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn first_permit_comes_from_the_printed_command_and_a_second_start_keeps_the_state() {
    let mut dev = Dev::started();
    dev.scratch().write("README.md", "read me\n");
    let said = dev.said();
    assert!(said.contains("development"), "{said}");

    let words = printed_command(&said, "try:");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let first = dev.cli(&words).exits(0);
    assert!(first.stdout.contains("PERMIT"), "{}", first.stdout);

    let words = printed_command(&said, "guard:");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(dev.cli(&words).exits(0).stdout, "read me\n");

    let ask = [
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=hello",
        "--key",
        "k1",
        "--output",
        "json",
    ];
    let before = dev.cli(&ask).exits(0).json();
    let status = ["status", "--output", "json"];
    let cluster = dev.cli(&status).json()["cluster_id"].clone();

    dev.kill();
    dev.start();
    assert_eq!(dev.cli(&status).json()["cluster_id"], cluster);
    let not_after = before["not_after_ms"].as_str().unwrap().to_owned();
    let mut again = ask.to_vec();
    again.extend(["--not-after", &not_after]);
    let after = dev.cli(&again).exits(0).json();
    assert_eq!(before["permit"]["id"], after["permit"]["id"]);
    assert_eq!(before["permit"]["fence"], after["permit"]["fence"]);
    assert_eq!(after["replay"], true);
}

#[test]
fn address_that_is_not_loopback_is_refused() {
    let scratch = Scratch::new();
    for address in ["0.0.0.0:7400", "192.0.2.1:7400", "[::]:7400"] {
        let run = holdpoint(scratch.path(), &["dev", "--listen", address]);
        assert_ne!(run.code, 0, "{address} was accepted");
        assert!(run.stderr.contains("loopback"), "{}", run.stderr);
    }
    assert!(
        !scratch.join(".holdpoint").exists(),
        "a refused start leaves nothing behind"
    );
}

#[test]
fn second_node_on_the_same_directory_is_refused_while_the_first_runs() {
    let dev = Dev::started();
    let second = dev.cli(&["dev", "--listen", "127.0.0.1:0"]);
    assert_ne!(second.code, 0);
    assert!(
        second.stderr.contains("another process"),
        "{}",
        second.stderr
    );
}

#[test]
fn denial_has_a_reason_a_code_and_a_receipt() {
    let dev = Dev::started();
    let denied = dev.cli(&[
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=forbidden",
        "--output",
        "json",
    ]);
    let denied = denied.exits(120).json();
    assert_eq!(denied["decision"], "DENY");
    assert_eq!(denied["reason"], "POLICY");
    assert_eq!(denied["codes"][0], "FORBIDDEN_WORD");
    let receipt = denied["receipt"].as_str().unwrap();
    let verified = dev
        .cli(&[
            "receipt",
            "verify",
            receipt,
            "--keys",
            ".holdpoint/keys.json",
        ])
        .exits(0);
    assert!(verified.stdout.contains("VALID"), "{}", verified.stdout);
}

#[test]
fn key_alone_finds_the_decision_again_from_another_process() {
    let dev = Dev::started();
    let ask = [
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=hello",
        "--key",
        "k1",
        "--output",
        "json",
    ];
    let first = dev.cli(&ask).exits(0).json();
    let again = dev.cli(&ask).exits(0).json();
    assert_eq!(first["permit"]["id"], again["permit"]["id"]);
    assert_eq!(first["not_after_ms"], again["not_after_ms"]);
    assert_eq!(again["replay"], true);
}

#[test]
fn every_printed_next_command_works_where_it_is_pasted() {
    let dev = Dev::started();
    dev.scratch().write("plan.tfplan", "plan");
    dev.scratch().write("elsewhere/a plan", "plan");
    let gate = [
        "--endpoint",
        dev.address(),
        "--keys",
        "../.holdpoint/keys.json",
    ];
    let here = dev.scratch().join("elsewhere");
    let ask = [
        "authorize",
        "--surface",
        "infra.apply",
        "--param",
        "workspace=prod",
        "--bind",
        "plan=@a plan",
    ];
    let permit = holdpoint(&here, &[&ask[..], &gate].concat()).exits(0);
    assert!(
        permit.stdout.contains("\n  key       "),
        "{}",
        permit.stdout
    );
    let next = printed_line(&permit.stderr);
    let redeemed = shell_in(&here, next);
    assert!(redeemed.contains("REDEEMED"), "{redeemed}");
    let next = next.replace("redeem", "get permit");
    let read = next.split(" --bind").next().unwrap();
    assert!(shell_in(&here, read).contains("REDEEMED"));
}

/// The command behind `next: `.
fn printed_line(said: &str) -> &str {
    said.lines()
        .find_map(|line| line.strip_prefix("next: "))
        .unwrap()
}

/// What a shell prints on stdout of the line, as it is pasted.
fn shell_in(directory: &std::path::Path, line: &str) -> String {
    let output = holdpoint_tests::shell::shell(directory, line)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn refused_steps_say_what_is_next_and_a_key_that_nobody_has_is_not_called_free() {
    let dev = Dev::started();
    let denied = dev
        .cli(&[
            "authorize",
            "--surface",
            "demo.echo",
            "--param",
            "message=forbidden",
        ])
        .exits(120);
    assert!(
        denied.stdout.contains("\n  key       "),
        "{}",
        denied.stdout
    );

    let ask = [
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=hello",
        "--output",
        "json",
    ];
    let permit = dev.cli(&ask).exits(0).json();
    let permit = permit["permit"]["id"].as_str().unwrap();
    let refused = dev.cli(&["complete", permit, "--committed"]).exits(1);
    assert!(
        refused
            .stderr
            .contains("error: NOT_REDEEMED: only a redeemed permit"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("next: holdpoint redeem"),
        "{}",
        refused.stderr
    );
    let _ = dev.cli(&["redeem", permit]).exits(0);
    let refused = dev.cli(&["redeem", permit]).exits(123);
    assert!(
        refused.stderr.contains("ALREADY_REDEEMED: the permit"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("next: holdpoint get permit"),
        "{}",
        refused.stderr
    );

    let read = [
        "get",
        "operation",
        "infra.apply",
        "workspace",
        "workspace/none",
    ];
    let read = dev.cli(&read).exits(0).stdout;
    assert_eq!(
        read.trim(),
        "infra.apply workspace workspace/none: no permit has this key"
    );
}
