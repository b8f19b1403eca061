//! What the program can be told to do.
//!
//! A command prints its findings on standard output and returns how it ended; what stands in its way it
//! returns as a sentence.

pub(crate) mod check;
pub(crate) mod invent;

use std::error::Error;
use std::str::FromStr;

/// A number of the command line.
///
/// # Errors
///
/// A sentence that names the option and the word.
pub(crate) fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    let fits = |_| format!("`{name}` takes a whole number, not `{value}`");
    value.parse().map_err(fits)
}

/// An error with everything that caused it, in one line.
pub(crate) fn said(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
