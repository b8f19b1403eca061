//! A disk that can lose power: loads `disk.c` into a child, and afterwards cuts the child's files
//! back to what it had made durable.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The compiled library, one per test process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<TempDir> = OnceLock::new();
    // A path that lives as long as the process.
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let folder = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/crash_tests/disk.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(folder.path().join("disk.so"))
            .arg(source)
            .arg("-ldl")
            .output()
            .expect("`cc` runs: without it nothing here would have been linked");
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        folder
    });
    PATH.get_or_init(|| folder.path().join("disk.so"))
}

/// The disk under one folder.
pub(super) struct Disk {
    root: PathBuf,
    journal: PathBuf,
    /// Durable length of files that were there before, by inode.
    before: BTreeMap<u64, u64>,
}

impl Disk {
    /// A disk on which all that is under `root` is durable. `journal` lies outside.
    pub(super) fn new(root: &Path, journal: PathBuf) -> Self {
        let _ = fs::remove_file(&journal);
        let mut before = BTreeMap::new();
        for file in files_under(root) {
            let metadata = fs::metadata(file).unwrap();
            before.insert(metadata.ino(), metadata.len());
        }
        Self {
            root: root.to_owned(),
            journal,
            before,
        }
    }

    /// Puts the disk under `command`, with a fault or without.
    pub(super) fn under(&self, command: &mut Command, plan: Option<&str>) {
        command
            .env("LD_PRELOAD", library())
            .env("DISK_JOURNAL", &self.journal);
        if let Some(plan) = plan {
            command.env("DISK_PLAN", plan);
        }
    }

    /// Loses the power: every name goes back to what its folder had at its last sync, every file to
    /// its length at its own. The process that used it must be dead.
    pub(super) fn lose_power(self) {
        // A child that was killed before it began has none.
        let journal = fs::read_to_string(&self.journal).unwrap_or_default();
        let mut durable = self.before;
        let mut renames: Vec<(PathBuf, PathBuf, i64)> = Vec::new();
        for line in journal.lines() {
            let (kind, rest) = line.split_at(2);
            match kind {
                "S " => {
                    let (inode, length) = rest.split_once(' ').unwrap();
                    durable.insert(inode.parse().unwrap(), length.parse().unwrap());
                }
                "U " => {
                    durable.remove(&rest.parse().unwrap());
                }
                "D " => renames.retain(|(_, to, _)| to.parent() != Some(Path::new(rest))),
                "R " => {
                    let mut parts = rest.split('\t');
                    let mut part = || parts.next().unwrap();
                    renames.push((part().into(), part().into(), part().parse().unwrap()));
                }
                other => panic!("the journal holds `{other}`"),
            }
        }
        for (from, to, backup) in renames.into_iter().rev() {
            if !to.starts_with(&self.root) || !to.exists() {
                continue;
            }
            fs::rename(&to, &from).unwrap();
            if backup >= 0 {
                let kept = format!("{}.{backup}", self.journal.display());
                fs::rename(kept, &to).unwrap();
            }
        }
        for file in files_under(&self.root) {
            let metadata = fs::metadata(&file).unwrap();
            let length = durable.get(&metadata.ino()).copied().unwrap_or(0);
            if length < metadata.len() {
                OpenOptions::new()
                    .write(true)
                    .open(&file)
                    .unwrap()
                    .set_len(length)
                    .unwrap();
            }
        }
    }
}

/// Every file in `folder` and below.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
