//! The checkout: where it is and which files are in it. Never follows a symbolic link.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The hidden folders that belong to the project; every other hidden one is somebody's own.
const HIDDEN: [&str; 3] = [".cargo", ".ci", ".github"];

/// Files above this size are data, and no rule is about them.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// A text file of the checkout.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path from the root, with `/` on every system.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

impl SourceFile {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the name ends in one of these.
    pub(crate) fn is_any(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// Whether a generator wrote it, which no rule about style can be held against.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/src/gen/") || self.path == "Cargo.lock"
    }
}

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

/// Reads every text file of the checkout, sorted by path. Build output and local state are left out.
pub(crate) fn text_files(root: &Path) -> io::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            if belongs(&path) {
                collect(root, &path, files)?;
            }
        } else if kind.is_file() && entry.metadata()?.len() <= TEXT_BYTES_MAX {
            // What is not UTF-8 is not text.
            if let Ok(text) = String::from_utf8(fs::read(&path)?) {
                let path = path.strip_prefix(root).unwrap_or(&path);
                let path = path.to_string_lossy().replace('\\', "/");
                files.push(SourceFile { path, text });
            }
        }
    }
    Ok(())
}

/// Whether a folder is part of the project. Cargo marks its target directories, whatever their name.
fn belongs(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let hidden = name.starts_with('.') && !HIDDEN.contains(&name.as_ref());
    !hidden && name != "target" && !folder.join("CACHEDIR.TAG").exists()
}
