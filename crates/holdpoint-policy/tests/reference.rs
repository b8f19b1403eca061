//! `docs/reference/policy-bundle.md` shows a bundle that loads, and a digest that is the digest.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;
use holdpoint_policy::{Bundle, CheckReport, Policy, directory, starter};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The fenced snippets of the page, each with what follows its language.
fn snippets() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(root().join("docs/reference/policy-bundle.md")).unwrap();
    let mut snippets = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => snippets.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a snippet is not closed");
    snippets
}

#[test]
fn complete_snippets_are_a_bundle_that_loads_and_passes() {
    let files = snippets().into_iter().filter_map(|(info, text)| {
        let (_, path) = info.split_once(" complete:")?;
        Some((path.to_owned(), text))
    });
    let bundle = Bundle::new(files).unwrap();
    let report = Policy::load(&bundle).map(|policy| policy.run_tests().to_string());
    let seen = report.unwrap_or_else(|errors| CheckReport { errors }.to_string());
    expect![[r"
        passed   tests/payments.yaml:13: a small payment
        passed   tests/payments.yaml:19: the wrong currency on a Sunday
        passed   tests/payments.yaml:24: nothing to pay
        passed   tests/payments.yaml:28: a payment without an invoice
        passed   tests/payments.yaml:32: a large payment with two approvals
        passed   tests/payments.yaml:39: the amount changed after the second approval
        passed   tests/payments.yaml:46: the account has paid almost all that it may today
        passed   tests/payments.yaml:52: an invoice is paid once
        8 passed, 0 failed
    "]]
    .assert_eq(&seen);
}

#[test]
fn digest_of_the_page_is_the_digest_of_the_bundle() {
    let (_, script) = snippets()
        .into_iter()
        .find(|(info, _)| info == "sh digest")
        .unwrap();
    let folder = root().join("policies/starter");
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(&folder)
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    let bundle = directory::read(&folder).unwrap();
    assert_eq!(seen.trim(), bundle.digest().to_string());
    assert_eq!(bundle, starter::bundle().unwrap());
}
