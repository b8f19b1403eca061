//! `policy check` and `policy test`: everything about a bundle that can be known without a cluster.

use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_policy::{
    Bundle, CaseOutcome, CaseReport, CheckReport, LoadError, Policy, check as check_bundle,
    directory,
};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{Answer, Failure};
use crate::progress::during;
use crate::said::short_sha256;

/// Check a bundle offline: everything but its own tests
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The bundle's folder
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Run a bundle's own tests offline
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The bundle's folder
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Every error, with file and line.
pub(super) fn check(args: &BundleArgs) -> Result<Answer, Failure> {
    let directory = args.directory.clone();
    during("checking the bundle", move || check_in(&directory))
}

fn check_in(folder: &Path) -> Result<Answer, Failure> {
    let bundle = directory::read(folder)?;
    let report = check_bundle(&bundle);
    let answer = Answer::new("policy-check").member("digest", bundle.digest().to_string());
    if !report.is_clean() {
        return Ok(with_errors(answer, folder, &report));
    }
    let policy = load(&bundle)?;
    let surfaces: Vec<String> = policy
        .outline()
        .iter()
        .map(|outline| outline.surface.to_string())
        .collect();
    Ok(answer
        .line(format!(
            "ok  {} ({})",
            policy.name(),
            short_sha256(&policy.digest())
        ))
        .line(format!("  surfaces  {}", surfaces.join(", ")))
        .talk(format!("next: holdpoint policy test {}", folder.display()))
        .member("ok", true)
        .member("name", policy.name().as_str())
        .member("surfaces", surfaces)
        .member("errors", Value::Array(Vec::new())))
}

/// Every case, and whether one failed.
pub(super) fn test(args: &TestArgs) -> Result<Answer, Failure> {
    tested(&args.directory)
}

/// The same for a folder.
pub(super) fn tested(folder: &Path) -> Result<Answer, Failure> {
    let folder = folder.to_path_buf();
    during("testing the bundle", move || test_in(&folder))
}

fn test_in(folder: &Path) -> Result<Answer, Failure> {
    let bundle = directory::read(folder)?;
    let answer = Answer::new("policy-test").member("digest", bundle.digest().to_string());
    let report = check_bundle(&bundle);
    if !report.is_clean() {
        return Ok(with_errors(answer, folder, &report));
    }
    let report = load(&bundle)?.run_tests();
    let (passed, failed) = (report.passed_count(), report.failed_count());
    let cases: Value = report
        .cases
        .iter()
        .map(|case| case_json(folder, case))
        .collect();
    let answer = report.cases.iter().fold(answer, |answer, case| {
        let path = folder.join(&case.path).display().to_string();
        answer.line(CaseReport {
            path,
            ..case.clone()
        })
    });
    let exit = if report.is_acceptable() {
        Exit::Success
    } else {
        Exit::Failure
    };
    Ok(answer
        .exit(exit)
        .line(format!("{passed} passed, {failed} failed"))
        .member("ok", report.is_acceptable())
        .member("passed", passed)
        .member("failed", failed)
        .member("cases", cases)
        .member("errors", Value::Array(Vec::new())))
}

/// A bundle that was checked a moment ago.
pub(super) fn load(bundle: &Bundle) -> Result<Policy, Failure> {
    Policy::load(bundle).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::says(Exit::Failure, lines.join("\n"))
    })
}

fn with_errors(answer: Answer, folder: &Path, report: &CheckReport) -> Answer {
    let place = |error: &LoadError| folder.join(&error.path).display().to_string();
    let errors: Value = report
        .errors
        .iter()
        .map(|error| json!({ "path": place(error), "line": error.line, "message": error.message }))
        .collect();
    let answer = report.errors.iter().fold(answer, |answer, error| {
        answer.line(format!(
            "{}:{}: {}",
            place(error),
            error.line,
            error.message
        ))
    });
    let count = match report.errors.len() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    answer
        .exit(Exit::Failure)
        .line(count)
        .member("ok", false)
        .member("errors", errors)
}

fn case_json(folder: &Path, case: &CaseReport) -> Value {
    let (outcome, expected, got) = match &case.outcome {
        CaseOutcome::Passed => ("passed", None, None),
        CaseOutcome::Failed { expected, got } => ("failed", Some(expected), Some(got)),
    };
    json!({
        "path": folder.join(&case.path).display().to_string(),
        "line": case.line,
        "name": case.name,
        "outcome": outcome,
        "expected": expected,
        "got": got,
    })
}
