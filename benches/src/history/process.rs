//! What this process uses, as the kernel counts it.

use std::error::Error;
use std::fs;
use std::path::Path;

use rustix::time::ClockId;

/// Processor time of all threads so far, in microseconds.
pub(crate) fn cpu_micros() -> Result<u64, Box<dyn Error>> {
    micros(ClockId::ProcessCPUTime)
}

/// Processor time of this thread so far, in microseconds.
pub(crate) fn own_cpu_micros() -> Result<u64, Box<dyn Error>> {
    micros(ClockId::ThreadCPUTime)
}

fn micros(clock: ClockId) -> Result<u64, Box<dyn Error>> {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec)?;
    let nanos = u64::try_from(time.tv_nsec)?;
    Ok(seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1_000))
}

/// Resident memory.
pub(crate) fn resident_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmRSS")?.parse::<u64>()? / 1_024)
}

/// Bytes of the files under `folder`.
pub(crate) fn size_mib(folder: &Path) -> Result<u64, Box<dyn Error>> {
    fn size(folder: &Path) -> std::io::Result<u64> {
        let mut sum = 0_u64;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let bytes = if metadata.is_dir() {
                size(&entry.path())?
            } else {
                metadata.len()
            };
            sum = sum.saturating_add(bytes);
        }
        Ok(sum)
    }
    Ok(size(folder)? / (1 << 20))
}
