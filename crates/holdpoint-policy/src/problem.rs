//! What is wrong with a bundle, and where.
//!
//! Loading never stops at the first error: an author sees all of them at once, each with its file
//! and line.

use std::cell::RefCell;
use std::fmt;

/// The most errors that one load reports. A bundle with more is wrong in one way many times.
pub const ERRORS_MAX: usize = 200;

/// The longest message, in characters. Cedar quotes whole values in its messages.
const MESSAGE_CHARS_MAX: usize = 500;

/// One reason why a bundle does not load.
///
/// Shown as `surfaces.yaml:22: …`. The path is relative to the root of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{path}:{line}: {message}")]
pub struct LoadError {
    /// The file, relative to the root of the bundle.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, why, and what to write instead.
    pub message: String,
}

/// The errors found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<LoadError>>);

impl Problems {
    /// Adds one error.
    pub(crate) fn add(&self, path: &str, line: usize, message: impl Into<String>) {
        let mut message: String = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(end);
            message.push('…');
        }
        let mut errors = self.0.borrow_mut();
        if errors.len() < ERRORS_MAX {
            let path = path.to_owned();
            errors.push(LoadError {
                path,
                line,
                message,
            });
        }
    }

    /// Whether nothing has been found.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The errors in the order of file, line and message, each once.
    pub(crate) fn into_sorted(self) -> Vec<LoadError> {
        let mut errors = self.0.into_inner();
        errors.sort();
        errors.dedup();
        errors
    }
}

/// One file of the bundle, and where its errors go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    /// Its path in the bundle.
    pub(crate) path: &'a str,
    /// Where its errors go.
    pub(crate) problems: &'a Problems,
}

impl File<'_> {
    /// Adds an error at `line` of this file.
    pub(crate) fn error(&self, line: usize, message: impl Into<String>) {
        self.problems.add(self.path, line, message);
    }
}

/// Several errors, one a line, and how many they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The errors in the order of file and line. Empty if the bundle loads.
    pub errors: Vec<LoadError>,
}

impl CheckReport {
    /// Whether the bundle loads.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{error}")?;
        }
        match self.errors.len() {
            0 => writeln!(f, "no errors"),
            1 => writeln!(f, "1 error"),
            count => writeln!(f, "{count} errors"),
        }
    }
}
