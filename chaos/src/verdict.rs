//! What a checker found.

use std::fmt;

use crate::history::{Event, History};

/// Most operations that an excerpt shows.
pub const EXCERPT_MAX: usize = 24;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What cannot be, in one sentence.
    pub why: String,
    /// The shortest part of the history that shows it, as lines of the history.
    pub excerpt: Vec<String>,
    /// The command that makes the history again, where one is known.
    pub reproduce: Option<String>,
}

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The history can be explained.
    Holds,
    /// It cannot.
    Broken(Breach),
    /// The history has too little in it to say anything, or the search for an explanation was given up.
    Unknown(String),
}

impl Verdict {
    /// A breach that is shown by a sentence alone.
    #[must_use]
    pub const fn broken(why: String) -> Self {
        Self::Broken(Breach {
            why,
            excerpt: Vec::new(),
            reproduce: None,
        })
    }

    /// A breach that `events` of `history` show, in the order in which they were asked.
    #[must_use]
    pub fn shown<'a>(
        history: &History,
        why: String,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Self {
        let mut events: Vec<&Event> = events.into_iter().collect();
        events.sort_by_key(|event| (event.call_us, event.return_us));
        events.dedup();
        let lines = events
            .iter()
            .take(EXCERPT_MAX)
            .filter_map(|event| serde_json::to_string(event).ok());
        Self::Broken(Breach {
            why,
            excerpt: lines.collect(),
            reproduce: Some(history.header.reproduce.clone()),
        })
    }

    /// Whether the promise is shown to hold. Not knowing is not holding.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }

    /// The breach, if it is one.
    #[must_use]
    pub const fn breach(&self) -> Option<&Breach> {
        match self {
            Self::Broken(breach) => Some(breach),
            Self::Holds | Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        for line in &self.excerpt {
            write!(f, "\n  {line}")?;
        }
        match &self.reproduce {
            Some(command) => write!(f, "\n  reproduce: {command}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Broken(breach) => write!(f, "broken: {breach}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}
