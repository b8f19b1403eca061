//! Free text within the alphabet of statements.

use std::fmt;

/// At most 256 printable ASCII characters without `"` and `\`, which no JSON writer escapes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementText(String);

impl StatementText {
    /// The longest text, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Takes a text that fits; none if it is empty, too long or outside the alphabet.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let fits = !text.is_empty()
            && text.len() <= Self::BYTES_MAX
            && text.chars().all(is_statement_character);
        fits.then_some(Self(text))
    }

    /// Makes any text fit: other characters become `?`, what is too long ends in `...`, and nothing
    /// becomes `-`. For what is shown to people; the same input gives the same text everywhere.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        const CUT: &str = "...";
        let fitted = text
            .chars()
            .map(|c| if is_statement_character(c) { c } else { '?' });
        let mut fitted: String = fitted.take(Self::BYTES_MAX.saturating_add(1)).collect();
        if fitted.is_empty() {
            fitted.push('-');
        }
        if fitted.len() > Self::BYTES_MAX {
            // One byte a character now, so this is a boundary.
            fitted.truncate(Self::BYTES_MAX.saturating_sub(CUT.len()));
            fitted.push_str(CUT);
        }
        Self(fitted)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether every JSON writer leaves this character as it is.
pub(super) fn is_statement_character(character: char) -> bool {
    matches!(character, ' '..='~') && character != '"' && character != '\\'
}

impl fmt::Display for StatementText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StatementText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatementText({:?})", self.0)
    }
}
