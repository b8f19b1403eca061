//! Reads the keys of a mapping strictly: an unknown key is an error, so is a missing one.

use holdpoint_receipt::Name;

use crate::problem::File;
use crate::suggest::did_you_mean;
use crate::time;
use crate::yaml::{Entry, Node, Value};

/// A mapping with a closed set of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    file: &'a File<'a>,
    what: &'a str,
    line: usize,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Takes `node` as a mapping with some of the keys `known`; reports every other key.
    pub(crate) fn of(
        file: &'a File<'a>,
        node: &'a Node,
        what: &'a str,
        known: &[&str],
    ) -> Option<Self> {
        let entries = file.map(node, what)?;
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let hint = did_you_mean(&entry.key, known.iter().copied());
            file.error(
                entry.line,
                format!("{what} has an unknown key `{}`{hint}", entry.key),
            );
        }
        Some(Self {
            file,
            what,
            line: node.line,
            entries,
        })
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    /// The value under `key`; its absence is an error.
    pub(crate) fn required(&self, key: &str) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            let missing = format!("{} lacks `{key}`", self.what);
            self.file.error(self.line, missing);
        }
        node
    }

    /// The boolean under `key`, or `default`.
    pub(crate) fn bool_or(&self, key: &str, default: bool) -> bool {
        self.get(key)
            .and_then(|node| self.file.bool(node, key))
            .unwrap_or(default)
    }

    /// The line where the mapping starts.
    pub(crate) fn line(&self) -> usize {
        self.line
    }
}

/// What a value must be, with an error that says so if it is not.
impl File<'_> {
    fn not<T>(&self, node: &Node, what: &str, expected: &str) -> Option<T> {
        self.error(
            node.line,
            format!("`{what}` must be {expected}, got {}", node.kind()),
        );
        None
    }

    /// A mapping.
    pub(crate) fn map<'n>(&self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        self.error(
            node.line,
            format!("{what} must be a mapping, got {}", node.kind()),
        );
        None
    }

    /// A list.
    pub(crate) fn list<'n>(&self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Value::List(items) = &node.value {
            Some(items)
        } else {
            self.not(node, what, "a list")
        }
    }

    /// A string.
    pub(crate) fn text<'n>(&self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Int(_) => self.not(node, what, "a string (quote it)"),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.not(node, what, "a string")
            }
        }
    }

    /// A list of strings.
    pub(crate) fn texts<'n>(&self, node: &'n Node, what: &str) -> Vec<(&'n str, usize)> {
        let items = self.list(node, what).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| Some((self.text(item, what)?, item.line)))
            .collect()
    }

    /// A boolean.
    pub(crate) fn bool(&self, node: &Node, what: &str) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.not(node, what, "`true` or `false`")
    }

    /// An integer of at least `min`.
    pub(crate) fn int(&self, node: &Node, what: &str, min: i64) -> Option<i64> {
        match node.value {
            Value::Int(value) if value >= min => Some(value),
            Value::Int(value) => {
                self.error(
                    node.line,
                    format!("`{what}` must be at least {min}, got {value}"),
                );
                None
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => self.not(node, what, "an integer"),
        }
    }

    /// A name of SPEC section 8, `[a-z0-9._-]{1,64}`.
    pub(crate) fn name(&self, text: &str, line: usize, what: &str) -> Option<Name> {
        Name::new(text)
            .map_err(|error| self.error(line, format!("{what} `{text}`: {error}")))
            .ok()
    }

    /// A duration such as `10m` between `min_ms` and `max_ms`, in milliseconds.
    pub(crate) fn duration_ms(
        &self,
        node: &Node,
        what: &str,
        min_ms: u64,
        max_ms: u64,
    ) -> Option<u64> {
        let parsed = if let Value::Text(text) = &node.value {
            time::parse_duration(text)
        } else {
            None
        };
        let Some(value_ms) = parsed else {
            return self.not(node, what, "a duration such as `30s`, `10m`, `1h` or `1d`");
        };
        if (min_ms..=max_ms).contains(&value_ms) {
            return Some(value_ms);
        }
        let (min, max) = (time::show_duration(min_ms), time::show_duration(max_ms));
        self.error(
            node.line,
            format!("`{what}` must be between {min} and {max}"),
        );
        None
    }
}
