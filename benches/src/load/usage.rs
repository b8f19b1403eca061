//! What processes use, as the kernel counts it in `/proc`.
//!
//! It counts whole trees: a database has a process for each connection. Processor time of children
//! that have ended is with their parents, bytes that they wrote are lost, so no connection is closed
//! while it counts. It never looks into a process that it may not read: that is an error, not a zero.

use std::collections::BTreeMap;
use std::fs;

use crate::Fault;

/// What processes have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time of all threads, in microseconds; a tick of 10 ms is the least that is seen.
    pub(crate) cpu_us: u64,
    /// Bytes that they made the kernel write to the disk.
    pub(crate) written_bytes: u64,
}

impl Usage {
    /// Of the processes in `roots` and of all that they have started.
    pub(crate) fn of_trees(roots: &[u32]) -> Result<Self, Fault> {
        let mut usage = Self::default();
        for pid in family(roots)? {
            // A connection's process may end between the two looks.
            match Self::of(pid) {
                Ok(one) => usage = usage.plus(one),
                Err(error) if roots.contains(&pid) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(usage)
    }

    /// Of this process alone.
    pub(crate) fn of_self() -> Result<Self, Fault> {
        let mut usage = Self::of(std::process::id())?;
        // Servers that it stopped are its children, and not its own work.
        usage.cpu_us = Stat::of(std::process::id())?.own_us()?;
        Ok(usage)
    }

    fn of(pid: u32) -> Result<Self, Fault> {
        Ok(Self {
            cpu_us: Stat::of(pid)?.with_children_us()?,
            written_bytes: field(&format!("/proc/{pid}/io"), "write_bytes:")?,
        })
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            written_bytes: self.written_bytes.saturating_add(other.written_bytes),
        }
    }
}

/// Resident memory of the processes in `roots` and of all that they have started; what several share is
/// counted once.
pub(crate) fn resident_bytes(roots: &[u32]) -> Result<u64, Fault> {
    let mut kib = 0_u64;
    for pid in family(roots)? {
        match field(&format!("/proc/{pid}/smaps_rollup"), "Pss:") {
            Ok(one) => kib = kib.saturating_add(one),
            Err(error) if roots.contains(&pid) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(kib.saturating_mul(1_024))
}

/// What `/proc/PID/stat` says.
struct Stat {
    parent: u32,
    /// Ticks of its own, and of its children that have ended.
    own: u64,
    children: u64,
}

impl Stat {
    fn of(pid: u32) -> Result<Self, Fault> {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).map_err(|error| format!("`{path}`: {error}"))?;
        Self::parse(&text).ok_or_else(|| format!("`{path}` says what is not known: {text}").into())
    }

    /// The name stands in brackets and may hold anything, so fields are counted from its end.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)?.saturating_add(number(12)?),
            children: number(13)?.saturating_add(number(14)?),
        })
    }

    fn own_us(&self) -> Result<u64, Fault> {
        micros(self.own)
    }

    fn with_children_us(&self) -> Result<u64, Fault> {
        micros(self.own.saturating_add(self.children))
    }
}

fn micros(ticks: u64) -> Result<u64, Fault> {
    let per_second = rustix::param::clock_ticks_per_second();
    let micros = ticks.saturating_mul(1_000_000).checked_div(per_second);
    micros.ok_or_else(|| "the kernel says that its clock stands still".into())
}

/// The number after `name` at the start of a line.
fn field(path: &str, name: &str) -> Result<u64, Fault> {
    let text = fs::read_to_string(path).map_err(|error| format!("`{path}`: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    let number = word.and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("`{path}` has no number after `{name}`").into())
}

/// `roots` and every process that descends from them.
pub(crate) fn family(roots: &[u32]) -> Result<Vec<u32>, Fault> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended since.
        if let Ok(stat) = Stat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut open = roots.to_vec();
    let mut all = Vec::new();
    while let Some(pid) = open.pop() {
        all.push(pid);
        open.extend(children.remove(&pid).unwrap_or_default());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_process_may_hold_anything() {
        let stat = Stat::parse("7 (a) b (c)) S 3 7 7 0 -1 0 1 2 3 4 50 6 7 8 20 0 9 0").unwrap();
        assert_eq!((stat.parent, stat.own, stat.children), (3, 56, 15));
        assert!(Stat::parse("7 (a) S 3").is_none());
    }

    #[test]
    fn this_process_uses_something_and_is_in_its_own_family() {
        let pid = std::process::id();
        Usage::of_self().unwrap();
        assert!(resident_bytes(&[pid]).unwrap() > 0);
        assert!(family(&[pid]).unwrap().contains(&pid));
    }
}
