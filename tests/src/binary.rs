//! The program under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The `holdpoint` program of this checkout, built by the same cargo, profile and target directory
/// as the test that asks. `HOLDPOINT_BIN` names another one.
///
/// Cargo builds the binaries of a package only for that package's own tests, so the first call here
/// asks for it; when nothing changed, that takes a moment. A program that asks, such as the load
/// generator, gets the one that was built beside it.
///
/// # Panics
///
/// If it does not build.
#[expect(
    clippy::expect_used,
    reason = "a test without the program cannot go on"
)]
pub fn holdpoint() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("HOLDPOINT_BIN") {
            return PathBuf::from(path);
        }
        // <target>/<profile>/deps/<test> or <target>/<profile>/<program>
        let own = std::env::current_exe().expect("a program knows its own path");
        let folder = own.parent().expect("a program is in a directory");
        if !folder.ends_with("deps") {
            let beside = folder.join("holdpoint");
            assert!(beside.is_file(), "`{}` is not built", beside.display());
            return beside;
        }
        let profile_dir = folder.parent().expect("deps has a parent");
        let target_dir = profile_dir
            .parent()
            .expect("the profile directory has a parent");
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(crate::repository::root())
            .args([
                "build",
                "--quiet",
                "--locked",
                "--package",
                "holdpoint",
                "--bin",
                "holdpoint",
            ])
            .arg("--target-dir")
            .arg(target_dir);
        if profile_dir
            .file_name()
            .is_some_and(|name| name == "release")
        {
            build.arg("--release");
        }
        let status = build.status().expect("cargo can be started");
        assert!(status.success(), "`holdpoint` did not build: {status}");
        profile_dir.join("holdpoint")
    })
}
