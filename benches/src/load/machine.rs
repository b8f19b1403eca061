//! What a measurement was made on and with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use holdpoint_receipt::ClusterTime;
use holdpoint_tests::{binary, repository};

use crate::Fault;
use crate::system::etcd::Etcd;
use crate::system::postgres::Postgres;

/// What stands above the results, a line each.
pub(crate) fn lines(folder: &Path) -> Result<Vec<(&'static str, String)>, Fault> {
    let cores = std::thread::available_parallelism()?;
    let not_installed = || "not installed".to_owned();
    Ok(vec![
        ("date", now()?),
        ("commit", commit()),
        (
            "machine",
            format!("{cores} × {}, {} MiB", processor(), memory_mib()),
        ),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        (
            "disk",
            format!("{} on `{}`", file_system(folder), device(folder)),
        ),
        ("Holdpoint", version(Command::new(binary::holdpoint()))),
        ("etcd", Etcd::version().unwrap_or_else(not_installed)),
        (
            "PostgreSQL",
            Postgres::version().unwrap_or_else(not_installed),
        ),
    ])
}

/// The kind of file system that holds `folder`.
pub(crate) fn file_system(folder: &Path) -> String {
    mount(folder).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

fn device(folder: &Path) -> String {
    mount(folder).map_or_else(|| "unknown".to_owned(), |(device, _)| device)
}

/// Device and kind of the mount with the longest path above `folder`.
fn mount(folder: &Path) -> Option<(String, String)> {
    let folder = fs::canonicalize(folder).ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut found: Option<(usize, String, String)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(at), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let is_longer = found
            .as_ref()
            .is_none_or(|(length, ..)| *length <= at.len());
        if folder.starts_with(at) && is_longer {
            found = Some((at.len(), device.to_owned(), kind.to_owned()));
        }
    }
    found.map(|(_, device, kind)| (device, kind))
}

fn now() -> Result<String, Fault> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seconds_ms = since.as_secs().saturating_mul(1_000);
    Ok(ClusterTime::new(seconds_ms)?.to_string())
}

/// The commit that is checked out, and whether files differ from it.
fn commit() -> String {
    let git = |words: &[&str]| {
        let output = Command::new("git")
            .current_dir(repository::root())
            .args(words)
            .output()
            .ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| said.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with changes"),
    }
}

fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let named = |line: &str| line.strip_prefix("model name").map(str::to_owned);
    let name = text.lines().find_map(named).unwrap_or_default();
    name.trim_start_matches(['\t', ' ', ':']).to_owned()
}

fn memory_mib() -> u64 {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1_024)
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn version(mut command: Command) -> String {
    let output = command.arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_somewhere() {
        assert_ne!(file_system(Path::new("/proc/self")), "unknown");
        assert_eq!(device(Path::new("/no/such/folder")), "unknown");
    }
}
