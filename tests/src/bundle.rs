//! Policy bundles that tests put in force.

use std::path::{Path, PathBuf};

use holdpoint_client::BundleFile;

use crate::repository;

/// The bundle with every kind of bound, short lives and an approval.
#[must_use]
pub fn life() -> PathBuf {
    repository::root().join("tests/policies/life")
}

/// The files of the bundle in `directory`.
///
/// # Panics
///
/// If it cannot be read.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without its bundle cannot go on")]
pub fn files(directory: &Path) -> Vec<BundleFile> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("the bundle is a directory") {
            let path = entry.expect("the directory can be read").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(directory).expect("it is inside");
            files.push(BundleFile {
                path: name.display().to_string(),
                content: std::fs::read(&path).expect("the file can be read"),
            });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The files of [`life`] with `from` replaced by `to` in its surfaces.
///
/// # Panics
///
/// If the surfaces do not have `from`.
#[must_use]
pub fn life_with(from: &str, to: &str) -> Vec<BundleFile> {
    life_with_in("surfaces.yaml", from, to)
}

/// The same in any file of it.
///
/// # Panics
///
/// If the file does not have `from`.
#[must_use]
pub fn life_with_in(path: &str, from: &str, to: &str) -> Vec<BundleFile> {
    let mut files = files(&life());
    for file in files.iter_mut().filter(|file| file.path == path) {
        let text = String::from_utf8_lossy(&file.content).into_owned();
        assert!(text.contains(from), "`{path}` has no `{from}`");
        file.content = text.replace(from, to).into_bytes();
    }
    files
}
