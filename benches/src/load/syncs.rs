//! How often processes ask the disk to make something durable.
//!
//! `perf stat` counts the file system's own trace point, in the kernel: nothing stops, nothing is
//! recorded, and it is the same for every system, whatever it is written in and whichever call it
//! uses. Where perf or the right is missing nothing is counted, and that is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Trace points of file systems that count a sync of a file.
const EVENTS: [(&str, &str); 3] = [
    ("ext4", "ext4:ext4_sync_file_enter"),
    ("xfs", "xfs:xfs_file_fsync"),
    ("btrfs", "btrfs:btrfs_sync_file"),
];

/// How long perf may take to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// A running count.
#[derive(Debug)]
pub(crate) struct Syncs {
    perf: Child,
    report: PathBuf,
}

impl Syncs {
    /// Begins to count the syncs of `processes` on `file_system`, and of those that they start from
    /// now on. None if they cannot be counted here.
    pub(crate) fn count(processes: &[u32], file_system: &str, folder: &Path) -> Option<Self> {
        let (_, event) = EVENTS.iter().find(|(name, _)| *name == file_system)?;
        let pids: Vec<String> = processes.iter().map(u32::to_string).collect();
        let report = folder.join("perf.txt");
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", event, "-p", &pids.join(",")])
            .arg("-o")
            .arg(&report)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut syncs = Self { perf, report };
        syncs.has_begun().then_some(syncs)
    }

    /// Waits until perf has opened its counters; false if it ended instead.
    fn has_begun(&mut self) -> bool {
        let folder = format!("/proc/{}/fd", self.perf.id());
        let asked = Instant::now();
        while asked.elapsed() < BEGIN_WITHIN {
            if self.perf.try_wait().ok().flatten().is_some() {
                return false;
            }
            let files = fs::read_dir(&folder).into_iter().flatten().flatten();
            let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
            if targets.any(|target| target.to_string_lossy().contains("perf_event")) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Ends the count, and says it.
    pub(crate) fn end(mut self) -> Option<u64> {
        let pid = rustix::process::Pid::from_child(&self.perf);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).ok()?;
        let _ = self.perf.wait();
        counted(&fs::read_to_string(&self.report).ok()?)
    }
}

impl Drop for Syncs {
    fn drop(&mut self) {
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// The first field of the only line that is no comment.
fn counted(report: &str) -> Option<u64> {
    let mut lines = report.lines().filter(|line| !line.starts_with('#'));
    let line = lines.find(|line| line.contains("sync"))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_of_perf_is_read_and_a_count_that_was_not_made_is_none() {
        let report = "# started on today\n\n1234,,ext4:ext4_sync_file_enter,9,100.00,,\n";
        assert_eq!(counted(report), Some(1_234));
        assert_eq!(counted("<not counted>,,ext4:ext4_sync_file_enter,0"), None);
        assert_eq!(counted(""), None);
    }
}
