//! Runs the benchmarks of `benches/` as they are meant to be run: shipped programs, built once.
//!
//! It measures nothing itself. Only the full run writes, and only `benches/RESULTS.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// Cargo does not say where it builds.
    #[error("cargo does not say where it builds: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// A program did not build, start or come to its end; it has said why.
    #[error("failed: {0}")]
    Failed(&'static str),
}

/// Measures everything and writes the results; `is_quick`: looks whether everything works.
pub(crate) fn run(root: &Path, is_quick: bool) -> Result<(), BenchError> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let folder = metadata
        .target_directory
        .into_std_path_buf()
        .join("release");
    let mut build = super::ci::cargo(root);
    build.args(["build", "--release", "--locked", "--bins"]);
    build.args(["--package", "holdpoint", "--package", "holdpoint-benches"]);
    finish(build, "the build")?;
    if is_quick {
        let mut compare = load(root, &folder);
        compare.args(["compare", "--quick"]);
        return finish(compare, "the comparison");
    }
    let results = root.join("benches").join("RESULTS.md");
    let mut compare = load(root, &folder);
    compare.args(["compare", "--out"]).arg(&results);
    finish(compare, "the comparison")?;
    let mut overload = load(root, &folder);
    overload.args(["overload", "--out"]).arg(&results);
    finish(overload, "the overload")
}

/// The load generator, with the node that was built beside it.
fn load(root: &Path, folder: &Path) -> Command {
    let program: PathBuf = folder.join("holdpoint-load");
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .env("HOLDPOINT_BIN", folder.join("holdpoint"));
    command
}

fn finish(mut command: Command, name: &'static str) -> Result<(), BenchError> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(BenchError::Failed(name)),
        Err(error) => {
            eprintln!("error: {name}: {error}");
            Err(BenchError::Failed(name))
        }
    }
}
