//! What every `Cargo.toml` and `clippy.toml` says, and where packages may come from.

use cargo_metadata::{DependencyKind, Metadata};

use super::Finding;
use crate::tree::SourceFile;

const LICENSE: &str = "MIT OR Apache-2.0";

/// The crates below the line: no I/O, no async, no clock, no randomness, no hash order, no float.
pub(super) const PURE: [&str; 3] = ["holdpoint-core", "holdpoint-policy", "holdpoint-receipt"];

/// What the `clippy.toml` of a pure crate bans, because its answer differs between two nodes.
const BANNED: [&str; 6] = [
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::env::var",
    "std::thread::spawn",
];

/// What the crate root of a pure crate denies beyond the workspace's lints.
const DENIED: [&str; 4] = [
    "clippy::arithmetic_side_effects",
    "clippy::float_arithmetic",
    "clippy::iter_over_hash_type",
    "clippy::wildcard_enum_match_arm",
];

/// How the source of every package in `Cargo.lock` begins: the public index.
const INDEX: &str = "registry+https://github.com/rust-lang/";

/// A package of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Its folder, from the root.
    pub(super) folder: String,
    pub(super) license: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
}

/// A direct dependency of a package.
#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Whether it is a package of this workspace.
    pub(super) ours: bool,
    /// Whether only tests may name it.
    pub(super) only_tests: bool,
}

/// The packages of the workspace, as cargo understands them.
pub(super) fn members(metadata: &Metadata) -> Vec<Member> {
    let root = metadata.workspace_root.as_str();
    let packages = metadata.packages.iter().map(|package| {
        let folder = package
            .manifest_path
            .parent()
            .map_or("", |path| path.as_str());
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        Member {
            name: package.name.to_string(),
            folder: folder.trim_start_matches('/').to_owned(),
            license: package.license.clone(),
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| Dependency {
                    name: dependency.name.clone(),
                    ours: dependency.path.is_some(),
                    only_tests: dependency.kind == DependencyKind::Development,
                })
                .collect(),
        }
    });
    packages.collect()
}

/// Holds the rules about manifests against every member.
pub(super) fn check(members: &[Member], files: &[SourceFile], findings: &mut Vec<Finding>) {
    let text = |path: String| {
        files
            .iter()
            .find(|file| file.path == path)
            .map(|file| &*file.text)
    };
    let shared = text("clippy.toml".to_owned()).unwrap_or_default();
    for member in members {
        let path = format!("{}/Cargo.toml", member.folder);
        if member.license.as_deref() != Some(LICENSE) {
            let message =
                format!("the licence must be `{LICENSE}`: write `license.workspace = true`");
            findings.push(Finding::new(&path, message));
        }
        manifest(&path, text(path.clone()).unwrap_or_default(), findings);
        if PURE.contains(&member.name.as_str()) {
            let path = format!("{}/clippy.toml", member.folder);
            pure_clippy(&path, text(path.clone()), shared, findings);
            let path = format!("{}/src/lib.rs", member.folder);
            pure_root(&path, text(path.clone()).unwrap_or_default(), findings);
        }
    }
    lock_file(text("Cargo.lock".to_owned()).unwrap_or_default(), findings);
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        if text(name.to_owned()).is_none() {
            findings.push(Finding::new(
                name,
                format!("is missing, and the licence is `{LICENSE}`"),
            ));
        }
    }
}

/// Lints and versions are said once, in the workspace manifest.
fn manifest(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut section = "";
    let mut lints = false;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
        } else if section == "lints" {
            lints |= line == "workspace = true";
        } else if section.ends_with("dependencies")
            && line.contains('=')
            && !line.starts_with('#')
            && !line.contains("workspace = true")
        {
            let message = "a version beside the workspace's: write it once in the workspace \
                `Cargo.toml`, and `{ workspace = true }` here";
            findings.push(Finding::new(format!("{path}:{number}"), message));
        }
    }
    if !lints {
        let message = "does not take the workspace's lints: add `[lints]` with `workspace = true`";
        findings.push(Finding::new(path, message));
    }
}

/// Clippy reads only the nearest `clippy.toml`, so a crate with its own must repeat the shared keys.
fn pure_clippy(path: &str, text: Option<&str>, shared: &str, findings: &mut Vec<Finding>) {
    let Some(text) = text else {
        let message =
            "is missing: repeat the workspace's `clippy.toml` and add the pure crates' bans";
        findings.push(Finding::new(path, message));
        return;
    };
    for line in shared
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        if !text.lines().any(|other| other == line) {
            findings.push(Finding::new(
                path,
                format!("lacks the workspace's line `{line}`"),
            ));
        }
    }
    for name in BANNED {
        if !text.contains(&format!("\"{name}\"")) {
            findings.push(Finding::new(
                path,
                format!("must ban `{name}`: the crate is pure"),
            ));
        }
    }
}

/// The lints that only a pure crate can keep.
fn pure_root(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for lint in DENIED {
        if !text.contains(lint) {
            let message = format!("must deny `{lint}` in `#![deny(…)]`: the crate is pure");
            findings.push(Finding::new(path, message));
        }
    }
}

/// A lock file that names a mirror builds on one machine only.
fn lock_file(text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(text.lines()) {
        let Some(source) = line.strip_prefix("source = ") else {
            continue;
        };
        if !source.trim_matches('"').starts_with(INDEX) {
            let message = format!(
                "the package comes from {source}: only the public index is allowed; a mirror \
                 belongs in your own cargo configuration"
            );
            findings.push(Finding::new(format!("Cargo.lock:{number}"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(check: impl FnOnce(&mut Vec<Finding>)) -> Vec<String> {
        let mut findings = Vec::new();
        check(&mut findings);
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn version_in_a_member_manifest_is_named_with_its_line() {
        let text =
            "[dependencies]\nsha2 = \"1\"\nx = { workspace = true }\n[lints]\nworkspace = true\n";
        let found = messages(|findings| manifest("a/Cargo.toml", text, findings));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("a/Cargo.toml:2: a version beside"),
            "{found:?}"
        );
    }

    #[test]
    fn manifest_without_the_shared_lints_is_found() {
        let found = messages(|findings| manifest("a/Cargo.toml", "[package]\n", findings));
        assert!(found[0].contains("`[lints]`"), "{found:?}");
    }

    #[test]
    fn pure_crate_that_forgets_a_shared_key_or_a_ban_is_found() {
        let own = BANNED.map(|name| format!("\"{name}\"")).join("\n");
        let found =
            messages(|findings| pure_clippy("c", Some(&own), "limit = 70\n# why\n", findings));
        assert_eq!(found, ["c: lacks the workspace's line `limit = 70`"]);
        let found =
            messages(|findings| pure_clippy("c", Some("limit = 70\n"), "limit = 70\n", findings));
        assert_eq!(found.len(), BANNED.len());
        assert!(!messages(|findings| pure_clippy("c", None, "", findings)).is_empty());
        assert_eq!(
            messages(|findings| pure_root("l", "", findings)).len(),
            DENIED.len()
        );
    }

    #[test]
    fn package_from_another_index_is_found() {
        let text = format!("source = \"{INDEX}\"\nsource = \"git+https://example.org/x\"\n");
        let found = messages(|findings| lock_file(&text, findings));
        assert!(
            found.len() == 1 && found[0].starts_with("Cargo.lock:2: "),
            "{found:?}"
        );
    }
}
