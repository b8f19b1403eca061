//! Where in the log a command stands.

use std::fmt;

/// A Raft group. Keys and frames carry it from the first day; the one group is [`GroupId::FIRST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group that exists from the start.
    pub const FIRST: Self = Self(0);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The place of a command: one entry of one term of one group's log, and the place in that entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The group.
    pub group: GroupId,
    /// The term of the entry.
    pub term: u64,
    /// The index of the entry.
    pub index: u64,
    /// The place in the entry, from 0.
    pub place: u32,
}
