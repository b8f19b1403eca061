//! Reads a history, and refuses what it does not understand.
//!
//! Never skips or repairs a line: a checker that misread one word would believe a lie about the gate.

use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Event, FORMAT, Header, History, Mark, Misfit, bound_name};
use crate::checkers;

/// Why a history was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes could not be had.
    #[error("line {line} could not be read")]
    Io {
        /// Where.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// There is nothing.
    #[error("the history is empty: its first line is the header")]
    Empty,
    /// Another format, or another version of it.
    #[error("line 1: the format is `{found}`, and this program reads `{FORMAT}`")]
    Format {
        /// What the header says.
        found: String,
    },
    /// A name that no checker has.
    #[error(
        "line 1: `{name}` in `not_asked` is no checker; there are {}",
        checkers::names()
    )]
    Checker {
        /// The name.
        name: String,
    },
    /// Not the JSON that the format says.
    #[error("line {line}: {source}")]
    Json {
        /// Where.
        line: usize,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// An event that cannot be.
    #[error("line {line}: {source}")]
    Misfit {
        /// Where.
        line: usize,
        /// What does not fit.
        source: Misfit,
    },
    /// A key of a bound that the header does not name.
    #[error("line {line}: the header does not say what bound `{bound}` of key `{key}` is")]
    Bound {
        /// Where.
        line: usize,
        /// The bound.
        bound: String,
        /// The key.
        key: String,
    },
    /// The recorder was stopped within a line.
    #[error(
        "line {line} does not end: the recorder was stopped; remove the line to check the rest"
    )]
    Cut {
        /// Where.
        line: usize,
    },
}

/// What is enough to tell a mark from an event.
#[derive(Deserialize)]
struct Peek {
    mark: Option<IgnoredAny>,
}

/// Reads a whole history.
///
/// # Errors
///
/// The first line that does not fit, by its number, and why.
pub fn read(mut source: impl BufRead) -> Result<History, ReadError> {
    let mut text = String::new();
    let mut line: usize = 0;
    let mut history: Option<History> = None;
    loop {
        text.clear();
        line = line.saturating_add(1);
        let count = source
            .read_line(&mut text)
            .map_err(|source| ReadError::Io { line, source })?;
        if count == 0 {
            return history.ok_or(ReadError::Empty);
        }
        if !text.ends_with('\n') {
            return Err(ReadError::Cut { line });
        }
        match &mut history {
            None => {
                history = Some(History {
                    header: header(&text)?,
                    events: Vec::new(),
                    marks: Vec::new(),
                });
            }
            Some(history) => take(history, line, &text)?,
        }
    }
}

fn header(text: &str) -> Result<Header, ReadError> {
    let json = |source| ReadError::Json { line: 1, source };
    let value: serde_json::Value = serde_json::from_str(text).map_err(json)?;
    // Said before anything else: another version has other members.
    if let Some(found) = value.get("format").and_then(serde_json::Value::as_str)
        && found != FORMAT
    {
        return Err(ReadError::Format {
            found: found.to_owned(),
        });
    }
    let header: Header = serde_json::from_value(value).map_err(json)?;
    let is_known = |name: &&String| checkers::ALL.iter().any(|one| one.name == **name);
    match header.not_asked.iter().find(|name| !is_known(name)) {
        Some(name) => Err(ReadError::Checker { name: name.clone() }),
        None => Ok(header),
    }
}

fn take(history: &mut History, line: usize, text: &str) -> Result<(), ReadError> {
    let json = |source| ReadError::Json { line, source };
    let peek: Peek = serde_json::from_str(text).map_err(json)?;
    if peek.mark.is_some() {
        let mark: Mark = serde_json::from_str(text).map_err(json)?;
        history.marks.push(mark);
        return Ok(());
    }
    let event: Event = serde_json::from_str(text).map_err(json)?;
    event
        .check()
        .map_err(|source| ReadError::Misfit { line, source })?;
    if let Some(key) = &event.key
        && history.bound_of(key).is_none()
    {
        return Err(ReadError::Bound {
            line,
            bound: bound_name(key).to_owned(),
            key: key.clone(),
        });
    }
    history.events.push(event);
    Ok(())
}
