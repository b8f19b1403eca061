//! What a source file may be called, how long it may be, and what it never holds.
//!
//! Clippy says some of this too, but `cargo test` runs without clippy.

use super::Finding;
use crate::tree::SourceFile;

/// No file is longer; most stay below 350 lines.
const LINES_MAX: usize = 600;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = [
    "utils", "util", "common", "helpers", "helper", "manager", "misc",
];

/// Folders that exist on one machine only. Written in halves, so that this file passes its own rule.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/tmp", "/base"),
];

/// Marks of work that is not done.
const UNFINISHED: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];

const ALLOW: [&str; 2] = [concat!("#[", "allow("), concat!("#![", "allow(")];
const EXPECT: [&str; 2] = [concat!("#[", "expect("), concat!("#![", "expect(")];

/// Holds the rules about sources against every file that a person wrote.
pub(super) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) {
    for file in files.iter().filter(|file| !file.is_generated()) {
        machine_paths(file, findings);
        unfinished(file, findings);
        if file.is_any(&[".rs", ".sh", ".proto"]) {
            length(file, findings);
            name(file, findings);
        }
        if file.is_any(&[".rs"]) {
            attributes(file, findings);
            test_names(file, findings);
            says_never(file, findings);
        }
    }
}

fn at(file: &SourceFile, line: usize) -> String {
    format!("{}:{line}", file.path)
}

fn length(file: &SourceFile, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        let message =
            format!("{lines} lines, at most {LINES_MAX} may be: split it by what it says");
        findings.push(Finding::new(&file.path, message));
    }
}

fn name(file: &SourceFile, findings: &mut Vec<Finding>) {
    let stem = file.name().split('.').next().unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        let message = format!("`{stem}` says nothing: name the file for what is inside");
        findings.push(Finding::new(&file.path, message));
    }
}

fn machine_paths(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        for path in MACHINE_PATHS {
            // `a/home/b` is a path of the project's own.
            let absolute = line.match_indices(path).any(|(start, _)| {
                let before = line.get(..start).and_then(|text| text.chars().next_back());
                !before.is_some_and(|before| before.is_alphanumeric() || "_-.~})/".contains(before))
            });
            if absolute {
                let message = format!("`{path}…` exists on one machine: write a relative path");
                findings.push(Finding::new(at(file, number), message));
            }
        }
    }
}

fn unfinished(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if let Some(word) = words.find(|word| UNFINISHED.contains(word)) {
            let message =
                format!("`{word}`: finish it, or file an issue and say what is not there");
            findings.push(Finding::new(at(file, number), message));
        }
    }
}

fn attributes(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        if ALLOW
            .iter()
            .any(|attribute| line.trim_start().starts_with(attribute))
        {
            let message = "an allowance outlives its cause: use `expect(…, reason = \"…\")`";
            findings.push(Finding::new(at(file, number), message));
        }
    }
    for attribute in EXPECT {
        for (start, _) in file.text.match_indices(attribute) {
            let (before, after) = file.text.split_at(start);
            let whole = after
                .split_once(")]")
                .map_or(after, |(attribute, _)| attribute);
            let starts_line = before
                .lines()
                .next_back()
                .is_none_or(|line| line.trim().is_empty())
                || before.ends_with('\n');
            if starts_line && !whole.contains("reason = \"") {
                let message = "an exception without `reason = \"…\"`: say why it is safe here";
                let line = before.lines().count() + usize::from(before.ends_with('\n'));
                findings.push(Finding::new(at(file, line.max(1)), message));
            }
        }
    }
}

fn test_names(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut under_test = false;
    for (number, line) in (1..).zip(file.text.lines().map(str::trim)) {
        let name = line.strip_prefix("async ").unwrap_or(line);
        if under_test && name.starts_with("fn test_") {
            let message = "name a test for the sentence that would be false, without `test_`";
            findings.push(Finding::new(at(file, number), message));
        }
        under_test = line.starts_with("#[") && line.contains("test");
    }
}

/// Every crate begins with what it is, and with what it never does.
fn says_never(file: &SourceFile, findings: &mut Vec<Finding>) {
    if !file.path.ends_with("src/lib.rs") {
        return;
    }
    let lead: Vec<&str> = file
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    if !lead
        .iter()
        .any(|line| line.to_lowercase().contains("never"))
    {
        let message = "the crate's `//!` must begin the file and say what the crate never does";
        findings.push(Finding::new(&file.path, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let (path, text) = (path.to_owned(), text.to_owned());
        let mut findings = Vec::new();
        check(&[SourceFile { path, text }], &mut findings);
        findings.iter().map(Finding::to_string).collect()
    }

    #[track_caller]
    fn check_one(path: &str, text: &str, beginning: &str) {
        let found = findings(path, text);
        assert!(
            found.len() == 1 && found[0].starts_with(beginning),
            "{found:?}"
        );
    }

    #[test]
    fn longest_allowed_file_passes_and_one_more_line_does_not() {
        assert!(findings("a.rs", &"\n".repeat(LINES_MAX)).is_empty());
        check_one("a.rs", &"\n".repeat(LINES_MAX + 1), "a.rs: 601 lines");
    }

    #[test]
    fn file_named_for_nothing_is_found() {
        check_one(
            "crates/x/src/utils.rs",
            "",
            "crates/x/src/utils.rs: `utils` says nothing",
        );
        assert!(findings("crates/x/src/task_manager.rs", "").is_empty());
    }

    #[test]
    fn path_of_one_machine_is_found_and_a_relative_one_is_not() {
        let path = format!("one\nsee {}me", MACHINE_PATHS[0]);
        check_one("README.md", &path, "README.md:2: ");
        assert!(findings("README.md", &format!("see docs{}me", MACHINE_PATHS[0])).is_empty());
    }

    #[test]
    fn unfinished_work_is_found() {
        check_one("a.md", &format!("a {}: b", UNFINISHED[0]), "a.md:1: ");
    }

    #[test]
    fn allowance_and_exception_without_reason_are_found() {
        check_one(
            "a.rs",
            &format!("    {}dead_code)]", ALLOW[0]),
            "a.rs:1: an allowance",
        );
        let bare = format!("\n{}\n    clippy::unwrap_used\n)]\n", EXPECT[0]);
        check_one("a.rs", &bare, "a.rs:2: an exception");
        let reasoned = format!(
            "{}\n    clippy::panic,\n    reason = \"tests\"\n)]",
            EXPECT[1]
        );
        assert!(findings("a.rs", &reasoned).is_empty());
    }

    #[test]
    fn name_with_a_test_prefix_is_found() {
        let text = "    #[test]\n    fn test_it() {}\n    fn test_data() {}\n";
        check_one("a.rs", text, "a.rs:2: name a test");
    }

    #[test]
    fn crate_that_does_not_say_what_it_never_does_is_found() {
        check_one(
            "crates/x/src/lib.rs",
            "//! A crate.\n\n// never\n",
            "crates/x/src/lib.rs: the",
        );
        assert!(findings("crates/x/src/lib.rs", "//! A crate.\n//! It never waits.\n").is_empty());
        assert!(findings("crates/x/src/other.rs", "//! A module.\n").is_empty());
    }

    #[test]
    fn generated_code_is_held_to_none_of_it() {
        let text = "\n".repeat(LINES_MAX + 1);
        assert!(findings("crates/holdpoint-proto/src/gen/holdpoint.v1.rs", &text).is_empty());
    }
}
