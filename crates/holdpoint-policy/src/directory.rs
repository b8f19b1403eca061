//! Reads a bundle from a directory. The only place in this crate that touches a file.
//!
//! Never follows a symbolic link and never leaves the directory. Names that start with `.` (an
//! editor's swap file, `.git`) are passed over; every other file is part of the bundle.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::bundle::{BUNDLE_BYTES_MAX, Bundle, BundleError, FILES_MAX};

/// Directories inside each other.
const DIRECTORY_DEPTH_MAX: usize = 8;

/// Why a directory is not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it was refused.
        source: io::Error,
    },
    /// Something in it is neither a file nor a directory.
    #[error("`{}` is neither a file nor a directory (symbolic links are not followed)", path.display())]
    Kind {
        /// What it is about.
        path: PathBuf,
    },
    /// The files do not make a bundle.
    #[error("`{}` is not a policy bundle: {source}", path.display())]
    Bundle {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: BundleError,
    },
}

/// Reads every file under `root`.
///
/// At most [`BUNDLE_BYTES_MAX`] bytes and [`FILES_MAX`] files are read, whatever the directory
/// holds.
///
/// # Errors
///
/// [`DirectoryError`] names the path that could not be read or is not accepted.
pub fn read(root: &Path) -> Result<Bundle, DirectoryError> {
    let mut walk = Walk {
        root,
        files: Vec::new(),
        bytes_left: BUNDLE_BYTES_MAX,
    };
    walk.directory(root, "", 0)?;
    Bundle::new(walk.files).map_err(|source| walk_error(root, source))
}

fn walk_error(root: &Path, source: BundleError) -> DirectoryError {
    DirectoryError::Bundle {
        path: root.to_owned(),
        source,
    }
}

struct Walk<'a> {
    root: &'a Path,
    files: Vec<(String, Vec<u8>)>,
    bytes_left: usize,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, inside: &str, depth: usize) -> Result<(), DirectoryError> {
        if depth > DIRECTORY_DEPTH_MAX {
            let source = BundleError::Path {
                path: inside.to_owned(),
            };
            return Err(walk_error(self.root, source));
        }
        let read_error = |source| DirectoryError::Read {
            path: path.to_owned(),
            source,
        };
        for entry in fs::read_dir(path).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let inside = if inside.is_empty() {
                name
            } else {
                format!("{inside}/{name}")
            };
            let kind = entry.file_type().map_err(read_error)?;
            if kind.is_dir() {
                self.directory(&entry.path(), &inside, depth.saturating_add(1))?;
            } else if kind.is_file() {
                self.file(&entry.path(), inside)?;
            } else {
                return Err(DirectoryError::Kind { path: entry.path() });
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, inside: String) -> Result<(), DirectoryError> {
        if self.files.len() >= FILES_MAX {
            return Err(walk_error(self.root, BundleError::TooManyFiles));
        }
        let read_error = |source| DirectoryError::Read {
            path: path.to_owned(),
            source,
        };
        let file = fs::File::open(path).map_err(read_error)?;
        // One byte more than is left tells a file that fits from one that does not.
        let limit = u64::try_from(self.bytes_left)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut content = Vec::new();
        file.take(limit)
            .read_to_end(&mut content)
            .map_err(read_error)?;
        self.bytes_left = self
            .bytes_left
            .checked_sub(content.len())
            .ok_or_else(|| walk_error(self.root, BundleError::TooLarge))?;
        self.files.push((inside, content));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_files_are_read_and_hidden_ones_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("policies")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::write(root.join("policies/a.cedar"), "a").unwrap();
        fs::write(root.join("bundle.yaml"), "b").unwrap();
        fs::write(root.join(".bundle.yaml.swp"), "x").unwrap();
        fs::write(root.join(".git/config"), "x").unwrap();
        let bundle = read(root).unwrap();
        let paths: Vec<&str> = bundle.files().map(|(path, _)| path).collect();
        assert_eq!(paths, ["bundle.yaml", "policies/a.cedar"]);
    }

    #[test]
    fn symbolic_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("out")).unwrap();
        assert!(matches!(
            read(directory.path()),
            Err(DirectoryError::Kind { .. })
        ));
    }

    #[test]
    fn large_file_is_refused_without_being_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let file = fs::File::create(directory.path().join("large")).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = read(directory.path()).unwrap_err();
        assert!(matches!(
            error,
            DirectoryError::Bundle {
                source: BundleError::TooLarge,
                ..
            }
        ));
    }

    #[test]
    fn missing_directory_is_named() {
        let error = read(Path::new("/nonexistent-bundle")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/nonexistent-bundle`");
    }
}
