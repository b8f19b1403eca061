//! Where the repository's own files are.

use std::path::{Path, PathBuf};

/// The root of the checkout that this package was built from.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .map_or_else(|| tests.to_path_buf(), Path::to_path_buf)
}
