//! Without a cluster nothing runs, and every command says that it reached nobody.

use std::fs;

use serde_json::Value;

use super::{Place, closed_port};

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
