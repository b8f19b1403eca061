//! The first fault of the disk, and everybody who must learn of it.
//!
//! After a failed write nobody knows what the disk holds (the failed record may be there after a
//! restart, and a later one may succeed and leave a hole), so nothing here ever retries or resets.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What failed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the store was doing, as in "write the log".
    pub doing: &'static str,
    /// The file, where the fault names one.
    pub file: Option<PathBuf>,
    /// What the disk or the database said.
    pub cause: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}", self.doing)?;
        // The cause often names the file already.
        if let Some(file) = &self.file {
            let file = file.display().to_string();
            if !self.cause.contains(&file) {
                write!(f, " (file `{file}`)")?;
            }
        }
        write!(f, ": {}", self.cause)
    }
}

/// Why the store gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk failed once. What is on it is unknown until the next start reads it; this process
    /// must stop, and a write that got this answer may or may not be there after that start.
    #[error("the store stopped at its first fault: {first}")]
    Poisoned {
        /// The fault that stopped it.
        first: Arc<Fault>,
    },
    /// The store is closed. A call that waited for its answer may have been written or not.
    #[error("the store is closed")]
    Closed,
    /// The caller left a hole in the log. Nothing was written.
    #[error("entry {found} cannot follow: the log expects entry {expected}")]
    Gap {
        /// The index that would continue the log.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A received snapshot is not what its manifest says. The state is untouched.
    #[error("snapshot refused: {0}")]
    Snapshot(String),
}

type Watcher = Box<dyn FnOnce(&Arc<Fault>) + Send>;

/// Keeps the first fault for ever and tells those who watch.
///
/// One latch serves the log and the state of a node: a fault in either stops both.
#[derive(Clone, Default)]
pub struct FaultLatch(Arc<Latch>);

#[derive(Default)]
struct Latch {
    first: OnceLock<Arc<Fault>>,
    watchers: Mutex<Vec<Watcher>>,
}

impl fmt::Debug for FaultLatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultLatch")
            .field("first", &self.0.first.get())
            .finish_non_exhaustive()
    }
}

impl FaultLatch {
    /// A latch that nothing has tripped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The fault that stopped the store, if one has.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<Fault>> {
        self.0.first.get()
    }

    /// Says whether the store may still answer.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`] from the first fault on.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.first() {
            None => Ok(()),
            Some(first) => Err(StoreError::Poisoned {
                first: Arc::clone(first),
            }),
        }
    }

    /// Calls `watcher` once, at the first fault, or now if that has happened already.
    ///
    /// It runs on the thread that met the fault and must not block: send a message, set a flag.
    pub fn watch(&self, watcher: impl FnOnce(&Arc<Fault>) + Send + 'static) {
        let mut watchers = self
            .0
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = self.first() {
            let first = Arc::clone(first);
            drop(watchers);
            watcher(&first);
        } else {
            watchers.push(Box::new(watcher));
        }
    }

    /// Records `fault` if it is the first, tells the watchers, and returns what every call answers
    /// from now on.
    pub fn trip(&self, fault: Fault) -> StoreError {
        let mut told = Vec::new();
        let first = {
            // The lock orders this against `watch`, so no watcher is missed and none is called twice.
            let mut watchers = self
                .0
                .watchers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if self.0.first.get().is_none() {
                tracing::error!(%fault, "the store stops");
                told.append(&mut watchers);
            }
            Arc::clone(self.0.first.get_or_init(|| Arc::new(fault)))
        };
        for watcher in told {
            watcher(&first);
        }
        StoreError::Poisoned { first }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn fault(cause: &str) -> Fault {
        Fault {
            doing: "write the log",
            file: None,
            cause: cause.to_owned(),
        }
    }

    #[test]
    fn only_the_first_fault_is_kept_and_every_watcher_is_told_once() {
        let latch = FaultLatch::new();
        let told = Arc::new(AtomicU32::new(0));
        let count = |by: u32| {
            let told = Arc::clone(&told);
            move |_: &Arc<Fault>| {
                told.fetch_add(by, Ordering::Relaxed);
            }
        };
        latch.watch(count(1));
        assert_eq!(latch.check(), Ok(()));
        latch.trip(fault("first"));
        let answer = latch.trip(fault("second"));
        latch.watch(count(10));
        assert_eq!(
            answer,
            StoreError::Poisoned {
                first: Arc::new(fault("first"))
            }
        );
        assert_eq!(latch.check(), Err(answer));
        assert_eq!(told.load(Ordering::Relaxed), 11);
    }

    #[test]
    fn a_file_is_named_once() {
        let mut fault = fault("corruption in /d/000007.sst");
        fault.file = Some("/d/000007.sst".into());
        assert_eq!(
            fault.to_string(),
            "could not write the log: corruption in /d/000007.sst"
        );
        fault.cause = "corruption".to_owned();
        assert_eq!(
            fault.to_string(),
            "could not write the log (file `/d/000007.sst`): corruption"
        );
    }
}
