//! The two worked bundles: they load, and all 65 of their cases run and pass.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use holdpoint_policy::{CaseOutcome, CheckReport, Policy, TestReport, directory};

fn run(name: &str) -> TestReport {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies")
        .join(name);
    let bundle = directory::read(&folder).unwrap();
    let loaded = Policy::load(&bundle).map_err(|errors| CheckReport { errors }.to_string());
    loaded.unwrap().run_tests()
}

#[test]
fn all_65_cases_of_the_worked_bundles_run_and_pass() {
    let reports = [run("cicd-terraform"), run("payments-export-agents")];
    let cases = || reports.iter().flat_map(|report| &report.cases);
    let failed: Vec<String> = cases()
        .filter(|case| case.outcome != CaseOutcome::Passed)
        .map(ToString::to_string)
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let passed = cases().filter(|case| case.outcome == CaseOutcome::Passed);
    assert_eq!(
        format!("{} of {}", passed.count(), cases().count()),
        "65 of 65"
    );
}
