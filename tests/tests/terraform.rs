//! `holdpoint run` around the real thing: a Terraform plan is applied once, from the bytes that were
//! decided. Where no `terraform` is installed, a plain command stands for the apply.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::process::Command;

use holdpoint_tests::dev::Dev;

const MAIN: &str = r#"
resource "terraform_data" "one" {
  input = "first"
  provisioner "local-exec" {
    command = "echo applied >> applied.log"
  }
}
"#;

const FAILING: &str = r#"
resource "terraform_data" "fails" {
  provisioner "local-exec" {
    command = "exit 3"
  }
}
"#;

fn has_terraform() -> bool {
    Command::new("terraform")
        .arg("version")
        .output()
        .is_ok_and(|out| out.status.success())
}

/// A plan file named `plan.tfplan` in the scratch directory, made by terraform where there is one.
fn plan(dev: &Dev, main: &str) {
    if !has_terraform() {
        eprintln!("no `terraform` here: a plain command stands for the apply");
        dev.scratch().write("plan.tfplan", main);
        return;
    }
    let _ = std::fs::remove_file(dev.scratch().join("terraform.tfstate"));
    dev.scratch().write("main.tf", main);
    for words in [
        &["init", "-input=false"][..],
        &["plan", "-input=false", "-out", "plan.tfplan"],
    ] {
        let output = Command::new("terraform")
            .args(words)
            .current_dir(dev.scratch().path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The command that applies `{plan}`.
fn apply() -> Vec<&'static str> {
    if has_terraform() {
        vec!["terraform", "apply", "-input=false", "{plan}"]
    } else {
        vec![
            "sh",
            "-c",
            "if grep -q 'exit 3' \"$0\"; then exit 1; fi; echo applied >> applied.log",
            "{plan}",
        ]
    }
}

fn guarded(workspace: &str) -> Vec<String> {
    let mut words: Vec<String> = [
        "run",
        "--surface",
        "infra.apply",
        "--bind",
        "plan=@plan.tfplan",
        "--param",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(format!("workspace={workspace}"));
    words.extend(["--result", "result.json", "--"].map(str::to_owned));
    words.extend(apply().into_iter().map(str::to_owned));
    words
}

fn run(dev: &Dev, words: &[String]) -> holdpoint_tests::command::Run {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    dev.cli(&words)
}

fn applied(dev: &Dev) -> usize {
    std::fs::read_to_string(dev.scratch().join("applied.log"))
        .unwrap_or_default()
        .lines()
        .count()
}

fn result(dev: &Dev) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dev.scratch().join("result.json")).unwrap()).unwrap()
}

#[test]
fn plan_is_applied_once_and_the_second_time_nothing_runs() {
    let dev = Dev::started();
    plan(&dev, MAIN);
    let _ = run(&dev, &guarded("prod-eu")).exits(0);
    assert_eq!(applied(&dev), 1);
    assert_eq!(result(&dev)["outcome"], "committed");

    let again = run(&dev, &guarded("prod-eu")).exits(120);
    assert!(
        again.stderr.contains("ALREADY_COMMITTED"),
        "{}",
        again.stderr
    );
    assert_eq!(applied(&dev), 1, "the second run must not run anything");
    let elsewhere = run(&dev, &guarded("prod-us")).exits(120);
    assert!(
        elsewhere.stderr.contains("ALREADY_COMMITTED"),
        "{}",
        elsewhere.stderr
    );
    assert_eq!(applied(&dev), 1);
}

#[test]
fn changed_bytes_cannot_be_redeemed_under_a_permit_for_others() {
    let dev = Dev::started();
    plan(&dev, MAIN);
    let asked = dev.cli(&[
        "authorize",
        "--surface",
        "infra.apply",
        "--bind",
        "plan=@plan.tfplan",
        "--param",
        "workspace=prod-eu",
        "--output",
        "json",
    ]);
    let permit = asked.exits(0).json()["permit"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    dev.scratch().write("other.tfplan", "other bytes");
    let refused = dev
        .cli(&["redeem", &permit, "--bind", "plan=@other.tfplan"])
        .exits(123);
    assert!(
        refused.stderr.contains("REQUEST_MISMATCH"),
        "{}",
        refused.stderr
    );
    let _ = dev
        .cli(&["redeem", &permit, "--bind", "plan=@plan.tfplan"])
        .exits(0);
    let _ = dev.cli(&["complete", &permit, "--aborted"]).exits(0);
}

#[test]
fn failing_apply_is_left_in_doubt_and_holds_its_workspace() {
    let dev = Dev::started();
    plan(&dev, FAILING);
    let failed = run(&dev, &guarded("prod-eu"));
    assert_eq!(
        failed.code, 1,
        "the child's own code passes through: {}",
        failed.stderr
    );
    let result = result(&dev);
    assert_eq!(result["outcome"], "in_doubt");
    assert_eq!(result["child_exit"].to_string().trim_matches('"'), "1");

    dev.scratch().write("next.tfplan", "another plan");
    let held = dev.cli(&[
        "authorize",
        "--surface",
        "infra.apply",
        "--bind",
        "plan=@next.tfplan",
        "--param",
        "workspace=prod-eu",
    ]);
    let held = held.exits(120);
    assert!(
        format!("{}{}", held.stdout, held.stderr).contains("BOUND_HELD"),
        "{}{}",
        held.stdout,
        held.stderr
    );
}

#[test]
fn policy_that_denies_runs_nothing() {
    let dev = Dev::started();
    plan(&dev, MAIN);
    let denied = run(&dev, &guarded("frozen-eu")).exits(120);
    assert!(
        denied.stderr.contains("WORKSPACE_FROZEN"),
        "{}",
        denied.stderr
    );
    assert_eq!(applied(&dev), 0);
}

#[test]
fn without_a_cluster_nothing_runs() {
    let mut dev = Dev::started();
    plan(&dev, MAIN);
    dev.kill();
    let _ = run(&dev, &guarded("prod-eu")).exits(122);
    assert_eq!(applied(&dev), 0);
}

#[test]
fn exit_codes_and_signals_of_the_child_pass_through() {
    let dev = Dev::started();
    dev.scratch().write("script.sh", "exit 42\n");
    let words = [
        "run",
        "--surface",
        "demo.echo",
        "--bind",
        "file=@script.sh",
        "--",
        "sh",
        "{file}",
    ];
    let _ = dev.cli(&words).exits(42);
    dev.scratch().write("script.sh", "kill -TERM $$\n");
    let _ = dev.cli(&words).exits(128 + 15);
    let missing = [
        "run",
        "--surface",
        "demo.echo",
        "--param",
        "message=hi",
        "--",
        "terrafrom",
        "apply",
    ];
    let missing = dev.cli(&missing).exits(127);
    assert!(
        missing.stderr.contains("no permit was requested"),
        "{}",
        missing.stderr
    );
}

#[test]
fn signal_to_run_reaches_the_child() {
    use std::io::{BufRead as _, BufReader};
    let dev = Dev::started();
    dev.scratch().write(
        "wait.sh",
        "trap 'exit 7' TERM; echo waiting; while :; do sleep 0.05; done\n",
    );
    let mut child = holdpoint_tests::command::bare(dev.scratch().path())
        .args([
            "run",
            "--surface",
            "demo.echo",
            "--bind",
            "file=@wait.sh",
            "--",
            "sh",
            "{file}",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "waiting\n");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn command_reads_the_sealed_copy_even_if_the_file_changes_underneath() {
    let dev = Dev::started();
    dev.scratch().write("data.txt", "decided\n");
    let run = dev.cli(&[
        "run",
        "--surface",
        "demo.echo",
        "--bind",
        "file=@data.txt",
        "--",
        "sh",
        "-c",
        "echo changed > data.txt; cat \"$0\"",
        "{file}",
    ]);
    assert_eq!(run.exits(0).stdout, "decided\n");
}
