//! What clients asked and were answered, as JSON lines that other checkers can read (`chaos/HISTORY.md`).
//!
//! A history begins with a [`Header`], then each operation of a client is one [`Event`], and what was
//! done to the cluster is a [`Mark`]. Times are of one clock, that of whoever drove the clients; cluster
//! times are those of statements. A history never holds what a node says of itself: only what a client
//! was answered.

mod event;
mod header;
mod lives;
mod misfit;
mod reader;
mod recorder;

use std::io::Write;

pub use event::{Answered, Event, Op, Outcome, PermitState, Proof};
pub use header::{Bound, Demands, FORMAT, Header, Mark};
pub use lives::{Answer, Charge, End, Exhausted, Life, Stated, Turn, What};
pub use misfit::Misfit;
pub use reader::{ReadError, read};
pub use recorder::{RecordError, Recorder};

/// A whole history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What was run, and what it must show.
    pub header: Header,
    /// Every operation of every client, in the order in which they were recorded.
    pub events: Vec<Event>,
    /// What was done to the cluster.
    pub marks: Vec<Mark>,
}

impl History {
    /// Writes all of it, marks first.
    ///
    /// # Errors
    ///
    /// An event cannot be, or the bytes could not be written.
    pub fn write(&self, out: impl Write) -> Result<(), RecordError> {
        let mut recorder = Recorder::begin(out, &self.header)?;
        for mark in &self.marks {
            recorder.mark(mark)?;
        }
        for event in &self.events {
            recorder.event(event)?;
        }
        recorder.finish()?;
        Ok(())
    }

    /// The bound that `key` is of; none if the header does not name it.
    #[must_use]
    pub fn bound_of(&self, key: &str) -> Option<&Bound> {
        self.header.bounds.get(bound_name(key))
    }

    /// When the last fault was healed.
    #[must_use]
    pub fn healed_us(&self) -> Option<u64> {
        self.marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Healed { at_us } => Some(*at_us),
                Mark::Fault { .. } => None,
            })
            .max()
    }
}

/// The name of the bound of a key: what stands before its first `/`.
pub(crate) fn bound_name(key: &str) -> &str {
    key.split_once('/').map_or(key, |(name, _)| name)
}
