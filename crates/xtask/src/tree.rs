//! The checkout: where it is and which files are in it.

use std::path::{Path, PathBuf};

/// The folder of the workspace manifest.
///
/// Asked of the running cargo first: a target directory that two checkouts share may hold this
/// program as the other one built it.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .ancestors()
        .nth(2)
        .map_or_else(|| package.clone(), Path::to_path_buf)
}
