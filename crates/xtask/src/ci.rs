//! The checks that a change must pass beside the tests, and their repair.
//!
//! `check` only reads the checkout. Neither stops at the first failure: a person wants the whole list.

use std::path::Path;
use std::process::Command;

use crate::{codegen, tidy};

/// Some step did not pass; each has said why.
#[derive(Debug, thiserror::Error)]
#[error("failed: {}\n`cargo xtask fix` repairs what a machine can", .0.join(", "))]
pub(crate) struct CiError(Vec<&'static str>);

/// A cargo command with the environment it wants, under the name by which it is reported.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const FORMAT: Step = Step {
    name: "format",
    arguments: &["fmt", "--all", "--check"],
    environment: &[],
};

const CHECKS: [Step; 2] = [
    Step {
        name: "clippy",
        arguments: &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        environment: &[],
    },
    Step {
        name: "documentation",
        arguments: &["doc", "--locked", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
];

const DENY: Step = Step {
    name: "licences and advisories",
    arguments: &["deny", "--workspace", "check"],
    environment: &[],
};

const REPAIRS: [Step; 2] = [
    Step {
        name: "clippy",
        arguments: &[
            "clippy",
            "--fix",
            "--allow-dirty",
            "--allow-staged",
            "--workspace",
            "--all-targets",
        ],
        environment: &[],
    },
    Step {
        name: "format",
        arguments: &["fmt", "--all"],
        environment: &[],
    },
];

/// Runs every check and reports all that fail.
pub(crate) fn check(root: &Path) -> Result<(), CiError> {
    let mut failed = Vec::new();
    run(root, &FORMAT, &mut failed);
    report("house rules", tidy::check(root), &mut failed);
    report("generated code", codegen::check(root), &mut failed);
    for step in &CHECKS {
        run(root, step, &mut failed);
    }
    if has_cargo_deny(root) {
        run(root, &DENY, &mut failed);
    } else {
        println!("== {}: not checked, cargo-deny is not installed", DENY.name);
        println!("   cargo install --locked cargo-deny");
    }
    conclude(failed)
}

/// Generates, applies what clippy can apply by itself, and formats.
pub(crate) fn fix(root: &Path) -> Result<(), CiError> {
    let mut failed = Vec::new();
    report("generated code", codegen::write(root), &mut failed);
    for step in &REPAIRS {
        run(root, step, &mut failed);
    }
    conclude(failed)
}

fn conclude(failed: Vec<&'static str>) -> Result<(), CiError> {
    if failed.is_empty() {
        println!("== all passed");
        Ok(())
    } else {
        Err(CiError(failed))
    }
}

fn report<E: std::fmt::Display>(
    name: &'static str,
    result: Result<(), E>,
    failed: &mut Vec<&'static str>,
) {
    println!("== {name}");
    if let Err(error) = result {
        eprintln!("error: {error}");
        failed.push(name);
    }
}

fn run(root: &Path, step: &Step, failed: &mut Vec<&'static str>) {
    println!("== {}: cargo {}", step.name, step.arguments.join(" "));
    let status = cargo(root)
        .args(step.arguments)
        .envs(step.environment.iter().copied())
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => failed.push(step.name),
        Err(error) => {
            eprintln!("error: cargo could not be started: {error}");
            failed.push(step.name);
        }
    }
}

fn has_cargo_deny(root: &Path) -> bool {
    let output = cargo(root).args(["deny", "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The cargo that runs us, so that every step uses one toolchain.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}
