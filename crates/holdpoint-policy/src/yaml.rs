//! YAML without its traps, as a tree that knows its lines.
//!
//! A plain `no` is a country to its author and a boolean to YAML 1.1; `0777` and `12:30` are
//! numbers to some readers only; a repeated key loses a value silently; an anchor makes a value
//! appear where nobody wrote it. All of these are errors here, so that a bundle means one thing to
//! every reader. Nothing is repaired and nothing is guessed.

use std::borrow::Cow;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::problem::File;

/// Lists and mappings inside each other.
pub(crate) const YAML_DEPTH_MAX: usize = 16;

/// A value and the line where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// What a YAML value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is not a 64-bit integer, as it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping, in the order of the file. Keys are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

impl Node {
    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Number(_) => "a number that is not a 64-bit integer",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A list or mapping that is still open.
enum Open {
    List(usize, Vec<Node>),
    Map {
        line: usize,
        entries: Vec<Entry>,
        key: Option<(String, usize)>,
    },
}

/// Reads the one document of `file`. Errors go to the file; `None` means that nothing is usable.
pub(crate) fn parse(file: &File<'_>, text: &str) -> Option<Node> {
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        flow_nesting_limit: YAML_DEPTH_MAX,
        block_nesting_limit: YAML_DEPTH_MAX,
    };
    let mut builder = Builder {
        file,
        open: Vec::new(),
        document: None,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                file.error(error.marker().line(), format!("not YAML: {}", error.info()));
                return None;
            }
        };
        builder.take(event, span.start.line())?;
    }
    let document = builder.document;
    if document.is_none() {
        file.error(1, "the file is empty");
    }
    document
}

struct Builder<'a> {
    file: &'a File<'a>,
    open: Vec<Open>,
    document: Option<Node>,
}

impl Builder<'_> {
    /// Takes one event. `None` means that the rest of the file cannot be understood.
    fn take(&mut self, event: Event<'_>, line: usize) -> Option<()> {
        if let Event::Scalar(text, style, anchor, tag) = event {
            self.refuse_properties(line, anchor, tag.as_ref())?;
            self.scalar(&text, style, line)
        } else if let Event::SequenceStart(_, anchor, tag) = event {
            self.refuse_properties(line, anchor, tag.as_ref())?;
            self.push(Open::List(line, Vec::new()))
        } else if let Event::MappingStart(_, anchor, tag) = event {
            self.refuse_properties(line, anchor, tag.as_ref())?;
            self.push(Open::Map {
                line,
                entries: Vec::new(),
                key: None,
            })
        } else if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            match self.open.pop()? {
                Open::List(line, items) => self.place(Node {
                    line,
                    value: Value::List(items),
                }),
                Open::Map { line, entries, .. } => self.place(Node {
                    line,
                    value: Value::Map(entries),
                }),
            }
        } else if matches!(event, Event::Alias(_) | Event::UnresolvedAlias(_)) {
            self.file
                .error(line, "aliases are not accepted: write the value out");
            None
        } else {
            Some(())
        }
    }

    fn refuse_properties(
        &self,
        line: usize,
        anchor: usize,
        tag: Option<&Cow<'_, Tag>>,
    ) -> Option<()> {
        if anchor != 0 {
            self.file.error(
                line,
                "anchors are not accepted: write the value out where it is used",
            );
            return None;
        }
        if tag.is_some() {
            self.file.error(
                line,
                "tags are not accepted: a value's type is how it is written",
            );
            return None;
        }
        Some(())
    }

    fn push(&mut self, open: Open) -> Option<()> {
        let line = match &open {
            Open::List(line, _) | Open::Map { line, .. } => *line,
        };
        if self.open.len() >= YAML_DEPTH_MAX {
            self.file
                .error(line, format!("nested deeper than {YAML_DEPTH_MAX} levels"));
            return None;
        }
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            self.file.error(line, "a key must be a string");
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: usize) -> Option<()> {
        let value = if style == ScalarStyle::Plain {
            plain(text).unwrap_or_else(|why| {
                self.file.error(line, why);
                Value::Text(text.to_owned())
            })
        } else {
            Value::Text(text.to_owned())
        };
        if let Some(Open::Map {
            entries,
            key: key @ None,
            ..
        }) = self.open.last_mut()
        {
            if text == "<<" && style == ScalarStyle::Plain {
                self.file
                    .error(line, "merge keys are not accepted: write the keys out");
            }
            if let Some(before) = entries.iter().find(|entry| entry.key == text) {
                let first = before.line;
                self.file
                    .error(line, format!("key `{text}` is already on line {first}"));
            }
            *key = Some((text.to_owned(), line));
            return Some(());
        }
        self.place(Node { line, value })
    }

    fn place(&mut self, node: Node) -> Option<()> {
        match self.open.last_mut() {
            None if self.document.is_some() => {
                self.file
                    .error(node.line, "a second document: a file holds one");
                return None;
            }
            None => self.document = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                let (key, line) = key.take()?;
                // A repeated key has been reported; its first value stays.
                if !entries.iter().any(|entry| entry.key == key) {
                    entries.push(Entry { key, line, node });
                }
            }
        }
        Some(())
    }
}

/// What an unquoted scalar means, or why it would mean two things.
fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" => return Ok(Value::Null),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false"
    ) {
        return Err(format!(
            "`{text}` is a boolean to some readers of YAML and a string to others: write `true` or \
             `false`, or quote it"
        ));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(format!(
                "`{text}` is octal to some readers of YAML: quote it"
            ));
        }
        return Ok(text
            .parse()
            .map_or_else(|_| Value::Number(text.to_owned()), Value::Int));
    }
    if is_float(text) {
        return Ok(Value::Number(text.to_owned()));
    }
    if is_odd_number(&lower) {
        return Err(format!(
            "`{text}` is a number to some readers of YAML: quote it"
        ));
    }
    Ok(Value::Text(text.to_owned()))
}

/// `1.5`, `.5`, `1e3`, `+1`, `.inf`, `.nan`.
fn is_float(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    if matches!(unsigned, ".inf" | ".nan") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once('e') {
        None => (unsigned, None),
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digit = !whole.is_empty() || !fraction.is_empty();
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    has_digit && all_digits(whole) && all_digits(fraction) && exponent_fits
}

/// `0x1f`, `0o17`, `0b1`, `1_000`, `12:30`.
fn is_odd_number(lower: &str) -> bool {
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(lower);
    let based = ["0x", "0o", "0b"].iter().any(|prefix| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    let grouped = unsigned.starts_with(|first: char| first.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'_' | b':' | b'.'))
        && unsigned.bytes().any(|byte| matches!(byte, b'_' | b':'));
    based || grouped
}

#[cfg(test)]
mod tests;
