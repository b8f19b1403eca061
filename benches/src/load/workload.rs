//! What is asked: the five workloads, the same for every system.

use std::fmt;
use std::str::FromStr;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Workload {
    /// W1: every request has a fresh exclusive key.
    Fresh,
    /// W2: workers ask for 1,000 keys; most find the key held.
    Contended,
    /// W3: one hot key, taken, used and let go by all workers in turn.
    HandOver,
    /// W4: the full life on fresh keys: authorize, redeem, complete.
    Life,
    /// W5: retries only, of attempts that are decided.
    Retries,
}

impl Workload {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 5] = [
        Self::Fresh,
        Self::Contended,
        Self::HandOver,
        Self::Life,
        Self::Retries,
    ];

    /// Its short name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "w1",
            Self::Contended => "w2",
            Self::HandOver => "w3",
            Self::Life => "w4",
            Self::Retries => "w5",
        }
    }

    /// Its heading in the results.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Fresh => "W1: every request a fresh exclusive key",
            Self::Contended => "W2: 1,000 keys, most find the key held",
            Self::HandOver => "W3: one hot key, handed over",
            Self::Life => "W4: the full life on fresh keys",
            Self::Retries => "W5: retries only",
        }
    }

    /// What its steps are: every figure is of one of them.
    pub(crate) const fn steps(self) -> &'static str {
        match self {
            Self::Fresh | Self::Contended => "decisions",
            Self::HandOver => "hand-overs",
            Self::Life => "lives",
            Self::Retries => "retries",
        }
    }

    /// How many are in flight in the comparison. W2 and W3 are about 64 workers that meet.
    pub(crate) const fn levels(self) -> &'static [usize] {
        match self {
            Self::Contended | Self::HandOver => &[64],
            Self::Fresh | Self::Life | Self::Retries => &[1, 16, 64, 256, 1_024],
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |workload: &Self| workload.name() == text;
        let found = Self::ALL.into_iter().find(named);
        found.ok_or_else(|| format!("`{text}` is no workload; there are w1 to w5"))
    }
}
