//! Turns the diagnostics of Cedar into a line and a sentence.

use miette::Diagnostic;

/// The line of `text` at byte `offset`, counted from 1.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before
        .filter(|byte| **byte == b'\n')
        .count()
        .saturating_add(1)
}

/// Where the diagnostic points to in `text`, in bytes. Its start if it points nowhere.
pub(crate) fn offset(diagnostic: &dyn Diagnostic) -> usize {
    diagnostic
        .labels()
        .and_then(|mut labels| labels.next())
        .map_or(0, |label| label.offset())
}

/// The line of `text` that the diagnostic points to.
pub(crate) fn line(text: &str, diagnostic: &dyn Diagnostic) -> usize {
    line_at(text, offset(diagnostic))
}

/// The diagnostic's sentence, with its advice in parentheses if it has some.
pub(crate) fn with_help(diagnostic: &dyn Diagnostic) -> String {
    match diagnostic.help() {
        None => diagnostic.to_string(),
        Some(help) => format!("{diagnostic} ({help})"),
    }
}
